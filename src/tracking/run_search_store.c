/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "filter_sql.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "rows.h"
#include "run_search.h"

static const char *table_of(enum search_kind k) {
    return k == BY_METRIC ? "metric_latest" : k == BY_PARAM ? "run_param" : "run_tag";
}

/* " run r" for a join by row number. A narrow index that covers what most searches need of a run
 * stays in the page cache where the table itself would not. */
static const char *run_by_number(const struct search_plan *p) {
    bool brief = true;
    for (size_t i = 0; i < p->nconds; i++)
        brief &= p->conds[i].kind < BY_TEXT || p->conds[i].kind == BY_DATASET ||
                 !strcmp(p->conds[i].column, "r.uuid") || !strcmp(p->conds[i].column, "r.start_ms");
    for (size_t i = 0; i < p->norders; i++)
        brief &= p->orders[i].kind < BY_TEXT || !strcmp(p->orders[i].column, "r.uuid") ||
                 !strcmp(p->orders[i].column, "r.start_ms");
    return brief ? " d CROSS JOIN run r INDEXED BY run_brief ON r.id = d.run_id"
                 : " d CROSS JOIN run r ON r.id = d.run_id";
}

/* The rows of run, and which of them. */
static void emit_scope(struct ctx *c, struct sql *q, const struct search_plan *p) {
    sql_add(c, q, " r.experiment_id", "");
    filter_emit_ids(c, q, p->experiments, p->nexperiments);
    if (p->deleted >= 0)
        sql_add(c, q, " AND r.deleted = ?", "i", (int64_t)p->deleted);
}

static void emit_dataset(struct ctx *c, struct sql *q, const struct search_cond *s) {
    sql_add(c, q,
            "EXISTS (SELECT 1 FROM run_input i JOIN run_dataset d ON d.id = i.dataset_id"
            " LEFT JOIN run_input_tag t ON t.run_id = i.run_id AND t.dataset_id = i.dataset_id"
            " AND t.name = 'mlflow.data.context' WHERE i.run_id = r.id AND ",
            "");
    filter_emit(c, q, s->column, s->clause);
    sql_add(c, q, ")", "");
}

/* A condition probed for each run. */
static void emit_cond(struct ctx *c, struct sql *q, const struct search_cond *s) {
    sql_add(c, q, " AND ", "");
    if (s->kind == BY_TEXT || s->kind == BY_NUMBER) {
        filter_emit(c, q, s->column, s->clause);
        return;
    }
    if (s->kind == BY_DATASET) {
        emit_dataset(c, q, s);
        return;
    }
    enum filter_op op = s->clause->op;
    if (op == OP_IS_NULL && s->nkeys == 0) {
        sql_add(c, q, "1", "");
        return;
    }
    sql_add(c, q, op == OP_IS_NULL ? "NOT EXISTS (SELECT 1 FROM " : "EXISTS (SELECT 1 FROM ", "");
    sql_add(c, q, table_of(s->kind), "");
    sql_add(c, q, " x WHERE x.run_id = r.id AND x.key_id", "");
    filter_emit_ids(c, q, s->keys, s->nkeys);
    if (op != OP_IS_NULL && op != OP_NOT_NULL) {
        sql_add(c, q, " AND ", "");
        filter_emit(c, q, "x.value", s->clause);
    }
    sql_add(c, q, ")", "");
}

bool run_search_indexable(const struct search_cond *s) {
    if (s->nkeys == 0)
        return false;
    if (s->kind == BY_METRIC)
        return s->clause->op != OP_NE;
    return (s->kind == BY_PARAM || s->kind == BY_TAG) && s->clause->op == OP_EQ;
}

/* "d.key_id ... AND d.value ..." in the form that the index serves. */
static void emit_range(struct ctx *c, struct sql *q, const struct search_cond *s) {
    sql_add(c, q, " d.key_id", "");
    filter_emit_ids(c, q, s->keys, s->nkeys);
    if (s->kind == BY_METRIC)
        sql_add(c, q, " AND d.is_nan IN (0, 1) AND ", "");
    else
        sql_add(c, q, " AND substr(d.value, 1, 64) = substr(?, 1, 64) AND ", "s", s->clause->text);
    /* "+" keeps the planner from putting the value into substr(), where no index would match. */
    filter_emit(c, q, s->kind == BY_METRIC ? "d.value" : "+d.value", s->clause);
}

