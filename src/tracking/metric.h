/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_METRIC_H
#define QUERN_TRACKING_METRIC_H
/* Metric: points and histories. NaN is kept as 0 with a mark, infinities as the largest finite
 * doubles. The latest point is the one with the greatest (step, timestamp, value). */
#include <stddef.h>
#include <stdint.h>

#include "entity.h"

struct ctx;
struct run_ref;

/* Valid name, timestamp >= 0. `list` is NULL for a single point, else its name in messages. */
int metric_check(struct ctx *c, const char *list, size_t index, const struct metric_value *m);
/* Checked points into an active run; model points as well. */
int metric_log(struct ctx *c, const struct run_ref *r, const struct metric_value *m, size_t n);

struct history_wish {
    const char *run_id, *metric_key, *page_token;
    struct opt_i64 max_results;
};
struct history_page {
    struct list metrics;
    const char *next_page_token;
};
int metric_history(struct ctx *c, const struct history_wish *in, struct history_page *out);

struct bulk_wish {
    struct strs run_ids;
    const char *metric_key;
    struct opt_i64 start_step, end_step, max_results;
};
int metric_history_bulk(struct ctx *c, const struct bulk_wish *in, struct list *out);
int metric_history_interval(struct ctx *c, const struct bulk_wish *in, struct list *out);

#endif
