/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CORE_FILTER_H
#define QUERN_CORE_FILTER_H
/* Filter: MLflow's filter and order grammar as a syntax tree. Pure: the meaning of entities and
 * keys belongs to the room that compiles the tree to SQL.
 *
 *   filter := clause (AND clause)*          AND in any case; a trailing AND is tolerated
 *   clause := [entity '.'] key op value | [entity '.'] key IS [NOT] NULL
 *   key    := bare | `any` | "any" | 'any'
 *   value  := number | 'text' | "text" | ( 'a', "b", ... )
 *   op     := = != > >= < <= LIKE ILIKE IN NOT IN RLIKE
 *   order  := [entity '.'] key [ASC|DESC]
 * Errors are ERR_INVALID with MLflow's wording (Invalid clause(s) in filter string: '...') and the
 * byte position. Keys and texts live in the context's arena. */
#include <stdbool.h>
#include <stddef.h>

struct ctx;

enum filter_op {
    OP_EQ,
    OP_NE,
    OP_GT,
    OP_GE,
    OP_LT,
    OP_LE,
    OP_LIKE,
    OP_ILIKE,
    OP_IN,
    OP_NOT_IN,
    OP_RLIKE,
    OP_IS_NULL,
    OP_NOT_NULL,
};

enum filter_value { VALUE_NONE, VALUE_NUMBER, VALUE_TEXT, VALUE_LIST };

struct filter_clause {
    const char *entity; /* as written, NULL when absent */
    const char *key;
    bool key_quoted;
    enum filter_op op;
    enum filter_value kind;
    const char *text; /* number literal or text, unquoted */
    double number;
    const char **items;
    size_t n;
    size_t position; /* byte offset of the clause */
};

struct filter {
    struct filter_clause *clauses;
    size_t n;
};

struct order_term {
    const char *entity;
    const char *key;
    bool desc;
};

int filter_parse(struct ctx *c, const char *text,
                 struct filter *out); /* NULL, "" or blank: n = 0 */
int order_parse(struct ctx *c, const char *text, struct order_term *out);
const char *filter_op_text(enum filter_op op); /* "=", "NOT IN" */

#endif