static int count_hits(struct ctx *c, const struct search_cond *s, int64_t most, int64_t *hits) {
    struct sql q;
    sql_begin(c, &q);
    sql_add(c, &q, "SELECT count(*) FROM (SELECT 1 FROM ", "");
    sql_add(c, &q, table_of(s->kind), "");
    sql_add(c, &q, " d WHERE", "");
    emit_range(c, &q, s);
    sql_add(c, &q, " LIMIT ?)", "i", most);
    struct stmt *st = sql_query(c, &q);
    int rc = stmt_next(st);
    if (rc > 0)
        *hits = stmt_i64(st, 0);
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

/* Joins for the orders from `first` on. */
static void emit_order_joins(struct ctx *c, struct sql *q, const struct search_plan *p,
                             size_t first) {
    for (size_t i = first; i < p->norders; i++) {
        const struct search_order *o = &p->orders[i];
        if (o->kind >= BY_TEXT)
            continue;
        const char *name = arena_printf(c->arena, "o%zu", i);
        sql_add(c, q, " LEFT JOIN ", "");
        sql_add(c, q, table_of(o->kind), "");
        sql_add(c, q,
                arena_printf(c->arena, " %s ON %s.run_id = r.id AND %s.key_id", name, name, name),
                "");
        filter_emit_ids(c, q, o->keys, o->nkeys);
    }
}

static void emit_order(struct ctx *c, struct sql *q, const struct search_plan *p, size_t first,
                       const char *driver) {
    sql_add(c, q, " ORDER BY ", "");
    if (driver)
        sql_add(c, q, driver, "");
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
        else if (!o->column || o->column[2] != 'e')
            sql_add(c, q, arena_printf(c->arena, "%s%s", o->column, way), "");
        else /* end_ms alone may be missing */
            sql_add(c, q, arena_printf(c->arena, "r.end_ms IS NULL, r.end_ms%s", way), "");
    }
    sql_add(c, q, p->start_ordered ? "r.uuid" : "r.start_ms DESC, r.uuid", "");
}

static int collect(struct ctx *c, struct sql *q, int64_t limit, int64_t offset, struct list *rows,
                   size_t *cap) {
    sql_add(c, q, " LIMIT ? OFFSET ?", "ii", limit, offset);
    struct stmt *st = sql_query(c, q);
    int rc;
    while ((rc = stmt_next(st)) > 0)
        *(int64_t *)list_push(c, rows, cap, sizeof(int64_t)) = stmt_i64(st, 0);
    return rc;
}

int run_search_sorted(struct ctx *c, const struct search_plan *p, const struct search_cond *driver,
                      struct list *rows) {
    struct sql q;
    size_t cap = 0;
    sql_begin(c, &q);
    sql_add(c, &q, "SELECT r.id FROM ", "");
    if (driver) {
        sql_add(c, &q, table_of(driver->kind), "");
        sql_add(c, &q, run_by_number(p), "");
    } else {
        sql_add(c, &q, "run r", "");
    }
    emit_order_joins(c, &q, p, 0);
    sql_add(c, &q, " WHERE", "");
    if (driver) {
        emit_range(c, &q, driver);
        sql_add(c, &q, " AND", "");
    }
    emit_scope(c, &q, p);
    for (size_t i = 0; i < p->nconds; i++)
        if (&p->conds[i] != driver)
            emit_cond(c, &q, &p->conds[i]);
    emit_order(c, &q, p, 0, NULL);
    return collect(c, &q, p->limit + 1, p->offset, rows, &cap);
}

static bool same_metric(const struct search_cond *s, const struct search_order *o) {
    return s->kind == BY_METRIC && s->nkeys == 1 && s->keys[0] == o->keys[0];
}

enum phase { NUMBERS, NANS, MISSING };

