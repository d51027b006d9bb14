/* SPDX-License-Identifier: Apache-2.0 */
#include "metric_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "metric_series.h"
#include "quern/base/arena.h"
#include "quern/base/log.h"
#include "quern/core/ctx.h"
#include "quern/core/shape.h"
#include "quern/db/db.h"
#include "rows.h"

int metric_damaged(struct ctx *c, int64_t run, int64_t key) {
    log_error("metric.block", "points of run row %" PRId64 ", key row %" PRId64 " are damaged", run,
              key);
    return fail(c, ERR_INTERNAL,
                "Points of run row %" PRId64 ", key row %" PRId64
                " are damaged on disk; restore a backup",
                run, key);
}

int block_read(struct ctx *c, int64_t id, int64_t run, int64_t key, struct points *out) {
    struct stmt *st =
        db_query(c, "SELECT digest, points, data FROM metric_block WHERE id = ?", "i", id);
    int rc = stmt_next(st);
    if (rc >= 0) {
        size_t n = 0, before = out->n;
        const void *data = rc > 0 ? stmt_blob(st, 2, &n) : NULL;
        bool ok = data && block_digest(data, n) == stmt_i64(st, 0) &&
                  block_get(data, n, out, NULL) && (int64_t)(out->n - before) == stmt_i64(st, 1);
        rc = ok ? 0 : metric_damaged(c, run, key);
    }
    stmt_end(st);
    return rc;
}

int rows_read(struct ctx *c, int64_t run, int64_t key, const struct point *from, int64_t most,
              struct points *out) {
    static const struct point least = {.value = -__DBL_MAX__, .time_ms = INT64_MIN};
    const struct point *p = from ? from : &least;
    struct stmt *st = db_query(c,
                               "SELECT value, is_nan, time_ms, step FROM metric_point"
                               " WHERE run_id = ? AND key_id = ?"
                               " AND (time_ms, step, value, is_nan) >= (?, ?, ?, ?)"
                               " ORDER BY time_ms, step, value, is_nan LIMIT ?",
                               "iiiidii", run, key, p->time_ms, from ? p->step : INT64_MIN,
                               p->value, p->is_nan, most);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct point one = {.value = stmt_f64(st, 0),
                            .is_nan = stmt_i64(st, 1),
                            .time_ms = stmt_i64(st, 2),
                            .step = stmt_i64(st, 3)};
        points_add(out, &one);
    }
    return rc;
}

/* ------------------------------------------------------------------ what is known already */

/* Both sorted. */
static void drop_equal(struct points *p, const struct points *known) {
    size_t m = 0, k = 0;
    for (size_t i = 0; i < p->n; i++) {
        while (k < known->n && point_order(&known->items[k], &p->items[i]) < 0)
            k++;
        if (k == known->n || point_order(&known->items[k], &p->items[i]) != 0)
            p->items[m++] = p->items[i];
    }
    p->n = m;
}

static bool any_within(const struct points *p, int64_t from_ms, int64_t to_ms, int64_t min_step,
                       int64_t max_step) {
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].time_ms >= from_ms && p->items[i].time_ms <= to_ms &&
            p->items[i].step >= min_step && p->items[i].step <= max_step)
            return true;
    return false;
}

static int drop_of_blocks(struct ctx *c, int64_t run, int64_t key, struct points *p) {
    struct points known = {0};
    struct stmt *st = db_query(c,
                               "SELECT id, min_time, max_time, min_step, max_step FROM metric_block"
                               " WHERE run_id = ? AND key_id = ? AND max_time >= ?"
                               " AND min_time <= ?",
                               "iiii", run, key, p->items[0].time_ms, p->items[p->n - 1].time_ms);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        if (!any_within(p, stmt_i64(st, 1), stmt_i64(st, 2), stmt_i64(st, 3), stmt_i64(st, 4)))
            continue;
        known.n = 0;
        rc = block_read(c, stmt_i64(st, 0), run, key, &known);
        if (rc < 0)
            break;
        drop_equal(p, &known);
    }
    stmt_end(st);
    points_free(&known);
    return rc;
}

static int drop_of_rows(struct ctx *c, int64_t run, int64_t key, struct points *p) {
    int64_t one = 0;
    bool some = false;
    int rc = db_get_i64(c, "SELECT 1 FROM metric_point WHERE run_id = ? AND key_id = ? LIMIT 1",
                        &one, &some, "ii", run, key);
    size_t m = 0;
    for (size_t i = 0; rc >= 0 && some && i < p->n; i++) {
        const struct point *q = &p->items[i];
        bool known = false;
        rc = db_get_i64(c,
                        "SELECT 1 FROM metric_point WHERE run_id = ? AND key_id = ?"
                        " AND time_ms = ? AND step = ? AND value = ? AND is_nan = ?",
                        &one, &known, "iiiidi", run, key, q->time_ms, q->step, q->value, q->is_nan);
        if (!known)
            p->items[m++] = *q;
    }
    if (rc >= 0 && some)
        p->n = m;
    return rc;
}

int metric_drop_known(struct ctx *c, int64_t run, int64_t key, struct points *p, bool blocks) {
    if (p->n == 0)
        return 0;
    return blocks ? drop_of_blocks(c, run, key, p) : drop_of_rows(c, run, key, p);
}

/* ------------------------------------------------------------------ opening */

