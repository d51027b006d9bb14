/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/rollout/bandit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bandit_state.h"
#include "draw.h"
#include "hash.h"

/* What a pick knows of one arm: rewards and their sum, as of now. */
struct known {
    double n, sum;
    uint64_t plays;
};

static struct known known_of(const struct bandit *b, const struct cell *cell, int64_t now_ms) {
    struct known k = {.n = atomic_load_explicit(&cell->weight, memory_order_relaxed),
                      .sum = atomic_load_explicit(&cell->value, memory_order_relaxed),
                      .plays = atomic_load_explicit(&cell->plays, memory_order_relaxed)};
    if (b->config.half_life_ms > 0 && k.n > 0) {
        int64_t then = atomic_load_explicit(&cell->then_ms, memory_order_relaxed);
        double f = bandit_fade(&b->config, now_ms - then);
        k.n *= f;
        k.sum *= f;
    }
    /* The two are written one after the other; a reader between them must not see more successes
     * than tries. */
    if (k.sum > k.n)
        k.sum = k.n;
    return k;
}

static double mean(const struct known *k) {
    return k->n > 0 ? k->sum / k->n : 0;
}

/* The best by `score`; among equals by chance, so that no arm is favoured for its place. */
struct best {
    unsigned arm, ties;
    double score;
};

static void better(struct best *best, unsigned arm, double score, uint64_t *chance) {
    if (!best->ties || score > best->score) {
        *best = (struct best){.arm = arm, .ties = 1, .score = score};
    } else if (!(score < best->score)) {
        best->ties++;
        if (chance_next(chance) % best->ties == 0)
            best->arm = arm;
    }
}

static unsigned nth(uint32_t usable, unsigned i) {
    while (i--)
        usable &= usable - 1;
    return (unsigned)__builtin_ctz(usable);
}

static struct bandit_pick epsilon_greedy(const struct bandit *b, const struct cell *cells,
                                         uint32_t usable, uint64_t *chance, int64_t now_ms) {
    struct best best = {0};
    for (uint32_t m = usable; m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctz(m);
        struct known k = known_of(b, &cells[i], now_ms);
        better(&best, i, mean(&k), chance);
    }
    struct bandit_pick pick = {.arm = best.arm};
    uint32_t others = usable & ~(1u << best.arm);
    if (others && hash_unit(chance_next(chance)) < b->config.epsilon) {
        unsigned n = (unsigned)__builtin_popcount(others);
        pick.arm = nth(others, (unsigned)(chance_next(chance) % n));
        pick.explore = true;
    }
    return pick;
}

/* UCB1: mean + c * sqrt(2 ln t / n). While an arm has no rewards, its plays stand for n and its
 * mean is taken for 1: each arm is tried first, and while feedback is still on its way the arms
 * take turns instead of one taking all. */
static struct bandit_pick ucb1(const struct bandit *b, const struct cell *cells, uint32_t usable,
                               uint64_t *chance, int64_t now_ms) {
    struct known known[BANDIT_ARMS_MAX];
    double total = 0;
    for (uint32_t m = usable; m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctz(m);
        known[i] = known_of(b, &cells[i], now_ms);
        total += known[i].n > 0 ? known[i].n : (double)known[i].plays;
    }
    double l = total > 1 ? 2 * log(total) : 0;
    struct best best = {0};
    for (uint32_t m = usable; m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctz(m);
        const struct known *k = &known[i];
        double n = k->n > 0 ? k->n : (double)k->plays;
        double score =
            n > 0 ? (k->n > 0 ? mean(k) : 1) + b->config.exploration * sqrt(l / n) : HUGE_VAL;
        better(&best, i, score, chance);
    }
    return (struct bandit_pick){.arm = best.arm, .explore = best.score == HUGE_VAL};
}

static struct bandit_pick thompson(const struct bandit *b, const struct cell *cells,
                                   uint32_t usable, uint64_t *chance, int64_t now_ms) {
    struct best best = {0};
    for (uint32_t m = usable; m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctz(m);
        struct known k = known_of(b, &cells[i], now_ms);
        double draw =
            draw_beta(chance, b->config.prior_alpha + k.sum, b->config.prior_beta + k.n - k.sum);
        better(&best, i, draw, chance);
    }
    return (struct bandit_pick){.arm = best.arm};
}

struct bandit_pick bandit_pick(const struct bandit *b, unsigned context, uint32_t usable,
                               uint64_t random, int64_t now_ms) {
    uint32_t all = b->config.arms < 32 ? (1u << b->config.arms) - 1 : UINT32_MAX;
    usable &= all;
    if (!usable)
        usable = all;
    uint64_t chance = random;
    unsigned n = (unsigned)__builtin_popcount(usable);
    if (n == 1)
        return (struct bandit_pick){.arm = nth(usable, 0)};
    /* With probability n * floor an arm is drawn evenly: each gets at least its floor. */
    if (b->config.floor > 0 && hash_unit(chance_next(&chance)) < b->config.floor * n)
        return (struct bandit_pick){.arm = nth(usable, (unsigned)(chance_next(&chance) % n)),
                                    .explore = true};
    const struct cell *cells = bandit_cells(b, context);
    switch (b->config.kind) {
    case BANDIT_EPSILON_GREEDY:
        return epsilon_greedy(b, cells, usable, &chance, now_ms);
    case BANDIT_UCB1:
        return ucb1(b, cells, usable, &chance, now_ms);
    default:
        return thompson(b, cells, usable, &chance, now_ms);
    }
}
