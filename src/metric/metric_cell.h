/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_METRIC_METRIC_CELL_H
#define QUERN_METRIC_METRIC_CELL_H
/* The cells behind the rows: found by label values, updated by single atomic operations. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/metric/metric.h"

#define METRIC_LABELS 3
#define METRIC_BUCKETS 20 /* bounds of the longest table; the rest counts as +Inf */

struct metric_cell {
    enum metric_id id;
    uint64_t hash;
    char *labels[METRIC_LABELS];
    _Atomic uint64_t value; /* bits of a double: the value, or a histogram's sum */
    _Atomic uint64_t buckets[METRIC_BUCKETS + 1]; /* not cumulated; the last is +Inf */
};

struct metric_bounds {
    const double *le;
    size_t n;
};

struct metric_bounds metric_bounds(enum metric_id id);
double metric_load(const _Atomic uint64_t *bits);
/* The cells of a metric in the order of the table; NULL at the end. *cursor starts at 0. */
const struct metric_cell *metric_next(enum metric_id id, size_t *cursor);

#endif