static struct segment segment_of(enum segment_kind kind, const struct points *p) {
    struct segment s = {.kind = kind,
                        .n = p->n,
                        .first = p->items[0],
                        .last = p->items[p->n - 1],
                        .min_step = p->items[0].step,
                        .max_step = p->items[0].step,
                        .stride = points_stride(p->items, p->n)};
    for (size_t i = 0; i < p->n; i++) {
        const struct point *q = &p->items[i];
        if (q->step < s.min_step)
            s.min_step = q->step;
        if (q->step > s.max_step)
            s.max_step = q->step;
        if (q->is_nan)
            continue;
        if (!s.valued || q->value < s.min_value)
            s.min_value = q->value;
        if (!s.valued || q->value > s.max_value)
            s.max_value = q->value;
        s.valued = true;
    }
    return s;
}

static int open_blocks(struct ctx *c, struct view *v, struct list *l, size_t *cap) {
    struct stmt *st =
        db_query(c,
                 "SELECT id, points, min_time, max_time, first_step, last_step, min_step, max_step,"
                 " first_value, last_value, min_value, max_value, stride FROM metric_block"
                 " WHERE run_id = ? AND key_id = ? ORDER BY max_time",
                 "ii", v->run, v->key);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct segment *s = list_push(c, l, cap, sizeof *s);
        s->kind = SEGMENT_BLOCK;
        s->id = stmt_i64(st, 0);
        s->n = (size_t)stmt_i64(st, 1);
        s->first = (struct point){.time_ms = stmt_i64(st, 2),
                                  .step = stmt_i64(st, 4),
                                  .value = stmt_f64(st, 8),
                                  .is_nan = stmt_null(st, 8)};
        s->last = (struct point){.time_ms = stmt_i64(st, 3),
                                 .step = stmt_i64(st, 5),
                                 .value = stmt_f64(st, 9),
                                 .is_nan = stmt_null(st, 9)};
        s->min_step = stmt_i64(st, 6);
        s->max_step = stmt_i64(st, 7);
        s->valued = !stmt_null(st, 10);
        s->min_value = stmt_f64(st, 10);
        s->max_value = stmt_f64(st, 11);
        s->stride = stmt_i64(st, 12);
    }
    return rc;
}

static int open_rows(struct ctx *c, struct view *v, struct list *l, size_t *cap) {
    struct points p = {0};
    struct point from;
    int rc;
    for (bool more = false;; more = true) {
        p.n = 0;
        rc = rows_read(c, v->run, v->key, more ? &from : NULL, ROWS_AT_ONCE + 1, &p);
        if (rc < 0 || p.n == 0)
            break;
        bool end = p.n <= ROWS_AT_ONCE;
        from = p.items[p.n - 1];
        p.n -= !end;
        *(struct segment *)list_push(c, l, cap, sizeof(struct segment)) =
            segment_of(SEGMENT_ROWS, &p);
        if (end)
            break;
    }
    points_free(&p);
    return rc;
}

static bool overlap(const struct segment *a, const struct segment *b) {
    return point_order(&a->first, &b->last) <= 0 && point_order(&b->first, &a->last) <= 0;
}

static int open_tail(struct ctx *c, struct view *v, struct list *l, size_t *cap) {
    struct stmt *st = db_query(c, "SELECT data FROM metric_tail WHERE run_id = ? AND key_id = ?",
                               "ii", v->run, v->key);
    int rc = stmt_next(st);
    if (rc > 0) {
        size_t n = 0;
        const void *data = stmt_blob(st, 0, &n);
        rc = block_get(data, n, v->tail, NULL) ? 0 : metric_damaged(c, v->run, v->key);
    }
    stmt_end(st);
    if (rc < 0 || v->tail->n == 0)
        return rc;
    struct segment s = segment_of(SEGMENT_TAIL, v->tail);
    struct points known = {0};
    for (size_t i = 0; rc >= 0 && i < l->n && v->tail->n > 0; i++) {
        const struct segment *other = (const struct segment *)l->items + i;
        if (!overlap(&s, other))
            continue;
        known.n = 0;
        rc = view_read(c, v, other, &known);
        if (rc >= 0)
            drop_equal(v->tail, &known);
    }
    points_free(&known);
    if (rc >= 0 && v->tail->n > 0)
        *(struct segment *)list_push(c, l, cap, sizeof s) = segment_of(SEGMENT_TAIL, v->tail);
    return rc;
}

static int by_first(const void *a, const void *b) {
    const struct segment *x = a, *y = b;
    int r = point_order(&x->first, &y->first);
    return r ? r : point_order(&x->last, &y->last);
}

static void drop_points(void *p) {
    points_free(p);
}

struct points *view_room(struct ctx *c) {
    struct points *p = ARENA_NEW(c->arena, struct points);
    arena_defer(c->arena, drop_points, p);
    return p;
}

int view_open(struct ctx *c, int64_t run, int64_t key, struct view *v) {
    struct list l = {0};
    size_t cap = 0;
    *v = (struct view){.run = run, .key = key, .tail = view_room(c)};
    int rc = open_blocks(c, v, &l, &cap);
    if (rc >= 0)
        rc = open_rows(c, v, &l, &cap);
    if (rc >= 0)
        rc = open_tail(c, v, &l, &cap);
    v->segments = l.items;
    v->n = l.n;
    for (size_t i = 0; i < v->n; i++)
        v->points += (int64_t)v->segments[i].n;
    if (v->n > 1)
        qsort(v->segments, v->n, sizeof *v->segments, by_first);
    return rc < 0 ? rc : 0;
}

int view_read(struct ctx *c, const struct view *v, const struct segment *s, struct points *out) {
    switch (s->kind) {
    case SEGMENT_BLOCK:
        return block_read(c, s->id, v->run, v->key, out);
    case SEGMENT_ROWS:
        return rows_read(c, v->run, v->key, &s->first, (int64_t)s->n, out);
    case SEGMENT_TAIL:
        for (size_t i = 0; i < v->tail->n; i++)
            points_add(out, &v->tail->items[i]);
    }
    return 0;
}
