/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_metrics.h"

#include <string.h>
#include <time.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"
#include "trace_search.h"

#define RESULTS_DEFAULT 1000
#define RESULTS_MAX 10000
#define AGGREGATIONS_MAX 20
#define FILTERS_MAX 50
#define OFFSET_MAX 1000000000
#define INTERVAL_MAX 31622400000 /* a thousand years */

struct column {
    const char *label;
    const char *expr;
    struct opt_f64 percentile;
};
struct query {
    const struct trace_metrics *in;
    enum metric_view view;
    const struct metric *metric;
    struct column dimensions[DIMENSIONS_MAX + 1], values[AGGREGATIONS_MAX];
    size_t ndimensions, nvalues;
    int64_t most, offset;
};

/* ------------------------------------------------------------------ what is asked for */

static int number_of(const char *const *names, const char *name) {
    for (int i = 0; names[i]; i++)
        if (str_eq(names[i], name))
            return i - 1; /* the first stands for none */
    return -1;
}

static int find_metric(struct ctx *c, struct query *u) {
    const struct metric_view_info *v = &metric_views[u->view];
    struct buf names = {0};
    for (size_t i = 0; i < v->n; i++) {
        if (str_eq(v->metrics[i].name, u->in->metric_name)) {
            u->metric = &v->metrics[i];
            buf_free(&names);
            return 0;
        }
        buf_printf(&names, "%s'%s'", i ? ", " : "", v->metrics[i].name);
    }
    int rc = fail_field(c, ERR_INVALID, "metric_name", "metric_name must be one of [%s], got '%s'",
                        names.data, u->in->metric_name);
    buf_free(&names);
    return rc;
}

static const char *supported_aggregations(struct ctx *c, unsigned set) {
    static const enum aggregation sorted[] = {AGG_AVG, AGG_COUNT,      AGG_MAX,
                                              AGG_MIN, AGG_PERCENTILE, AGG_SUM};
    const char *text = "";
    for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
        if (set & 1u << sorted[i])
            text = arena_printf(c->arena, "%s%s'%s'", text, *text ? ", " : "",
                                aggregation_names[sorted[i] + 1]);
    return text;
}

static int check_percentile(struct ctx *c, const struct metric_aggregation *a, bool percentile) {
    static const char field[] = "aggregations.percentile_value";
    if (percentile && !a->percentile_value.set)
        return fail_field(c, ERR_INVALID, field,
                          "Percentile value is required for PERCENTILE aggregation");
    if (!percentile && a->percentile_value.set)
        return fail_field(c, ERR_INVALID, field,
                          "Percentile value is only allowed for PERCENTILE aggregation type, got "
                          "%s",
                          a->aggregation_type);
    if (percentile && !(a->percentile_value.v >= 0 && a->percentile_value.v <= 100))
        return fail_field(c, ERR_INVALID, field, "Percentile value must be between 0 and 100");
    return 0;
}

static int add_value(struct ctx *c, struct query *u, const struct metric_aggregation *a) {
    static const char *const forms[] = {
        [AGG_COUNT] = "count", [AGG_SUM] = "sum", [AGG_AVG] = "avg",
        [AGG_MIN] = "min",     [AGG_MAX] = "max", [AGG_PERCENTILE] = "mlflow_percentile",
    };
    int kind = number_of(aggregation_names, a->aggregation_type);
    int rc = check_percentile(c, a, kind == AGG_PERCENTILE);
    if (rc != 0)
        return rc;
    if (kind < 0 || !(u->metric->aggregations & 1u << kind))
        return fail_field(c, ERR_INVALID, "aggregations",
                          "Found invalid aggregation_type(s): ['%s']. Supported aggregation types: "
                          "[%s]",
                          a->aggregation_type, supported_aggregations(c, u->metric->aggregations));
    struct column v = {.label = aggregation_names[kind + 1], .percentile = a->percentile_value};
    if (kind == AGG_PERCENTILE) {
        char text[32];
        size_t n = json_double(a->percentile_value.v, text);
        v.label = arena_printf(c->arena, "P%.*s", (int)n, text);
    }
    bool distinct = str_eq(u->metric->name, "session_count");
    v.expr = arena_printf(c->arena, "%s(%s%s%s)", forms[kind], distinct ? "DISTINCT " : "",
                          u->metric->expr, kind == AGG_PERCENTILE ? ", ?" : "");
    for (size_t i = 0; i < u->nvalues; i++)
        if (str_eq(u->values[i].label, v.label))
            return 0;
    u->values[u->nvalues++] = v;
    return 0;
}