/* FROM and WHERE of one phase of the walk along the metric that orders. */
static void emit_phase(struct ctx *c, struct sql *q, const struct search_plan *p, enum phase phase,
                       bool joins) {
    const struct search_order *o = &p->orders[0];
    if (phase == MISSING) {
        sql_add(c, q, " FROM run r", "");
    } else {
        sql_add(c, q, " FROM metric_latest", "");
        sql_add(c, q, run_by_number(p), "");
    }
    if (joins)
        emit_order_joins(c, q, p, 1);
    sql_add(c, q, " WHERE", "");
    if (phase != MISSING)
        sql_add(c, q, " d.key_id = ? AND d.is_nan = ? AND", "ii", o->keys[0],
                (int64_t)(phase == NANS));
    emit_scope(c, q, p);
    for (size_t i = 0; i < p->nconds; i++) {
        if (phase != MISSING && same_metric(&p->conds[i], o)) {
            sql_add(c, q, " AND ", "");
            filter_emit(c, q, "d.value", p->conds[i].clause);
        } else {
            emit_cond(c, q, &p->conds[i]);
        }
    }
    if (phase == MISSING)
        sql_add(c, q,
                " AND NOT EXISTS (SELECT 1 FROM metric_latest x WHERE x.run_id = r.id"
                " AND x.key_id = ?)",
                "i", o->keys[0]);
}

static int count_phase(struct ctx *c, const struct search_plan *p, enum phase phase, int64_t *n) {
    struct sql q;
    sql_begin(c, &q);
    sql_add(c, &q, "SELECT count(*)", "");
    emit_phase(c, &q, p, phase, false);
    struct stmt *st = sql_query(c, &q);
    int rc = stmt_next(st);
    if (rc > 0)
        *n = stmt_i64(st, 0);
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

int run_search_by_metric(struct ctx *c, const struct search_plan *p, struct list *rows) {
    size_t cap = 0;
    int64_t skip = p->offset, want = p->limit + 1;
    bool wanted_key = false;
    for (size_t i = 0; i < p->nconds; i++)
        wanted_key |= same_metric(&p->conds[i], &p->orders[0]);
    for (enum phase phase = NUMBERS; phase <= (wanted_key ? NANS : MISSING); phase++) {
        struct sql q;
        size_t before = rows->n;
        sql_begin(c, &q);
        sql_add(c, &q, "SELECT r.id", "");
        emit_phase(c, &q, p, phase, true);
        emit_order(c, &q, p, 1,
                   phase != NUMBERS    ? NULL
                   : p->orders[0].desc ? "d.value DESC, "
                                       : "d.value, ");
        int rc = collect(c, &q, want, skip, rows, &cap);
        if (rc < 0)
            return rc;
        int64_t got = (int64_t)(rows->n - before);
        want -= got;
        if (want <= 0)
            return 0;
        if (got > 0) {
            skip = 0;
        } else if (skip > 0) {
            int64_t all = 0;
            rc = count_phase(c, p, phase, &all);
            if (rc < 0)
                return rc;
            skip = skip > all ? skip - all : 0;
        }
    }
    return 0;
}

/* Hits up to which sorting them is cheaper than probing runs in order: with N runs and a page of L
 * the two cost alike near sqrt(N * L); N is taken as 100,000. */
static int64_t sort_bound(const struct search_plan *p, bool metric) {
    int64_t page = p->limit + p->offset, bound = 1000;
    /* Without an index that gives the order every run would be visited: any condition is better. */
    if (p->norders && !metric)
        return INT64_MAX;
    while (bound < 20000 && bound * bound < 100000 * page)
        bound += 250;
    return bound;
}

int run_search_rows(struct ctx *c, const struct search_plan *p, int64_t **rows, size_t *n) {
    struct list found = {0};
    const struct search_cond *driver = NULL;
    bool metric = p->norders && p->orders[0].kind == BY_METRIC && p->nexperiments == 1;
    int64_t least = sort_bound(p, metric);
    for (size_t i = 0; i < p->nconds; i++) {
        const struct search_cond *s = &p->conds[i];
        int64_t hits = least;
        /* Hits on the metric that orders lie in the wanted order already. */
        if (!run_search_indexable(s) || (metric && same_metric(s, &p->orders[0])))
            continue;
        int rc = count_hits(c, s, least, &hits);
        if (rc < 0)
            return rc;
        if (hits < least) {
            least = hits;
            driver = s;
        }
    }
    int rc = !driver && metric ? run_search_by_metric(c, p, &found)
                               : run_search_sorted(c, p, driver, &found);
    *rows = found.items;
    *n = found.n;
    return rc < 0 ? rc : 0;
}
