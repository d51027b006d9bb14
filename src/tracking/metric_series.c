/* SPDX-License-Identifier: Apache-2.0 */
#include "metric_series.h"

#include <stdbool.h>
#include <string.h>

#include "metric_block.h"
#include "metric_store.h"
#include "metric_view.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

struct tail {
    int64_t run, key, open, top_time, top_step;
    bool there, topped; /* the row is there; points are in blocks */
    struct points points;
    struct block_state state;
    struct buf data;
};

static int tail_read(struct ctx *c, struct tail *t) {
    struct stmt *st = db_query(c,
                               "SELECT open_id, top_time, top_step, data FROM metric_tail"
                               " WHERE run_id = ? AND key_id = ?",
                               "ii", t->run, t->key);
    int rc = stmt_next(st);
    if (rc > 0) {
        size_t n = 0;
        const void *data = stmt_blob(st, 3, &n);
        t->there = true;
        t->open = stmt_i64(st, 0);
        t->topped = !stmt_null(st, 1);
        t->top_time = stmt_i64(st, 1);
        t->top_step = stmt_i64(st, 2);
        buf_put(&t->data, data, n);
        rc = block_get(data, n, &t->points, &t->state) ? 0 : metric_damaged(c, t->run, t->key);
    }
    stmt_end(st);
    return rc;
}

static int tail_write(struct ctx *c, const struct tail *t) {
    const void *data = t->data.len ? t->data.data : "";
    if (t->topped)
        return db_exec(c,
                       "INSERT INTO metric_tail (run_id, key_id, open_id, top_time, top_step, data)"
                       " VALUES (?, ?, nullif(?, 0), ?, ?, ?) ON CONFLICT DO UPDATE SET"
                       " open_id = excluded.open_id, top_time = excluded.top_time,"
                       " top_step = excluded.top_step, data = excluded.data",
                       "iiiiib", t->run, t->key, t->open, t->top_time, t->top_step, data,
                       t->data.len);
    return db_exec(c,
                   "INSERT INTO metric_tail (run_id, key_id, data) VALUES (?, ?, ?)"
                   " ON CONFLICT DO UPDATE SET data = excluded.data",
                   "iib", t->run, t->key, data, t->data.len);
}

static void encode(struct buf *to, struct block_state *s, const struct points *p, size_t from) {
    for (size_t i = from; i < p->n; i++)
        block_put(to, s, &p->items[i]);
}

/* ------------------------------------------------------------------ blocks */

struct block {
    struct buf data;
    int64_t min_step, max_step;
    const struct point *least, *most; /* by value; NULL: only NaN */
};

/* Encodes from items[from] until a page is full; returns how many points it took. */
static size_t block_fill(struct block *b, const struct points *p, size_t from) {
    struct block_state s = {0};
    buf_clear(&b->data);
    b->min_step = b->max_step = p->items[from].step;
    b->least = b->most = NULL;
    size_t i = from;
    for (; i < p->n; i++) {
        const struct point *one = &p->items[i];
        size_t before = b->data.len;
        block_put(&b->data, &s, one);
        if (b->data.len > BLOCK_BYTES) {
            b->data.len = before;
            break;
        }
        if (one->step < b->min_step)
            b->min_step = one->step;
        if (one->step > b->max_step)
            b->max_step = one->step;
        if (one->is_nan)
            continue;
        if (!b->least || one->value < b->least->value)
            b->least = one;
        if (!b->most || one->value > b->most->value)
            b->most = one;
    }
    return i - from;
}

/* Stores a filled block of n points in place of block `id`, or as a new one. */
static int block_write(struct ctx *c, const struct tail *t, int64_t id, const struct block *b,
                       const struct point *first, size_t n) {
    const struct point *last = first + n - 1;
    return db_exec(
        c,
        "INSERT INTO metric_block (id, run_id, key_id, points, min_time, max_time, first_step,"
        " last_step, min_step, max_step, stride, first_value, last_value, min_value, max_value,"
        " digest, data) VALUES (nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, iif(?, NULL, ?), "
        "iif(?, NULL, ?),"
        " iif(?, NULL, ?), iif(?, NULL, ?), ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " points = excluded.points, min_time = excluded.min_time, max_time = excluded.max_time,"
        " first_step = excluded.first_step, last_step = excluded.last_step,"
        " min_step = excluded.min_step, max_step = excluded.max_step, stride = excluded.stride,"
        " first_value = excluded.first_value, last_value = excluded.last_value,"
        " min_value = excluded.min_value, max_value = excluded.max_value,"
        " digest = excluded.digest, data = excluded.data",
        "iiiiiiiiiiiididididib", id, t->run, t->key, (int64_t)n, first->time_ms, last->time_ms,
        first->step, last->step, b->min_step, b->max_step, points_stride(first, n), first->is_nan,
        first->value, last->is_nan, last->value, (int64_t)(b->least == NULL),
        b->least ? b->least->value : 0.0, (int64_t)(b->most == NULL),
        b->most ? b->most->value : 0.0, block_digest(b->data.data, b->data.len), b->data.data,
        b->data.len);
}

