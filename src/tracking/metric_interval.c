/* SPDX-License-Identifier: Apache-2.0 */
#include "metric_interval.h"

#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/core/shape.h"
#include "rows.h"

#define DENSE_BITS (UINT64_C(1) << 28) /* 32 MiB: steps at most so far apart are marked as bits */
#define SPARSE_STEPS ((size_t)1 << 24) /* others are listed, up to so many */

/* The distinct steps of all series. */
struct step_set {
    int64_t least;
    uint64_t span; /* greatest - least */
    uint64_t *bits;
    int64_t *list;
    size_t n, cap, sorted; /* the first `sorted` of the list are distinct and in order */
};

static void drop_set(void *set) {
    struct step_set *s = set;
    free(s->bits);
    free(s->list);
    s->bits = NULL;
    s->list = NULL;
}

static int by_step(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void list_tidy(struct step_set *s) {
    if (s->n > 1)
        qsort(s->list, s->n, sizeof *s->list, by_step);
    size_t m = 0;
    for (size_t i = 0; i < s->n; i++)
        if (m == 0 || s->list[m - 1] != s->list[i])
            s->list[m++] = s->list[i];
    s->n = s->sorted = m;
}

static int set_add(struct ctx *c, struct step_set *s, int64_t step) {
    if (s->bits) {
        uint64_t at = (uint64_t)step - (uint64_t)s->least;
        s->bits[at >> 6] |= UINT64_C(1) << (at & 63);
        return 0;
    }
    if (s->n > 0 && s->list[s->n - 1] == step)
        return 0;
    if (s->n == s->cap) {
        list_tidy(s);
        if (s->n >= SPARSE_STEPS)
            return fail(c, ERR_INVALID,
                        "These series have more than %zu steps, far apart; ask for fewer with "
                        "'start_step' and 'end_step'",
                        SPARSE_STEPS);
        if (s->n * 2 >= s->cap) {
            s->cap = s->cap ? s->cap * 2 : 4096;
            s->list = mem_realloc(s->list, s->cap * sizeof *s->list);
        }
    }
    s->list[s->n++] = step;
    return 0;
}

static bool within(const struct interval *w, const struct segment *s) {
    return s->max_step >= w->from && s->min_step <= w->to;
}

/* Where steps can lie, by the segments' own words. */
static bool bounds(const struct interval *w, int64_t *least, int64_t *most) {
    bool any = false;
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; k < w->series[i].view.n; k++) {
            const struct segment *s = &w->series[i].view.segments[k];
            if (!within(w, s))
                continue;
            int64_t a = s->min_step > w->from ? s->min_step : w->from;
            int64_t b = s->max_step < w->to ? s->max_step : w->to;
            *least = any && *least < a ? *least : a;
            *most = any && *most > b ? *most : b;
            any = true;
        }
    return any;
}

static void widen(struct interval_series *s, int64_t from, int64_t to) {
    s->least = s->any && s->least < from ? s->least : from;
    s->most = s->any && s->most > to ? s->most : to;
    s->any = true;
}

/* Steps that a segment tells of without being read. */
static int add_stride(struct ctx *c, const struct segment *g, struct step_set *set) {
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < g->n; i++)
        rc = set_add(c, set, (int64_t)((uint64_t)g->min_step + i * (uint64_t)g->stride));
    return rc;
}

