/* SPDX-License-Identifier: Apache-2.0 */
#include "metric_store.h"

#include "entity.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "rows.h"

int metric_insert(struct ctx *c, int64_t run, int64_t key, const struct point *p) {
    return db_exec(c,
                   "INSERT INTO metric_point (run_id, key_id, time_ms, step, value, is_nan)"
                   " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                   "iiiidi", run, key, p->time_ms, p->step, p->value, p->is_nan);
}

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

static int read_points(struct ctx *c, struct stmt *st, const char *key, const char *run_id,
                       struct list *out, size_t *cap) {
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        if ((rc = answer_check(c)) != 0)
            break;
        struct metric_value *m = list_push(c, out, cap, sizeof *m);
        m->key = key;
        m->value = SET_F64(stmt_i64(st, 1) ? __builtin_nan("") : stmt_f64(st, 0));
        m->timestamp = SET_I64(stmt_i64(st, 2));
        m->step = SET_I64(stmt_i64(st, 3));
        m->run_id = run_id;
    }
    stmt_end(st);
    return rc;
}

int metric_read_history(struct ctx *c, int64_t run, const char *key_name, int64_t key,
                        int64_t offset, int64_t limit, const char *run_id, struct list *out,
                        size_t *cap) {
    return read_points(c,
                       db_query(c,
                                "SELECT value, is_nan, time_ms, step FROM metric_point"
                                " WHERE run_id = ? AND key_id = ?"
                                " ORDER BY time_ms, step, value, is_nan LIMIT ? OFFSET ?",
                                "iiii", run, key, limit, offset),
                       key_name, run_id, out, cap);
}

int metric_read_steps(struct ctx *c, const char *pairs, int64_t **steps, size_t *n) {
    struct list l = {0};
    size_t cap = 0;
    struct stmt *st =
        db_query(c,
                 "SELECT DISTINCT p.step FROM json_each(?) j"
                 " CROSS JOIN metric_point p ON p.run_id = json_extract(j.value, '$[0]')"
                 " AND p.key_id = json_extract(j.value, '$[1]') ORDER BY p.step",
                 "s", pairs);
    int rc;
    while ((rc = stmt_next(st)) > 0 && (rc = answer_check(c)) == 0)
        *(int64_t *)list_push(c, &l, &cap, sizeof(int64_t)) = stmt_i64(st, 0);
    stmt_end(st);
    *steps = l.items;
    *n = l.n;
    return rc;
}

int metric_step_bounds(struct ctx *c, int64_t run, int64_t key, int64_t from, int64_t to,
                       int64_t *least, int64_t *most) {
    struct stmt *st = db_query(c,
                               "SELECT min(step), max(step) FROM metric_point WHERE run_id = ?"
                               " AND key_id = ? AND step BETWEEN ? AND ?",
                               "iiii", run, key, from, to);
    int rc = stmt_next(st);
    if (rc > 0 && stmt_null(st, 0))
        rc = 0;
    if (rc > 0) {
        *least = stmt_i64(st, 0);
        *most = stmt_i64(st, 1);
    }
    stmt_end(st);
    return rc;
}

int metric_read_at(struct ctx *c, int64_t run, const char *key_name, int64_t key, const char *steps,
                   int64_t limit, const char *run_id, struct list *out, size_t *cap) {
    return read_points(c,
                       db_query(c,
                                "SELECT value, is_nan, time_ms, step FROM metric_point"
                                " WHERE run_id = ? AND key_id = ?"
                                " AND step IN (SELECT value FROM json_each(?))"
                                " ORDER BY step, time_ms, value LIMIT ?",
                                "iisi", run, key, steps, limit),
                       key_name, run_id, out, cap);
}
