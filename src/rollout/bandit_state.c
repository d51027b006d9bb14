/* SPDX-License-Identifier: Apache-2.0 */
#include "bandit_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"

struct bandit *bandit_new(const struct bandit_config *config, const char *const *names) {
    size_t n = config->arms * (config->contexts ? BANDIT_CONTEXTS + 1 : 1);
    struct bandit *b = mem_alloc(sizeof *b + n * sizeof b->cells[0]);
    b->config = *config;
    atomic_init(&b->refs, 1);
    pthread_mutex_init(&b->lock, NULL);
    if (config->contexts)
        b->contexts = mem_alloc(BANDIT_CONTEXTS * sizeof *b->contexts);
    for (size_t i = 0; i < config->arms; i++)
        b->names[i] = mem_strdup(names[i]);
    return b;
}

struct bandit *bandit_ref(struct bandit *b) {
    if (b)
        atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void bandit_unref(struct bandit *b) {
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&b->lock);
    for (size_t i = 0; i < b->config.arms; i++)
        free(b->names[i]);
    free(b->contexts);
    free(b);
}

const struct bandit_config *bandit_config(const struct bandit *b) {
    return &b->config;
}

const char *bandit_arm_name(const struct bandit *b, unsigned arm) {
    return arm < b->config.arms ? b->names[arm] : NULL;
}

int bandit_arm_index(const struct bandit *b, const char *name) {
    for (size_t i = 0; i < b->config.arms; i++)
        if (str_eq(b->names[i], name))
            return (int)i;
    return -1;
}

bool bandit_is(const struct bandit *b, const struct bandit_config *config,
               const char *const *names) {
    const struct bandit_config *a = &b->config;
    const double was[] = {a->epsilon,    a->exploration, a->prior_alpha,
                          a->prior_beta, a->floor,       a->half_life_ms};
    const double is[] = {config->epsilon,    config->exploration, config->prior_alpha,
                         config->prior_beta, config->floor,       config->half_life_ms};
    if (a->kind != config->kind || a->arms != config->arms || a->contexts != config->contexts ||
        memcmp(was, is, sizeof was) != 0)
        return false;
    for (size_t i = 0; i < a->arms; i++)
        if (!str_eq(b->names[i], names[i]))
            return false;
    return true;
}

struct bandit *bandit_heir(struct bandit *old, const struct bandit_config *config,
                           const char *const *names) {
    struct bandit *b = bandit_new(config, names);
    unsigned contexts = old->contexts && b->contexts ? bandit_contexts(old) : 1;
    for (unsigned x = 0; x < contexts; x++)
        for (unsigned i = 0; i < config->arms && bandit_context_used(old, x); i++) {
            int was = bandit_arm_index(old, names[i]);
            struct bandit_cell cell = {0};
            if (was >= 0)
                bandit_read(old, x, (unsigned)was, &cell);
            bandit_restore(b, x, x ? bandit_context_name(old, x) : NULL, i, &cell);
        }
    return b;
}

double bandit_fade(const struct bandit_config *config, int64_t ms) {
    return config->half_life_ms > 0 && ms > 0 ? exp2(-(double)ms / config->half_life_ms) : 1;
}

/* How much of a text is a context's name: it is cut between code points. */
static size_t cut(const char *text) {
    size_t n = strnlen(text, BANDIT_CONTEXT_BYTES - 1);
    if (text[n] != '\0')
        while (n && ((unsigned char)text[n] & 0xC0) == 0x80)
            n--;
    return n;
}

static void name_context(struct context *x, const char *text) {
    size_t n = cut(text);
    memcpy(x->name, text, n);
    x->name[n] = '\0';
    atomic_store_explicit(&x->named, true, memory_order_release);
}

/* Of what is kept of it: a restart knows no more. */
static uint64_t hash_context(const char *text) {
    uint64_t h = hash_bytes(0, text, cut(text));
    return h ? h : 1;
}

unsigned bandit_context(struct bandit *b, const char *text, bool add) {
    if (!b->contexts || !text)
        return 0;
    uint64_t h = hash_context(text);
    unsigned room = BANDIT_CONTEXTS;
    /* To the end: after a restart a number of which nothing was stored is free, those behind it
     * are not. */
    for (unsigned i = 0; i < BANDIT_CONTEXTS; i++) {
        uint64_t seen = atomic_load_explicit(&b->contexts[i].hash, memory_order_acquire);
        if (seen == h)
            return i + 1;
        if (!seen && room == BANDIT_CONTEXTS)
            room = i;
    }
    for (unsigned i = room; add && i < BANDIT_CONTEXTS; i++) {
        struct context *x = &b->contexts[i];
        uint64_t seen = 0;
        if (atomic_compare_exchange_strong(&x->hash, &seen, h)) {
            name_context(x, text);
            return i + 1;
        }
        if (seen == h)
            return i + 1;
    }
    return 0;
}

bool bandit_context_used(const struct bandit *b, unsigned context) {
    return context == 0 ||
           (b->contexts && context <= BANDIT_CONTEXTS &&
            atomic_load_explicit(&b->contexts[context - 1].named, memory_order_acquire));
}

