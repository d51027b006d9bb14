/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include "quern/base/arena.h"
#include "quern/base/str.h"

static const struct state_row run_states[] = {
    [RUN_QUEUED] = {"queued", false, "Accepted; no step has begun."},
    [RUN_RUNNING] = {"running", false, "Steps are under way."},
    [RUN_SUCCEEDED] = {"succeeded", true,
                       "Every step succeeded, came from the cache or was skipped."},
    [RUN_FAILED] = {"failed", true, "A step failed or was lost; all that could run has ended."},
    [RUN_CANCELLED] = {"cancelled", true, "Cancelled; every step has ended."},
};
static const struct move_row run_moves[] = {
    {"queued", "running", "first step"},     {"queued", "succeeded", "nothing to do"},
    {"queued", "failed", "no step can run"}, {"queued", "cancelled", "cancel"},
    {"running", "succeeded", "last step"},   {"running", "failed", "last step"},
    {"running", "cancelled", "cancel"},      {"failed", "queued", "retry"},
    {"cancelled", "queued", "retry"},
};
static const struct state_row step_states[] = {
    [STEP_PENDING] = {"pending", false, "Waits for the steps it needs."},
    [STEP_QUEUED] = {"queued", false, "Could run; waits for a slot or for the time of a retry."},
    [STEP_LAUNCHING] = {"launching", false, "The attempt is on record; its process is being made."},
    [STEP_RUNNING] = {"running", false, "The attempt's process is under a keeper."},
    [STEP_SUCCEEDED] = {"succeeded", true, "Ended well, outputs kept."},
    [STEP_CACHED] = {"cached", true, "An earlier attempt with equal inputs stands in."},
    [STEP_SKIPPED] = {"skipped", true, "Its condition was false, or a step before was skipped."},
    [STEP_FAILED] = {"failed", true, "Ended badly; no attempt is left."},
    [STEP_UPSTREAM_FAILED] = {"upstream_failed", true, "A step it needs did not succeed."},
    [STEP_CANCELLED] = {"cancelled", true, "Cancelled before or while it ran."},
    [STEP_LOST] = {"lost", true, "Its keeper vanished more often than is forgiven."},
};
static const struct move_row step_moves[] = {
    {"pending", "queued", "needs are met"},
    {"pending", "skipped", "condition false or skipped before"},
    {"pending", "failed", "condition cannot be told"},
    {"pending", "upstream_failed", "a need did not succeed"},
    {"pending", "cancelled", "cancel"},
    {"queued", "launching", "slot"},
    {"queued", "cached", "cache hit"},
    {"queued", "failed", "inputs cannot be made"},
    {"queued", "cancelled", "cancel"},
    {"launching", "running", "process started"},
    {"launching", "queued", "never started, retry, or lost"},
    {"launching", "succeeded", "ended"},
    {"launching", "failed", "could not start"},
    {"launching", "cancelled", "cancel"},
    {"launching", "lost", "keeper gone"},
    {"running", "succeeded", "ended"},
    {"running", "failed", "ended"},
    {"running", "queued", "retry, or lost"},
    {"running", "cancelled", "cancel"},
    {"running", "lost", "keeper gone"},
    {"failed", "pending", "retry of the run"},
    {"upstream_failed", "pending", "retry of the run"},
    {"cancelled", "pending", "retry of the run"},
    {"lost", "pending", "retry of the run"},
};

const struct lifecycle run_lifecycle = {"run", run_states, ARRAY_LEN(run_states), run_moves,
                                        ARRAY_LEN(run_moves)};
const struct lifecycle step_lifecycle = {"step", step_states, ARRAY_LEN(step_states), step_moves,
                                         ARRAY_LEN(step_moves)};

const char *run_state_name(enum run_state s) {
    return run_states[s].name;
}

const char *step_state_name(enum step_state s) {
    return step_states[s].name;
}

enum run_state run_state_of(const char *name) {
    size_t i = 0;
    while (i < RUN_STATES && !str_eq(run_states[i].name, name)) {
        i++;
    }
    return (enum run_state)i;
}

enum step_state step_state_of(const char *name) {
    size_t i = 0;
    while (i < STEP_STATES && !str_eq(step_states[i].name, name)) {
        i++;
    }
    return (enum step_state)i;
}

bool step_state_terminal(enum step_state s) {
    return s < STEP_STATES && step_states[s].terminal;
}

bool step_state_good(enum step_state s) {
    return s == STEP_SUCCEEDED || s == STEP_CACHED;
}
