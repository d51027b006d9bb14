/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ROLLOUT_BANDIT_H
#define QUERN_ROLLOUT_BANDIT_H
/* Bandit: chooses among arms by the rewards they brought. Rewards are numbers from 0 to 1.
 *
 * Any number of threads choose and play without a lock; rewards take a short one of their own, so
 * that forgetting stays exact. Plays and rewards are counted exactly, per arm and context. Contexts
 * are texts, told apart by what is kept of them; the first 64 get numbers 1 to 64 in the order of
 * their coming, and number 0 is all others ("other"), and requests without one. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bandit_kind { BANDIT_EPSILON_GREEDY, BANDIT_UCB1, BANDIT_THOMPSON };

#define BANDIT_CONTEXTS 64
#define BANDIT_CONTEXT_BYTES 64 /* of a name, NUL included; longer ones are cut */
#define BANDIT_ARMS_MAX 32

struct bandit_config {
    enum bandit_kind kind;
    size_t arms;                    /* 1 to BANDIT_ARMS_MAX */
    bool contexts;                  /* keeps state per context */
    double epsilon;                 /* share of plays on another arm than the best */
    double exploration;             /* factor of UCB1's bound; 1 is the textbook's */
    double prior_alpha, prior_beta; /* Thompson */
    double floor;                   /* least probability of each arm */
    double half_life_ms;            /* of what is known; 0: never forgotten */
};

struct bandit;

/* names are the arms', in the order of their numbers; copied. */
struct bandit *bandit_new(const struct bandit_config *config, const char *const *names);
struct bandit *bandit_ref(struct bandit *b);
void bandit_unref(struct bandit *b); /* NULL is allowed */
const struct bandit_config *bandit_config(const struct bandit *b);
const char *bandit_arm_name(const struct bandit *b, unsigned arm);
int bandit_arm_index(const struct bandit *b, const char *name); /* -1: none */
/* A new one with these settings, that knows what `old` knows of arms with the same names; of all
 * contexts if both have such. */
struct bandit *bandit_heir(struct bandit *old, const struct bandit_config *config,
                           const char *const *names);
/* Whether `b` has just these settings and arms. */
bool bandit_is(const struct bandit *b, const struct bandit_config *config,
               const char *const *names);

/* The number of a context; `add` gives it one if it is new and there is room. */
unsigned bandit_context(struct bandit *b, const char *text, bool add);
const char *bandit_context_name(const struct bandit *b, unsigned context); /* "other" for 0 */
unsigned bandit_contexts(const struct bandit *b); /* one above the highest number in use */
/* Numbers below may be free again after a restart. */
bool bandit_context_used(const struct bandit *b, unsigned context);

struct bandit_pick {
    unsigned arm;
    bool explore; /* by chance, not for what is known of it */
};
/* Among the arms whose bit is set in `usable` (at least one of the bandit's). `random` decides all
 * that is left to chance: the same number and state give the same arm. */
struct bandit_pick bandit_pick(const struct bandit *b, unsigned context, uint32_t usable,
                               uint64_t random, int64_t now_ms);
void bandit_play(struct bandit *b, unsigned context, unsigned arm);
/* reward is brought into 0..1; NaN is ignored (false). */
bool bandit_reward(struct bandit *b, unsigned context, unsigned arm, double reward, int64_t now_ms);

struct bandit_cell {
    uint64_t plays, rewards;
    double reward_sum;    /* of all rewards, exact to 2^-32 each */
    double weight, value; /* rewards and their sum after forgetting, as of then_ms */
    int64_t then_ms;
};
void bandit_read(struct bandit *b, unsigned context, unsigned arm, struct bandit_cell *out);
/* Puts stored state back, before others use it. False: context or arm out of range. name may be
 * NULL for context 0. */
bool bandit_restore(struct bandit *b, unsigned context, const char *name, unsigned arm,
                    const struct bandit_cell *cell);
/* Mean of all rewards; NaN without any. */
double bandit_cell_mean(const struct bandit_cell *cell);

#endif
