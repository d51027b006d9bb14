/* SPDX-License-Identifier: Apache-2.0 */
#include "metric_sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"

struct bucket {
    bool any, valued;
    struct point first, last, least, most; /* the latter two by value, NaN left out */
};

struct axis {
    bool by_time, valued; /* valued: NaN is left out */
    int64_t from, to;
    uint64_t width; /* of a bucket */
    struct bucket *buckets;
    size_t n;
};

static int64_t place(const struct axis *a, const struct point *p) {
    return a->by_time ? p->time_ms : p->step;
}

static int by_step(const void *a, const void *b) {
    const struct point *x = a, *y = b;
    return x->step != y->step ? (x->step < y->step ? -1 : 1) : point_order(x, y);
}

static int by_time(const void *a, const void *b) {
    return point_order(a, b);
}

static int order(const struct axis *a, const struct point *x, const struct point *y) {
    return a->by_time ? by_time(x, y) : by_step(x, y);
}

static size_t bucket_of(const struct axis *a, int64_t at) {
    return (size_t)(((uint64_t)at - (uint64_t)a->from) / a->width);
}

static void put_value(struct bucket *b, const struct point *p) {
    if (p->is_nan)
        return;
    if (!b->valued || p->value < b->least.value)
        b->least = *p;
    if (!b->valued || p->value > b->most.value)
        b->most = *p;
    b->valued = true;
}

static void put_ends(const struct axis *a, struct bucket *b, const struct point *first,
                     const struct point *last) {
    if (!b->any || order(a, first, &b->first) < 0)
        b->first = *first;
    if (!b->any || order(a, last, &b->last) > 0)
        b->last = *last;
    b->any = true;
}

static void put(const struct axis *a, struct bucket *b, const struct point *p) {
    if (a->valued && p->is_nan)
        return;
    put_ends(a, b, p, p);
    put_value(b, p);
}

/* The segment's stretch of the axis, and whether its first and last point lie at its ends. */
static bool stretch(const struct axis *a, const struct segment *s, int64_t *from, int64_t *to) {
    *from = a->by_time ? s->first.time_ms : s->min_step;
    *to = a->by_time ? s->last.time_ms : s->max_step;
    return a->by_time || (s->first.step == s->min_step && s->last.step == s->max_step);
}

/* True when what the segment says of itself tells all that reading it could. */
static bool put_unread(const struct axis *a, const struct segment *s) {
    int64_t from, to;
    if (!stretch(a, s, &from, &to) || bucket_of(a, from) != bucket_of(a, to))
        return false;
    if (a->valued && (s->first.is_nan || s->last.is_nan))
        return false;
    struct bucket *b = &a->buckets[bucket_of(a, from)];
    if (s->valued && (!b->valued || s->min_value < b->least.value || s->max_value > b->most.value))
        return false;
    put_ends(a, b, &s->first, &s->last);
    return true;
}

static int put_segment(struct ctx *c, const struct view *v, const struct axis *a,
                       const struct segment *s, struct points *room, int64_t *total) {
    int64_t from, to;
    stretch(a, s, &from, &to);
    if (to < a->from || from > a->to)
        return 0;
    bool whole = from >= a->from && to <= a->to;
    if (whole && put_unread(a, s)) {
        *total += (int64_t)s->n;
        return 0;
    }
    room->n = 0;
    int rc = view_read(c, v, s, room);
    struct bucket *b = NULL;
    int64_t begin = 0, end = -1; /* of b; neighbours mostly share a bucket */
    for (size_t i = 0; rc >= 0 && i < room->n; i++) {
        const struct point *p = &room->items[i];
        int64_t at = place(a, p);
        if (at < a->from || at > a->to)
            continue;
        if (!b || at < begin || at > end) {
            size_t k = bucket_of(a, at);
            b = &a->buckets[k];
            begin = (int64_t)((uint64_t)a->from + k * a->width);
            end = (int64_t)((uint64_t)begin + (a->width - 1));
            if (end < begin || end > a->to)
                end = a->to;
        }
        put(a, b, p);
        ++*total;
    }
    return rc;
}

