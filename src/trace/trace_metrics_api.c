/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "correlation.h"
#include "quern/core/ctx.h"
#include "trace_api.h"
#include "trace_metrics.h"
#include "trace_search.h"

SHAPE_LOCAL(in_aggregation, "MetricAggregation", struct metric_aggregation,
            FIELD_ENUM(struct metric_aggregation, aggregation_type, F_REQUIRED, aggregation_names,
                       "What is made of a group's values."),
            FIELD(struct metric_aggregation, percentile_value, T_F64, 0,
                  "0 to 100, for PERCENTILE."));
SHAPE(in_trace_metrics, "QueryTraceMetrics", struct trace_metrics,
      FIELD(struct trace_metrics, experiment_ids, T_STRS, F_REQUIRED, "Experiments to look in."),
      FIELD_ENUM(struct trace_metrics, view_type, F_REQUIRED, metric_view_names,
                 "What is counted."),
      FIELD(struct trace_metrics, metric_name, T_STR, F_REQUIRED, "As trace_count or latency."),
      FIELD_SUB(struct trace_metrics, aggregations, T_LIST, F_REQUIRED, &in_aggregation,
                "At most 20."),
      FIELD(struct trace_metrics, dimensions, T_STRS, 0, "Groups, as trace_name."),
      FIELD(struct trace_metrics, filters, T_STRS, 0,
            "One clause each, as trace.status = 'OK'; all must hold."),
      FIELD(struct trace_metrics, time_interval_seconds, T_I64, 0,
            "Groups by time of so many seconds, from 1970 on."),
      FIELD(struct trace_metrics, start_time_ms, T_I64, 0, "From this time on, inclusive."),
      FIELD(struct trace_metrics, end_time_ms, T_I64, 0, "To this time, inclusive."),
      FIELD(struct trace_metrics, max_results, T_I64, 0, "Groups, at most 10000; default 1000."),
      FIELD(struct trace_metrics, page_token, T_STR, F_EMPTY_OK,
            "next_page_token of the page before."));
SHAPE_LOCAL(out_point, "MetricDataPoint", struct metric_point,
            FIELD(struct metric_point, metric_name, T_STR, 0, "As asked for."),
            FIELD(struct metric_point, dimensions, T_MAP, 0, "Which group."),
            FIELD(struct metric_point, values, T_FMAP, 0, "By aggregation: COUNT, P95.0."));
SHAPE(out_trace_metrics, "TraceMetrics", struct metric_points,
      FIELD_SUB(struct metric_points, data_points, T_LIST, 0, &out_point, "Groups in order."),
      FIELD(struct metric_points, next_page_token, T_STR, 0, "Absent on the last page."));

int api_trace_metrics(struct ctx *c, const void *in, void *out) {
    return trace_metrics(c, in, out);
}

struct correlate {
    struct strs experiment_ids;
    const char *filter_string1, *filter_string2, *base_filter;
};
SHAPE(in_trace_correlation, "CalculateTraceFilterCorrelation", struct correlate,
      FIELD(struct correlate, experiment_ids, T_STRS, F_REQUIRED, "Experiments to look in."),
      FIELD(struct correlate, filter_string1, T_STR, F_REQUIRED, "A filter as of a search."),
      FIELD(struct correlate, filter_string2, T_STR, F_REQUIRED, "Another."),
      FIELD(struct correlate, base_filter, T_STR, F_EMPTY_OK, "Holds for all that is counted."));
struct correlated {
    struct opt_f64 npmi, npmi_smoothed;
    struct opt_i64 filter1_count, filter2_count, joint_count, total_count;
};
SHAPE(out_trace_correlation, "TraceFilterCorrelation", struct correlated,
      FIELD(struct correlated, npmi, T_F64, 0, "-1 to 1; absent: not defined."),
      FIELD(struct correlated, npmi_smoothed, T_F64, 0, "The same for few traces."),
      FIELD(struct correlated, filter1_count, T_I64, 0, "Traces of the first."),
      FIELD(struct correlated, filter2_count, T_I64, 0, "Traces of the second."),
      FIELD(struct correlated, joint_count, T_I64, 0, "Traces of both."),
      FIELD(struct correlated, total_count, T_I64, 0, "All traces."));

int api_trace_correlation(struct ctx *c, const void *in, void *out) {
    const struct correlate *r = in;
    int64_t first = 0, second = 0, joint = 0, total = 0;
    const char *a = r->filter_string1, *b = r->filter_string2;
    int rc = trace_count(c, &r->experiment_ids, r->base_filter, a, NULL, &first);
    rc = rc ? rc : trace_count(c, &r->experiment_ids, r->base_filter, b, NULL, &second);
    rc = rc ? rc : trace_count(c, &r->experiment_ids, r->base_filter, a, b, &joint);
    rc = rc ? rc : trace_count(c, &r->experiment_ids, r->base_filter, NULL, NULL, &total);
    if (rc != 0)
        return rc;
    struct correlation k = correlation_of(joint, first, second, total);
    *(struct correlated *)out =
        (struct correlated){{k.npmi, !isnan(k.npmi)}, {k.smoothed, !isnan(k.smoothed)},
                            SET_I64(first),           SET_I64(second),
                            SET_I64(joint),           SET_I64(total)};
    return 0;
}
