/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_STATE_H
#define QUERN_PIPELINE_STATE_H
/* State: the life cycles of a pipeline run and of a step, as rows. */
#include "quern/core/lifecycle.h"

enum run_state { RUN_QUEUED, RUN_RUNNING, RUN_SUCCEEDED, RUN_FAILED, RUN_CANCELLED, RUN_STATES };

enum step_state {
    STEP_PENDING,
    STEP_QUEUED,
    STEP_LAUNCHING,
    STEP_RUNNING,
    STEP_SUCCEEDED,
    STEP_CACHED,
    STEP_SKIPPED,
    STEP_FAILED,
    STEP_UPSTREAM_FAILED,
    STEP_CANCELLED,
    STEP_LOST,
    STEP_STATES
};

extern const struct lifecycle run_lifecycle, step_lifecycle;
const char *run_state_name(enum run_state s);
const char *step_state_name(enum step_state s);
/* RUN_STATES or STEP_STATES when the name is unknown. */
enum run_state run_state_of(const char *name);
enum step_state step_state_of(const char *name);
bool step_state_terminal(enum step_state s);
bool step_state_good(enum step_state s); /* succeeded or cached */

#endif
