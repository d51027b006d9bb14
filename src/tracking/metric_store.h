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

int metric_insert(struct ctx *c, int64_t run, int64_t key, const struct point *p); /* once only */
int metric_raise_latest(struct ctx *c, int64_t run, int64_t key, const struct point *p);
int metric_read_latest(struct ctx *c, int64_t run, int64_t key, struct point *p); /* 1 or 0 */
/* Appends struct metric_value in the order timestamp, step, value. */
int metric_read_history(struct ctx *c, int64_t run, const char *key_name, int64_t key,
                        int64_t offset, int64_t limit, const char *run_id, struct list *out,
                        size_t *cap);
/* Distinct steps of the key over runs given as a JSON array of pairs [run, key], ascending. */
int metric_read_steps(struct ctx *c, const char *pairs, int64_t **steps, size_t *n);
int metric_step_bounds(struct ctx *c, int64_t run, int64_t key, int64_t from, int64_t to,
                       int64_t *least, int64_t *most); /* 1 or 0 */
/* Points of one run at the steps of a JSON array, in the order step, timestamp, value. */
int metric_read_at(struct ctx *c, int64_t run, const char *key_name, int64_t key, const char *steps,
                   int64_t limit, const char *run_id, struct list *out, size_t *cap);

#endif
