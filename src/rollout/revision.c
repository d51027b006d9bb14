/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/rollout/rollout.h"

#define COLUMNS "number, spec, who, reason, restored, created_ms"

int revision_record(struct ctx *c, const char *endpoint, int64_t number, const char *spec) {
    int rc = db_exec(c,
                     "INSERT INTO endpoint_revision (project_id, endpoint, number, spec, who, "
                     "created_ms) VALUES (?, ?, ?, ?, ?, ?)",
                     "isissi", c->project, endpoint, number, spec, c->who.name ? c->who.name : "",
                     c->now_ms);
    if (rc == 0)
        rc = db_exec(c,
                     "DELETE FROM endpoint_revision WHERE project_id = ? AND endpoint = ? AND "
                     "number <= ?",
                     "isi", c->project, endpoint, number - REVISIONS_KEPT);
    return rc;
}

int revision_explain(struct ctx *c, const char *endpoint, int64_t number, const char *reason,
                     int64_t restored) {
    return db_exec(c,
                   "UPDATE endpoint_revision SET reason = ?, restored = ? WHERE project_id = ? "
                   "AND endpoint = ? AND number = ?",
                   "siisi", reason, restored, c->project, endpoint, number);
}

static void take(struct ctx *c, struct stmt *st, struct revision *r) {
    *r = (struct revision){.number = stmt_i64(st, 0),
                           .spec = stmt_text(c, st, 1),
                           .who = stmt_text(c, st, 2),
                           .reason = stmt_text(c, st, 3),
                           .restored = stmt_i64(st, 4),
                           .created_ms = stmt_i64(st, 5)};
}

int revision_list(struct ctx *c, const char *endpoint, int64_t most, struct revision **out,
                  size_t *n) {
    struct stmt *st = db_query(c,
                               "SELECT " COLUMNS " FROM endpoint_revision WHERE project_id = ? "
                               "AND endpoint = ? ORDER BY number DESC LIMIT ?",
                               "isi", c->project, endpoint, most);
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

int revision_get(struct ctx *c, const char *endpoint, int64_t number, struct revision *out) {
    struct stmt *st = db_query(c,
                               "SELECT " COLUMNS " FROM endpoint_revision WHERE project_id = ? "
                               "AND endpoint = ? AND number = ?",
                               "isi", c->project, endpoint, number);
    int rc = stmt_next(st);
    if (rc == 0)
        return fail_field(c, ERR_NOT_FOUND, "revision",
                          "endpoint '%.200s' has no revision %" PRId64, endpoint, number);
    if (rc > 0) {
        take(c, st, out);
        stmt_end(st);
        rc = 0;
    }
    return rc;
}

/* A rollback of a rollback goes on backwards instead of returning to what was left. */
int revision_before(struct ctx *c, const char *endpoint, struct revision *out) {
    struct revision *list;
    size_t n;
    int rc = revision_list(c, endpoint, REVISIONS_KEPT, &list, &n);
    if (rc < 0)
        return rc;
    int64_t from = n ? (list[0].restored ? list[0].restored : list[0].number) : 0;
    for (size_t i = 1; i < n; i++)
        if (list[i].number < from && strcmp(list[i].spec, list[0].spec) != 0) {
            *out = list[i];
            return 0;
        }
    return fail(c, ERR_CONFLICT,
                "endpoint '%.200s' has no revision with another spec to go back to", endpoint);
}
