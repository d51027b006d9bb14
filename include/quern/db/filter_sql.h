/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_DB_FILTER_SQL_H
#define QUERN_DB_FILTER_SQL_H
/* Filter to SQL: pieces that searches share. Column names and operators are
 * constants of the code; everything from the request is bound. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/filter.h"

struct ctx;
struct sql;

#define OPS_NUMBER                                                                                 \
    (1u << OP_EQ | 1u << OP_NE | 1u << OP_GT | 1u << OP_GE | 1u << OP_LT | 1u << OP_LE)
#define OPS_TEXT (1u << OP_EQ | 1u << OP_NE | 1u << OP_LIKE | 1u << OP_ILIKE)
#define OPS_LIST (1u << OP_IN | 1u << OP_NOT_IN)
#define OPS_NULL (1u << OP_IS_NULL | 1u << OP_NOT_NULL)

#define FILTER_CLAUSES 100
#define FILTER_ORDERS 20
#define FILTER_EXPERIMENTS 10000

/* A statement has room for so much; more is refused by name. */
int filter_size_check(struct ctx *c, size_t clauses, size_t orders, size_t experiments);
/* "Invalid comparator '>' not one of '{...}'" unless the clause's operator is in the set. */
int filter_ops_check(struct ctx *c, const struct filter_clause *f, unsigned ops);
/* The operand must be a number; `what` ends "Expected numeric value type for ...". */
int filter_number_check(struct ctx *c, const struct filter_clause *f, const char *what);
/* The operand must be quoted text or, where the operator asks for it, a list. */
int filter_text_check(struct ctx *c, const struct filter_clause *f, const char *what);
/* IS NULL and IS NOT NULL are only for `allowed`, not for this entity. */
int filter_null_check(struct ctx *c, const struct filter_clause *f, const char *allowed,
                      const char *entity);
/* "column op ?" with the clause's operand, which was checked. NULL operators need no operand. */
void filter_emit(struct ctx *c, struct sql *q, const char *column, const struct filter_clause *f);
const char *filter_ids_json(struct ctx *c, const int64_t *ids, size_t n); /* "[1,2]" */
/* "= ?" for one number, else "IN (...)". */
void filter_emit_ids(struct ctx *c, struct sql *q, const int64_t *ids, size_t n);

#endif
