/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/arena.h"
#include "quern/trace/trace.h"
#include "trace_api.h"

#define ROW(ident, verb, where, takes, gives, level, on, more, handler, says)                      \
    {                                                                                              \
        .id = "trace." ident, .method = (verb), .path = (where), .in = (takes), .out = (gives),    \
        .perm = (level), .lane = (on), .dialect = DIALECT_MLFLOW, .flags = (more),                 \
        .fn = (handler), .summary = (says)                                                         \
    }
#define READS(ident, verb, path, in, out, fn, says)                                                \
    ROW(ident, verb, "/api/" path, in, out, PERM_READ, LANE_READ,                                  \
        ROUTE_MLFLOW_AJAX | ROUTE_OBJECT, fn, says)
#define WRITES(ident, verb, path, in, out, fn, says)                                               \
    ROW(ident, verb, "/api/" path, in, out, PERM_WRITE, LANE_WRITE,                                \
        ROUTE_MLFLOW_AJAX | ROUTE_OBJECT, fn, says)
#define DELETES(ident, verb, path, in, out, fn, says)                                              \
    ROW(ident, verb, "/api/" path, in, out, PERM_WRITE, LANE_WRITE,                                \
        ROUTE_MLFLOW_AJAX | ROUTE_AUDIT | ROUTE_OBJECT, fn, says)
#define T3 "3.0/mlflow/traces"
#define T2 "2.0/mlflow/traces"

static const struct route rows[] = {
    WRITES("create", "POST", T3, &in_trace_create, &out_trace, api_trace_create,
           "Describes a trace; repeated, it is merged."),
    READS("info", "GET", T3 "/{trace_id}", &in_trace_id, &out_trace, api_trace_info,
          "Gives a trace's description."),
    READS("get", "GET", T3 "/get", &in_trace_get, &out_trace, api_trace_get,
          "Gives a trace with its spans."),
    READS("batch", "GET", T3 "/batchGet", &in_trace_ids, &out_traces, api_trace_batch,
          "Gives several traces with their spans."),
    READS("batch_infos", "POST", T3 "/batchGetInfos", &in_trace_infos, &out_trace_infos,
          api_trace_infos, "Gives the descriptions of several traces."),
    READS("search", "POST", T3 "/search", &in_trace_search, &out_trace_search, api_trace_search,
          "Finds traces by attributes, tags, metadata, assessments and spans."),
    READS("search_v2", "GET", T2, &in_trace_search_v2, &out_trace_search_v2, api_trace_search_v2,
          "Finds traces, in the older form."),
    READS("metrics", "POST", T3 "/metrics", &in_trace_metrics, &out_trace_metrics,
          api_trace_metrics, "Counts and sums traces, spans or assessments in groups."),
    READS("correlation", "POST", T3 "/calculate-filter-correlation", &in_trace_correlation,
          &out_trace_correlation, api_trace_correlation,
          "Tells how far two filters find the same traces."),
    DELETES("delete", "POST", T3 "/delete-traces", &in_trace_delete, &out_trace_delete,
            api_trace_delete, "Deletes traces by id or by age."),
    DELETES("delete_v2", "POST", T2 "/delete-traces", &in_trace_delete, &out_trace_delete,
            api_trace_delete, "Deletes traces by id or by age."),
    WRITES("set_tag", "PATCH", T3 "/{trace_id}/tags", &in_trace_tag, NULL, api_trace_set_tag,
           "Sets a tag of a trace."),
    WRITES("set_tag_v2", "PATCH", T2 "/{trace_id}/tags", &in_trace_tag, NULL, api_trace_set_tag,
           "Sets a tag of a trace."),
    WRITES("delete_tag", "DELETE", T3 "/{trace_id}/tags", &in_trace_tag_key, NULL,
           api_trace_delete_tag, "Removes a tag of a trace."),
    WRITES("delete_tag_v2", "DELETE", T2 "/{trace_id}/tags", &in_trace_tag_key, NULL,
           api_trace_delete_tag, "Removes a tag of a trace."),
    WRITES("link_run", "POST", T2 "/link-to-run", &in_trace_link_run, NULL, api_trace_link_run,
           "Notes that traces belong to a run."),
    WRITES("link_prompts", "POST", T2 "/link-prompts", &in_trace_link_prompts, NULL,
           api_trace_link_prompts, "Notes which prompts a trace used."),
    READS("info_v2_in_v3", "GET", T2 "/{trace_id}", &in_trace_id, &out_trace, api_trace_info,
          "Gives a trace's description to clients of 2.22."),

    WRITES("begin_v2", "POST", T2, &in_trace_begin_v2, &out_trace_v2, api_trace_begin_v2,
           "Begins a trace (clients before 3.0)."),
    WRITES("end_v2", "PATCH", T2 "/{request_id}", &in_trace_end_v2, &out_trace_v2, api_trace_end_v2,
           "Ends a trace (clients before 3.0)."),
    READS("info_v2", "GET", T2 "/{request_id}/info", &in_trace_info_v2, &out_trace_v2,
          api_trace_info_v2, "Gives a trace's description in the older form."),

    ROW("artifact", "GET", "/ajax-api/3.0/mlflow/get-trace-artifact", &in_trace_artifact, NULL,
        PERM_READ, LANE_READ, ROUTE_OBJECT, api_trace_artifact, "Sends a trace's spans as a file."),
    ROW("artifact_v2", "GET", "/ajax-api/2.0/mlflow/get-trace-artifact", &in_trace_artifact, NULL,
        PERM_READ, LANE_READ, ROUTE_OBJECT, api_trace_artifact, "Sends a trace's spans as a file."),
    ROW("unified", "GET", "/api/2.0/mlflow/unified-traces", NULL, NULL, PERM_READ, LANE_CALL,
        ROUTE_MLFLOW_AJAX | ROUTE_MEMBER, api_trace_nothing,
        "Is declared and empty, as in MLflow."),
    ROW("online_details", "GET", "/api/2.0/mlflow/get-online-trace-details", NULL, NULL, PERM_READ,
        LANE_CALL, ROUTE_MLFLOW_AJAX, api_trace_nothing, "Is declared and empty, as in MLflow."),

    {.id = "trace.otlp",
     .method = "POST",
     .path = "/v1/traces",
     .perm = PERM_WRITE,
     .lane = LANE_WORK,
     .dialect = DIALECT_MLFLOW,
     .flags = ROUTE_RAW_BODY | ROUTE_NO_LOG | ROUTE_OBJECT,
     .body_cap = 32u << 20,
     .fn = api_otlp,
     .summary = "Takes spans as OpenTelemetry exporters send them, protobuf or JSON."},
};
const struct route_list trace_routes = {.rows = rows, .n = ARRAY_LEN(rows)};

