/* SPDX-License-Identifier: Apache-2.0 */
/* Slices of a series: stretches of its whole order, however its segments overlap. */
#include <string.h>

#include "metric_view.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

/* Points of segments that overlap are put in order in memory, up to this many at once. */
#define SORT_POINTS (1 << 18)
#define COUNTERS 1024

/* Segments that overlap one another, directly or through others. */
struct group {
    const struct segment *segments;
    size_t n;
    int64_t points;
};

static struct group next_group(const struct view *v, size_t *at) {
    struct group g = {.segments = &v->segments[*at]};
    struct point last = g.segments[0].last;
    do {
        const struct segment *s = &v->segments[(*at)++];
        if (point_order(&s->last, &last) > 0)
            last = s->last;
        g.points += (int64_t)s->n;
        g.n++;
    } while (*at < v->n && point_order(&v->segments[*at].first, &last) <= 0);
    return g;
}

/* Points of the group whose time is within [from, to]. */
static int gather(struct ctx *c, const struct view *v, const struct group *g, int64_t from,
                  int64_t to, struct points *out) {
    for (size_t i = 0; i < g->n; i++) {
        const struct segment *s = &g->segments[i];
        if (s->first.time_ms > to || s->last.time_ms < from)
            continue;
        size_t before = out->n, m = before;
        int rc = view_read(c, v, s, out);
        if (rc < 0)
            return rc;
        for (size_t k = before; k < out->n; k++)
            if (out->items[k].time_ms >= from && out->items[k].time_ms <= to)
                out->items[m++] = out->items[k];
        out->n = m;
    }
    points_sort(out);
    return 0;
}

struct window {
    int64_t from, to; /* times, both within */
    uint64_t width;   /* of one counter */
    int64_t counts[COUNTERS];
};

static int count_times(struct ctx *c, const struct view *v, const struct group *g, struct window *w,
                       struct points *room) {
    w->width = ((uint64_t)w->to - (uint64_t)w->from) / COUNTERS + 1;
    memset(w->counts, 0, sizeof w->counts);
    for (size_t i = 0; i < g->n; i++) {
        const struct segment *s = &g->segments[i];
        if (s->first.time_ms > w->to || s->last.time_ms < w->from)
            continue;
        room->n = 0;
        int rc = view_read(c, v, s, room);
        if (rc < 0)
            return rc;
        for (size_t k = 0; k < room->n; k++) {
            int64_t t = room->items[k].time_ms;
            if (t >= w->from && t <= w->to)
                w->counts[((uint64_t)t - (uint64_t)w->from) / w->width]++;
        }
    }
    return 0;
}

static void push_some(const struct points *from, int64_t skip, int64_t take, struct points *out) {
    for (int64_t i = skip; i < skip + take && i < (int64_t)from->n; i++)
        points_add(out, &from->items[i]);
}

/* Many points in disorder: those of a stretch of time at once, found by counting. Only points of
 * one and the same time can make a stretch longer than SORT_POINTS. */
static int slice_counted(struct ctx *c, const struct view *v, const struct group *g, int64_t from,
                         int64_t to, int64_t skip, int64_t take, struct points *out) {
    struct points *room = view_room(c);
    struct window *w = ARENA_NEW(c->arena, struct window);
    w->from = from;
    w->to = to;
    int rc = count_times(c, v, g, w, room);
    for (size_t i = 0; rc >= 0 && i < COUNTERS && take > 0;) {
        uint64_t a = (uint64_t)from + i * w->width;
        if (i > 0 && i * w->width > (uint64_t)to - (uint64_t)from)
            break;
        int64_t sum = w->counts[i++];
        while (i < COUNTERS && sum + w->counts[i] <= SORT_POINTS)
            sum += w->counts[i++];
        uint64_t span = i * w->width - 1;
        uint64_t b = span > (uint64_t)to - (uint64_t)from ? (uint64_t)to : (uint64_t)from + span;
        int64_t n = sum - skip < take ? sum - skip : take;
        if (n > 0 && sum > SORT_POINTS && a != b) {
            rc = slice_counted(c, v, g, (int64_t)a, (int64_t)b, skip, n, out);
        } else if (n > 0) {
            room->n = 0;
            rc = gather(c, v, g, (int64_t)a, (int64_t)b, room);
            push_some(room, skip, n, out);
        }
        take -= n > 0 ? n : 0;
        skip = skip > sum ? skip - sum : 0;
    }
    points_free(room);
    return rc;
}

static int slice_group(struct ctx *c, const struct view *v, const struct group *g, int64_t skip,
                       int64_t take, struct points *room, struct points *out) {
    if (g->points > SORT_POINTS) {
        int64_t to = g->segments[0].last.time_ms;
        for (size_t i = 1; i < g->n; i++)
            if (g->segments[i].last.time_ms > to)
                to = g->segments[i].last.time_ms;
        return slice_counted(c, v, g, g->segments[0].first.time_ms, to, skip, take, out);
    }
    room->n = 0;
    int rc = gather(c, v, g, INT64_MIN, INT64_MAX, room);
    push_some(room, skip, take, out);
    return rc;
}

int view_slice(struct ctx *c, const struct view *v, int64_t skip, int64_t take,
               struct points *out) {
    struct points *room = view_room(c);
    int rc = 0;
    for (size_t at = 0; rc >= 0 && at < v->n && take > 0;) {
        struct group g = next_group(v, &at);
        if (skip >= g.points) {
            skip -= g.points;
            continue;
        }
        int64_t n = g.points - skip < take ? g.points - skip : take;
        rc = slice_group(c, v, &g, skip, n, room, out);
        take -= n;
        skip = 0;
    }
    points_free(room);
    return rc < 0 ? rc : 0;
}
