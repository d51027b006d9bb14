/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_SEARCH_SQL_H
#define QUERN_TRACKING_RUN_SEARCH_SQL_H
/* Run search SQL: the pieces that statements over runs are put together from. Runs are `r`. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run_search.h"

struct bitmap;
struct sql;

const char *search_table(enum search_kind k); /* of metrics, params, tags */
bool search_needs_row(const char *column);    /* of run: no narrow index has it */
/* " r.experiment_id ... AND r.deleted ..."; found: another table of the statement leads to r. */
void search_emit_scope(struct ctx *c, struct sql *q, const struct search_plan *p, bool found);
/* A condition as a truth value, probed for the run numbered `row`: "r.id", "d.run_id". */
void search_emit_cond(struct ctx *c, struct sql *q, const struct search_cond *s, const char *row);
/* Joins that the orders from `first` on need, and those orders with what breaks ties. */
void search_emit_joins(struct ctx *c, struct sql *q, const struct search_plan *p, size_t first);
void search_emit_order(struct ctx *c, struct sql *q, const struct search_plan *p, size_t first);
/* True when an index leads to a condition's runs without a look at others. */
bool search_selects(const struct search_cond *s);
/* A condition's runs are found by one or two statements: "SELECT <result>(<run>) FROM ...", where
 * result is "" or an aggregate's beginning such as "sum(bitmap_add(?, ", whose value is `into`. */
#define SEARCH_PARTS 2
bool search_emit_hits(struct ctx *c, struct sql *q, const struct search_plan *p,
                      const struct search_cond *s, int part, struct bitmap *into);

#endif
