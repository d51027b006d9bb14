/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_METRIC_METRIC_H
#define QUERN_METRIC_METRIC_H
/* Metric: counters, gauges and histograms as rows (metric.def), updated without locks on the hot
 * path, printed as Prometheus text or OpenMetrics. Labels are bounded: past 2,000 label sets of one
 * metric further ones are counted under "other". */
#include <stdbool.h>
#include <stdint.h>

struct buf;

enum metric_id {
#define METRIC(id, name, type, labels, help) METRIC_##id,
#include "quern/metric/metric.def"
#undef METRIC
    METRIC_COUNT
};
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_row {
    const char *name; /* quern_http_requests_total */
    enum metric_type type;
    const char *labels; /* "route,method,status" or "" */
    const char *help;
};
extern const struct metric_row metric_rows[METRIC_COUNT];

/* Label values in the row's order; unused ones NULL. Pointers are copied on first sight. */
void metric_add(enum metric_id id, double by, const char *l1, const char *l2, const char *l3);
void metric_set(enum metric_id id, double value, const char *l1, const char *l2, const char *l3);
void metric_observe(enum metric_id id, double value, const char *l1, const char *l2,
                    const char *l3); /* seconds or bytes */
/* A handle for hot paths: find the cell once, then metric_cell_observe without any look-up. */
struct metric_cell;
struct metric_cell *metric_cell(enum metric_id id, const char *l1, const char *l2, const char *l3);
void metric_cell_add(struct metric_cell *m, double by);
void metric_cell_observe(struct metric_cell *m, double value);
/* The same, and OpenMetrics shows `id` (a prediction's, 36 letters) as the bucket's exemplar; at
 * most one a second is kept of a bucket, so that it costs next to nothing. "" has none. */
void metric_cell_observe_of(struct metric_cell *m, double value, const char *id, int64_t now_ms);
void metric_render(bool openmetrics, struct buf *out);
double metric_value(enum metric_id id, const char *l1, const char *l2, const char *l3); /* tests */

#endif
