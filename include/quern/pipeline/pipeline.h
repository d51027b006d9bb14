/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_PIPELINE_H
#define QUERN_PIPELINE_PIPELINE_H
/* Pipeline: definitions, runs and steps. Own page: docs/pipelines.md. */
#include <stdint.h>

#include "quern/http/route.h"

struct lanes;
struct dir;
struct buf;
struct json_t;

/* What a step that is no command does ("register", "deploy"). Rooms to the right give their own:
 * the app hands them over before pipeline_start. Runs on a worker, must be idempotent per step
 * attempt. `with` is the step's resolved settings; *outputs (an object that hangs on
 * the arena) may stay NULL. */
struct step_action {
    const char *name;
    const struct shape *with; /* validated when the definition is submitted */
    int (*run)(struct ctx *c, const void *with, const char *run_id, struct json_t **outputs);
};
void pipeline_action(const struct step_action *a);

struct pipeline_options {
    struct lanes *lanes;
    struct dir *data;
    const char *self_exe;
    const char *public_url; /* handed to steps as MLFLOW_TRACKING_URI */
    unsigned parallel;
    int64_t log_cap;
    const char *env_allow;          /* comma-separated names */
    bool (*auth_needed)(void *arg); /* steps get a token anyway; for messages */
    void *auth_arg;
};
/* Starts the scheduler thread, adopts what ran before a restart. -1 and a sentence. */
int pipeline_start(const struct pipeline_options *o, struct buf *error);
void pipeline_stop(void); /* keepers go on */

extern const struct route_list pipeline_routes;

#endif
