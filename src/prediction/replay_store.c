/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_store.h"

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

#define COLUMNS                                                                                    \
    "id, project_id, endpoint, spec, state, reason, report, seen, total, created_ms, updated_ms"

static void take(struct ctx *c, struct stmt *st, struct replay *r) {
    *r = (struct replay){.id = stmt_text(c, st, 0),
                         .project = stmt_i64(st, 1),
                         .endpoint = stmt_text(c, st, 2),
                         .spec = stmt_text(c, st, 3),
                         .state = stmt_text(c, st, 4),
                         .reason = stmt_text(c, st, 5),
                         .report = stmt_text(c, st, 6),
                         .seen = stmt_i64(st, 7),
                         .total = stmt_i64(st, 8),
                         .created_ms = stmt_i64(st, 9),
                         .updated_ms = stmt_i64(st, 10)};
}

int replay_store_add(struct ctx *c, const struct replay *r) {
    return db_exec(c,
                   "INSERT INTO prediction_replay (id, project_id, endpoint, spec, state, "
                   "created_ms, updated_ms) VALUES (?, ?, ?, ?, 'pending', ?, ?)",
                   "sissii", r->id, c->project, r->endpoint, r->spec, c->now_ms, c->now_ms);
}

static int one(struct ctx *c, struct stmt *st, struct replay *out, bool *found) {
    int rc = stmt_next(st);
    *found = rc > 0;
    if (rc > 0) {
        take(c, st, out);
        stmt_end(st);
        rc = 0;
    }
    return rc;
}

int replay_store_get(struct ctx *c, const char *endpoint, const char *id, struct replay *out,
                     bool *found) {
    return one(c,
               db_query(c,
                        "SELECT " COLUMNS " FROM prediction_replay WHERE project_id = ? AND "
                        "endpoint = ? AND id = ?",
                        "iss", c->project, endpoint, id),
               out, found);
}

int replay_store_next(struct ctx *c, struct replay *out, bool *found) {
    return one(c,
               db_query(c,
                        "SELECT " COLUMNS " FROM prediction_replay WHERE state = 'pending' ORDER "
                        "BY created_ms LIMIT 1",
                        ""),
               out, found);
}

int replay_store_list(struct ctx *c, const char *endpoint, struct replay **out, size_t *n) {
    size_t cap = 0;
    int rc;
    struct stmt *st = db_query(c,
                               "SELECT " COLUMNS " FROM prediction_replay WHERE project_id = ? AND "
                               "endpoint = ? ORDER BY created_ms DESC, id LIMIT 100",
                               "is", c->project, endpoint);
    *out = NULL;
    *n = 0;
    while ((rc = stmt_next(st)) > 0) {
        *out = arena_room(c->arena, *out, *n, &cap, sizeof **out);
        take(c, st, &(*out)[(*n)++]);
    }
    return rc;
}

int replay_store_move(struct ctx *c, const char *id, const char *from, const char *to,
                      const char *reason, const char *report, bool *changed) {
    int rc = db_exec(c,
                     "UPDATE prediction_replay SET state = ?, reason = ?, report = ?, updated_ms = "
                     "? WHERE id = ? AND state = ?",
                     "sssiss", to, reason, report, c->now_ms, id, from);
    *changed = rc == 0 && db_changes(c) > 0;
    return rc;
}

int replay_store_progress(struct ctx *c, const char *id, int64_t seen, int64_t total,
                          bool *running) {
    int rc =
        db_exec(c,
                "UPDATE prediction_replay SET seen = ?, total = ?, updated_ms = ? WHERE id = ? "
                "AND state = 'running'",
                "iiis", seen, total, c->now_ms, id);
    *running = rc == 0 && db_changes(c) > 0;
    return rc;
}

int replay_store_waiting(struct ctx *c, int64_t *n) {
    *n = 0;
    return db_get_i64(c,
                      "SELECT count(*) FROM prediction_replay WHERE project_id = ? AND state = "
                      "'pending'",
                      n, NULL, "i", c->project);
}

int replay_store_trim(struct ctx *c, const char *endpoint, int64_t keep) {
    return db_exec(c,
                   "DELETE FROM prediction_replay WHERE id IN (SELECT id FROM prediction_replay "
                   "WHERE project_id = ? AND endpoint = ? AND state NOT IN ('pending', 'running') "
                   "ORDER BY created_ms DESC LIMIT -1 OFFSET ?)",
                   "isi", c->project, endpoint, keep);
}
