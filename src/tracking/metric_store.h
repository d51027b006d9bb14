/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_METRIC_STORE_H
#define QUERN_TRACKING_METRIC_STORE_H
/* Metric store: points as they lie in the tables. */
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct list;
struct metric_value;
struct strs;

struct point {
    double value; /* finite; 0 for NaN */
    int64_t is_nan, time_ms, step;
};
struct point metric_point(const struct metric_value *m); /* the rule of metric.h */

int metric_raise_latest(struct ctx *c, int64_t run, int64_t key, const struct point *p);
int metric_read_latest(struct ctx *c, int64_t run, int64_t key, struct point *p); /* 1 or 0 */
/* Appends struct metric_value. */
void metric_push(struct ctx *c, struct list *out, size_t *cap, const char *run_id, const char *key,
                 const struct point *p);

#endif
