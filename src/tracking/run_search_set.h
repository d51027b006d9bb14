/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_SEARCH_SET_H
#define QUERN_TRACKING_RUN_SEARCH_SET_H
/* Run search set: which runs meet conditions, found by one scan per condition. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run_search.h"

struct bitmap;
struct sql;

/* A run is in the set when it is in `among`, if there is one, and not in `except`, if there is one.
 */
struct run_set {
    size_t bits; /* more than any run's number */
    struct bitmap *among, *except;
};

int run_set_begin(struct ctx *c, struct run_set *s); /* all runs */
int run_set_meet(struct ctx *c, struct run_set *s, const struct search_plan *p,
                 const struct search_cond *cond);
/* Leaves out what the search's view leaves out: deleted runs, or those that are not. */
int run_set_view(struct ctx *c, struct run_set *s, const struct search_plan *p);
/* What is in both. The parts of neither change. */
struct run_set run_set_both(struct ctx *c, const struct run_set *a, const struct run_set *b);
/* " AND bitmap_has(...)" for the run numbered `row`. */
void run_set_emit(struct ctx *c, struct sql *q, const struct run_set *s, const char *row);
/* Up to `most` runs of a condition; *n is most + 1 when there are more. */
int run_set_few(struct ctx *c, const struct search_plan *p, const struct search_cond *cond,
                size_t most, int64_t **ids, size_t *n);
/* What a scan for the condition would visit, about. */
int run_set_cost(struct ctx *c, const struct search_plan *p, const struct search_cond *cond,
                 int64_t *rows);
int64_t *run_set_list(struct ctx *c, const struct bitmap *b, size_t *n); /* ascending */

#endif
