/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/bitmap.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/db/filter_sql.h"
#include "rows.h"
#include "run_search.h"
#include "run_search_set.h"
#include "run_search_sql.h"

#define FEW_RUNS 2000

/* A narrow index has what most searches need of a run; it stays in the page cache where the table
 * itself would not. */
static bool is_brief(const struct search_plan *p, bool conds) {
    bool brief = true;
    for (size_t i = 0; conds && i < p->nconds; i++)
        brief &= (p->conds[i].kind != BY_TEXT && p->conds[i].kind != BY_NUMBER) ||
                 !search_needs_row(p->conds[i].column);
    for (size_t i = 0; i < p->norders; i++)
        brief &= p->orders[i].kind < BY_TEXT || !search_needs_row(p->orders[i].column);
    return brief;
}

static int sort(struct ctx *c, const struct search_plan *p, const char *ids,
                const struct run_set *set, struct list *rows) {
    struct sql q;
    size_t cap = 0;
    bool brief = is_brief(p, set == NULL);
    sql_begin(c, &q);
    if (ids)
        sql_add(c, &q,
                brief ? "SELECT r.id FROM json_each(?) j CROSS JOIN run r INDEXED BY run_brief"
                        " ON r.id = j.value"
                      : "SELECT r.id FROM json_each(?) j CROSS JOIN run r ON r.id = j.value",
                "s", ids);
    else
        sql_add(c, &q,
                brief ? "SELECT r.id FROM run r INDEXED BY run_started" : "SELECT r.id FROM run r",
                "");
    search_emit_joins(c, &q, p, 0);
    sql_add(c, &q, " WHERE", "");
    search_emit_scope(c, &q, p, ids != NULL);
    if (set)
        run_set_emit(c, &q, set, "r.id");
    for (size_t i = 0; !set && i < p->nconds; i++) {
        sql_add(c, &q, " AND ", "");
        search_emit_cond(c, &q, &p->conds[i], "r.id");
    }
    search_emit_order(c, &q, p, 0);
    sql_add(c, &q, " LIMIT ? OFFSET ?", "ii", p->limit + 1, p->offset);
    struct stmt *st = sql_query(c, &q);
    int rc;
    while ((rc = stmt_next(st)) > 0)
        *(int64_t *)list_push(c, rows, &cap, sizeof(int64_t)) = stmt_i64(st, 0);
    return rc;
}

int run_search_sorted(struct ctx *c, const struct search_plan *p, const int64_t *ids, size_t n,
                      struct list *rows) {
    if (ids || p->nconds == 0)
        return sort(c, p, ids ? filter_ids_json(c, ids, n) : NULL, NULL, rows);
    /* Every run is looked at: a scan per condition is cheaper than a probe per run. */
    struct run_set set;
    int rc = run_set_begin(c, &set);
    for (size_t i = 0; !rc && i < p->nconds; i++)
        rc = run_set_meet(c, &set, p, &p->conds[i]);
    if (!rc && set.among) {
        int64_t *few = run_set_list(c, set.among, &n);
        if (n <= FEW_RUNS)
            return sort(c, p, filter_ids_json(c, few, n), NULL, rows);
    }
    return rc ? rc : sort(c, p, NULL, &set, rows);
}

/* The runs of the condition that has fewest, NULL when all have many. */
static int fewest(struct ctx *c, const struct search_plan *p, int64_t **ids, size_t *n) {
    size_t most = FEW_RUNS;
    *ids = NULL;
    for (size_t i = 0; i < p->nconds && most > 100; i++) {
        int64_t *found = NULL;
        size_t count = 0;
        if (!search_selects(&p->conds[i]))
            continue;
        int rc = run_set_few(c, p, &p->conds[i], most, &found, &count);
        if (rc)
            return rc;
        if (count <= most) {
            *ids = found ? found : ARENA_NEW(c->arena, int64_t);
            *n = most = count;
        }
    }
    return 0;
}

/* Names are indexed as tags only. A run's tag may be deleted, so it orders where none lacks it. */
static int order_by_name_tag(struct ctx *c, struct search_plan *p) {
    struct search_order *o = ARENA_ARRAY(c->arena, struct search_order, p->norders);
    int64_t tagged = 0, runs = 0;
    memcpy(o, p->orders, p->norders * sizeof *o);
    o->kind = BY_TAG;
    o->name = RUN_NAME_TAG;
    int rc = run_search_keys(c, p, RUN_NAME_TAG, &o->keys, &o->nkeys);
    if (!rc)
        rc = db_get_i64(c,
                        "SELECT coalesce(sum(tags), 0) FROM run_key"
                        " WHERE id IN (SELECT value FROM json_each(?))",
                        &tagged, NULL, "s", filter_ids_json(c, o->keys, o->nkeys));
    if (rc >= 0)
        rc = db_get_i64(c,
                        "SELECT count(*) FROM run r INDEXED BY run_started WHERE r.experiment_id"
                        " IN (SELECT value FROM json_each(?)) AND r.deleted IN (0, 1)",
                        &runs, NULL, "s", filter_ids_json(c, p->experiments, p->nexperiments));
    if (rc >= 0 && tagged == runs && o->nkeys)
        p->orders = o;
    return rc < 0 ? rc : 0;
}

int run_search_rows(struct ctx *c, const struct search_plan *plan, int64_t **rows, size_t *n) {
    struct search_plan own = *plan, *p = &own;
    struct list found = {0};
    int64_t *ids = NULL;
    size_t count = 0;
    int rc = fewest(c, p, &ids, &count);
    /* The default order of one experiment is an index, and SQLite skips its entries fastest. */
    bool plain = p->nconds + p->norders == 0 && p->nexperiments == 1 && p->deleted >= 0;
    if (!rc && !ids && p->norders && str_eq(p->orders[0].column, "r.name"))
        rc = order_by_name_tag(c, p);
    if (!rc)
        rc = !ids && !plain && run_search_walkable(p) ? run_search_walk(c, p, WALK_ADAPTS, &found)
                                                      : run_search_sorted(c, p, ids, count, &found);
    *rows = found.items;
    *n = found.n;
    return rc < 0 ? rc : 0;
}
