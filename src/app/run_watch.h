/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_APP_RUN_WATCH_H
#define QUERN_APP_RUN_WATCH_H
/* Run watch: a pipeline run seen from a shell while it goes on. States go to standard error, output
 * to standard output. */
#include <stdbool.h>
#include <stdint.h>

struct invocation;
struct json_t;

struct watch_options {
    bool states;        /* tell each step's moves */
    bool output;        /* print each step's lines, with its name in front when there are several */
    const char *step;   /* only this step's, or NULL */
    int64_t timeout_ms; /* 0: none */
};

#define RUNS_PATH "/api/v1/pipeline-runs"

const char *run_path(struct invocation *inv, const char *run_id);
bool run_state_final(const char *state);
/* Until the run ends. The exit code of the outcome: EXIT_OK, EXIT_GATE, EXIT_ERROR, EXIT_TIMEOUT,
 * EXIT_INTERRUPTED. *last: the run as last seen, in the arena. */
int run_watch(struct invocation *inv, const char *run_id, const struct watch_options *o,
              const struct json_t **last);
int run_outcome(const struct json_t *run); /* of an ended run */
/* Prints what there is of an attempt's output from *offset on; attempt 0: the last one.
 * prefix NULL: none. */
int run_output(struct invocation *inv, const char *run_id, const char *step, const char *prefix,
               int64_t attempt, int64_t *offset);

#endif
