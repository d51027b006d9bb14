/* SPDX-License-Identifier: Apache-2.0 */
#include "slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fit.h"
#include "gate.h"
#include "limit_spec.h"
#include "model.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/log.h"
#include "quern/base/map.h"
#include "quern/metric/metric.h"
#include "quern/rollout/live.h"
#include "shadow.h"

static struct map *all; /* of struct bound */
static unsigned threads = 1;

void slots_threads(unsigned n) {
    threads = n;
}

static const char *key_of(int64_t project, const char *name, char key[160]) {
    snprintf(key, 160, "%" PRId64 "/%s", project, name); /* a name has 128 letters at most */
    return key;
}

struct bound *bound_find(int64_t project, const char *name) {
    char key[160];
    return all ? map_get(all, key_of(project, name, key)) : NULL;
}

struct bound *bound_of(int64_t project, const char *name) {
    char key[160];
    struct bound *b = bound_find(project, name);
    if (b)
        return b;
    if (!all)
        all = map_new();
    b = mem_alloc(sizeof *b);
    b->project = project;
    b->name = mem_strdup(name);
    b->gate = gate_new(limits_of(NULL, NULL, threads));
    gate_metric(b->gate, metric_cell(METRIC_QUEUE_SECONDS, name, NULL, NULL));
    b->shadow_gate =
        gate_new((struct gate_limits){.concurrency = SHADOW_CONCURRENCY, .queue = SHADOW_QUEUE});
    b->live = live_new();
    map_set(all, key_of(project, name, key), b);
    return b;
}

void bound_plan(struct bound *b, struct plan *p) {
    struct plan *before = b->plan;
    b->plan = p;
    if (p) {
        p->refs++;
        plan_keep(p, before);
        gate_set(b->gate, limits_of(p->spec.limits, p->spec.batching, threads));
    }
    if (before && --before->refs == 0)
        plan_free(before);
}

struct slot *slot_of(struct bound *b, const char *arm) {
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->slots[i]->name, arm) == 0)
            return b->slots[i];
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 1;
        b->slots = mem_realloc(b->slots, b->cap * sizeof *b->slots);
    }
    struct slot *s = mem_alloc(sizeof *s);
    s->of = b;
    s->name = mem_strdup(arm);
    slot_forget(s);
    b->slots[b->n++] = s;
    return s;
}

void slot_say(struct slot *s, const char *state, const char *reason) {
    char *st = mem_strdup(state), *re = mem_strdup(reason);
    free(s->state);
    free(s->reason);
    s->state = st;
    s->reason = re;
}

void slot_model(struct slot *s, struct model *m) {
    fit_unref(s->fit);
    s->fit = NULL;
    if (s->model && --s->model->refs == 0)
        model_free(s->model);
    s->model = m; /* snapshots still hold theirs */
    if (m)
        m->refs++;
}

static void drop_live(struct slot *s) {
    if (s->live && --s->live->refs == 0)
        free(s->live);
    s->live = NULL;
}

void slot_forget(struct slot *s) {
    slot_model(s, NULL);
    drop_live(s);
    s->live = mem_alloc(sizeof *s->live);
    s->live->refs = 1;
    s->stored_used_ms = 0;
    s->busy = s->idle = s->wanted = s->parked = false;
    s->tried_revision = -1;
    s->tried_version = 0;
    slot_say(s, "pending", "");
}

static void slot_free(struct slot *s) {
    slot_model(s, NULL);
    drop_live(s);
    free(s->name);
    free(s->state);
    free(s->reason);
    free(s);
}

static void bound_free(void *arg) {
    struct bound *b = arg;
    for (size_t i = 0; i < b->n; i++)
        slot_free(b->slots[i]);
    bound_plan(b, NULL);
    gate_unref(b->gate);
    gate_unref(b->shadow_gate);
    live_unref(b->live);
    free(b->slots);
    free(b->name);
    free(b);
}

struct bound *bound_next(size_t *at) {
    const char *key;
    void *value;
    return all && map_next(all, at, &key, &value) ? value : NULL;
}

/* One endpoint that is not listed, or NULL: the map must not change while it is walked. */
static struct bound *unlisted(void) {
    struct bound *b;
    for (size_t at = 0; (b = bound_next(&at));)
        if (!b->listed)
            return b;
    return NULL;
}

bool slots_drop_unlisted(void) {
    bool dropped = false;
    struct bound *b;
    char key[160];
    for (size_t at = 0; (b = bound_next(&at));)
        for (size_t i = 0; i < b->n;) {
            if (b->slots[i]->listed) {
                i++;
                continue;
            }
            slot_free(b->slots[i]);
            memmove(&b->slots[i], &b->slots[i + 1], (b->n - i - 1) * sizeof *b->slots);
            b->n--;
            dropped = true;
        }
    while ((b = unlisted())) {
        log_info("endpoint.drop", "endpoint %s is no longer served", b->name);
        map_remove(all, key_of(b->project, b->name, key));
        bound_free(b);
        dropped = true;
    }
    return dropped;
}

void slots_drop_all(void) {
    if (all)
        map_free(all, bound_free);
    all = NULL;
}
