/* SPDX-License-Identifier: Apache-2.0 */
#include "arm.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

#define COLUMNS                                                                                    \
    "a.project_id, a.endpoint, a.name, a.number, a.place, a.target, a.runtime, a.state, "          \
    "a.reason, a.model, a.version, a.sha256, a.revision, a.done, a.vetted, a.bytes, a.load_ms, "   \
    "a.used_ms, a.pinned, e.created_ms"
#define SOURCE                                                                                     \
    " FROM endpoint_arm AS a JOIN endpoint AS e ON e.project_id = a.project_id AND e.name = "      \
    "a.endpoint "

static void take(struct ctx *c, struct stmt *st, struct arm *a) {
    *a = (struct arm){.project = stmt_i64(st, 0),
                      .endpoint = stmt_text(c, st, 1),
                      .name = stmt_text(c, st, 2),
                      .number = stmt_i64(st, 3),
                      .place = stmt_i64(st, 4),
                      .target = stmt_text(c, st, 5),
                      .runtime = stmt_text(c, st, 6),
                      .state = stmt_text(c, st, 7),
                      .reason = stmt_text(c, st, 8),
                      .model = stmt_text(c, st, 9),
                      .version = stmt_i64(st, 10),
                      .sha256 = stmt_text(c, st, 11),
                      .revision = stmt_i64(st, 12),
                      .done = stmt_i64(st, 13),
                      .vetted = stmt_text(c, st, 14),
                      .bytes = stmt_i64(st, 15),
                      .load_ms = stmt_i64(st, 16),
                      .used_ms = stmt_i64(st, 17),
                      .pinned = stmt_i64(st, 18) != 0,
                      .born_ms = stmt_i64(st, 19)};
}

static int take_all(struct ctx *c, struct stmt *st, struct arm **out, size_t *n) {
    size_t cap = 0;
    int rc;
    *out = NULL;
    *n = 0;
    while ((rc = stmt_next(st)) > 0) {
        *out = arena_room(c->arena, *out, *n, &cap, sizeof **out);
        take(c, st, &(*out)[(*n)++]);
    }
    return rc;
}

int arm_list(struct ctx *c, int64_t project, const char *endpoint, struct arm **out, size_t *n) {
    return take_all(c,
                    db_query(c,
                             "SELECT " COLUMNS SOURCE
                             "WHERE a.project_id = ? AND a.endpoint = ? ORDER BY a.state = "
                             "'deleted', a.place, a.number",
                             "is", project, endpoint),
                    out, n);
}

int arm_list_all(struct ctx *c, struct arm **out, size_t *n) {
    return take_all(c,
                    db_query(c,
                             "SELECT " COLUMNS SOURCE
                             "WHERE a.state <> 'deleted' AND e.state <> 'deleted' "
                             "ORDER BY a.project_id, a.endpoint, a.place",
                             ""),
                    out, n);
}

int arm_store_put(struct ctx *c, const struct arm *a) {
    return db_exec(
        c,
        "INSERT INTO endpoint_arm (project_id, endpoint, name, number, place, target, runtime, "
        "pinned, state, reason, model, version, sha256, revision, done, vetted, bytes, load_ms, "
        "used_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (project_id, endpoint, name) DO UPDATE SET place = excluded.place, "
        "target = excluded.target, runtime = excluded.runtime, pinned = excluded.pinned, "
        "state = excluded.state, reason = excluded.reason, model = excluded.model, "
        "version = excluded.version, sha256 = excluded.sha256, revision = excluded.revision, "
        "done = excluded.done, vetted = excluded.vetted, bytes = excluded.bytes, "
        "load_ms = excluded.load_ms, used_ms = excluded.used_ms",
        "issiississsisiisiii", a->project, a->endpoint, a->name, a->number, a->place, a->target,
        a->runtime, (int64_t)a->pinned, a->state, a->reason, a->model, a->version, a->sha256,
        a->revision, a->done, a->vetted, a->bytes, a->load_ms, a->used_ms);
}

int arm_store_used(struct ctx *c, const struct arm *a, int64_t used_ms) {
    return db_exec(c,
                   "UPDATE endpoint_arm SET used_ms = ? WHERE project_id = ? AND endpoint = ? AND "
                   "name = ? AND used_ms < ?",
                   "iissi", used_ms, a->project, a->endpoint, a->name, used_ms);
}

int arm_store_vetted(struct ctx *c, const char *vetted, int64_t *bytes, bool *found) {
    struct stmt *st =
        db_query(c, "SELECT bytes FROM endpoint_arm WHERE vetted = ? LIMIT 1", "s", vetted);
    int rc = stmt_next(st);
    *found = rc > 0;
    if (rc > 0) {
        *bytes = stmt_i64(st, 0);
        stmt_end(st);
        rc = 0;
    }
    return rc;
}

int arm_store_reset(struct ctx *c) {
    return db_exec(
        c, "UPDATE endpoint_arm SET state = 'pending' WHERE state IN ('ready', 'loading')", "");
}
