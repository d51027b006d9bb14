/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_TRACE_FILTER_H
#define QUERN_TRACE_TRACE_FILTER_H
/* Trace filter: clauses and orders to SQL over "trace t". */

struct ctx;
struct sql;

/* Appends " AND ..." for every clause. */
int trace_filter_sql(struct ctx *c, const char *filter, struct sql *q);
/* A quoted name behind `mark` (as span.attributes.) takes the mark's later parts into its quotes:
 * span.attributes.`k` becomes span.`attributes.k`, which is a key with an entity. A copy. */
const char *filter_join(struct ctx *c, const char *filter, const char *mark);
/* Appends one term of ORDER BY, without the word; nulls last. */
int trace_order_sql(struct ctx *c, const char *order, struct sql *q);

#endif
