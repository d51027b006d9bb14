/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_COLUMN_H
#define QUERN_TRACKING_COLUMN_H
/* Column: a metric, param or tag that runs of an experiment have, and what its values are like.
 * Runs that are deleted but can be restored count. Every part is read from the ends of an index, so
 * the time does not depend on how many runs there are.
 *
 * type: what the values looked at are: "number" for metrics; "integer", "number", "boolean" or
 * "string" for params and tags. least and greatest are in the order of order_by: numbers for
 * metrics (without NaN), text for the others, cut at 100 characters. distinct: exact up to
 * COLUMN_DISTINCT different values, else estimated from the first values of the index. NaN is one
 * value. */
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;

#define COLUMN_DISTINCT 20

struct column {
    const char *kind, *name, *type;
    struct opt_i64 count, distinct;
    struct opt_bool estimated;
    struct opt_f64 min, max;      /* numbers */
    const char *least, *greatest; /* texts */
};
struct column_search {
    const char *experiment_id, *kind, *prefix, *page_token;
    struct opt_i64 max_results;
    struct opt_bool distinct; /* false: left out, which is faster */
};
struct column_page {
    struct list columns;
    const char *next_page_token;
};

/* Metrics, then params, then tags, each by name. */
int column_search(struct ctx *c, const struct column_search *in, struct column_page *out);

/* One column's values; count is known. */
int column_describe(struct ctx *c, int64_t key, bool distinct, struct column *col);

#endif
