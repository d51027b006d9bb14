/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ROLLOUT_POLICY_H
#define QUERN_ROLLOUT_POLICY_H
/* Policy: an endpoint's rollout, compiled: which arm answers a request, and why. Immutable; any
 * number of threads choose from it at once, without a lock and without memory of their own.
 * Counted references.
 *
 * In this order: the arm the caller names (if `force` allows), rules, holdout, schedule, then
 * canary or bandit or the split by weights. An arm that cannot answer is passed over. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/rollout/spec.h"

struct arm_stats;
struct bandit;
struct canary;
struct ctx;
struct live;
struct policy;

#define POLICY_ARMS_MAX 32
#define POLICY_SHADOWS_MAX 8

struct policy_arm {
    const char *name;   /* unique, letters, digits, '-', '_', '.' */
    double weight;      /* 0 and above; a share of the sum */
    const char *target; /* another target of a canary's arm is another canary; may be NULL */
};

/* Checks and compiles. `live` is gone on with (a reference is taken); NULL: a fresh one, as for a
 * trial. Errors are ERR_INVALID and name the member by JSON pointer, "/canary/steps/0/percent".
 * A bandit is taken over from `live` when its arms and settings are the same; otherwise what is
 * known of arms of the same name is carried over. */
int policy_make(struct ctx *c, const char *endpoint, const struct rollout_spec *spec,
                const struct policy_arm *arms, size_t n, struct live *live, struct policy **out);
struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy *p); /* NULL is allowed */

size_t policy_arms(const struct policy *p);
const char *policy_arm_name(const struct policy *p, unsigned arm);
int policy_arm_index(const struct policy *p, const char *name); /* -1: none */
struct arm_stats *policy_stats(const struct policy *p, unsigned arm);
struct live *policy_live(const struct policy *p);               /* borrowed */
const struct canary *policy_canary(const struct policy *p);     /* NULL: none */
uint64_t policy_canary_definition(const struct policy *p);      /* of its spec and target */
struct bandit *policy_bandit(const struct policy *p);           /* borrowed; NULL: none */
unsigned policy_bandit_arm(const struct policy *p, unsigned i); /* arm of the bandit's i-th */
int64_t policy_reward_window_ms(const struct policy *p);        /* 0: none */
/* JSON text of the holdout's outputs; NULL: none. */
const char *policy_holdout_outputs(const struct policy *p);
/* True when every request goes to arm 0 and is mirrored nowhere: nothing needs to be chosen. */
bool policy_only(const struct policy *p);

enum attribute_from { FROM_NONE, FROM_HEADER, FROM_PARAMETER, FROM_FIELD };

struct policy_request {
    /* Text of a header (name in lower case), request parameter or input's field; NULL: none. Asked
     * only for what the policy names. */
    const char *(*attribute)(void *arg, enum attribute_from from, const char *name);
    void *arg;
    const char *forced; /* arm that the caller names; NULL */
    uint64_t random;
    int64_t now_ms;  /* wall time */
    uint32_t usable; /* bit per arm that can answer */
    bool trial;      /* leaves no trace: no new bandit context */
};

enum choice_reason {
    REASON_ONLY,    /* there is one arm */
    REASON_WEIGHT,  /* by chance */
    REASON_KEY,     /* by the key's hash */
    REASON_MISSING, /* the request has no key */
    REASON_FORCED,  /* the caller named it */
    REASON_RULE,
    REASON_HOLDOUT,
    REASON_SCHEDULE, /* a window's arm or weights */
    REASON_CANARY,   /* the canary's share */
    REASON_BANDIT,   /* for what is known of the arm */
    REASON_EXPLORE,  /* to learn of the arm */
    REASON_COUNT
};
const char *choice_reason_text(enum choice_reason r); /* "only" "weight" "key" … */

enum choice_result {
    CHOICE_OK = 0,
    CHOICE_NO_ARM,    /* the named arm is unknown */
    CHOICE_NOT_FORCE, /* naming an arm is not allowed here */
    CHOICE_NONE,      /* no arm can answer */
};

struct choice {
    unsigned arm;
    enum choice_reason reason;
    unsigned rule;    /* number of the rule or window that decided, from 0 */
    bool constant;    /* the holdout's outputs are the answer; arm is without meaning */
    bool bandit;      /* the bandit decided: tell policy_played, then the reward */
    unsigned context; /* of the bandit */
    unsigned nshadows;
    unsigned char shadows[POLICY_SHADOWS_MAX]; /* arms other than the one that answers */
};

enum choice_result policy_choose(const struct policy *p, const struct policy_request *q,
                                 struct choice *out);
/* Counts the play of a choice that was made in earnest; nothing unless the bandit decided. */
void policy_played(const struct policy *p, const struct choice *ch);
/* A reward (0 to 1) for an answer of `arm`. False: no bandit, not one of its arms, or NaN. */
bool policy_reward(const struct policy *p, unsigned arm, unsigned context, double reward,
                   int64_t now_ms);

#endif
