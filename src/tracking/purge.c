/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/tracking/purge.h"

#include <inttypes.h>
#include <string.h>

#include "deleted.h"
#include "experiment_store.h"
#include "experiment_sweep.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/tracking/tracking.h"

#define PORTION 100

static tracking_deleted *listener;

void tracking_on_delete(tracking_deleted *fn) {
    listener = fn;
}

int tracking_tell_deleted(struct ctx *c, const char *kind, int64_t row) {
    return listener ? listener(c, kind, row) : 0;
}

/* Every statement has a row number and most to delete. 1 when one of them found that many. */
static int erase(struct ctx *c, const char *const *statements, size_t n, int64_t row,
                 int64_t most) {
    for (size_t i = 0; i < n; i++) {
        int rc = db_exec(c, statements[i], "ii", row, most);
        if (rc < 0)
            return rc;
        if (db_changes(c) >= most)
            return 1;
    }
    return 0;
}

/* Below its own folder alone: a location may be shared, or point anywhere. */
static int leave_artifacts(struct ctx *c, int64_t project, const char *uri, const char *id) {
    const char *path = uri ? artifact_uri_path(c, uri) : NULL;
    const char *own = path ? strstr(path, id) : NULL;
    size_t n = strlen(id);
    if (!own || (own != path && own[-1] != '/') || (own[n] != '\0' && own[n] != '/'))
        return 0;
    const char *folder = arena_strndup(c->arena, path, (size_t)(own - path) + n);
    int rc = db_exec(c,
                     "INSERT INTO artifact_rest (project_id, path) VALUES (?, ?)"
                     " ON CONFLICT DO NOTHING",
                     "is", project, folder);
    return rc < 0 ? rc : 0;
}

struct doomed {
    char *id, *uri;
    int64_t project;
};

static int look(struct ctx *c, const char *sql, int64_t row, struct doomed *d) {
    *d = (struct doomed){0};
    struct stmt *st = db_query(c, sql, "i", row);
    int rc = stmt_next(st);
    if (rc > 0) {
        d->id = stmt_text(c, st, 0);
        d->uri = stmt_text(c, st, 1);
        d->project = stmt_i64(st, 2);
    }
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

int run_purge(struct ctx *c, int64_t row, const char **uuid) {
    static const char *const gone[] = {"DELETE FROM run_input WHERE run_id = ?",
                                       "DELETE FROM run_model WHERE run_id = ?",
                                       "DELETE FROM run WHERE id = ?"};
    struct doomed d;
    int rc = look(c,
                  "SELECT r.uuid, r.artifact_uri, e.project_id FROM run r"
                  " JOIN experiment e ON e.id = r.experiment_id WHERE r.id = ?",
                  row, &d);
    *uuid = d.id;
    if (rc || !d.id)
        return rc;
    rc = db_exec(c, "INSERT INTO run_rest (run_id, uuid) VALUES (?, ?)", "is", row, d.id);
    for (size_t i = 0; rc >= 0 && i < ARRAY_LEN(gone); i++)
        rc = db_exec(c, gone[i], "i", row);
    return rc < 0 ? rc : leave_artifacts(c, d.project, d.uri, d.id);
}

/* Takes what it deletes off *room; 1 when that was not enough. A deletion of metric points does not
 * tell how many, so they are taken in portions. */
static int erase_run(struct ctx *c, int64_t row, int64_t *room) {
    static const char *const rows[] = {
        "DELETE FROM run_param WHERE (run_id, key_id) IN"
        " (SELECT run_id, key_id FROM run_param WHERE run_id = ? LIMIT ?)",
        "DELETE FROM run_tag WHERE (run_id, key_id) IN"
        " (SELECT run_id, key_id FROM run_tag WHERE run_id = ? LIMIT ?)",
        "DELETE FROM run_input_tag WHERE (run_id, dataset_id, name) IN"
        " (SELECT run_id, dataset_id, name FROM run_input_tag WHERE run_id = ? LIMIT ?)",
    };
    int64_t portion = *room < PORTION ? *room : PORTION;
    int rc = run_metrics_erase(c, row, portion);
    *room -= rc > 0 ? portion : 1 + 2 * db_changes(c);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(rows); i++) {
        if (*room <= 0)
            return 1;
        rc = db_exec(c, rows[i], "ii", row, *room);
        *room -= rc < 0 ? 0 : db_changes(c);
    }
    return rc || *room > 0 ? rc : 1;
}

