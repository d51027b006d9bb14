/* SPDX-License-Identifier: Apache-2.0 */
#include "run_store.h"

#include <string.h>

#include "experiment_sweep.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "run.h"

int run_find_ref(struct ctx *c, const char *run_id, struct run_ref *out) {
    memset(out, 0, sizeof *out);
    struct stmt *st = db_query(c,
                               "SELECT r.id, r.experiment_id, " RUN_DELETED " FROM run r"
                               " JOIN experiment e ON e.id = r.experiment_id"
                               " WHERE r.uuid = ? AND e.project_id = ?",
                               "si", run_id, c->project);
    int rc = stmt_next(st);
    if (rc > 0) {
        out->row = stmt_i64(st, 0);
        out->experiment = stmt_i64(st, 1);
        out->active = stmt_i64(st, 2) == 0;
        out->uuid = run_id;
    }
    stmt_end(st);
    return rc;
}

int run_row_insert(struct ctx *c, const char *uuid, int64_t experiment, const char *name,
                   const char *user, int64_t start_ms, const char *artifact_uri, int64_t *row) {
    int rc = db_exec(c,
                     "INSERT INTO run (id, uuid, experiment_id, name, user_id, status, start_ms,"
                     " artifact_uri) VALUES (" RUN_NEXT_ROW ", ?, ?, ?, ?, 'RUNNING', ?, ?)",
                     "sissis", uuid, experiment, name, user, start_ms, artifact_uri);
    if (rc >= 0)
        *row = db_last_id(c);
    return rc < 0 ? rc : 0;
}

int run_write_state(struct ctx *c, int64_t row, const char *status, struct opt_i64 end_ms) {
    int rc = 0;
    if (status)
        rc = db_exec(c, "UPDATE run SET status = ? WHERE id = ?", "si", status, row);
    if (rc >= 0 && end_ms.set)
        rc = db_exec(c, "UPDATE run SET end_ms = ? WHERE id = ?", "ii", end_ms.v, row);
    return rc;
}

int run_write_name(struct ctx *c, int64_t row, const char *name) {
    int rc =
        db_exec(c, "UPDATE run SET name = ? WHERE id = ? AND name <> ?", "sis", name, row, name);
    return rc < 0 ? rc : db_changes(c) > 0;
}

int run_write_deleted(struct ctx *c, int64_t row, bool deleted) {
    if (deleted)
        return db_exec(c, "UPDATE run SET deleted = 1, deleted_ms = ? WHERE id = ?", "ii",
                       c->now_ms, row);
    return db_exec(c, "UPDATE run SET deleted = 0, deleted_ms = NULL WHERE id = ?", "i", row);
}

int run_key_find(struct ctx *c, int64_t experiment, const char *name, int64_t *id) {
    bool found = false;
    int rc = db_get_i64(c, "SELECT id FROM run_key WHERE experiment_id = ? AND name = ?", id,
                        &found, "is", experiment, name);
    return rc < 0 ? rc : found;
}

int run_key_ensure(struct ctx *c, int64_t experiment, const char *name, int64_t *id) {
    int rc = run_key_find(c, experiment, name, id);
    if (rc)
        return rc < 0 ? rc : 0;
    rc = db_exec(c, "INSERT INTO run_key (experiment_id, name) VALUES (?, ?)", "is", experiment,
                 name);
    if (rc >= 0)
        *id = db_last_id(c);
    return rc < 0 ? rc : 0;
}

int run_write_tag(struct ctx *c, const struct run_ref *r, const char *key, const char *value) {
    int64_t id = 0;
    int rc = run_key_ensure(c, r->experiment, key, &id);
    if (rc)
        return rc;
    rc = db_exec(c,
                 "INSERT INTO run_tag (run_id, key_id, value) VALUES (?, ?, ?)"
                 " ON CONFLICT (run_id, key_id) DO UPDATE SET value = excluded.value",
                 "iis", r->row, id, value);
    return rc < 0 ? rc : 0;
}

int run_read_tag(struct ctx *c, const struct run_ref *r, const char *key, char **value) {
    return db_get_text(c,
                       "SELECT t.value FROM run_key k JOIN run_tag t ON t.key_id = k.id"
                       " AND t.run_id = ? WHERE k.experiment_id = ? AND k.name = ?",
                       value, "iis", r->row, r->experiment, key);
}

int run_erase_tag(struct ctx *c, const struct run_ref *r, const char *key, bool *was) {
    int64_t id = 0;
    *was = false;
    int rc = run_key_find(c, r->experiment, key, &id);
    if (rc <= 0)
        return rc;
    rc = db_exec(c, "DELETE FROM run_tag WHERE run_id = ? AND key_id = ?", "ii", r->row, id);
    if (rc < 0)
        return rc;
    *was = db_changes(c) > 0;
    return 0;
}