/* Sorted points go into the open block and those that follow it; the last one stays open. */
static int store(struct ctx *c, struct tail *t, struct points *p) {
    struct block b = {0};
    int rc = 0;
    if (p->n == 0)
        return 0;
    if (t->open) {
        rc = block_read(c, t->open, t->run, t->key, p);
        points_sort(p);
    }
    for (size_t from = 0; rc >= 0 && from < p->n;) {
        size_t n = block_fill(&b, p, from);
        rc = block_write(c, t, t->open, &b, &p->items[from], n);
        if (rc >= 0 && !t->open)
            t->open = db_last_id(c);
        from += n;
        if (from < p->n)
            t->open = 0;
    }
    const struct point *last = &p->items[p->n - 1];
    if (!t->topped || last->time_ms > t->top_time ||
        (last->time_ms == t->top_time && last->step > t->top_step)) {
        t->top_time = last->time_ms;
        t->top_step = last->step;
    }
    t->topped = true;
    buf_free(&b.data);
    return rc < 0 ? rc : 0;
}

/* ------------------------------------------------------------------ points come in */

static bool later_than_blocks(const struct tail *t, const struct point *p) {
    return !t->topped ||
           (p->time_ms != t->top_time ? p->time_ms > t->top_time : p->step > t->top_step);
}

static int flush(struct ctx *c, struct tail *t) {
    int rc = 0;
    if (!later_than_blocks(t, &t->points.items[0]))
        rc = metric_drop_known(c, t->run, t->key, &t->points, true);
    if (!rc)
        rc = metric_drop_known(c, t->run, t->key, &t->points, false);
    if (!rc)
        rc = store(c, t, &t->points);
    buf_clear(&t->data);
    return rc < 0 ? rc : tail_write(c, t);
}

static int add(struct ctx *c, struct tail *t, struct points *p) {
    points_sort(p);
    points_unique(p);
    size_t old = t->points.n;
    bool behind = old == 0 || point_order(&t->points.items[old - 1], &p->items[0]) < 0;
    for (size_t i = 0; i < p->n; i++)
        points_add(&t->points, &p->items[i]);
    if (behind) {
        encode(&t->data, &t->state, &t->points, old);
    } else {
        points_sort(&t->points);
        if (points_unique(&t->points) == p->n)
            return 0;
        t->state = (struct block_state){0};
        buf_clear(&t->data);
        encode(&t->data, &t->state, &t->points, 0);
    }
    return t->data.len > TAIL_BYTES ? flush(c, t) : tail_write(c, t);
}

int series_add(struct ctx *c, int64_t run, int64_t key, struct points *p) {
    struct tail t = {.run = run, .key = key};
    int rc = tail_read(c, &t);
    if (rc >= 0 && p->n > 0)
        rc = add(c, &t, p);
    points_free(&t.points);
    buf_free(&t.data);
    return rc < 0 ? rc : 0;
}

/* ------------------------------------------------------------------ rows of older versions */

static int rows_take(struct ctx *c, int64_t run, int64_t key, int64_t most, struct points *p) {
    int rc = rows_read(c, run, key, NULL, most, p);
    if (rc < 0 || p->n == 0)
        return rc;
    const struct point *last = &p->items[p->n - 1];
    return db_exec(c,
                   "DELETE FROM metric_point WHERE run_id = ? AND key_id = ?"
                   " AND (time_ms, step, value, is_nan) <= (?, ?, ?, ?)",
                   "iiiidi", run, key, last->time_ms, last->step, last->value, last->is_nan);
}

int64_t series_pack_rows(struct ctx *c, int64_t most) {
    int64_t packed = 0;
    while (packed < most) {
        struct tail t = {0};
        struct points p = {0};
        struct stmt *st = db_query(c, "SELECT run_id, key_id FROM metric_point LIMIT 1", "");
        int rc = stmt_next(st);
        if (rc > 0) {
            t.run = stmt_i64(st, 0);
            t.key = stmt_i64(st, 1);
            stmt_end(st);
            rc = tail_read(c, &t);
            if (rc >= 0)
                rc = rows_take(c, t.run, t.key, most - packed, &p);
            packed += (int64_t)p.n;
            bool end = rc >= 0 && p.n == 0;
            if (rc >= 0)
                rc = store(c, &t, &p);
            if (rc >= 0)
                rc = tail_write(c, &t);
            if (rc >= 0)
                rc = end ? -ERR_INTERNAL : 1;
        }
        points_free(&p);
        points_free(&t.points);
        buf_free(&t.data);
        if (rc <= 0)
            return rc < 0 ? rc : packed;
    }
    return packed;
}

int series_erase(struct ctx *c, int64_t run, int64_t most) {
    static const char *const erase[] = {
        "DELETE FROM metric_point WHERE (run_id, key_id, time_ms, step, value, is_nan) IN"
        " (SELECT run_id, key_id, time_ms, step, value, is_nan FROM metric_point"
        " WHERE run_id = ? LIMIT ?)",
        "DELETE FROM metric_block WHERE id IN"
        " (SELECT id FROM metric_block WHERE run_id = ? LIMIT ?)",
        "DELETE FROM metric_tail WHERE (run_id, key_id) IN"
        " (SELECT run_id, key_id FROM metric_tail WHERE run_id = ? LIMIT ?)",
        "DELETE FROM metric_latest WHERE (run_id, key_id) IN"
        " (SELECT run_id, key_id FROM metric_latest WHERE run_id = ? LIMIT ?)",
    };
    for (size_t i = 0; i < ARRAY_LEN(erase); i++) {
        int rc = db_exec(c, erase[i], "ii", run, most);
        if (rc < 0)
            return rc;
        if (db_changes(c) >= most)
            return 1;
    }
    return 0;
}