#define A3 T3 "/{trace_id}/assessments"
#define A2 T2 "/{trace_id}/assessments"
static const struct route assessments[] = {
    WRITES("assessments.create", "POST", A3, &in_assessment_create, &out_assessment,
           api_assessment_create, "Adds an assessment to a trace."),
    READS("assessments.get", "GET", A3 "/{assessment_id}", &in_assessment_id, &out_assessment,
          api_assessment_get, "Gives an assessment."),
    WRITES("assessments.update", "PATCH", A3 "/{assessment_id}", &in_assessment_update,
           &out_assessment, api_assessment_update, "Changes what the mask names."),
    WRITES("assessments.delete", "DELETE", A3 "/{assessment_id}", &in_assessment_id, NULL,
           api_assessment_delete, "Deletes an assessment."),
    WRITES("assessments.create_v2", "POST", A2, &in_assessment_create, &out_assessment,
           api_assessment_create, "Adds an assessment to a trace (2.22)."),
    WRITES("assessments.update_v2", "PATCH", A2 "/{assessment_id}", &in_assessment_update,
           &out_assessment, api_assessment_update, "Changes what the mask names (2.22)."),
    WRITES("assessments.delete_v2", "DELETE", A2 "/{assessment_id}", &in_assessment_id, NULL,
           api_assessment_delete, "Deletes an assessment (2.22)."),
};
const struct route_list assessment_routes = {.rows = assessments, .n = ARRAY_LEN(assessments)};