static int add_dimension(struct ctx *c, struct query *u, const char *name) {
    const struct metric_view_info *v = &metric_views[u->view];
    const char *supported = "";
    bool known = false;
    for (const char *const *d = u->metric->dimensions; *d; d++) {
        known = known || str_eq(*d, name);
        supported = arena_printf(c->arena, "%s%s'%s'", supported, *supported ? ", " : "", *d);
    }
    if (!known)
        return fail_field(c, ERR_INVALID, "dimensions",
                          "Found invalid dimension(s): ['%s']. Supported dimensions: [%s]", name,
                          supported);
    for (size_t i = 0; i < u->ndimensions; i++)
        if (str_eq(u->dimensions[i].label, name))
            return 0;
    for (size_t i = 0; i < v->ndimensions; i++)
        if (str_eq(v->dimensions[i].name, name))
            u->dimensions[u->ndimensions++] =
                (struct column){.label = name, .expr = v->dimensions[i].expr};
    return 0;
}

static int add_bucket(struct ctx *c, struct query *u) {
    const struct trace_metrics *in = u->in;
    int64_t seconds = in->time_interval_seconds.v;
    if (!in->time_interval_seconds.set || seconds == 0)
        return 0;
    if (seconds < 0 || seconds > INTERVAL_MAX)
        return fail_field(c, ERR_INVALID, "time_interval_seconds",
                          "time_interval_seconds must be a positive number of seconds.");
    if (!in->start_time_ms.set || !in->end_time_ms.set)
        return fail_field(c, ERR_INVALID, in->start_time_ms.set ? "end_time_ms" : "start_time_ms",
                          "start_time_ms and end_time_ms are required if time_interval_seconds is "
                          "set");
    u->dimensions[u->ndimensions++] = (struct column){
        .label = "time_bucket",
        .expr = arena_printf(c->arena, "%s / %lld * %lld", metric_views[u->view].time_ms,
                             (long long)seconds * 1000, (long long)seconds * 1000)};
    return 0;
}

static int missing(struct ctx *c, const char *name) {
    return fail_field(c, ERR_INVALID, name,
                      "Missing value for required parameter '%s'. See the API docs for more "
                      "information about request parameters.",
                      name);
}

static int plan(struct ctx *c, const struct trace_metrics *in, struct query *u) {
    const struct metric_aggregation *a = in->aggregations.items;
    int view = number_of(metric_view_names, in->view_type);
    if (in->experiment_ids.n == 0)
        return missing(c, "experiment_ids");
    if (in->aggregations.n == 0)
        return missing(c, "aggregations");
    *u =
        (struct query){.in = in, .most = in->max_results.set ? in->max_results.v : RESULTS_DEFAULT};
    if (view < 0)
        return fail_field(c, ERR_INVALID, "view_type",
                          "view_type must be one of ['TRACES', 'SPANS', 'ASSESSMENTS'], got '%s'",
                          in->view_type);
    u->view = (enum metric_view)view;
    if (u->most <= 0)
        return fail_field(c, ERR_INVALID, "max_results",
                          "Invalid value %lld for parameter 'max_results' supplied. It must be a "
                          "positive integer",
                          (long long)u->most);
    u->most = u->most > RESULTS_MAX ? RESULTS_MAX : u->most;
    if (in->aggregations.n > AGGREGATIONS_MAX || in->filters.n > FILTERS_MAX)
        return fail_field(c, ERR_INVALID, in->filters.n > FILTERS_MAX ? "filters" : "aggregations",
                          "At most %d aggregations and %d filters can be given.", AGGREGATIONS_MAX,
                          FILTERS_MAX);
    int rc = page_offset(c, in->page_token, &u->offset);
    rc = rc ? rc : find_metric(c, u);
    for (size_t i = 0; i < in->aggregations.n && rc == 0; i++)
        rc = add_value(c, u, &a[i]);
    rc = rc ? rc : add_bucket(c, u);
    for (size_t i = 0; i < in->dimensions.n && rc == 0; i++)
        rc = add_dimension(c, u, in->dimensions.items[i]);
    return rc;
}

/* ------------------------------------------------------------------ the statement */

static void add_range(struct ctx *c, const struct query *u, struct sql *q) {
    const char *column = u->metric->span_time ? "s.start_ns / 1000000" : "t.timestamp_ms";
    if (u->in->start_time_ms.set)
        sql_add(c, q, arena_printf(c->arena, " AND %s >= ?", column), "i", u->in->start_time_ms.v);
    if (u->in->end_time_ms.set)
        sql_add(c, q, arena_printf(c->arena, " AND %s <= ?", column), "i", u->in->end_time_ms.v);
}