const char *bandit_context_name(const struct bandit *b, unsigned context) {
    if (context == 0 || context > BANDIT_CONTEXTS || !b->contexts)
        return "other";
    const struct context *x = &b->contexts[context - 1];
    return atomic_load_explicit(&x->named, memory_order_acquire) ? x->name : "";
}

unsigned bandit_contexts(const struct bandit *b) {
    unsigned n = b->contexts ? BANDIT_CONTEXTS : 0;
    while (n && !atomic_load(&b->contexts[n - 1].hash))
        n--;
    return n + 1;
}

static struct cell *cell_at(struct bandit *b, unsigned context, unsigned arm) {
    if (arm >= b->config.arms)
        return NULL;
    size_t at = b->contexts && context <= BANDIT_CONTEXTS ? context : 0;
    return &b->cells[at * b->config.arms + arm];
}

void bandit_play(struct bandit *b, unsigned context, unsigned arm) {
    struct cell *cell = cell_at(b, context, arm);
    if (cell)
        atomic_fetch_add_explicit(&cell->plays, 1, memory_order_relaxed);
}

/* Rewards are summed in parts of 2^-32, so that the sum does not depend on their order. */
static void add_sum(struct cell *cell, double reward) {
    uint64_t low = atomic_load_explicit(&cell->sum_low, memory_order_relaxed) +
                   (uint64_t)llround(reward * 0x1p32);
    atomic_store_explicit(&cell->sum_high,
                          atomic_load_explicit(&cell->sum_high, memory_order_relaxed) + (low >> 32),
                          memory_order_relaxed);
    atomic_store_explicit(&cell->sum_low, low & UINT32_MAX, memory_order_relaxed);
}

bool bandit_reward(struct bandit *b, unsigned context, unsigned arm, double reward,
                   int64_t now_ms) {
    struct cell *cell = cell_at(b, context, arm);
    if (!cell || isnan(reward))
        return false;
    reward = reward < 0 ? 0 : reward > 1 ? 1 : reward;
    pthread_mutex_lock(&b->lock);
    double weight = atomic_load_explicit(&cell->weight, memory_order_relaxed);
    double value = atomic_load_explicit(&cell->value, memory_order_relaxed);
    int64_t then = atomic_load_explicit(&cell->then_ms, memory_order_relaxed);
    double f = weight > 0 ? bandit_fade(&b->config, now_ms - then) : 1;
    atomic_store_explicit(&cell->weight, weight * f + 1, memory_order_relaxed);
    atomic_store_explicit(&cell->value, value * f + reward, memory_order_relaxed);
    if (now_ms > then)
        atomic_store_explicit(&cell->then_ms, now_ms, memory_order_relaxed);
    add_sum(cell, reward);
    atomic_fetch_add_explicit(&cell->rewards, 1, memory_order_relaxed);
    pthread_mutex_unlock(&b->lock);
    return true;
}

void bandit_read(struct bandit *b, unsigned context, unsigned arm, struct bandit_cell *out) {
    *out = (struct bandit_cell){0};
    struct cell *cell = cell_at(b, context, arm);
    if (!cell)
        return;
    pthread_mutex_lock(&b->lock);
    out->plays = atomic_load(&cell->plays);
    out->rewards = atomic_load(&cell->rewards);
    out->reward_sum =
        (double)atomic_load(&cell->sum_high) + (double)atomic_load(&cell->sum_low) * 0x1p-32;
    out->weight = atomic_load(&cell->weight);
    out->value = atomic_load(&cell->value);
    out->then_ms = atomic_load(&cell->then_ms);
    pthread_mutex_unlock(&b->lock);
}

bool bandit_restore(struct bandit *b, unsigned context, const char *name, unsigned arm,
                    const struct bandit_cell *in) {
    if (arm >= b->config.arms || context > (b->contexts ? BANDIT_CONTEXTS : 0u))
        return false;
    if (!isfinite(in->reward_sum) || !isfinite(in->weight) || !isfinite(in->value) ||
        in->reward_sum < 0 || in->reward_sum > 0x1p53 || in->weight < 0 || in->value < 0)
        return false;
    if (context) {
        if (!name)
            return false;
        struct context *x = &b->contexts[context - 1];
        atomic_store(&x->hash, hash_context(name));
        name_context(x, name);
    }
    struct cell *cell = cell_at(b, context, arm);
    pthread_mutex_lock(&b->lock);
    double high = floor(in->reward_sum);
    atomic_store(&cell->plays, in->plays);
    atomic_store(&cell->rewards, in->rewards);
    atomic_store(&cell->sum_high, (uint64_t)high);
    atomic_store(&cell->sum_low, (uint64_t)((in->reward_sum - high) * 0x1p32));
    atomic_store(&cell->weight, in->weight);
    atomic_store(&cell->value, in->value);
    atomic_store(&cell->then_ms, in->then_ms);
    pthread_mutex_unlock(&b->lock);
    return true;
}

double bandit_cell_mean(const struct bandit_cell *cell) {
    return cell->rewards ? cell->reward_sum / (double)cell->rewards : NAN;
}
