/* SPDX-License-Identifier: Apache-2.0 */
#include "run_search_sql.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/db/filter_sql.h"

const char *search_table(enum search_kind k) {
    return k == BY_METRIC ? "metric_latest" : k == BY_PARAM ? "run_param" : "run_tag";
}

bool search_needs_row(const char *column) {
    return strcmp(column, "r.uuid") != 0 && strcmp(column, "r.start_ms") != 0;
}

void search_emit_scope(struct ctx *c, struct sql *q, const struct search_plan *p, bool found) {
    /* Of a run that is known already an index would be searched once per experiment. */
    sql_add(c, q, found ? " +r.experiment_id" : " r.experiment_id", "");
    filter_emit_ids(c, q, p->experiments, p->nexperiments);
    if (p->deleted < 0)
        sql_add(c, q, found ? "" : " AND r.deleted IN (0, 1)", "");
    else
        sql_add(c, q, " AND r.deleted = ?", "i", (int64_t)p->deleted);
}

#define INPUT_TAG                                                                                  \
    " LEFT JOIN run_input_tag t ON t.run_id = i.run_id AND t.dataset_id = i.dataset_id"            \
    " AND t.name = 'mlflow.data.context'"

static void emit_dataset(struct ctx *c, struct sql *q, const struct search_cond *s,
                         const char *row) {
    sql_add(c, q,
            "EXISTS (SELECT 1 FROM run_input i JOIN run_dataset d ON d.id = i.dataset_id" INPUT_TAG
            " WHERE i.run_id = ",
            "");
    sql_add(c, q, row, "");
    sql_add(c, q, " AND ", "");
    filter_emit(c, q, s->column, s->clause);
    sql_add(c, q, ")", "");
}

static void emit_column(struct ctx *c, struct sql *q, const struct search_cond *s,
                        const char *row) {
    bool here = !strcmp(row, "r.id");
    if (!here) {
        sql_add(c, q, "EXISTS (SELECT 1 FROM run r WHERE r.id = ", "");
        sql_add(c, q, row, "");
        sql_add(c, q, " AND ", "");
    }
    filter_emit(c, q, s->column, s->clause);
    if (!here)
        sql_add(c, q, ")", "");
}

/* The number of a name for a run; among several it is that of the run's experiment. */
static void emit_key(struct ctx *c, struct sql *q, const int64_t *keys, size_t n, const char *name,
                     const char *row) {
    if (n == 1) {
        filter_emit_ids(c, q, keys, n);
        return;
    }
    sql_add(c, q,
            " = (SELECT k.id FROM run n INDEXED BY run_brief CROSS JOIN run_key k"
            " ON k.experiment_id = n.experiment_id AND k.name = ? WHERE n.id = ",
            "s", name);
    sql_add(c, q, row, "");
    sql_add(c, q, ")", "");
}

/* NaN is unequal to every number, and neither less nor greater. */
static void emit_number(struct ctx *c, struct sql *q, const char *x,
                        const struct filter_clause *f) {
    bool unequal = f->op == OP_NE;
    sql_add(c, q, unequal ? "(" : "", "");
    filter_emit(c, q, arena_printf(c->arena, "%s.value", x), f);
    sql_add(c, q, arena_printf(c->arena, unequal ? " OR %s.is_nan = 1)" : " AND %s.is_nan = 0", x),
            "");
}

void search_emit_cond(struct ctx *c, struct sql *q, const struct search_cond *s, const char *row) {
    if (s->kind == BY_TEXT || s->kind == BY_NUMBER) {
        emit_column(c, q, s, row);
        return;
    }
    if (s->kind == BY_DATASET) {
        emit_dataset(c, q, s, row);
        return;
    }
    enum filter_op op = s->clause->op;
    if (op == OP_IS_NULL && s->nkeys == 0) {
        sql_add(c, q, "1", "");
        return;
    }
    sql_add(c, q, op == OP_IS_NULL ? "NOT EXISTS (SELECT 1 FROM " : "EXISTS (SELECT 1 FROM ", "");
    sql_add(c, q, search_table(s->kind), "");
    sql_add(c, q, " x WHERE x.run_id = ", "");
    sql_add(c, q, row, "");
    sql_add(c, q, " AND x.key_id", "");
    emit_key(c, q, s->keys, s->nkeys, s->name, row);
    if (op != OP_IS_NULL && op != OP_NOT_NULL) {
        sql_add(c, q, " AND ", "");
        if (s->kind == BY_METRIC)
            emit_number(c, q, "x", s->clause);
        else
            filter_emit(c, q, "x.value", s->clause);
    }
    sql_add(c, q, ")", "");
}

