/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ROLLOUT_BANDIT_STATE_H
#define QUERN_ROLLOUT_BANDIT_STATE_H
/* Bandit state: a bandit's cells, one per context and arm, and its contexts. */
#include <pthread.h>
#include <stdatomic.h>

#include "quern/rollout/bandit.h"

struct cell {
    _Atomic uint64_t plays, rewards;
    _Atomic uint64_t sum_high, sum_low; /* of rewards, whole and in 2^-32; under the lock */
    _Atomic double weight, value;       /* faded to then_ms; written under the lock */
    _Atomic int64_t then_ms;
};

struct context {
    _Atomic uint64_t hash; /* 0: free */
    _Atomic bool named;    /* name is whole */
    char name[BANDIT_CONTEXT_BYTES];
};

struct bandit {
    struct bandit_config config;
    _Atomic unsigned refs;
    pthread_mutex_t lock; /* of rewards */
    char *names[BANDIT_ARMS_MAX];
    struct context *contexts; /* BANDIT_CONTEXTS, NULL without */
    struct cell cells[];
};

static inline const struct cell *bandit_cells(const struct bandit *b, unsigned context) {
    size_t at = b->config.contexts && context <= BANDIT_CONTEXTS ? context : 0;
    return b->cells + at * b->config.arms;
}
double bandit_fade(const struct bandit_config *config, int64_t ms); /* 2^(-ms/half life) */

#endif
