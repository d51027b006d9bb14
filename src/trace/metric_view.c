/* SPDX-License-Identifier: Apache-2.0 */
/* Metric view: which metrics there are, and where their values lie. */
#include "quern/base/arena.h"
#include "trace_metrics.h"

const char *const metric_view_names[] = {"METRIC_VIEW_TYPE_UNSPECIFIED", "TRACES", "SPANS",
                                         "ASSESSMENTS", NULL};
const char *const aggregation_names[] = {
    "AGGREGATION_TYPE_UNSPECIFIED", "COUNT", "SUM", "AVG", "PERCENTILE", "MIN", "MAX", NULL};

#define BIT(a) (1u << (a))
#define SPREAD (BIT(AGG_AVG) | BIT(AGG_MIN) | BIT(AGG_MAX) | BIT(AGG_PERCENTILE))
#define AMOUNT (SPREAD | BIT(AGG_SUM))
#define SESSION " JOIN trace_metadata u ON u.trace = t.id AND u.key = 'mlflow.trace.session'"
#define USAGE " JOIN trace_metadata u ON u.trace = t.id AND u.key = 'mlflow.trace.tokenUsage'"
#define TOKENS(which)                                                                              \
    "CASE WHEN json_valid(u.value) THEN CASE WHEN json_type(u.value, '$." which                    \
    "') IN ('integer', 'real') THEN json_extract(u.value, '$." which "') END END"
/* Numbers as they are; yes and no, true and false count as 1 and 0. */
#define JUDGED                                                                                     \
    "CASE json_type(a.value) WHEN 'integer' THEN json_extract(a.value, '$')"                       \
    " WHEN 'real' THEN json_extract(a.value, '$') WHEN 'true' THEN 1 WHEN 'false' THEN 0"          \
    " WHEN 'text' THEN CASE lower(trim(json_extract(a.value, '$'))) WHEN 'yes' THEN 1"             \
    " WHEN 'no' THEN 0 END END"

static const struct metric of_traces[] = {
    {.name = "trace_count",
     .expr = "t.id",
     .aggregations = BIT(AGG_COUNT),
     .dimensions = {"trace_name", "trace_status"}},
    {.name = "session_count", .join = SESSION, .expr = "u.value", .aggregations = BIT(AGG_COUNT)},
    {.name = "latency",
     .expr = "t.execution_ms",
     .aggregations = SPREAD,
     .dimensions = {"trace_name"}},
#define OF_TOKENS(which)                                                                           \
    {                                                                                              \
        .name = which, .join = USAGE, .expr = TOKENS(which), .aggregations = AMOUNT,               \
        .dimensions = {                                                                            \
            "trace_name"                                                                           \
        }                                                                                          \
    }
    OF_TOKENS("input_tokens"),
    OF_TOKENS("output_tokens"),
    OF_TOKENS("total_tokens"),
    OF_TOKENS("cache_read_input_tokens"),
    OF_TOKENS("cache_creation_input_tokens"),
};
static const struct metric_dimension trace_dimensions[] = {{"trace_name", "t.name"},
                                                           {"trace_status", "t.state"}};

#define OF_COST(which)                                                                             \
    {                                                                                              \
        .name = which, .expr = "s." which, .aggregations = AMOUNT, .span_time = true,              \
        .dimensions = {                                                                            \
            "span_model_name",                                                                     \
            "span_model_provider"                                                                  \
        }                                                                                          \
    }
static const struct metric of_spans[] = {
    {.name = "span_count",
     .expr = "s.id",
     .aggregations = BIT(AGG_COUNT),
     .dimensions = {"span_name", "span_type", "span_status", "span_model_name",
                    "span_model_provider"}},
    {.name = "latency",
     .expr = "(s.end_ns - s.start_ns) / 1000000",
     .aggregations = SPREAD,
     .dimensions = {"span_name", "span_status"}},
    OF_COST("input_cost"),
    OF_COST("output_cost"),
    OF_COST("total_cost"),
};
static const struct metric_dimension span_dimensions[] = {{"span_name", "s.name"},
                                                          {"span_type", "s.type"},
                                                          {"span_status", "s.status"},
                                                          {"span_model_name", "s.model"},
                                                          {"span_model_provider", "s.provider"}};

static const struct metric of_assessments[] = {
    {.name = "assessment_count",
     .expr = "a.id",
     .aggregations = BIT(AGG_COUNT),
     .dimensions = {"assessment_name", "assessment_value"}},
    {.name = "assessment_value",
     .expr = JUDGED,
     .aggregations = SPREAD,
     .dimensions = {"assessment_name"}},
};
static const struct metric_dimension assessment_dimensions[] = {{"assessment_name", "a.name"},
                                                                {"assessment_value", "a.value"}};

#define ALL(rows) .metrics = (rows), .n = ARRAY_LEN(rows)
#define BY(rows) .dimensions = (rows), .ndimensions = ARRAY_LEN(rows)
const struct metric_view_info metric_views[] = {
    [VIEW_TRACES] = {"", "t.timestamp_ms", ALL(of_traces), BY(trace_dimensions)},
    [VIEW_SPANS] = {" JOIN span s ON s.trace = t.id", "s.start_ns / 1000000", ALL(of_spans),
                    BY(span_dimensions)},
    [VIEW_ASSESSMENTS] = {" JOIN assessment a ON a.trace = t.id AND a.valid = 1", "t.timestamp_ms",
                          ALL(of_assessments), BY(assessment_dimensions)},
};
