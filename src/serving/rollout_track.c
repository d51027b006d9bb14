/* SPDX-License-Identifier: Apache-2.0 */
#include "rollout_track.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/map.h"

struct saved_arm {
    uint64_t requests, errors, nan;
};
struct saved_cell {
    uint64_t plays, rewards;
};
/* Of a canary: what makes a row another. The reason alone does not, it changes with the clock. */
struct saved_run {
    bool set;
    uint64_t definition;
    enum canary_phase phase;
    size_t step;
    int64_t since_ms;
};

struct track {
    int64_t project;
    char *name;
    struct live *live;
    bool seen;
    struct saved_arm *arms; /* by live_arm_at's number */
    size_t narms;
    struct bandit *bandit; /* whose cells are stored */
    struct saved_cell *cells;
    bool anew; /* what is stored is of another bandit */
    struct saved_run run;
};

static struct map *all;

static void track_free(void *arg) {
    struct track *t = arg;
    live_unref(t->live);
    bandit_unref(t->bandit);
    free(t->arms);
    free(t->cells);
    free(t->name);
    free(t);
}

static const char *key_of(int64_t project, const char *name, char key[160]) {
    snprintf(key, 160, "%" PRId64 "/%s", project, name); /* a name has 128 letters at most */
    return key;
}

struct track *track_of(int64_t project, const char *name, struct live *live) {
    char key[160];
    if (!all)
        all = map_new();
    key_of(project, name, key);
    struct track *t = map_get(all, key);
    if (t && t->live == live) {
        t->seen = true;
        return t;
    }
    if (t)
        track_free(t);
    t = mem_alloc(sizeof *t);
    *t = (struct track){
        .project = project, .name = mem_strdup(name), .live = live_ref(live), .seen = true};
    map_set(all, key, t);
    return t;
}

static bool sweep_one(void) {
    const char *key;
    void *value;
    char copy[160];
    for (size_t at = 0; map_next(all, &at, &key, &value);) {
        struct track *t = value;
        if (t->seen)
            continue;
        key_of(t->project, t->name, copy);
        map_remove(all, copy);
        track_free(t);
        return true;
    }
    return false;
}

void tracks_sweep(void) {
    const char *key;
    void *value;
    if (!all)
        return;
    while (sweep_one())
        continue;
    for (size_t at = 0; map_next(all, &at, &key, &value);)
        ((struct track *)value)->seen = false;
}

void tracks_drop(void) {
    if (all)
        map_free(all, track_free);
    all = NULL;
}

/* ---- what is new ---- */

static void arm_news(struct track *t, struct arena *a, struct rollout_rows *out) {
    const char *name;
    size_t cap = 0;
    for (size_t i = 0;; i++) {
        struct arm_stats *s = live_arm_at(t->live, i, &name);
        if (!s)
            return;
        struct saved_arm old = i < t->narms ? t->arms[i] : (struct saved_arm){0};
        if (atomic_load(&s->requests) == old.requests && atomic_load(&s->errors) == old.errors &&
            atomic_load(&s->nan) == old.nan)
            continue;
        out->arms = arena_room(a, out->arms, out->narms, &cap, sizeof *out->arms);
        struct rollout_arm_row *row = &out->arms[out->narms++];
        row->arm = name; /* lives as long as `live` */
        arm_stats_read(s, &row->sample);
    }
}

static void bandit_news(struct track *t, struct arena *a, struct bandit *b,
                        struct rollout_rows *out) {
    size_t narms = bandit_config(b)->arms, cap = 0;
    unsigned contexts = bandit_contexts(b);
    if (b != t->bandit) {
        /* What is stored may be of other arms and contexts. */
        size_t n = narms * (bandit_config(b)->contexts ? BANDIT_CONTEXTS + 1 : 1);
        free(t->cells);
        bandit_unref(t->bandit);
        t->bandit = bandit_ref(b);
        t->cells = mem_alloc(n * sizeof *t->cells);
        t->anew = true;
    }
    out->bandit_anew = t->anew;
    for (unsigned x = 0; x < contexts; x++)
        for (unsigned i = 0; i < narms && bandit_context_used(b, x); i++) {
            struct bandit_cell cell;
            const struct saved_cell *old = &t->cells[x * narms + i];
            bandit_read(b, x, i, &cell);
            if (cell.plays == old->plays && cell.rewards == old->rewards)
                continue;
            out->bandit = arena_room(a, out->bandit, out->nbandit, &cap, sizeof *out->bandit);
            out->bandit[out->nbandit++] =
                (struct rollout_bandit_row){.context = x,
                                            .arm = bandit_arm_name(b, i),
                                            .name = bandit_context_name(b, x),
                                            .cell = cell};
        }
}

bool track_news(struct track *t, struct arena *a, const struct canary_run *run,
                struct rollout_rows *out) {
    *out = (struct rollout_rows){
        .project = t->project, .born_ms = live_born(t->live), .endpoint = t->name};
    arm_news(t, a, out);
    struct bandit *b = live_bandit(t->live);
    if (b)
        bandit_news(t, a, b, out);
    bandit_unref(b);
    const struct saved_run *r = &t->run;
    if (run && run->phase != PHASE_ENDING &&
        (!r->set || r->definition != run->definition || r->phase != run->phase ||
         r->step != run->step || r->since_ms != run->since_ms))
        out->run = arena_dup(a, run, sizeof *run);
    return out->narms || out->nbandit || out->bandit_anew || out->run;
}

static size_t arm_number(const struct track *t, const char *arm) {
    const char *name;
    for (size_t i = 0; live_arm_at(t->live, i, &name); i++)
        if (name == arm)
            return i;
    return SIZE_MAX;
}

void track_saved(struct track *t, const struct rollout_rows *rows) {
    for (size_t i = 0; i < rows->narms; i++) {
        const struct arm_sample *s = &rows->arms[i].sample;
        size_t n = arm_number(t, rows->arms[i].arm);
        if (n == SIZE_MAX)
            continue;
        if (n >= t->narms) {
            t->arms = mem_realloc(t->arms, (n + 1) * sizeof *t->arms);
            memset(t->arms + t->narms, 0, (n + 1 - t->narms) * sizeof *t->arms);
            t->narms = n + 1;
        }
        t->arms[n] = (struct saved_arm){s->requests, s->errors, s->nan};
    }
    if (rows->bandit_anew)
        t->anew = false;
    for (size_t i = 0; i < rows->nbandit; i++) {
        const struct rollout_bandit_row *r = &rows->bandit[i];
        size_t at = r->context * bandit_config(t->bandit)->arms +
                    (size_t)bandit_arm_index(t->bandit, r->arm);
        t->cells[at] = (struct saved_cell){r->cell.plays, r->cell.rewards};
    }
    if (rows->run)
        t->run = (struct saved_run){true, rows->run->definition, rows->run->phase, rows->run->step,
                                    rows->run->since_ms};
}