static int add_series(struct ctx *c, const struct interval *w, struct interval_series *s,
                      struct step_set *set, struct points *room) {
    for (size_t i = 0; i < s->view.n; i++) {
        const struct segment *g = &s->view.segments[i];
        int rc = 0;
        if (!within(w, g))
            continue;
        room->n = 0;
        if (g->stride > 0 && g->min_step >= w->from && g->max_step <= w->to) {
            widen(s, g->min_step, g->max_step);
            rc = add_stride(c, g, set);
        } else {
            rc = view_read(c, &s->view, g, room);
        }
        for (size_t k = 0; rc >= 0 && k < room->n; k++) {
            int64_t step = room->items[k].step;
            if (step < w->from || step > w->to)
                continue;
            widen(s, step, step);
            rc = set_add(c, set, step);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Of n distinct steps those at the positions floor(i n / most), and the last one. */
struct thinning {
    size_t n, most, i, at; /* the next kept one is number i; `at` steps were seen */
    int64_t *kept;
    size_t kept_n;
};

static void thin(struct thinning *t, int64_t step) {
    size_t at = t->at++;
    bool wanted = t->n <= t->most || at == t->n - 1;
    if (t->n > t->most && t->i < t->most && at == (size_t)((uint64_t)t->i * t->n / t->most)) {
        wanted = true;
        t->i++;
    }
    if (wanted)
        t->kept[t->kept_n++] = step;
}

static void keep_some(struct ctx *c, struct step_set *s, size_t most, struct thinning *t) {
    size_t words = s->bits ? (size_t)(s->span / 64) + 1 : 0;
    *t = (struct thinning){.most = most, .kept = ARENA_ARRAY(c->arena, int64_t, most + 3)};
    if (!s->bits) {
        list_tidy(s);
        t->n = s->n;
        for (size_t i = 0; i < s->n; i++)
            thin(t, s->list[i]);
        return;
    }
    for (size_t i = 0; i < words; i++)
        t->n += (size_t)__builtin_popcountll(s->bits[i]);
    for (size_t i = 0; i < words; i++)
        for (uint64_t left = s->bits[i]; left; left &= left - 1)
            thin(t, (int64_t)((uint64_t)s->least + i * 64 + (unsigned)__builtin_ctzll(left)));
}

/* Position of the first kept step that is not below. */
static size_t lower(const int64_t *kept, size_t n, int64_t step) {
    size_t a = 0, b = n;
    while (a < b) {
        size_t mid = a + (b - a) / 2;
        if (kept[mid] < step)
            a = mid + 1;
        else
            b = mid;
    }
    return a;
}

static int by_step_first(const void *a, const void *b) {
    const struct point *x = a, *y = b;
    return x->step != y->step ? (x->step < y->step ? -1 : 1) : point_order(x, y);
}

static int push_series(struct ctx *c, const struct interval *w, const struct interval_series *s,
                       const int64_t *kept, size_t n, const char *key, struct list *out,
                       size_t *cap) {
    struct points *room = view_room(c), *found = view_room(c);
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < s->view.n; i++) {
        const struct segment *g = &s->view.segments[i];
        size_t at = lower(kept, n, g->min_step);
        if (at == n || kept[at] > g->max_step)
            continue;
        room->n = 0;
        rc = view_read(c, &s->view, g, room);
        for (size_t k = 0; k < room->n; k++) {
            int64_t step = room->items[k].step;
            /* Steps mostly rise from point to point, so the place is mostly near. */
            if (at > 0 && kept[at - 1] >= step)
                at = lower(kept, n, step);
            while (at < n && kept[at] < step)
                at++;
            if (at < n && kept[at] == step)
                points_add(found, &room->items[k]);
        }
    }
    if (found->n > 1)
        qsort(found->items, found->n, sizeof *found->items, by_step_first);
    for (size_t i = 0; rc >= 0 && i < found->n && i < w->most; i++) {
        metric_push(c, out, cap, s->run_id, key, &found->items[i]);
        rc = answer_check(c);
    }
    points_free(room);
    points_free(found);
    return rc;
}

int interval_read(struct ctx *c, struct interval *w, const char *key, struct list *out) {
    int64_t least = 0, most = 0;
    if (!bounds(w, &least, &most))
        return 0;
    struct step_set *set = ARENA_NEW(c->arena, struct step_set);
    struct points *room = view_room(c);
    arena_defer(c->arena, drop_set, set);
    set->least = least;
    set->span = (uint64_t)most - (uint64_t)least;
    if (set->span < DENSE_BITS)
        set->bits = mem_alloc((size_t)(set->span / 64 + 1) * sizeof *set->bits);
    for (size_t i = 0; i < w->n; i++) {
        int rc = add_series(c, w, &w->series[i], set, room);
        if (rc < 0)
            return rc;
    }
    struct thinning t;
    keep_some(c, set, w->steps, &t);
    drop_set(set);
    size_t cap = 0;
    int64_t *own = ARENA_ARRAY(c->arena, int64_t, t.kept_n + 2);
    for (size_t i = 0; i < w->n; i++) {
        const struct interval_series *s = &w->series[i];
        if (!s->any)
            continue;
        struct step_set mine = {.list = own, .n = t.kept_n + 2};
        memcpy(own, t.kept, t.kept_n * sizeof *own);
        own[t.kept_n] = s->least;
        own[t.kept_n + 1] = s->most;
        list_tidy(&mine);
        int rc = push_series(c, w, s, own, mine.n, key, out, &cap);
        if (rc < 0)
            return rc;
    }
    return 0;
}
