/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/rollout/live.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/rollout/bandit.h"

struct named_arm {
    char *name;
    struct arm_stats stats;
};

struct monitor {
    char *name;
    double value;
    int64_t until_ms;
};

struct live {
    _Atomic unsigned refs;
    _Atomic double canary;
    pthread_mutex_t lock; /* of what follows */
    struct named_arm **arms;
    size_t n;
    struct bandit *bandit;
    struct canary_run *run;
    struct monitor monitors[LIVE_MONITORS_MAX];
    _Atomic int64_t born_ms;
};

struct live *live_new(void) {
    struct live *l = mem_alloc(sizeof *l);
    atomic_init(&l->refs, 1);
    atomic_init(&l->canary, -1.0);
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

struct live *live_ref(struct live *l) {
    if (l)
        atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void live_unref(struct live *l) {
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < l->n; i++) {
        free(l->arms[i]->name);
        free(l->arms[i]);
    }
    for (size_t i = 0; i < LIVE_MONITORS_MAX; i++)
        free(l->monitors[i].name);
    free(l->arms);
    free(l->run);
    bandit_unref(l->bandit);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

struct arm_stats *live_arm(struct live *l, const char *name) {
    pthread_mutex_lock(&l->lock);
    if (l->n == LIVE_ARMS_MAX)
        name = "other";
    struct named_arm *found = NULL;
    for (size_t i = 0; i < l->n && !found; i++)
        if (str_eq(l->arms[i]->name, name))
            found = l->arms[i];
    if (!found && l->n == LIVE_ARMS_MAX) {
        found = l->arms[l->n - 1];
    } else if (!found) {
        /* Each arm has its own memory: what was handed out never moves. */
        l->arms = mem_realloc(l->arms, (l->n + 1) * sizeof *l->arms);
        found = l->arms[l->n] = mem_alloc(sizeof *found);
        found->name = mem_strdup(l->n + 1 == LIVE_ARMS_MAX ? "other" : name);
        l->n++;
    }
    pthread_mutex_unlock(&l->lock);
    return &found->stats;
}

struct arm_stats *live_arm_at(struct live *l, size_t i, const char **name) {
    pthread_mutex_lock(&l->lock);
    struct named_arm *arm = i < l->n ? l->arms[i] : NULL;
    pthread_mutex_unlock(&l->lock);
    if (!arm)
        return NULL;
    *name = arm->name;
    return &arm->stats;
}

double live_canary(const struct live *l) {
    return atomic_load_explicit(&l->canary, memory_order_relaxed);
}

void live_canary_set(struct live *l, double percent) {
    atomic_store_explicit(&l->canary, percent, memory_order_relaxed);
}

struct bandit *live_bandit(struct live *l) {
    pthread_mutex_lock(&l->lock);
    struct bandit *b = bandit_ref(l->bandit);
    pthread_mutex_unlock(&l->lock);
    return b;
}

void live_bandit_set(struct live *l, struct bandit *b) {
    pthread_mutex_lock(&l->lock);
    struct bandit *old = l->bandit;
    l->bandit = bandit_ref(b);
    pthread_mutex_unlock(&l->lock);
    bandit_unref(old);
}

bool live_run(struct live *l, struct canary_run *out) {
    pthread_mutex_lock(&l->lock);
    bool found = l->run != NULL;
    if (found)
        *out = *l->run;
    pthread_mutex_unlock(&l->lock);
    return found;
}

void live_run_set(struct live *l, const struct canary_run *run) {
    pthread_mutex_lock(&l->lock);
    if (!run) {
        free(l->run);
        l->run = NULL;
    } else {
        if (!l->run)
            l->run = mem_alloc(sizeof *l->run);
        *l->run = *run;
    }
    pthread_mutex_unlock(&l->lock);
}

bool live_run_move(struct live *l, const struct canary_run *run, double percent) {
    pthread_mutex_lock(&l->lock);
    bool same = l->run && l->run->definition == run->definition && l->run->phase <= PHASE_WAITING;
    if (same) {
        *l->run = *run;
        if (percent >= 0)
            live_canary_set(l, percent);
    }
    pthread_mutex_unlock(&l->lock);
    return same;
}

void live_run_end(struct live *l, const struct canary_run *run) {
    pthread_mutex_lock(&l->lock);
    if (!l->run)
        l->run = mem_alloc(sizeof *l->run);
    else if (l->run->definition != run->definition)
        run = NULL;
    if (run)
        *l->run = *run;
    pthread_mutex_unlock(&l->lock);
}

const char *canary_phase_text(enum canary_phase p) {
    static const char *const texts[] = {"running", "waiting", "running", "promoted", "rolled_back"};
    return (unsigned)p < ARRAY_LEN(texts) ? texts[p] : "";
}

int64_t live_born(const struct live *l) {
    return atomic_load(&l->born_ms);
}
void live_born_set(struct live *l, int64_t born_ms) {
    atomic_store(&l->born_ms, born_ms);
}

bool live_monitor_set(struct live *l, const char *name, double value, int64_t now_ms,
                      int64_t until_ms) {
    struct monitor *at = NULL;
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < LIVE_MONITORS_MAX; i++) {
        struct monitor *m = &l->monitors[i];
        if (str_eq(m->name, name)) {
            at = m;
            break;
        }
        if (!at && (!m->name || m->until_ms <= now_ms))
            at = m;
    }
    if (at) {
        char *copy = mem_strdup(name);
        free(at->name);
        *at = (struct monitor){copy, value, until_ms};
    }
    pthread_mutex_unlock(&l->lock);
    return at != NULL;
}

bool live_monitor(struct live *l, const char *name, int64_t now_ms, double *value) {
    bool found = false;
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < LIVE_MONITORS_MAX && !found; i++) {
        const struct monitor *m = &l->monitors[i];
        found = str_eq(m->name, name) && m->until_ms > now_ms;
        if (found)
            *value = m->value;
    }
    pthread_mutex_unlock(&l->lock);
    return found;
}
