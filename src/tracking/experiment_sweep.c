/* SPDX-License-Identifier: Apache-2.0 */
#include "experiment_sweep.h"

#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/tracking/tracking.h"

#define AT_ONCE 500   /* runs in the write that deletes or restores */
#define PER_SLICE 200 /* about ten milliseconds of the writer */

/* Set at the start of the house, before there are requests. */
static void (*wake)(void *arg);
static void *wake_arg;

void experiment_sweep_listen(void (*fn)(void *arg), void *arg) {
    wake = fn;
    wake_arg = arg;
}

/* The number of runs marked; fewer than `most` when none are left. */
static int64_t slice(struct ctx *c, int64_t id, int64_t sweep, int64_t most) {
    int rc;
    if (sweep > 0)
        rc =
            db_exec(c,
                    "UPDATE run SET deleted = 1, deleted_ms = ? WHERE id IN (SELECT r.id FROM run r"
                    " INDEXED BY run_started WHERE r.experiment_id = ? AND r.deleted = 0 LIMIT ?)",
                    "iii", sweep, id, most);
    else
        rc = db_exec(
            c,
            "UPDATE run SET deleted = 0, deleted_ms = NULL WHERE id IN (SELECT r.id FROM run r"
            " INDEXED BY run_started WHERE r.experiment_id = ? AND r.deleted = 1"
            " AND coalesce(r.deleted_ms, 0) < ? LIMIT ?)",
            "iii", id, -sweep, most);
    return rc < 0 ? rc : db_changes(c);
}

static int64_t go_on(struct ctx *c, int64_t id, int64_t sweep, int64_t most) {
    int64_t n = slice(c, id, sweep, most);
    if (n >= 0 && n < most) {
        int rc = db_exec(c, "UPDATE experiment SET sweep = NULL WHERE id = ?", "i", id);
        if (rc < 0)
            return rc;
    }
    return n;
}

int experiment_set_deleted(struct ctx *c, int64_t id, bool deleted) {
    /* A run that is deleted later in this very millisecond is not mistaken for one of before. */
    int64_t sweep = deleted ? c->now_ms : -(c->now_ms + 1);
    int rc = db_exec(c, "UPDATE experiment SET deleted = ?, updated_ms = ?, sweep = ? WHERE id = ?",
                     "iiii", (int64_t)deleted, c->now_ms, sweep, id);
    if (rc < 0)
        return rc;
    int64_t n = go_on(c, id, sweep, AT_ONCE);
    if (n == AT_ONCE && wake)
        db_after_commit(c, wake, wake_arg);
    return n < 0 ? (int)n : 0;
}

int experiment_sweep(struct ctx *c, int64_t most) {
    struct stmt *st =
        db_query(c, "SELECT id, sweep FROM experiment WHERE sweep IS NOT NULL LIMIT 1", "");
    int rc = stmt_next(st);
    int64_t id = stmt_i64(st, 0), sweep = stmt_i64(st, 1);
    stmt_end(st);
    if (rc <= 0)
        return rc;
    int64_t n = go_on(c, id, sweep, most < PER_SLICE ? most : PER_SLICE);
    return n < 0 ? (int)n : (int)n + 1; /* at least the experiment's own mark */
}
