/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ROLLOUT_POLICY_FORM_H
#define QUERN_ROLLOUT_POLICY_FORM_H
/* Policy form: the compiled policy, as the files that make it and choose by it see it. */
#include <stdatomic.h>

#include "quern/rollout/bandit.h"
#include "quern/rollout/canary.h"
#include "quern/rollout/policy.h"

struct arena;

struct source {
    enum attribute_from from;
    const char *name;
};

/* A key's hash: of what, under which salt. */
struct salted {
    struct source source;
    const char *salt;
    size_t nsalt;
};

enum rule_test { RULE_ANY, RULE_PRESENT, RULE_ABSENT, RULE_IN, RULE_PREFIX };

struct rule {
    struct source source; /* FROM_NONE with RULE_ANY */
    enum rule_test test;
    const char *const *texts; /* sorted, for RULE_IN; one for RULE_PREFIX */
    size_t ntexts;
    size_t nprefix;
    double share;      /* 0 to 1 */
    struct salted key; /* FROM_NONE: the share is by chance */
    unsigned arm;
};

struct shadow {
    unsigned arm;
    double share;
};

struct window {
    bool daily;
    int64_t from_ms, until_ms; /* absolute, or since midnight */
    int64_t offset_ms;
    unsigned days; /* bit 0: Monday */
    int arm;       /* -1: weights */
    double weights[POLICY_ARMS_MAX];
};

struct policy {
    _Atomic unsigned refs;
    struct arena *arena;
    struct live *live;
    size_t n;
    const char *names[POLICY_ARMS_MAX];
    double weights[POLICY_ARMS_MAX];
    uint64_t seeds[POLICY_ARMS_MAX]; /* hash of each arm's name */
    struct arm_stats *stats[POLICY_ARMS_MAX];
    bool only, force, by_key;
    struct salted key;
    int missing; /* arm, -1: by chance */
    struct rule *rules;
    size_t nrules;
    double holdout; /* share, 0: none */
    struct salted holdout_key;
    int holdout_arm; /* -1: outputs */
    const char *holdout_outputs;
    struct shadow *shadows;
    size_t nshadows;
    struct bandit *bandit;
    unsigned bandit_arms[POLICY_ARMS_MAX];
    size_t nbandit;
    struct source bandit_context;
    struct salted bandit_key;
    int64_t window_ms;
    struct canary *canary;
    uint64_t canary_definition;
    struct window *windows;
    size_t nwindows;
};

/* ---- compiling, each its member; `at` of errors is a JSON pointer ---- */

struct making {
    struct ctx *c;
    struct policy *p;
    const char *endpoint;
};
int make_source(const struct making *m, const char *at, const char *header, const char *parameter,
                const char *field, struct source *out);
int make_key(const struct making *m, const char *at, const struct key_spec *key, const char *salt,
             const char *suffix, struct salted *out);
int make_share(const struct making *m, const char *at, struct opt_f64 percent, double absent,
               double *out);
int make_arm(const struct making *m, const char *at, const char *name, unsigned *out);
int make_rules(const struct making *m, const struct list *rules);
int make_bandit(const struct making *m, const struct bandit_spec *spec);
int make_canary(const struct making *m, const struct canary_spec *spec,
                const struct policy_arm *arms);
int make_schedule(const struct making *m, const struct list *windows);

/* Whether the window holds at a time. */
bool window_holds(const struct window *w, int64_t now_ms);

#endif
