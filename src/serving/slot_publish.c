/* SPDX-License-Identifier: Apache-2.0 */
/* What the loader knows, as predictions see it. */
#include <stdlib.h>
#include <string.h>

#include "fit.h"
#include "model.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/map.h"
#include "quern/metric/metric.h"
#include "slot.h"
#include "snapshot.h"

static int by_place(const void *a, const void *b) {
    const struct slot *x = *(struct slot *const *)a, *y = *(struct slot *const *)b;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Goes on with what it has as long as plan and model are the same. */
static struct fit *fit_of(const struct bound *b, struct slot *s) {
    if (s->fit && s->fit->plan != b->plan) {
        fit_unref(s->fit);
        s->fit = NULL;
    }
    if (!s->fit && b->plan && s->model)
        s->fit = fit_new(b->name, s->name, b->plan, s->model, s->live);
    return s->fit;
}

static void put_arm(const struct bound *b, struct slot *s, struct entry_arm *a) {
    *a = (struct entry_arm){.number = s->number,
                            .name = s->name,
                            .model = s->model,
                            .idle = s->idle && !s->model,
                            .parked = s->parked,
                            .state = s->state,
                            .reason = s->reason,
                            .live = s->live,
                            .fit = fit_of(b, s)};
}

/* Ready when an arm answers; each arm's word, by name unless there is only one. */
static void put_state(struct arena *arena, const struct bound *b, struct entry *e) {
    bool ready = false, coming = false;
    e->reason = "";
    for (size_t i = 0; i < b->n; i++) {
        const struct slot *s = b->slots[i];
        ready = ready || s->model || s->idle;
        coming = coming || strcmp(s->state, "loading") == 0 || strcmp(s->state, "pending") == 0;
        if (*s->reason)
            e->reason = b->n == 1 ? s->reason
                                  : arena_printf(arena, "%s%sarm %s: %s", e->reason,
                                                 *e->reason ? "; " : "", s->name, s->reason);
    }
    e->state = ready ? "ready" : coming ? "loading" : "failed";
    if (b->n == 1)
        e->state = b->slots[0]->state;
}

void slots_publish(bool settled) {
    struct arena *arena = arena_new();
    struct bound *b;
    size_t n = 0, cap = 0, ready = 0;
    for (size_t at = 0; bound_next(&at);)
        cap++;
    struct entry *entries = ARENA_ARRAY(arena, struct entry, cap + 1);
    for (size_t at = 0; (b = bound_next(&at));) {
        if (!b->n)
            continue;
        struct entry *e = &entries[n++];
        qsort(b->slots, b->n, sizeof *b->slots, by_place);
        *e = (struct entry){.project = b->project,
                            .name = b->name,
                            .plan = b->plan,
                            .gate = b->gate,
                            .shadow_gate = b->shadow_gate};
        e->arms = ARENA_ARRAY(arena, struct entry_arm, b->n);
        e->narms = b->n;
        bool answers = false;
        for (size_t i = 0; i < b->n; i++) {
            put_arm(b, b->slots[i], &e->arms[i]);
            answers = answers || b->slots[i]->model || b->slots[i]->idle;
        }
        put_state(arena, b, e);
        ready += answers;
    }
    snapshot_publish(snapshot_new(entries, n, settled));
    arena_free(arena);
    metric_set(METRIC_ENDPOINTS_READY, (double)ready, NULL, NULL, NULL);
}

/* ---- eviction ---- */

static int by_use(const void *a, const void *b) {
    const struct slot *x = *(struct slot *const *)a, *y = *(struct slot *const *)b;
    int64_t xs = atomic_load(&x->live->used_ms), ys = atomic_load(&y->live->used_ms);
    return xs < ys ? -1 : xs > ys;
}

/* Models of one digest share their memory: it goes with the last of them. */
static int64_t count(struct map *shares, const struct model *m, intptr_t by) {
    intptr_t n = (intptr_t)map_get(shares, m->sha256) + by;
    map_set(shares, m->sha256, (void *)n); /* NOLINT: a number as large as a pointer */
    return by > 0 ? (n == 1 ? m->bytes : 0) : (n == 0 ? m->bytes : 0);
}

static bool may_go(const struct slot *s) {
    return s->model && !s->pinned && !s->busy;
}

bool slots_evict(int64_t budget, int64_t now_ms, const struct slot *keep, bool *over) {
    struct map *shares = map_new();
    struct bound *b;
    int64_t total = 0;
    size_t n = 0;
    bool went = false;
    for (size_t at = 0; (b = bound_next(&at));)
        for (size_t i = 0; i < b->n; i++)
            if (b->slots[i]->model) {
                total += count(shares, b->slots[i]->model, 1);
                n++;
            }
    struct slot **slots = total > budget ? mem_alloc(n * sizeof(struct slot *)) : NULL;
    n = 0;
    for (size_t at = 0; slots && (b = bound_next(&at));)
        for (size_t i = 0; i < b->n; i++)
            if (may_go(b->slots[i]) && b->slots[i] != keep)
                slots[n++] = b->slots[i];
    if (n)
        qsort(slots, n, sizeof *slots, by_use);
    for (size_t i = 0; i < n && total > budget; i++) {
        struct slot *s = slots[i];
        if (atomic_load(&s->live->used_ms) > now_ms - 1000)
            break;
        total -= count(shares, s->model, -1);
        slot_model(s, NULL);
        s->idle = true;
        s->wanted = false;
        s->tried_revision = -1;
        went = true;
    }
    free(slots);
    map_free(shares, NULL);
    if (over)
        *over = total > budget;
    metric_set(METRIC_MODEL_BYTES, (double)total, NULL, NULL, NULL);
    return went;
}