static int erase_runs(struct ctx *c, int64_t most) {
    while (most > 0) {
        int64_t row = 0;
        bool found = false;
        int rc = db_get_i64(c, "SELECT run_id FROM run_rest LIMIT 1", &row, &found, "");
        if (rc || !found)
            return rc;
        rc = erase_run(c, row, &most);
        if (rc == 0)
            rc = db_exec(c, "DELETE FROM run_rest WHERE run_id = ?", "i", row);
        if (rc)
            return rc;
    }
    return 1;
}

static int erase_trees(struct ctx *c, int64_t most) {
    while (most > 0) {
        struct doomed d = {0};
        struct stmt *st = db_query(c, "SELECT path, project_id FROM artifact_rest LIMIT 1", "");
        int rc = stmt_next(st);
        if (rc > 0) {
            d.id = stmt_text(c, st, 0);
            d.project = stmt_i64(st, 1);
        }
        stmt_end(st);
        if (rc <= 0)
            return rc;
        int64_t project = c->project;
        c->project = d.project;
        rc = artifact_erase_tree(c, d.id, most);
        c->project = project;
        most -= 1 + (rc == 0 ? db_changes(c) : 0);
        if (rc == 0)
            rc = db_exec(c, "DELETE FROM artifact_rest WHERE project_id = ? AND path = ?", "is",
                         d.project, d.id);
        if (rc)
            return rc;
    }
    return 1;
}

int tracking_erase(struct ctx *c, int64_t most) {
    int rc = erase_runs(c, most);
    return rc ? rc : erase_trees(c, most);
}

int logged_model_purge(struct ctx *c, int64_t row) {
    static const char *const gone[] = {"DELETE FROM logged_model_metric WHERE model_id = ?",
                                       "DELETE FROM logged_model_param WHERE model_id = ?",
                                       "DELETE FROM logged_model_tag WHERE model_id = ?",
                                       "DELETE FROM logged_model WHERE id = ?"};
    struct doomed d;
    int rc = look(c,
                  "SELECT m.uuid, m.artifact_uri, e.project_id FROM logged_model m"
                  " JOIN experiment e ON e.id = m.experiment_id WHERE m.id = ?",
                  row, &d);
    if (rc || !d.id)
        return rc;
    for (size_t i = 0; rc >= 0 && i < ARRAY_LEN(gone); i++)
        rc = db_exec(c, gone[i], "i", row);
    return rc < 0 ? rc : leave_artifacts(c, d.project, d.uri, d.id);
}

int experiment_purge_begin(struct ctx *c, int64_t id) {
    return db_exec(c, "UPDATE experiment SET purging = 1 WHERE id = ? AND purging = 0", "i", id);
}

int experiment_purge(struct ctx *c, int64_t id, int64_t most) {
    static const char *const rows[] = {
        "DELETE FROM run_key WHERE id IN (SELECT id FROM run_key WHERE experiment_id = ? LIMIT ?)",
        "DELETE FROM run_dataset WHERE id IN"
        " (SELECT id FROM run_dataset WHERE experiment_id = ? LIMIT ?)",
        "DELETE FROM experiment_tag WHERE (experiment_id, name) IN"
        " (SELECT experiment_id, name FROM experiment_tag WHERE experiment_id = ? LIMIT ?)",
    };
    struct doomed d;
    int rc = look(c,
                  "SELECT CAST(id AS TEXT), artifact_location, project_id FROM experiment"
                  " WHERE id = ?",
                  id, &d);
    if (rc || !d.id)
        return rc;
    rc = erase(c, rows, ARRAY_LEN(rows), id, most);
    if (rc)
        return rc;
    rc = db_exec(c,
                 "INSERT INTO experiment_purged (one, greatest) VALUES (1, ?1)"
                 " ON CONFLICT (one) DO UPDATE SET greatest = max(greatest, ?1)",
                 "i", id);
    if (rc >= 0)
        rc = db_exec(c, "DELETE FROM experiment WHERE id = ?", "i", id);
    /* What clients put beside the folders of runs and models, where the location is its own. */
    return rc < 0 ? rc : leave_artifacts(c, d.project, d.uri, d.id);
}

int run_undelete(struct ctx *c, int64_t row) {
    return db_exec(c, "UPDATE run SET deleted = 0, deleted_ms = NULL WHERE id = ?", "i", row);
}

int logged_model_undelete(struct ctx *c, int64_t row) {
    return db_exec(c, "UPDATE logged_model SET deleted = 0, updated_ms = ? WHERE id = ?", "ii",
                   c->now_ms, row);
}

int experiment_undelete(struct ctx *c, int64_t id) {
    return experiment_set_deleted(c, id, false);
}
