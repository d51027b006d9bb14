/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_ATTEMPT_H
#define QUERN_PIPELINE_ATTEMPT_H
/* Attempt: the transactions of one attempt at a step (A launching, B running, C ended). Each is
 * guarded by the attempt's state, so that a replay after a crash changes nothing. */
#include "launch.h"
#include "quern/process/process.h"

/* A: inside a write. Cache hit, or attempt row, tracking run and token. */
int attempt_begin(struct ctx *c, struct launch *l);
/* B: inside a write. */
int attempt_running(struct ctx *c, const char *run_id, const struct step_row *row,
                    int64_t attempt_id, const char *token);

enum outcome {
    OUTCOME_SUCCEEDED,
    OUTCOME_FAILED,
    OUTCOME_CANCELLED,
    OUTCOME_LOST,
    OUTCOME_UNSTARTED
};

struct settlement {
    const struct run_view *view;
    const struct step *step;
    const struct step_row *row;
    const struct attempt_row *attempt;
    enum outcome outcome;
    const char *reason;
    bool final;                          /* no further attempt even if the definition allows one */
    const struct process_status *status; /* NULL for built-in kinds */
    struct collection outputs;
    const struct bound_input *inputs; /* for lineage */
    const char *result;               /* JSON */
    const char *tracking_run_id;      /* select: the chosen one's; else NULL */
    double random;                    /* 0..1, for the jitter of a retry */
    bool settled;                     /* out: the state had not been written before */
    bool again;                       /* out: the step goes on with another attempt */
};
/* C: inside a write. */
int attempt_settle(struct ctx *c, struct settlement *s);
void attempt_count(const struct settlement *s); /* metrics, after the commit */

#define LOSSES_FORGIVEN 3

#endif
