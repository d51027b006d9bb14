/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_TRACE_SEARCH_H
#define QUERN_TRACE_TRACE_SEARCH_H
/* Trace search: MLflow's filter over traces, as one parameterised statement. Conditions on the
 * trace itself come first, those on tags, metadata and assessments next, those on the texts of
 * spans last, so that spans are read only of traces that everything else lets through. Conditions
 * on spans hold for one and the same span. */
#include "quern/core/shape.h"

struct ctx;
struct sql;

struct trace_search {
    struct strs experiment_ids; /* decimal; unknown ones give nothing */
    const char *filter;
    struct strs order_by;
    int64_t max_results;
    const char *page_token;
};
struct trace_found {
    int64_t *rows;
    size_t n;
    const char *next_page_token; /* NULL on the last page */
};
/* Appends " FROM trace t<join> WHERE ..." for the experiments that this caller may read. */
int trace_from(struct ctx *c, const struct strs *experiment_ids, const char *join, struct sql *q);
int trace_search(struct ctx *c, const struct trace_search *in, struct trace_found *out);
/* How many of an experiment's traces a filter lets through; both filters where two are given. */
int trace_count(struct ctx *c, const struct strs *experiment_ids, const char *filter,
                const char *also, const char *also2, int64_t *n);

#endif
