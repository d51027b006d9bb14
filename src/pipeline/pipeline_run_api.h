/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_PIPELINE_RUN_API_H
#define QUERN_PIPELINE_PIPELINE_RUN_API_H
/* Shapes and handlers shared by the doors of this room; the rows stand in pipeline_api.c. */
#include "quern/http/route.h"
#include "run_create.h"

/* What is sent to these doors has no members beside the declared ones: a mistyped one is told. */
#define SHAPE_STRICT(ident, wire, S, ...)                                                          \
    static const struct field ident##_fields[] = {__VA_ARGS__};                                    \
    const struct shape ident = {.name = (wire),                                                    \
                                .size = sizeof(S),                                                 \
                                .fields = ident##_fields,                                          \
                                .n = sizeof(ident##_fields) / sizeof(ident##_fields[0]),           \
                                .strict = true}

struct git_in {
    const char *commit, *branch, *remote;
    struct opt_bool dirty;
};
struct run_create_in {
    const char *name; /* path, stored pipelines only */
    const char *definition;
    struct json_t *params, *files;
    struct git_in *git;
    struct opt_bool use_cache;
    struct opt_i64 version;
};
struct run_id_in {
    const char *id;
};

extern const struct shape shape_run_create, shape_run_of_stored, shape_run_id, shape_run_list_in,
    shape_run_list, shape_run, shape_step_log, shape_step_logs, shape_run_events;

int runs_create(struct ctx *c, const void *in, void *out);
int runs_list(struct ctx *c, const void *in, void *out);
int runs_get(struct ctx *c, const void *in, void *out);
int runs_cancel(struct ctx *c, const void *in, void *out);
int runs_retry(struct ctx *c, const void *in, void *out);
int steps_log(struct ctx *c, const void *in, void *out);
int steps_logs(struct ctx *c, const void *in, void *out);
int runs_events(struct ctx *c, const void *in, void *out);

/* Creates the run and answers it with 201; worker. */
int run_submit(struct ctx *c, struct run_request *r, const struct run_create_in *in, void *out);
/* Fails for a step's own token: a step does not start, end or change pipelines. */
int people_only(struct ctx *c);

#endif
