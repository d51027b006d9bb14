/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_METRIC_SAMPLE_H
#define QUERN_TRACKING_METRIC_SAMPLE_H
/* Metric sample: a long series as few of its own points, for charts.
 *   m4    the axis is cut into buckets of one width; of each bucket the first, the last, the least
 *         and the greatest point. What a chart as wide as there are buckets draws does not change.
 *   lttb  largest triangle three buckets over the points of an m4 four times as fine; NaN is left
 *         out, the first and the last point stay.
 * A series with no more points than wanted is given whole. No point is made up or averaged. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metric_view.h"

struct ctx;

struct sample {
    bool by_time; /* the axis: else the step */
    bool lttb;
    int64_t from, to; /* on the axis, both within */
    size_t most;      /* points wanted */
    struct points points;
    int64_t total; /* points within from..to */
};

/* The points in the order of the axis, on the arena's care. */
int sample_read(struct ctx *c, const struct view *v, struct sample *s);

#endif
