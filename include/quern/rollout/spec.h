/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ROLLOUT_SPEC_H
#define QUERN_ROLLOUT_SPEC_H
/* Spec: what an endpoint's document says about which arm answers, as it is decoded. policy_make
 * checks it as a whole; docs/rollout.md tells what each member means. */
#include "quern/core/shape.h"

/* Where a text is read from; exactly one of the three is given. */
struct key_spec {
    const char *header, *parameter, *field;
};

struct split_spec {
    const char *by; /* "random" (default) or "key" */
    struct key_spec *key;
    const char *salt;    /* NULL: the endpoint's name */
    const char *missing; /* arm for requests without the key; NULL: by chance */
};

/* Source (header, parameter or field) with one test; percent of what matches; or percent alone. */
struct rule_spec {
    const char *header, *parameter, *field;
    const char *equals, *prefix;
    struct strs in;
    struct opt_bool present;
    struct opt_f64 percent; /* 100 */
    const char *arm;
};

struct holdout_spec {
    struct opt_f64 percent;
    struct key_spec *key;   /* NULL: the split's, else by chance */
    const char *salt;       /* NULL: the endpoint's name and "/holdout" */
    const char *arm;        /* this arm answers, or */
    struct json_t *outputs; /* this constant: a list of OIP output objects */
};

struct shadow_spec {
    const char *arm;
    struct opt_f64 percent; /* 100 */
};

struct bandit_spec {
    const char *algorithm; /* "epsilon_greedy" "ucb1" "thompson" */
    struct strs arms;      /* none: those with a weight above 0 */
    struct opt_f64 epsilon, exploration, prior_alpha, prior_beta, floor;
    struct opt_i64 half_life_s; /* of what is known; absent: never forgotten */
    struct opt_i64 window_s;    /* rewards later than that after the prediction do not count */
    struct key_spec *context, *key;
};

struct canary_step_spec {
    struct opt_f64 percent;
    struct opt_i64 seconds, requests;
};
struct canary_when_spec {
    const char *metric; /* "error_rate" "nan_rate" "latency_ms" "monitor" */
    const char *monitor;
    struct opt_f64 quantile, above, below, worse_than_baseline_by;
};
struct canary_spec {
    const char *arm, *baseline;
    struct list steps;                 /* canary_step_spec */
    struct opt_i64 min_requests;       /* 100 */
    struct list abort_when, hold_when; /* canary_when_spec */
    const char *on_end;                /* "promote" (default) or "hold" */
};

struct window_spec {
    const char *from, *until; /* RFC 3339, or both "HH:MM" */
    struct strs days;         /* "mon" … "sun", with daily windows; none: every day */
    const char *offset;       /* of daily windows from UTC, "+02:00"; NULL: UTC */
    const char *arm;          /* this arm answers, or */
    struct fpairs weights;    /* these weights hold; arms left out get 0 */
};

struct rollout_spec {
    struct opt_bool force; /* a caller may name the arm (X-Quern-Arm …); true when absent */
    struct split_spec *split;
    struct list rules; /* rule_spec */
    struct holdout_spec *holdout;
    struct list shadows; /* shadow_spec */
    struct bandit_spec *bandit;
    struct canary_spec *canary;
    struct list schedule; /* window_spec */
};

extern const struct shape shape_key_source, shape_split, shape_rule, shape_holdout, shape_shadow,
    shape_bandit, shape_canary, shape_window;
extern const struct shape shape_rollout; /* of a struct rollout_spec, for tests */

#define ROLLOUT_ROW(S, m, f, t, s, lo, hi, d)                                                      \
    {                                                                                              \
        .name = #f, .type = (t), .offset = offsetof(S, m.f), .sub = (s), .min = (lo), .max = (hi), \
        .doc = (d)                                                                                 \
    }
/* Rows for a shape of S, which has a `struct rollout_spec` called m. */
#define ROLLOUT_FIELDS(S, m)                                                                       \
    ROLLOUT_ROW(S, m, force, T_BOOL, NULL, 0, 0,                                                   \
                "Whether a request may name the arm that answers it; true when absent"),           \
        ROLLOUT_ROW(S, m, split, T_OBJ, &shape_split, 0, 0,                                        \
                    "How requests are spread over the arms by their weights"),                     \
        ROLLOUT_ROW(S, m, rules, T_LIST, &shape_rule, 0, 64,                                       \
                    "Requests that go to a certain arm; the first that fits wins"),                \
        ROLLOUT_ROW(S, m, holdout, T_OBJ, &shape_holdout, 0, 0,                                    \
                    "A share of keys kept out, answered by one arm or a constant"),                \
        ROLLOUT_ROW(S, m, shadows, T_LIST, &shape_shadow, 0, 8,                                    \
                    "Arms that get copies of requests, whose answers are only kept"),              \
        ROLLOUT_ROW(S, m, bandit, T_OBJ, &shape_bandit, 0, 0,                                      \
                    "Arms chosen by the rewards that feedback brings"),                            \
        ROLLOUT_ROW(S, m, canary, T_OBJ, &shape_canary, 0, 0,                                      \
                    "One arm's share grows by steps while its figures hold"),                      \
        ROLLOUT_ROW(S, m, schedule, T_LIST, &shape_window, 0, 64,                                  \
                    "Windows of time with an arm or weights of their own; the first that fits "    \
                    "wins")

#endif
