/* SPDX-License-Identifier: Apache-2.0 */
#include "run_search_group.h"

#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/bitmap.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/db/filter_sql.h"
#include "rows.h"
#include "run_search_sql.h"

#define GROUP_LISTED 4096

struct item {
    int64_t run;
    size_t group, rank;
};

static struct item *item_at(struct groups *g, size_t i) {
    return (struct item *)g->items.items + i;
}

static void push(struct groups *g, int64_t run, size_t group) {
    struct item *x = list_push(g->c, &g->items, &g->cap, sizeof *x);
    *x = (struct item){.run = run, .group = group};
}

void groups_begin(struct ctx *c, struct groups *g, const struct search_plan *p, size_t bits) {
    *g = (struct groups){.c = c,
                         .p = p,
                         .listed = GROUP_LISTED,
                         .bits = bits,
                         .skip = p->offset,
                         .want = p->limit + 1,
                         .number = 1};
}

bool groups_full(const struct groups *g) {
    return (int64_t)g->items.n - g->cut >= g->want;
}

int64_t groups_lacking(const struct groups *g) {
    size_t known = g->items.n + (g->set ? g->members : 0);
    return g->want + g->skip + g->cut - (int64_t)known;
}

void groups_add(struct groups *g, int64_t run) {
    g->members++;
    if (g->set) {
        bitmap_add(g->set, run);
        return;
    }
    push(g, run, g->number);
    if (g->items.n - g->start <= g->listed)
        return;
    g->set = bitmap_new(g->c->arena, g->bits);
    for (size_t i = g->start; i < g->items.n; i++)
        bitmap_add(g->set, item_at(g, i)->run);
    g->items.n = g->start;
}

void groups_drop(struct groups *g) {
    g->items.n = g->start;
    g->set = NULL;
    g->members = 0;
}

/* The first order has done its part; what is left of the order decides within a group. */
static size_t rest(const struct groups *g) {
    return g->p->norders ? 1 : 0;
}

static bool rest_is_brief(const struct groups *g) {
    for (size_t i = rest(g); i < g->p->norders; i++)
        if (g->p->orders[i].kind >= BY_TEXT && search_needs_row(g->p->orders[i].column))
            return false;
    return true;
}

/* A large group is walked in the next order. */
static int walk_set(struct groups *g, const struct search_plan *next) {
    struct list rows = {0};
    int rc = run_search_walk_among(g->c, next, WALK_ADAPTS, g->set, &rows);
    for (size_t i = 0; !rc && i < rows.n; i++)
        push(g, ((const int64_t *)rows.items)[i], g->number++);
    g->skip = 0;
    return rc;
}

/* Without an index for that all runs are walked and the set is asked. */
static int sort_set(struct groups *g) {
    struct ctx *c = g->c;
    struct sql q;
    if (g->p->norders > 1) {
        struct search_plan next = *g->p;
        next.orders++;
        next.norders--;
        next.nconds = 0;
        next.offset = g->skip;
        next.limit = g->want + g->cut - (int64_t)g->items.n - 1;
        if (run_search_walkable(&next))
            return walk_set(g, &next);
    }
    sql_begin(c, &q);
    sql_add(c, &q,
            rest_is_brief(g) ? "SELECT r.id FROM run r INDEXED BY run_started"
                             : "SELECT r.id FROM run r",
            "");
    search_emit_joins(c, &q, g->p, rest(g));
    sql_add(c, &q, " WHERE", "");
    search_emit_scope(c, &q, g->p, false);
    sql_add(c, &q, " AND bitmap_has(?, r.id)", "p", g->set);
    search_emit_order(c, &q, g->p, rest(g));
    sql_add(c, &q, " LIMIT ? OFFSET ?", "ii", g->want + g->cut - (int64_t)g->items.n, g->skip);
    g->skip = 0;
    struct stmt *st = sql_query(c, &q);
    int rc;
    while ((rc = stmt_next(st)) > 0)
        push(g, stmt_i64(st, 0), g->number++);
    return rc;
}

int groups_end(struct groups *g) {
    int rc = 0;
    if (g->members == 0)
        return 0;
    if (g->skip >= (int64_t)g->members) {
        g->skip -= (int64_t)g->members;
        g->items.n = g->start;
    } else if (g->set) {
        rc = sort_set(g);
    } else {
        g->cut += g->skip;
        g->skip = 0;
    }
    g->number++;
    g->start = g->items.n;
    g->set = NULL;
    g->members = 0;
    return rc;
}

/* ------------------------------------------------------------------ the page */

static int by_rank(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static int by_run(const void *a, const void *b) {
    const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
    return x->run < y->run ? -1 : x->run > y->run;
}

/* One statement puts the members of all groups of more than one in the rest's order. */
static int rank_ties(struct groups *g) {
    struct item **tied = ARENA_ARRAY(g->c->arena, struct item *, g->items.n + 1);
    int64_t *ids = ARENA_ARRAY(g->c->arena, int64_t, g->items.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < g->items.n; i++) {
        struct item *x = item_at(g, i);
        if ((i && item_at(g, i - 1)->group == x->group) ||
            (i + 1 < g->items.n && item_at(g, i + 1)->group == x->group))
            tied[n++] = x;
    }
    if (n == 0)
        return 0;
    qsort(tied, n, sizeof(struct item *), by_run);
    for (size_t i = 0; i < n; i++)
        ids[i] = tied[i]->run;
    struct sql q;
    sql_begin(g->c, &q);
    sql_add(g->c, &q, "SELECT j.key FROM json_each(?) j CROSS JOIN run r ", "s",
            filter_ids_json(g->c, ids, n));
    sql_add(g->c, &q,
            rest_is_brief(g) ? "INDEXED BY run_brief ON r.id = j.value" : "ON r.id = j.value", "");
    search_emit_joins(g->c, &q, g->p, rest(g));
    search_emit_order(g->c, &q, g->p, rest(g));
    struct stmt *st = sql_query(g->c, &q);
    int rc;
    for (size_t rank = 0; (rc = stmt_next(st)) > 0; rank++) {
        size_t i = (size_t)stmt_i64(st, 0);
        if (i < n)
            tied[i]->rank = rank;
    }
    qsort(g->items.items, g->items.n, sizeof(struct item), by_rank);
    return rc;
}

int groups_page(struct groups *g, struct list *rows) {
    size_t cap = 0;
    int rc = rank_ties(g);
    for (int64_t i = g->cut; !rc && i < (int64_t)g->items.n && (int64_t)rows->n < g->want; i++)
        *(int64_t *)list_push(g->c, rows, &cap, sizeof(int64_t)) = item_at(g, (size_t)i)->run;
    return rc;
}