void search_emit_joins(struct ctx *c, struct sql *q, const struct search_plan *p, size_t first) {
    for (size_t i = first; i < p->norders; i++) {
        const struct search_order *o = &p->orders[i];
        if (o->kind >= BY_TEXT)
            continue;
        sql_add(c, q, " LEFT JOIN ", "");
        sql_add(c, q, search_table(o->kind), "");
        sql_add(c, q,
                arena_printf(c->arena, " o%zu ON o%zu.run_id = r.id AND o%zu.key_id", i, i, i), "");
        emit_key(c, q, o->keys, o->nkeys, o->name, "r.id");
    }
}

void search_emit_order(struct ctx *c, struct sql *q, const struct search_plan *p, size_t first) {
    sql_add(c, q, " ORDER BY ", "");
    for (size_t i = first; i < p->norders; i++) {
        const struct search_order *o = &p->orders[i];
        const char *way = o->desc ? " DESC, " : ", ";
        if (o->kind == BY_METRIC)
            sql_add(c, q,
                    arena_printf(c->arena,
                                 "CASE WHEN o%zu.run_id IS NULL THEN 2 ELSE o%zu.is_nan END, "
                                 "o%zu.value%s",
                                 i, i, i, way),
                    "");
        else if (o->kind == BY_PARAM || o->kind == BY_TAG)
            sql_add(c, q, arena_printf(c->arena, "o%zu.value IS NULL, o%zu.value%s", i, i, way),
                    "");
        else if (strcmp(o->column, "r.end_ms") != 0)
            sql_add(c, q, arena_printf(c->arena, "%s%s", o->column, way), "");
        else /* end_ms alone may be missing */
            sql_add(c, q, arena_printf(c->arena, "r.end_ms IS NULL, r.end_ms%s", way), "");
    }
    sql_add(c, q, p->start_ordered ? "r.uuid" : "r.start_ms DESC, r.uuid", "");
}

/* ------------------------------------------------------------------ a condition's runs */

/* What every match of a LIKE pattern begins with, at most 64 bytes of it, whole code points. */
static char *like_prefix(struct ctx *c, const struct filter_clause *f) {
    if (f->op != OP_LIKE)
        return NULL;
    size_t n = strcspn(f->text, "%_");
    if (n > 64)
        n = 64;
    while (n > 0 && ((unsigned char)f->text[n] & 0xc0) == 0x80)
        n--;
    return n ? arena_strndup(c->arena, f->text, n) : NULL;
}

bool search_selects(const struct search_cond *s) {
    enum filter_op op = s->clause->op;
    switch (s->kind) {
    case BY_METRIC:
        return s->nkeys && op != OP_NE && op != OP_IS_NULL;
    case BY_PARAM:
    case BY_TAG:
        return s->nkeys && (op == OP_EQ || (op == OP_LIKE && !strchr("%_", s->clause->text[0])));
    case BY_TEXT:
        return !strcmp(s->column, "r.uuid") ? op == OP_EQ || op == OP_IN
                                            : !strcmp(s->column, "r.status") && op == OP_EQ;
    case BY_NUMBER:
        return !strcmp(s->column, "r.start_ms") && op != OP_NE;
    case BY_DATASET:
        return op == OP_EQ || op == OP_IN;
    }
    return false;
}

static void emit_result(struct ctx *c, struct sql *q, const char *row, struct bitmap *into) {
    if (into)
        sql_add(c, q, "SELECT sum(bitmap_add(?, ", "p", into);
    else
        sql_add(c, q, "SELECT ", "");
    sql_add(c, q, row, "");
    sql_add(c, q, into ? ")) FROM " : " FROM ", "");
}

