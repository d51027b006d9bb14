/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_TRACE_WIRE_H
#define QUERN_TRACE_TRACE_WIRE_H
/* Trace wire: a trace's description as it travels, in the forms of both lines. */
#include "quern/core/shape.h"

struct trace_experiment {
    const char *experiment_id;
};
struct trace_location {
    const char *type;
    struct trace_experiment *mlflow_experiment;
};
struct trace_info {
    int64_t row, experiment; /* of the database */
    int64_t timestamp_ms;
    struct opt_i64 execution_ms;
    int64_t spans;
    const char *trace_id, *client_request_id;
    struct trace_location *trace_location;
    const char *request_time, *execution_duration, *state;
    struct pairs trace_metadata, tags;
    const char *request_preview, *response_preview;
    struct json_t *assessments; /* an array */
};
struct trace {
    struct trace_info *trace_info;
    struct json_t *spans; /* an array */
};
/* The older form. */
struct trace_info_v2 {
    const char *request_id, *experiment_id;
    struct opt_i64 timestamp_ms, execution_time_ms;
    const char *status;
    struct list request_metadata, tags; /* struct pair */
};

extern const char *const trace_state_names[]; /* in the order of their wire numbers */
extern const char *const trace_status_names[];
extern const struct shape wire_trace_pair; /* struct pair */
extern const struct shape wire_trace_info; /* struct trace_info */
extern const struct shape wire_trace;      /* struct trace */
extern const struct shape wire_trace_info_v2;

struct ctx;
/* Fills the texts of times and the location from the numbers. */
void trace_info_dress(struct ctx *c, struct trace_info *t);
void trace_info_to_v2(struct ctx *c, const struct trace_info *t, struct trace_info_v2 *out);

#endif
