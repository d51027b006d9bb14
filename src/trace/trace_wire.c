/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_wire.h"

#include <inttypes.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/trace/timestamp.h"

const char *const trace_state_names[] = {"STATE_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS", NULL};
const char *const trace_status_names[] = {"TRACE_STATUS_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS",
                                          NULL};

/* What answers of the older form are cut to. */
#define V2_KEY 250
#define V2_METADATA 250
#define V2_TAG 4096

SHAPE(wire_trace_pair, "TraceTag", struct pair, FIELD(struct pair, key, T_STR, F_ALWAYS, "Name."),
      FIELD(struct pair, value, T_STR, F_ALWAYS, "Text."));

SHAPE_LOCAL(wire_trace_experiment, "TraceExperiment", struct trace_experiment,
            FIELD(struct trace_experiment, experiment_id, T_STR, 0, "Experiment that holds it."));
SHAPE_LOCAL(wire_trace_location, "TraceLocation", struct trace_location,
            FIELD(struct trace_location, type, T_STR, 0, "MLFLOW_EXPERIMENT."),
            FIELD_SUB(struct trace_location, mlflow_experiment, T_OBJ, 0, &wire_trace_experiment,
                      "Which."));

SHAPE(wire_trace_info, "TraceInfoV3", struct trace_info,
      FIELD(struct trace_info, trace_id, T_STR, 0, "Id, tr- and 32 hex digits."),
      FIELD(struct trace_info, client_request_id, T_STR, 0, "Id that the caller gave it."),
      FIELD_SUB(struct trace_info, trace_location, T_OBJ, 0, &wire_trace_location,
                "Where it belongs."),
      FIELD(struct trace_info, request_time, T_STR, 0, "Start, RFC 3339."),
      FIELD(struct trace_info, execution_duration, T_STR, 0, "Seconds with an s: 0.632s."),
      FIELD_ENUM(struct trace_info, state, 0, trace_state_names, "How it went."),
      FIELD(struct trace_info, trace_metadata, T_MAP, 0, "What does not change afterwards."),
      FIELD(struct trace_info, tags, T_MAP, 0, "What may change."),
      FIELD(struct trace_info, request_preview, T_STR, 0, "Beginning of the input."),
      FIELD(struct trace_info, response_preview, T_STR, 0, "Beginning of the output."),
      FIELD(struct trace_info, assessments, T_JSON, 0, "Judgements on it."));

SHAPE(wire_trace, "Trace", struct trace,
      FIELD_SUB(struct trace, trace_info, T_OBJ, 0, &wire_trace_info, "What it is."),
      FIELD(struct trace, spans, T_JSON, 0, "OpenTelemetry spans."));

SHAPE(wire_trace_info_v2, "TraceInfo", struct trace_info_v2,
      FIELD(struct trace_info_v2, request_id, T_STR, 0, "Id."),
      FIELD(struct trace_info_v2, experiment_id, T_STR, 0, "Experiment that holds it."),
      FIELD(struct trace_info_v2, timestamp_ms, T_I64, 0, "Start in milliseconds."),
      FIELD(struct trace_info_v2, execution_time_ms, T_I64, 0, "Milliseconds."),
      FIELD(struct trace_info_v2, status, T_STR, 0, "How it went."),
      FIELD_SUB(struct trace_info_v2, request_metadata, T_LIST, 0, &wire_trace_pair,
                "What does not change afterwards."),
      FIELD_SUB(struct trace_info_v2, tags, T_LIST, 0, &wire_trace_pair, "What may change."));

void trace_info_dress(struct ctx *c, struct trace_info *t) {
    char text[32];
    t->trace_location = ARENA_NEW(c->arena, struct trace_location);
    t->trace_location->type = "MLFLOW_EXPERIMENT";
    t->trace_location->mlflow_experiment = ARENA_NEW(c->arena, struct trace_experiment);
    t->trace_location->mlflow_experiment->experiment_id =
        arena_printf(c->arena, "%" PRId64, t->experiment);
    timestamp_format(t->timestamp_ms, text);
    t->request_time = arena_strdup(c->arena, text);
    if (t->execution_ms.set) {
        duration_format(t->execution_ms.v, text);
        t->execution_duration = arena_strdup(c->arena, text);
    }
}

static struct list cut(struct ctx *c, const struct pairs *from, size_t values) {
    struct pair *to = ARENA_ARRAY(c->arena, struct pair, from->n ? from->n : 1);
    for (size_t i = 0; i < from->n; i++) {
        const struct pair *p = &from->items[i];
        to[i].key = arena_strndup(c->arena, p->key, utf8_prefix(p->key, V2_KEY));
        to[i].value = arena_strndup(c->arena, p->value, utf8_prefix(p->value, values));
    }
    return (struct list){.items = to, .n = from->n};
}

void trace_info_to_v2(struct ctx *c, const struct trace_info *t, struct trace_info_v2 *out) {
    *out = (struct trace_info_v2){
        .request_id = t->trace_id,
        .experiment_id = arena_printf(c->arena, "%" PRId64, t->experiment),
        .timestamp_ms = SET_I64(t->timestamp_ms),
        .execution_time_ms = SET_I64(t->execution_ms.set ? t->execution_ms.v : 0),
        .status = str_eq(t->state, "STATE_UNSPECIFIED") ? "TRACE_STATUS_UNSPECIFIED" : t->state,
        .request_metadata = cut(c, &t->trace_metadata, V2_METADATA),
        .tags = cut(c, &t->tags, V2_TAG)};
}
