/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_PLAN_H
#define QUERN_PIPELINE_PLAN_H
/* Plan: what to do next in one run. A pure function of the definition, the states of the step
 * instances, the limits and the time; it reads no clock, no database and no file.
 *
 * Moves that follow from one another (pending to queued to start, a cascade of upstream_failed)
 * come out of one call, in an order in which they can be carried out. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state.h"

struct ctx;
struct definition;

struct instance {
    size_t step; /* in the definition; instances are ordered by it */
    enum step_state state;
    int64_t not_before_ms; /* 0: at once */
};

struct plan_in {
    const struct definition *d;
    const struct instance *instances;
    size_t n;
    enum run_state state;
    bool cancel;
    int64_t slots;    /* free over all runs */
    int64_t capacity; /* slots in all; a step that asks for more gets these */
    int64_t now_ms;
    /* 1 true, 0 false, -1 cannot be told. Asked once per step, when its needs are met. */
    int (*when)(void *arg, size_t step);
    void *arg;
};

enum plan_verb {
    PLAN_QUEUE,            /* pending to queued */
    PLAN_SKIP,             /* pending to skipped */
    PLAN_UPSTREAM_FAILED,  /* pending to upstream_failed */
    PLAN_CONDITION_FAILED, /* pending to failed: `when` cannot be told */
    PLAN_CANCEL,           /* pending or queued to cancelled */
    PLAN_STOP,             /* launching or running: end its process */
    PLAN_START,            /* queued: look in the cache, then launch */
    PLAN_RUNNING,          /* the run, queued to running */
    PLAN_FINISH,           /* the run, to `state` */
};

struct plan_action {
    enum plan_verb verb;
    size_t instance;
    size_t because;       /* the step that was skipped or did not succeed; NO_STEP */
    enum run_state state; /* PLAN_FINISH */
};

struct plan_out {
    struct plan_action *actions;
    size_t n;
    int64_t wake_ms; /* wall time of the next retry; 0: nothing waits for time */
};

void plan(struct ctx *c, const struct plan_in *in, struct plan_out *out);
/* Delay before attempt number 2, 3, ...; random is 0..1. */
struct retry;
int64_t retry_delay_ms(const struct retry *r, int64_t failures, double random);

#endif
