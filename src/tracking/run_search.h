/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_SEARCH_H
#define QUERN_TRACKING_RUN_SEARCH_H
/* Run search: a filter and an order over the runs of some experiments.
 *
 * run_search_plan turns the request's texts into conditions and orders whose names are already
 * numbers; run_search_rows finds the row numbers of one page. Two ways lead to them:
 *   sorting   few runs are known to be candidates, or no index gives the order: all are sorted;
 *   walking   the index that gives the first order is walked until the page is full. Conditions are
 *             probed run by run at first; where few runs pass, each condition is scanned once
 *             instead, along its own index, and the walk goes on with the set of what passes.
 * Both give the same rows in the same order. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "entity.h"
#include "quern/core/filter.h"

struct bitmap;
struct ctx;

struct run_search {
    struct strs experiment_ids, order_by;
    const char *filter, *run_view_type, *page_token;
    struct opt_i64 max_results;
};
struct run_page {
    struct list runs;
    const char *next_page_token;
};

enum search_kind { BY_METRIC, BY_PARAM, BY_TAG, BY_TEXT, BY_NUMBER, BY_DATASET };

struct search_cond {
    enum search_kind kind;
    const char *column; /* of run or run_dataset; "context" for the input tag */
    const struct filter_clause *clause;
    const char *name; /* of the key */
    const int64_t *keys;
    size_t nkeys;
};
struct search_order {
    enum search_kind kind;
    const char *column;
    bool desc;
    const char *name; /* of the key */
    const int64_t *keys;
    size_t nkeys;
};
struct search_plan {
    int64_t *experiments;
    size_t nexperiments;
    int deleted; /* 0, 1, or -1 for both */
    struct search_cond *conds;
    size_t nconds;
    struct search_order *orders;
    size_t norders;
    bool start_ordered;
    bool nothing; /* no run can match */
    int64_t offset, limit;
};

int run_search(struct ctx *c, const struct run_search *in, struct run_page *out);
int run_search_plan(struct ctx *c, const struct run_search *in, struct search_plan *p);
/* The numbers of one name in all experiments of the search. */
int run_search_keys(struct ctx *c, const struct search_plan *p, const char *name,
                    const int64_t **keys, size_t *n);
#define RUN_NAME_TAG "mlflow.runName"
/* At most limit + 1 rows. */
int run_search_rows(struct ctx *c, const struct search_plan *p, int64_t **rows, size_t *n);

/* The ways themselves, for the choice above and for tests that compare them. Rows are int64_t.
 * ids: the only runs that can match, NULL when any can. */
int run_search_sorted(struct ctx *c, const struct search_plan *p, const int64_t *ids, size_t n,
                      struct list *rows);
/* Tests force one of the others: probes alone, sets from the start, sets after some probes. */
enum walk_way { WALK_ADAPTS, WALK_PROBES, WALK_SETS, WALK_TURNS };
bool run_search_walkable(const struct search_plan *p);
int run_search_walk(struct ctx *c, const struct search_plan *p, enum walk_way way,
                    struct list *rows);
/* The same among some runs, NULL for all. The set may be changed. */
int run_search_walk_among(struct ctx *c, const struct search_plan *p, enum walk_way way,
                          struct bitmap *among, struct list *rows);

#endif
