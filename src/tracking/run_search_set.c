/* SPDX-License-Identifier: Apache-2.0 */
#include "run_search_set.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/bitmap.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/db/filter_sql.h"
#include "rows.h"
#include "run_search_sql.h"

int run_set_begin(struct ctx *c, struct run_set *s) {
    int64_t last = 0;
    *s = (struct run_set){0};
    int rc = db_get_i64(c,
                        "SELECT max(coalesce((SELECT max(id) FROM run), 0),"
                        " coalesce((SELECT max(run_id) FROM run_rest), 0))",
                        &last, NULL, "");
    s->bits = last > 0 ? (size_t)last + 1 : 1;
    return rc < 0 ? rc : 0;
}

static int fill(struct ctx *c, struct sql *q) {
    struct stmt *st = sql_query(c, q);
    int rc = stmt_next(st);
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

static void join(struct run_set *s, struct bitmap *b, bool outside) {
    struct bitmap **to = outside ? &s->except : &s->among;
    if (!*to)
        *to = b;
    else if (outside)
        bitmap_or(*to, b);
    else
        bitmap_and(*to, b);
}

int run_set_meet(struct ctx *c, struct run_set *s, const struct search_plan *p,
                 const struct search_cond *cond) {
    struct bitmap *b = bitmap_new(c->arena, s->bits);
    bool outside = cond->clause->op == OP_IS_NULL;
    if (outside && cond->nkeys == 0 && cond->kind < BY_TEXT)
        return 0;
    struct sql q;
    for (int part = 0; part < SEARCH_PARTS; part++)
        if (search_emit_hits(c, &q, p, cond, part, b)) {
            int rc = fill(c, &q);
            if (rc)
                return rc;
        }
    join(s, b, outside);
    return 0;
}

/* Runs that were purged are gone, but what they logged is still being erased. */
static int leave_purged(struct ctx *c, struct run_set *s) {
    struct bitmap *b = NULL;
    struct stmt *st = db_query(c, "SELECT run_id FROM run_rest", "");
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        if (!b)
            b = bitmap_new(c->arena, s->bits);
        bitmap_add(b, stmt_i64(st, 0));
    }
    stmt_end(st);
    if (b)
        join(s, b, true);
    return rc < 0 ? rc : 0;
}

int run_set_view(struct ctx *c, struct run_set *s, const struct search_plan *p) {
    int left = leave_purged(c, s);
    if (left || p->deleted < 0)
        return left;
    struct bitmap *b = bitmap_new(c->arena, s->bits);
    struct sql q;
    sql_begin(c, &q);
    sql_add(c, &q,
            "SELECT sum(bitmap_add(?, r.id)) FROM run r INDEXED BY run_started"
            " WHERE r.deleted = 1 AND r.experiment_id",
            "p", b);
    filter_emit_ids(c, &q, p->experiments, p->nexperiments);
    int rc = fill(c, &q);
    if (rc == 0 && (p->deleted || bitmap_count(b)))
        join(s, b, !p->deleted);
    return rc;
}

static struct bitmap *copy(struct ctx *c, const struct bitmap *from) {
    struct bitmap *b = bitmap_new(c->arena, from->bits);
    bitmap_or(b, from);
    return b;
}

struct run_set run_set_both(struct ctx *c, const struct run_set *a, const struct run_set *b) {
    struct run_set both = *a;
    if (b->among) {
        both.among = copy(c, b->among);
        if (a->among)
            bitmap_and(both.among, a->among);
    }
    if (b->except) {
        both.except = copy(c, b->except);
        if (a->except)
            bitmap_or(both.except, a->except);
    }
    return both;
}

void run_set_emit(struct ctx *c, struct sql *q, const struct run_set *s, const char *row) {
    const struct bitmap *both[] = {s->among, s->except};
    for (size_t i = 0; i < 2; i++)
        if (both[i]) {
            sql_add(c, q, i ? " AND NOT bitmap_has(?, " : " AND bitmap_has(?, ", "p", both[i]);
            sql_add(c, q, row, "");
            sql_add(c, q, ")", "");
        }
}

int run_set_few(struct ctx *c, const struct search_plan *p, const struct search_cond *cond,
                size_t most, int64_t **ids, size_t *n) {
    struct list found = {0};
    size_t cap = 0;
    int rc = 0;
    for (int part = 0; part < SEARCH_PARTS && found.n <= most; part++) {
        struct sql q;
        if (!search_emit_hits(c, &q, p, cond, part, NULL))
            continue;
        sql_add(c, &q, " LIMIT ?", "i", (int64_t)(most + 1 - found.n));
        struct stmt *st = sql_query(c, &q);
        while ((rc = stmt_next(st)) > 0)
            *(int64_t *)list_push(c, &found, &cap, sizeof(int64_t)) = stmt_i64(st, 0);
        if (rc < 0)
            return rc;
    }
    *ids = found.items;
    *n = found.n;
    return 0;
}

/* Hits are counted up to a bound that takes about a millisecond. */
static int count_hits(struct ctx *c, const struct search_plan *p, const struct search_cond *cond,
                      int64_t most, int64_t *hits) {
    struct sql q;
    *hits = 0;
    for (int part = 0; part < SEARCH_PARTS && *hits < most; part++) {
        if (!search_emit_hits(c, &q, p, cond, part, NULL))
            continue;
        struct sql whole;
        sql_begin(c, &whole);
        sql_add(c, &whole, "SELECT count(*) FROM (", "");
        sql_join(c, &whole, &q);
        sql_add(c, &whole, " LIMIT ?)", "i", most);
        struct stmt *st = sql_query(c, &whole);
        int rc = stmt_next(st);
        if (rc > 0)
            *hits += stmt_i64(st, 0);
        stmt_end(st);
        if (rc < 0)
            return rc;
    }
    return 0;
}

#define HITS_COUNTED 20000

int run_set_cost(struct ctx *c, const struct search_plan *p, const struct search_cond *cond,
                 int64_t *rows) {
    struct sql q;
    if (search_selects(cond)) {
        int rc = count_hits(c, p, cond, HITS_COUNTED, rows);
        if (rc || *rows < HITS_COUNTED)
            return rc;
    }
    *rows = HITS_COUNTED;
    if (cond->kind >= BY_TEXT)
        return 0;
    sql_begin(c, &q);
    sql_add(c, &q, "SELECT sum(", "");
    sql_add(c, &q,
            cond->kind == BY_METRIC  ? "metrics"
            : cond->kind == BY_PARAM ? "params"
                                     : "tags",
            "");
    sql_add(c, &q, ") FROM run_key WHERE id", "");
    filter_emit_ids(c, &q, cond->keys, cond->nkeys);
    struct stmt *st = sql_query(c, &q);
    int rc = stmt_next(st);
    if (rc > 0)
        *rows = stmt_i64(st, 0);
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

int64_t *run_set_list(struct ctx *c, const struct bitmap *b, size_t *n) {
    int64_t *ids = ARENA_ARRAY(c->arena, int64_t, bitmap_count(b) + 1);
    *n = 0;
    for (size_t w = 0; w * 64 < b->bits; w++)
        for (uint64_t word = b->words[w]; word; word &= word - 1)
            ids[(*n)++] = (int64_t)(w * 64 + (size_t)__builtin_ctzll(word));
    return ids;
}