static void add_select(struct ctx *c, const struct query *u, struct sql *q) {
    sql_add(c, q, "SELECT ", "");
    for (size_t i = 0; i < u->ndimensions; i++) {
        sql_add(c, q, u->dimensions[i].expr, "");
        sql_add(c, q, ", ", "");
    }
    for (size_t i = 0; i < u->nvalues; i++) {
        const struct column *v = &u->values[i];
        sql_add(c, q, i ? ", " : "", "");
        if (v->percentile.set)
            sql_add(c, q, v->expr, "d", v->percentile.v);
        else
            sql_add(c, q, v->expr, "");
    }
}

static void add_groups(struct ctx *c, const struct query *u, struct sql *q) {
    const char *list = "";
    for (size_t i = 0; i < u->ndimensions; i++)
        list = arena_printf(c->arena, "%s%s%zu", list, i ? ", " : "", i + 1);
    if (u->ndimensions)
        sql_add(c, q, arena_printf(c->arena, " GROUP BY %s ORDER BY %s", list, list), "");
    sql_add(c, q, " LIMIT ? OFFSET ?", "ii", u->most + 1, u->offset);
}

static int build(struct ctx *c, const struct query *u, struct sql *q) {
    const char *join = arena_printf(c->arena, "%s%s", metric_views[u->view].join,
                                    u->metric->join ? u->metric->join : "");
    sql_begin(c, q);
    add_select(c, u, q);
    int rc = trace_from(c, &u->in->experiment_ids, join, q);
    for (size_t i = 0; i < u->in->filters.n && rc == 0; i++)
        rc = metric_filter_sql(c, u->view, u->in->filters.items[i], q);
    add_range(c, u, q);
    sql_add(c, q, arena_printf(c->arena, " AND (%s) IS NOT NULL", u->metric->expr), "");
    for (size_t i = 0; i < u->ndimensions; i++)
        sql_add(c, q, arena_printf(c->arena, " AND (%s) IS NOT NULL", u->dimensions[i].expr), "");
    add_groups(c, u, q);
    return rc;
}

/* ------------------------------------------------------------------ the answer */

static const char *instant(struct ctx *c, int64_t ms) {
    time_t at = (time_t)(ms / 1000);
    struct tm tm;
    char text[40];
    if (!gmtime_r(&at, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S+00:00", &tm) == 0)
        return "";
    return arena_strdup(c->arena, text);
}

static bool read_point(struct ctx *c, const struct query *u, struct stmt *st,
                       struct metric_point *out) {
    *out = (struct metric_point){.metric_name = u->metric->name};
    out->dimensions.items = ARENA_ARRAY(c->arena, struct pair, u->ndimensions + 1);
    out->values.items = ARENA_ARRAY(c->arena, struct fpair, u->nvalues + 1);
    for (size_t i = 0; i < u->ndimensions; i++)
        out->dimensions.items[out->dimensions.n++] =
            (struct pair){u->dimensions[i].label, str_eq(u->dimensions[i].label, "time_bucket")
                                                      ? instant(c, stmt_i64(st, (int)i))
                                                      : stmt_text(c, st, (int)i)};
    for (size_t i = 0; i < u->nvalues; i++) {
        int col = (int)(u->ndimensions + i);
        if (!stmt_null(st, col))
            out->values.items[out->values.n++] =
                (struct fpair){u->values[i].label, stmt_f64(st, col)};
    }
    return out->values.n > 0;
}

int trace_metrics(struct ctx *c, const struct trace_metrics *in, struct metric_points *out) {
    struct query u;
    struct sql q;
    *out = (struct metric_points){0};
    int rc = plan(c, in, &u);
    rc = rc ? rc : build(c, &u, &q);
    if (rc != 0 || u.offset > OFFSET_MAX)
        return rc;
    struct metric_point *points = ARENA_ARRAY(c->arena, struct metric_point, (size_t)u.most);
    size_t n = 0;
    int64_t rows = 0;
    struct stmt *st = sql_query(c, &q);
    while ((rc = stmt_next(st)) > 0) {
        if (rows++ == u.most) {
            out->next_page_token = page_token(c, u.offset + u.most);
            break;
        }
        n += read_point(c, &u, st, &points[n]);
    }
    stmt_end(st);
    out->data_points = (struct list){points, n};
    return rc < 0 ? rc : 0;
}
