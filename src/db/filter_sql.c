/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/db/filter_sql.h"

#include <inttypes.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"

int filter_size_check(struct ctx *c, size_t clauses, size_t orders, size_t experiments) {
    const struct {
        const char *field, *what;
        size_t n, most;
    } sizes[] = {
        {"filter", "clauses", clauses, FILTER_CLAUSES},
        {"order_by", "keys", orders, FILTER_ORDERS},
        {"experiment_ids", "experiments", experiments, FILTER_EXPERIMENTS},
    };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        if (sizes[i].n > sizes[i].most)
            return fail_field(c, ERR_INVALID, sizes[i].field,
                              "Invalid value for parameter '%s' supplied: it holds %zu %s, at most "
                              "%zu are allowed",
                              sizes[i].field, sizes[i].n, sizes[i].what, sizes[i].most);
    return 0;
}

int filter_ops_check(struct ctx *c, const struct filter_clause *f, unsigned ops) {
    if (ops & 1u << f->op)
        return 0;
    char *valid = arena_strdup(c->arena, "");
    for (int op = 0; op <= OP_NOT_NULL; op++)
        if (ops & 1u << op)
            valid = arena_printf(c->arena, "%s%s'%s'", valid, *valid ? ", " : "",
                                 filter_op_text((enum filter_op)op));
    return fail_field(c, ERR_INVALID, "filter",
                      "Invalid comparator '%s' not one of '{%s}' (at byte %zu)",
                      filter_op_text(f->op), valid, f->position);
}

static const char *operand_text(struct ctx *c, const struct filter_clause *f) {
    if (f->kind == VALUE_NUMBER)
        return f->text;
    return f->kind == VALUE_TEXT ? arena_printf(c->arena, "'%s'", f->text) : "a list";
}

int filter_number_check(struct ctx *c, const struct filter_clause *f, const char *what) {
    if (f->kind == VALUE_NUMBER)
        return 0;
    return fail_field(c, ERR_INVALID, "filter", "Expected numeric value type for %s. Found %s",
                      what, operand_text(c, f));
}

int filter_text_check(struct ctx *c, const struct filter_clause *f, const char *what) {
    if (f->kind != VALUE_NUMBER)
        return 0;
    return fail_field(c, ERR_INVALID, "filter",
                      "Expected a quoted string value for %s (e.g. 'my-value'). Got value %s", what,
                      f->text);
}

int filter_null_check(struct ctx *c, const struct filter_clause *f, const char *allowed,
                      const char *entity) {
    if (f->op != OP_IS_NULL && f->op != OP_NOT_NULL)
        return 0;
    return fail_field(c, ERR_INVALID, "filter",
                      "IS NULL / IS NOT NULL is only supported for %s, not for '%s' '%s'", allowed,
                      entity, f->key);
}

/* One bound value however long the list is. */
static void emit_list(struct ctx *c, struct sql *q, const struct filter_clause *f) {
    sql_add(c, q,
            f->op == OP_IN ? " IN (SELECT value FROM json_each(?))"
                           : " NOT IN (SELECT value FROM json_each(?))",
            "s", json_strs(c->arena, f->items, f->n));
}

void filter_emit(struct ctx *c, struct sql *q, const char *column, const struct filter_clause *f) {
    static const char *const compare[] = {" = ?", " <> ?", " > ?", " >= ?", " < ?", " <= ?"};
    switch (f->op) {
    case OP_LIKE:
    case OP_ILIKE:
        sql_add(c, q, f->op == OP_LIKE ? "mlflow_like(" : "mlflow_ilike(", "");
        sql_add(c, q, column, "");
        sql_add(c, q, ", ?)", "s", f->text);
        return;
    case OP_IN:
    case OP_NOT_IN:
        sql_add(c, q, column, "");
        emit_list(c, q, f);
        return;
    case OP_RLIKE: /* no key takes it (OPS_TEXT) */
        sql_add(c, q, "0", "");
        return;
    case OP_IS_NULL:
    case OP_NOT_NULL:
        sql_add(c, q, column, "");
        sql_add(c, q, f->op == OP_IS_NULL ? " IS NULL" : " IS NOT NULL", "");
        return;
    default:
        sql_add(c, q, column, "");
        if (f->kind == VALUE_NUMBER)
            sql_add(c, q, compare[f->op], "d", f->number);
        else
            sql_add(c, q, compare[f->op], "s", f->text);
    }
}

const char *filter_ids_json(struct ctx *c, const int64_t *ids, size_t n) {
    struct buf b = {0};
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%c%" PRId64, i ? ',' : '[', ids[i]);
    buf_puts(&b, n ? "]" : "[]");
    const char *text = arena_strndup(c->arena, b.data, b.len);
    buf_free(&b);
    return text;
}

void filter_emit_ids(struct ctx *c, struct sql *q, const int64_t *ids, size_t n) {
    if (n == 1)
        sql_add(c, q, " = ?", "i", ids[0]);
    else
        sql_add(c, q, " IN (SELECT value FROM json_each(?))", "s", filter_ids_json(c, ids, n));
}
