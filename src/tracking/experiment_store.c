/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "experiment.h"
#include "experiment_store.h"
#include "quern/artifact/place.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

void experiment_read(struct ctx *c, struct stmt *st, struct experiment *e) {
    memset(e, 0, sizeof *e);
    e->id = stmt_i64(st, 0);
    e->experiment_id = arena_printf(c->arena, "%" PRId64, e->id);
    e->name = stmt_text(c, st, 1);
    e->artifact_location = stmt_text(c, st, 2);
    e->lifecycle_stage = stmt_i64(st, 3) ? "deleted" : "active";
    e->creation_time = SET_I64(stmt_i64(st, 4));
    e->last_update_time = SET_I64(stmt_i64(st, 5));
}

static int find(struct ctx *c, struct stmt *st, struct experiment *out) {
    int rc = stmt_next(st);
    if (rc > 0)
        experiment_read(c, st, out);
    stmt_end(st);
    return rc;
}

int experiment_find(struct ctx *c, int64_t id, struct experiment *out) {
    return find(c,
                db_query(c,
                         "SELECT " EXPERIMENT_COLUMNS " FROM experiment e"
                         " WHERE e.id = ? AND e.project_id = ?",
                         "ii", id, c->project),
                out);
}

int experiment_find_name(struct ctx *c, const char *name, struct experiment *out) {
    return find(c,
                db_query(c,
                         "SELECT " EXPERIMENT_COLUMNS " FROM experiment e"
                         " WHERE e.project_id = ? AND e.name = ?",
                         "is", c->project, name),
                out);
}

int experiment_insert(struct ctx *c, const char *name, const char *location, int64_t *id) {
    int rc = db_exec(c,
                     "INSERT INTO experiment (id, project_id, name, artifact_location, created_ms,"
                     " updated_ms) VALUES ((SELECT 1 + max(greatest, (SELECT max(id) FROM"
                     " experiment)) FROM experiment_purged), ?, ?, ?, ?, ?)",
                     "issii", c->project, name, location ? location : "", c->now_ms, c->now_ms);
    if (rc < 0)
        return rc;
    *id = db_last_id(c);
    if (location)
        return 0;
    const char *own = artifact_root_location(c, *id);
    return db_exec(c, "UPDATE experiment SET artifact_location = ? WHERE id = ?", "si", own, *id);
}

int experiment_set_location(struct ctx *c, int64_t id, const char *location) {
    int rc =
        db_exec(c, "UPDATE experiment SET artifact_location = ? WHERE id = ?", "si", location, id);
    return rc < 0 ? rc : 0;
}

int experiment_default_location(struct ctx *c, const char *location) {
    int rc = db_exec(c,
                     "UPDATE experiment SET artifact_location = ?1 WHERE id = 0"
                     " AND artifact_location <> ?1"
                     " AND NOT EXISTS (SELECT 1 FROM run) AND NOT EXISTS (SELECT 1 FROM artifact)"
                     " AND NOT EXISTS (SELECT 1 FROM logged_model)"
                     " AND NOT EXISTS (SELECT 1 FROM experiment WHERE id <> 0)",
                     "s", location);
    return rc < 0 ? rc : 0;
}

int experiment_set_name(struct ctx *c, int64_t id, const char *name) {
    return db_exec(c, "UPDATE experiment SET name = ?, updated_ms = ? WHERE id = ?", "sii", name,
                   c->now_ms, id);
}

int experiment_purging(struct ctx *c, int64_t id, bool *yes) {
    int64_t one = 0;
    return db_get_i64(c, "SELECT 1 FROM experiment WHERE id = ? AND purging = 1", &one, yes, "i",
                      id);
}

int experiment_put_tag(struct ctx *c, int64_t id, const char *key, const char *value) {
    return db_exec(c,
                   "INSERT INTO experiment_tag (experiment_id, name, value) VALUES (?, ?, ?)"
                   " ON CONFLICT (experiment_id, name) DO UPDATE SET value = excluded.value",
                   "iss", id, key, value);
}

int experiment_drop_tag(struct ctx *c, int64_t id, const char *key) {
    return db_exec(c, "DELETE FROM experiment_tag WHERE experiment_id = ? AND name = ?", "is", id,
                   key);
}

/* One query for any number of experiments. */
int experiment_load_tags(struct ctx *c, struct experiment *items, size_t n) {
    if (n == 0)
        return 0;
    struct buf ids = {0};
    for (size_t i = 0; i < n; i++)
        buf_printf(&ids, "%c%" PRId64, i ? ',' : '[', items[i].id);
    buf_putc(&ids, ']');
    const char *text = arena_strndup(c->arena, ids.data, ids.len);
    buf_free(&ids);
    size_t *caps = ARENA_ARRAY(c->arena, size_t, n);
    struct stmt *st = db_query(c,
                               "SELECT j.key, t.name, t.value FROM json_each(?) j"
                               " CROSS JOIN experiment_tag t ON t.experiment_id = j.value",
                               "s", text);
    int rc;
    while ((rc = stmt_next(st)) > 0 && (rc = answer_check(c)) == 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        struct pair *p = list_push(c, &items[i].tags, &caps[i], sizeof *p);
        p->key = stmt_text(c, st, 1);
        p->value = stmt_text(c, st, 2);
    }
    stmt_end(st);
    return rc;
}
