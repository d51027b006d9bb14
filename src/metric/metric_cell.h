/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_METRIC_METRIC_CELL_H
#define QUERN_METRIC_METRIC_CELL_H
/* The cells behind the rows: found by label values, updated by single atomic operations. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/metric/metric.h"

#define METRIC_LABELS 3
#define METRIC_BUCKETS 20 /* bounds of the longest table; the rest counts as +Inf */

#define EXEMPLAR_WORDS 5 /* of 8 letters each */

/* One observation of a bucket that can be looked up. Written under an odd `turn`, by whoever made
 * it odd; a reader that sees the same even turn before and after has read one whole. */
struct exemplar {
    _Atomic uint32_t turn;
    _Atomic int64_t at_ms; /* wall time; 0: none yet */
    _Atomic uint64_t value;
    _Atomic uint64_t id[EXEMPLAR_WORDS];
};

struct exemplar_text {
    char id[8 * EXEMPLAR_WORDS + 1];
    double value;
    int64_t at_ms;
};

struct metric_cell {
    enum metric_id id;
    uint64_t hash;
    char *labels[METRIC_LABELS];
    _Atomic uint64_t value; /* bits of a double: the value, or a histogram's sum */
    _Atomic uint64_t buckets[METRIC_BUCKETS + 1]; /* not cumulated; the last is +Inf */
    _Atomic(struct exemplar *) exemplars;         /* as many; NULL before the first */
};

struct metric_bounds {
    const double *le;
    size_t n;
};

struct metric_bounds metric_bounds(enum metric_id id);
double metric_load(const _Atomic uint64_t *bits);
/* False when the bucket has none, or one is being written. */
bool exemplar_read(const struct metric_cell *m, size_t bucket, struct exemplar_text *out);
/* The cells of a metric in the order of the table; NULL at the end. *cursor starts at 0. */
const struct metric_cell *metric_next(enum metric_id id, size_t *cursor);

#endif