/* "AND column >= ? AND column < ?" for what begins with the prefix. */
static void emit_prefix(struct ctx *c, struct sql *q, const char *column, char *prefix) {
    sql_add(c, q, arena_printf(c->arena, " AND %s >= ? AND %s < ?", column, column), "s", prefix);
    char *after = arena_strdup(c->arena, prefix);
    after[strlen(after) - 1]++;
    sql_add(c, q, "", "s", after);
}

static void emit_text_hits(struct ctx *c, struct sql *q, const struct search_cond *s, int part) {
    const struct filter_clause *f = s->clause;
    char *prefix = like_prefix(c, f);
    sql_add(c, q, search_table(s->kind), "");
    sql_add(c, q,
            arena_printf(c->arena, " d INDEXED BY %s_%s WHERE d.key_id", search_table(s->kind),
                         part ? "long" : "short"),
            "");
    filter_emit_ids(c, q, s->keys, s->nkeys);
    sql_add(c, q, part ? " AND length(d.value) > 64" : " AND length(d.value) <= 64", "");
    if (prefix)
        emit_prefix(c, q, part ? "substr(d.value, 1, 64)" : "d.value", prefix);
    if (part && f->op == OP_EQ)
        sql_add(c, q, " AND substr(d.value, 1, 64) = substr(?, 1, 64)", "s", f->text);
    if (f->op == OP_IS_NULL || f->op == OP_NOT_NULL)
        return;
    sql_add(c, q, " AND ", "");
    /* "+" keeps the planner from putting the value into substr(), where no index would match. */
    filter_emit(c, q, part ? "+d.value" : "d.value", f);
}

bool search_emit_hits(struct ctx *c, struct sql *q, const struct search_plan *p,
                      const struct search_cond *s, int part, struct bitmap *into) {
    if (part == 1 && s->kind != BY_PARAM && s->kind != BY_TAG)
        return false;
    sql_begin(c, q);
    switch (s->kind) {
    case BY_METRIC:
        emit_result(c, q, "d.run_id", into);
        sql_add(c, q, "metric_latest d INDEXED BY metric_latest_value WHERE d.key_id", "");
        filter_emit_ids(c, q, s->keys, s->nkeys);
        sql_add(c, q, " AND ", "");
        if (s->clause->op == OP_IS_NULL || s->clause->op == OP_NOT_NULL)
            sql_add(c, q, "d.is_nan IN (0, 1)", "");
        else
            emit_number(c, q, "d", s->clause);
        break;
    case BY_PARAM:
    case BY_TAG:
        emit_result(c, q, "d.run_id", into);
        emit_text_hits(c, q, s, part);
        break;
    case BY_TEXT:
    case BY_NUMBER:
        emit_result(c, q, "r.id", into);
        sql_add(c, q, "run r ", "");
        if (!strcmp(s->column, "r.status"))
            sql_add(c, q, "INDEXED BY run_status WHERE", "");
        else if (!strcmp(s->column, "r.uuid") && search_selects(s))
            sql_add(c, q, "NOT INDEXED WHERE r.id IN (SELECT k.id FROM run k WHERE ", "");
        else
            sql_add(c, q, search_needs_row(s->column) ? "WHERE" : "INDEXED BY run_started WHERE",
                    "");
        if (!strcmp(s->column, "r.uuid") && search_selects(s)) {
            filter_emit(c, q, "k.uuid", s->clause);
            sql_add(c, q, ")", "");
            break;
        }
        search_emit_scope(c, q, p, false);
        sql_add(c, q, " AND ", "");
        filter_emit(c, q, s->column, s->clause);
        break;
    case BY_DATASET:
        emit_result(c, q, into ? "i.run_id" : "DISTINCT i.run_id", into);
        sql_add(c, q,
                "run_dataset d CROSS JOIN run_input i ON i.dataset_id = d.id" INPUT_TAG
                " WHERE d.experiment_id",
                "");
        filter_emit_ids(c, q, p->experiments, p->nexperiments);
        sql_add(c, q, " AND ", "");
        filter_emit(c, q, s->column, s->clause);
        break;
    }
    return true;
}
