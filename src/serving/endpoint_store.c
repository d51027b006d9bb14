/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint_store.h"

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

#define COLUMNS                                                                                    \
    "project_id, name, target, state, reason, model, version, sha256, revision, done, "            \
    "policy, created_ms, updated_ms"

static void take(struct ctx *c, struct stmt *st, struct endpoint *e) {
    *e = (struct endpoint){.project = stmt_i64(st, 0),
                           .name = stmt_text(c, st, 1),
                           .target = stmt_text(c, st, 2),
                           .state = stmt_text(c, st, 3),
                           .reason = stmt_text(c, st, 4),
                           .model = stmt_text(c, st, 5),
                           .version = stmt_i64(st, 6),
                           .sha256 = stmt_text(c, st, 7),
                           .revision = stmt_i64(st, 8),
                           .done = stmt_i64(st, 9),
                           .policy = stmt_text(c, st, 10),
                           .created_ms = stmt_i64(st, 11),
                           .updated_ms = stmt_i64(st, 12)};
}

int endpoint_store_find(struct ctx *c, int64_t project, const char *name, struct endpoint *out,
                        bool *found) {
    struct stmt *st =
        db_query(c, "SELECT " COLUMNS " FROM endpoint WHERE project_id = ? AND name = ?", "is",
                 project, name);
    int rc = stmt_next(st);
    *found = rc > 0;
    if (rc > 0) {
        take(c, st, out);
        stmt_end(st);
        rc = 0;
    }
    return rc;
}

static int take_all(struct ctx *c, struct stmt *st, struct endpoint **out, size_t *n) {
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

int endpoint_list(struct ctx *c, struct endpoint **out, size_t *n) {
    return take_all(c,
                    db_query(c,
                             "SELECT " COLUMNS " FROM endpoint WHERE project_id = ? AND state <> "
                             "'deleted' ORDER BY name",
                             "i", c->project),
                    out, n);
}

int endpoint_list_all(struct ctx *c, struct endpoint **out, size_t *n) {
    return take_all(c,
                    db_query(c,
                             "SELECT " COLUMNS " FROM endpoint WHERE state <> 'deleted' ORDER BY "
                             "project_id, name",
                             ""),
                    out, n);
}

int endpoint_store_put(struct ctx *c, const struct endpoint *e) {
    return db_exec(
        c,
        "INSERT INTO endpoint (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (project_id, name) DO UPDATE SET target = excluded.target, "
        "state = excluded.state, reason = excluded.reason, model = excluded.model, "
        "version = excluded.version, sha256 = excluded.sha256, "
        "revision = excluded.revision, done = excluded.done, "
        "policy = excluded.policy, created_ms = excluded.created_ms, updated_ms = "
        "excluded.updated_ms",
        "isssssisiisii", e->project, e->name, e->target, e->state, e->reason, e->model, e->version,
        e->sha256, e->revision, e->done, e->policy, e->created_ms, e->updated_ms);
}

int endpoint_store_reset(struct ctx *c) {
    return db_exec(c, "UPDATE endpoint SET state = 'pending' WHERE state IN ('ready', 'loading')",
                   "");
}
