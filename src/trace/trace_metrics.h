/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_TRACE_METRICS_H
#define QUERN_TRACE_TRACE_METRICS_H
/* Trace metrics: figures over many traces, spans or assessments (how many, how long, how many
 * tokens, what they cost), grouped by names and by time, as charts ask for them.
 *
 * A view says what is counted; a metric belongs to a view and takes some aggregations and some
 * dimensions. Groups come in the order of time, then of the dimensions as they were asked for. A
 * group with an absent dimension, or without any value, is left out. */
#include "quern/core/shape.h"

struct ctx;
struct sql;

enum metric_view { VIEW_TRACES, VIEW_SPANS, VIEW_ASSESSMENTS };
extern const char *const metric_view_names[];
enum aggregation { AGG_COUNT, AGG_SUM, AGG_AVG, AGG_PERCENTILE, AGG_MIN, AGG_MAX };
extern const char *const aggregation_names[];

struct metric_aggregation {
    const char *aggregation_type; /* of aggregation_names */
    struct opt_f64 percentile_value;
};
struct trace_metrics {
    struct strs experiment_ids;
    const char *view_type, *metric_name;
    struct list aggregations; /* struct metric_aggregation */
    struct strs dimensions, filters;
    struct opt_i64 time_interval_seconds, start_time_ms, end_time_ms, max_results;
    const char *page_token;
};
struct metric_point {
    const char *metric_name;
    struct pairs dimensions;
    struct fpairs values;
};
struct metric_points {
    struct list data_points; /* struct metric_point */
    const char *next_page_token;
};
int trace_metrics(struct ctx *c, const struct trace_metrics *in, struct metric_points *out);

/* What a view knows, for the above. */
#define DIMENSIONS_MAX 5
struct metric_dimension {
    const char *name, *expr;
};
struct metric {
    const char *name;
    const char *join;                           /* beyond the view's own */
    const char *expr;                           /* NULL for a row that does not count */
    unsigned aggregations;                      /* bit per enum aggregation */
    const char *dimensions[DIMENSIONS_MAX + 1]; /* names */
    bool span_time; /* the range of time is about the span's own start */
};
struct metric_view_info {
    const char *join, *time_ms; /* time_ms: what buckets are made of */
    const struct metric *metrics;
    size_t n;
    const struct metric_dimension *dimensions;
    size_t ndimensions;
};
extern const struct metric_view_info metric_views[];
/* Appends " AND ..." for one filter, a single clause as trace.status = 'OK'. */
int metric_filter_sql(struct ctx *c, enum metric_view view, const char *filter, struct sql *q);

#endif
