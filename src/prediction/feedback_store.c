/* SPDX-License-Identifier: Apache-2.0 */
#include "feedback_store.h"

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/prediction/prediction.h"

static void take(struct ctx *c, struct stmt *st, struct feedback *f) {
    *f = (struct feedback){.name = stmt_text(c, st, 0),
                           .label = stmt_text(c, st, 2),
                           .at_ms = stmt_i64(st, 3),
                           .received_ms = stmt_i64(st, 4)};
    if (!stmt_null(st, 1))
        f->reward = SET_F64(stmt_f64(st, 1));
}

int feedback_store_find(struct ctx *c, const char *endpoint, const char *id, const char *name,
                        struct feedback *out, bool *found) {
    struct stmt *st = db_query(c,
                               "SELECT name, reward, label, at_ms, received_ms FROM "
                               "prediction_feedback WHERE project_id = ? AND endpoint = ? AND "
                               "prediction_id = ? AND name = ?",
                               "isss", c->project, endpoint, id, name);
    int rc = stmt_next(st);
    *found = rc > 0;
    if (rc > 0) {
        take(c, st, out);
        stmt_end(st);
        rc = 0;
    }
    return rc;
}

int feedback_store_put(struct ctx *c, const char *endpoint, const char *id,
                       const struct feedback *f) {
    int rc =
        db_exec(c,
                "INSERT INTO prediction_feedback (project_id, endpoint, prediction_id, name, "
                "label, at_ms, received_ms) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
                "(project_id, endpoint, prediction_id, name) DO UPDATE SET label = "
                "excluded.label, at_ms = excluded.at_ms, received_ms = excluded.received_ms",
                "issssii", c->project, endpoint, id, f->name, f->label, f->at_ms, f->received_ms);
    if (rc == 0 && f->reward.set)
        rc = db_exec(c,
                     "UPDATE prediction_feedback SET reward = ? WHERE project_id = ? AND endpoint "
                     "= ? AND prediction_id = ? AND name = ?",
                     "disss", f->reward.v, c->project, endpoint, id, f->name);
    return rc;
}

int feedback_store_list(struct ctx *c, const char *endpoint, const char *id, struct feedback **out,
                        size_t *n) {
    size_t cap = 0;
    int rc;
    struct stmt *st = db_query(c,
                               "SELECT name, reward, label, at_ms, received_ms FROM "
                               "prediction_feedback WHERE project_id = ? AND endpoint = ? AND "
                               "prediction_id = ? ORDER BY name",
                               "iss", c->project, endpoint, id);
    *out = NULL;
    *n = 0;
    while ((rc = stmt_next(st)) > 0) {
        *out = arena_room(c->arena, *out, *n, &cap, sizeof **out);
        take(c, st, &(*out)[(*n)++]);
    }
    return rc;
}

/* Ids sort by time: those before it are below the first one that could be made then. */
int feedback_store_expire(struct ctx *c, int64_t project, const char *endpoint, int64_t before_ms,
                          int64_t most, int64_t *gone) {
    char bound[14];
    uint64_t ms = before_ms > 0 ? (uint64_t)before_ms : 0;
    *gone = 0;
    const char *hex = arena_printf(c->arena, "%012llx", (unsigned long long)ms);
    for (int i = 0, to = 0; i < 12; i++) {
        if (i == 8)
            bound[to++] = '-';
        bound[to++] = hex[i];
        bound[to] = '\0';
    }
    int rc = db_exec(c,
                     "DELETE FROM prediction_feedback WHERE (project_id, endpoint, prediction_id, "
                     "name) IN (SELECT project_id, endpoint, prediction_id, name FROM "
                     "prediction_feedback WHERE project_id = ? AND endpoint = ? AND prediction_id "
                     "< ? LIMIT ?)",
                     "issi", project, endpoint, bound, most);
    if (rc == 0)
        *gone = db_changes(c);
    return rc;
}
