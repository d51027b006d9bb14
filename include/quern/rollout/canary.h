/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ROLLOUT_CANARY_H
#define QUERN_ROLLOUT_CANARY_H
/* Canary: an arm's share grows step by step while its figures hold. canary_next decides what
 * happens next from what was counted; it is a pure function. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/rollout/arm_stats.h"

enum canary_metric { CANARY_ERROR_RATE, CANARY_NAN_RATE, CANARY_LATENCY_MS, CANARY_MONITOR };

struct canary_when {
    enum canary_metric metric;
    const char *monitor; /* name, for CANARY_MONITOR */
    double quantile;     /* for CANARY_LATENCY_MS, 0 to 1 */
    bool above_set, below_set, worse_set;
    double above, below;
    /* Rates: canary - baseline above this. Latency: canary above baseline * (1 + this). */
    double worse;
};

struct canary_step {
    double percent;    /* of all requests that are not decided otherwise */
    int64_t ms;        /* at least that long */
    uint64_t requests; /* and at least that many answered by the arm */
};

struct canary {
    unsigned arm, baseline;
    const struct canary_step *steps;
    size_t nsteps;
    uint64_t min_requests; /* of an arm before its figures are judged */
    const struct canary_when *abort_when, *hold_when;
    size_t naborts, nholds;
    bool promote_at_end;
};

struct canary_state {
    size_t step;      /* that runs */
    int64_t since_ms; /* when it began, wall time */
};

/* What was counted since the step began. */
struct canary_figures {
    const struct arm_sample *arm, *baseline;
    /* A monitor's value; false when it has none now. NULL: no monitor has. */
    bool (*monitor)(void *arg, const char *name, double *value);
    void *monitor_arg;
};

enum canary_action {
    CANARY_HOLD,     /* the step goes on */
    CANARY_ADVANCE,  /* the next step begins */
    CANARY_PROMOTE,  /* the arm takes all */
    CANARY_ROLLBACK, /* the arm gets nothing */
};

struct canary_decision {
    enum canary_action action;
    bool ended;       /* with CANARY_HOLD: all steps are done, and a call is waited for */
    char reason[256]; /* a sentence */
};

/* In this order: an abort rule that holds rolls back; a hold rule that holds, holds; a rule that
 * cannot be judged yet (too few requests, no value) holds; time and requests that are lacking hold;
 * else the next step, or the end. Relative rules are passed over when the step leaves the
 * baseline nothing (100 percent). An abort rule is judged as soon as the arm has min_requests, not
 * at the step's end. A clock that went back only makes the step longer. */
void canary_next(const struct canary *y, const struct canary_state *state,
                 const struct canary_figures *f, int64_t now_ms, struct canary_decision *out);

#endif
