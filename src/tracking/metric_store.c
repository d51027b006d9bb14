/* SPDX-License-Identifier: Apache-2.0 */
#include "metric_store.h"

#include "entity.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "rows.h"

int metric_raise_latest(struct ctx *c, int64_t run, int64_t key, const struct point *p) {
    return db_exec(
        c,
        "INSERT INTO metric_latest (run_id, key_id, value, is_nan, time_ms, step)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, key_id) DO UPDATE"
        " SET value = excluded.value, is_nan = excluded.is_nan, time_ms = excluded.time_ms,"
        " step = excluded.step"
        " WHERE (excluded.step, excluded.time_ms, excluded.value) >"
        " (metric_latest.step, metric_latest.time_ms, metric_latest.value)",
        "iidiii", run, key, p->value, p->is_nan, p->time_ms, p->step);
}

int metric_read_latest(struct ctx *c, int64_t run, int64_t key, struct point *p) {
    struct stmt *st = db_query(c,
                               "SELECT value, is_nan, time_ms, step FROM metric_latest"
                               " WHERE run_id = ? AND key_id = ?",
                               "ii", run, key);
    int rc = stmt_next(st);
    if (rc > 0)
        *p = (struct point){.value = stmt_f64(st, 0),
                            .is_nan = stmt_i64(st, 1),
                            .time_ms = stmt_i64(st, 2),
                            .step = stmt_i64(st, 3)};
    stmt_end(st);
    return rc;
}

void metric_push(struct ctx *c, struct list *out, size_t *cap, const char *run_id, const char *key,
                 const struct point *p) {
    struct metric_value *m = list_push(c, out, cap, sizeof *m);
    m->key = key;
    m->value = SET_F64(p->is_nan ? __builtin_nan("") : p->value);
    m->timestamp = SET_I64(p->time_ms);
    m->step = SET_I64(p->step);
    m->run_id = run_id;
}
