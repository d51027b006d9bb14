/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_METRIC_INTERVAL_H
#define QUERN_TRACKING_METRIC_INTERVAL_H
/* Metric interval: every point of several series at some of their steps, spread evenly over the
 * distinct steps of all of them. Each series' own least and greatest step is there as well. */
#include <stddef.h>
#include <stdint.h>

#include "metric_view.h"

struct ctx;
struct list;

struct interval_series {
    struct view view;
    const char *run_id;
    bool any;
    int64_t least, most; /* of its steps within the interval */
};

struct interval {
    int64_t from, to; /* steps, both within */
    size_t steps;     /* that are kept at most, the last one apart */
    size_t most;      /* points of one series */
    struct interval_series *series;
    size_t n;
};

/* Appends struct metric_value, series by series, ordered by step, timestamp, value. */
int interval_read(struct ctx *c, struct interval *w, const char *key, struct list *out);

#endif