/* Everything is within the window and wanted. */
static int read_whole(struct ctx *c, const struct view *v, const struct axis *a,
                      struct points *out) {
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < v->n; i++) {
        int64_t from, to;
        stretch(a, &v->segments[i], &from, &to);
        if (to < a->from || from > a->to)
            continue;
        size_t before = out->n, m = before;
        rc = view_read(c, v, &v->segments[i], out);
        for (size_t k = before; rc >= 0 && k < out->n; k++)
            if (place(a, &out->items[k]) >= a->from && place(a, &out->items[k]) <= a->to)
                out->items[m++] = out->items[k];
        out->n = m;
    }
    return rc;
}

static void emit(const struct axis *a, struct points *out) {
    for (size_t i = 0; i < a->n; i++) {
        const struct bucket *b = &a->buckets[i];
        if (!b->any)
            continue;
        points_add(out, &b->first);
        if (b->valued) {
            points_add(out, &b->least);
            points_add(out, &b->most);
        }
        points_add(out, &b->last);
    }
}

static double area(const struct axis *a, const struct point *p, const struct point *q, double at,
                   double value) {
    double x = (double)place(a, p), y = (double)place(a, q);
    /* Halves, so that the difference of the two largest doubles is still one. */
    return fabs((x - at) * (q->value / 2 - p->value / 2) - (x - y) * (value / 2 - p->value / 2));
}

/* Keeps `most` of the sorted points: of each bucket the one that spans the largest triangle with
 * the point kept before and the mean of the bucket after. */
static void triangles(const struct axis *a, struct points *p, size_t most) {
    if (p->n <= most || most < 3)
        return;
    size_t inner = most - 2, m = 1, kept = 0;
    for (size_t i = 0; i < inner; i++) {
        size_t begin = 1 + i * (p->n - 2) / inner, end = 1 + (i + 1) * (p->n - 2) / inner;
        size_t after = i + 2 > inner ? p->n : 1 + (i + 2) * (p->n - 2) / inner;
        double at = 0, value = 0, largest = -1;
        if (after == end)
            after++;
        for (size_t k = end; k < after; k++) {
            at += (double)place(a, &p->items[k]) / (double)(after - end);
            value += p->items[k].value / (double)(after - end);
        }
        struct point before = p->items[kept];
        size_t best = begin;
        for (size_t k = begin; k < end; k++) {
            double size = area(a, &before, &p->items[k], at, value);
            if (size > largest) {
                largest = size;
                best = k;
            }
        }
        /* Kept ones gather at the front; `before` is a copy, the rest lies behind. */
        p->items[m] = p->items[best];
        kept = m++;
    }
    p->items[m++] = p->items[p->n - 1];
    p->n = m;
}

static bool narrow(const struct view *v, struct axis *a) {
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (size_t i = 0; i < v->n; i++) {
        int64_t from, to;
        stretch(a, &v->segments[i], &from, &to);
        least = from < least ? from : least;
        most = to > most ? to : most;
    }
    a->from = a->from > least ? a->from : least;
    a->to = a->to < most ? a->to : most;
    return v->n > 0 && a->from <= a->to;
}

static void drop(void *p) {
    points_free(p);
}

int sample_read(struct ctx *c, const struct view *v, struct sample *s) {
    struct axis a = {.by_time = s->by_time, .valued = s->lttb, .from = s->from, .to = s->to};
    struct points *room = view_room(c), *out = ARENA_NEW(c->arena, struct points);
    int rc = 0;
    arena_defer(c->arena, drop, out);
    if (!narrow(v, &a))
        return 0;
    a.n = s->lttb ? s->most : s->most / 4;
    a.n = a.n ? a.n : 1;
    a.width = ((uint64_t)a.to - (uint64_t)a.from) / a.n + 1;
    a.buckets = ARENA_ARRAY(c->arena, struct bucket, a.n);
    for (size_t i = 0; rc >= 0 && i < v->n; i++)
        rc = put_segment(c, v, &a, &v->segments[i], room, &s->total);
    if (rc >= 0 && s->total <= (int64_t)s->most)
        rc = read_whole(c, v, &a, out);
    else
        emit(&a, out);
    points_free(room);
    if (out->n > 1)
        qsort(out->items, out->n, sizeof *out->items, a.by_time ? by_time : by_step);
    points_unique(out);
    if (s->lttb && s->total > (int64_t)s->most)
        triangles(&a, out, s->most);
    s->points = *out;
    return rc < 0 ? rc : 0;
}
