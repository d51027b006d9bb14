/* SPDX-License-Identifier: Apache-2.0 */
#include "run_search_stream.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/db/filter_sql.h"
#include "run_search_sql.h"

static bool by_key(const struct stage *stage) {
    return stage->kind == STAGE_NUMBER || stage->kind == STAGE_NAN || stage->kind == STAGE_TEXT;
}

size_t streams_count(const struct search_plan *p, const struct stage *stage) {
    if (by_key(stage))
        return stage->order->nkeys * (stage->kind == STAGE_TEXT ? 2 : 1);
    return p->nexperiments * (p->deleted < 0 ? 2 : 1);
}

int stream_compare(const struct stage *stage, const struct stream_value *a,
                   const struct stream_value *b) {
    int r = 0;
    switch (stage->kind) {
    case STAGE_STARTED:
        r = a->integer < b->integer ? -1 : a->integer > b->integer;
        break;
    case STAGE_NUMBER:
        r = a->real < b->real ? -1 : a->real > b->real;
        break;
    case STAGE_TEXT: {
        size_t n = a->len < b->len ? a->len : b->len;
        r = n ? memcmp(a->text, b->text, n) : 0;
        if (r == 0)
            r = a->len < b->len ? -1 : a->len > b->len;
        break;
    }
    case STAGE_NAN:
    case STAGE_ANY:
        break;
    }
    return stage->desc ? -r : r;
}

/* ------------------------------------------------------------------ statements */

static void emit_tests(struct ctx *c, struct sql *q, const struct search_cond *const *conds,
                       size_t n, const char *row) {
    for (size_t i = 0; i < n; i++) {
        if (i)
            sql_add(c, q, " AND ", "");
        search_emit_cond(c, q, conds[i], row);
    }
    if (n == 0)
        sql_add(c, q, "1", "");
}

static void emit_metric(struct ctx *c, struct sql *q, const struct search_plan *p,
                        const struct stage *stage, int64_t key, const struct stream_value *from) {
    sql_add(c, q,
            " FROM metric_latest d INDEXED BY metric_latest_value WHERE d.key_id = ?"
            " AND d.is_nan = ?",
            "ii", key, (int64_t)(stage->kind == STAGE_NAN));
    /* Conditions on the metric that orders bound the walk itself. */
    for (size_t i = 0; i < p->nconds; i++)
        if (p->conds[i].kind == BY_METRIC && !strcmp(p->conds[i].name, stage->order->name)) {
            sql_add(c, q, " AND ", "");
            if (stage->kind == STAGE_NUMBER)
                filter_emit(c, q, "d.value", p->conds[i].clause);
            else /* NaN is unequal to every number, and nothing else */
                sql_add(c, q, p->conds[i].clause->op == OP_NE ? "1" : "0", "");
        }
    if (from && stage->kind == STAGE_NUMBER)
        sql_add(c, q, stage->desc ? " AND d.value <= ?" : " AND d.value >= ?", "d", from->real);
}

static void emit_text(struct ctx *c, struct sql *q, const struct stage *stage, int64_t key,
                      bool lengthy, const struct stream_value *from) {
    const char *table = search_table(stage->order->kind);
    sql_add(c, q,
            arena_printf(c->arena, " FROM %s d INDEXED BY %s_%s WHERE d.key_id = ?", table, table,
                         lengthy ? "long" : "short"),
            "i", key);
    sql_add(c, q, lengthy ? " AND length(d.value) > 64" : " AND length(d.value) <= 64", "");
    if (!from)
        return;
    const char *text = arena_strndup(c->arena, from->text ? from->text : "", from->len);
    if (lengthy)
        sql_add(c, q,
                stage->desc ? " AND substr(d.value, 1, 64) <= substr(?, 1, 64)"
                            : " AND substr(d.value, 1, 64) >= substr(?, 1, 64)",
                "s", text);
    sql_add(c, q,
            lengthy ? (stage->desc ? " AND +d.value <= ?" : " AND +d.value >= ?")
                    : (stage->desc ? " AND d.value <= ?" : " AND d.value >= ?"),
            "s", text);
}

static void emit_started(struct ctx *c, struct sql *q, const struct stage *stage,
                         int64_t experiment, int64_t deleted, const struct stream_value *from) {
    sql_add(c, q,
            stage->status ? " FROM run r INDEXED BY run_status WHERE r.experiment_id = ?"
                          : " FROM run r INDEXED BY run_started WHERE r.experiment_id = ?",
            "i", experiment);
    sql_add(c, q, " AND r.deleted = ?", "i", deleted);
    if (stage->status)
        sql_add(c, q, " AND r.status = ?", "s", stage->status);
    if (from && stage->kind == STAGE_STARTED)
        sql_add(c, q, stage->desc ? " AND r.start_ms <= ?" : " AND r.start_ms >= ?", "i",
                from->integer);
}

static const char *order_of(const struct stage *stage, bool lengthy) {
    switch (stage->kind) {
    case STAGE_STARTED:
        return stage->desc ? " ORDER BY r.start_ms DESC" : " ORDER BY r.start_ms";
    case STAGE_NUMBER:
        return stage->desc ? " ORDER BY d.value DESC" : " ORDER BY d.value";
    case STAGE_TEXT: /* texts that begin alike are sorted while the index is walked */
        if (lengthy)
            return stage->desc ? " ORDER BY substr(d.value, 1, 64) DESC, d.value DESC"
                               : " ORDER BY substr(d.value, 1, 64), d.value";
        return stage->desc ? " ORDER BY d.value DESC" : " ORDER BY d.value";
    case STAGE_NAN:
    case STAGE_ANY:
        break;
    }
    return "";
}

/* ------------------------------------------------------------------ merging */

static int read_row(struct streams *s, struct stream *x) {
    int rc = stmt_next(x->st);
    if (rc <= 0)
        return rc;
    x->run = stmt_i64(x->st, 0);
    x->passes = stmt_i64(x->st, 1) != 0;
    switch (s->stage->kind) {
    case STAGE_STARTED:
        x->value.integer = stmt_i64(x->st, 2);
        break;
    case STAGE_NUMBER:
        x->value.real = stmt_f64(x->st, 2);
        break;
    case STAGE_TEXT:
        x->value.text = stmt_blob(x->st, 2, &x->value.len);
        break;
    case STAGE_NAN:
    case STAGE_ANY:
        break;
    }
    return 1;
}

static void sift(struct streams *s, size_t i) {
    for (;;) {
        size_t least = i;
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < s->n; k++)
            if (stream_compare(s->stage, &s->items[k].value, &s->items[least].value) < 0)
                least = k;
        if (least == i)
            return;
        struct stream x = s->items[i];
        s->items[i] = s->items[least];
        s->items[least] = x;
        i = least;
    }
}

static int open_one(struct streams *s, struct sql *q) {
    struct stream *x = &s->items[s->n];
    *x = (struct stream){.st = sql_query(s->c, q)};
    int rc = read_row(s, x);
    s->n += rc > 0;
    return rc < 0 ? rc : 0;
}

int streams_open(struct ctx *c, struct streams *s, const struct search_plan *p,
                 const struct stage *stage, const struct search_cond *const *conds, size_t nconds,
                 const struct run_set *set, const struct stream_value *from) {
    size_t n = streams_count(p, stage);
    bool keyed = by_key(stage), text = stage->kind == STAGE_TEXT;
    const char *row = keyed ? "d.run_id" : "r.id";
    *s = (struct streams){
        .c = c, .stage = stage, .items = ARENA_ARRAY(c->arena, struct stream, n + 1)};
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++) {
        struct sql q;
        bool second = i % 2;
        sql_begin(c, &q);
        sql_add(c, &q, arena_printf(c->arena, "SELECT %s, ", row), "");
        emit_tests(c, &q, conds, nconds, row);
        sql_add(c, &q, keyed ? ", d.value" : ", r.start_ms", "");
        if (text)
            emit_text(c, &q, stage, stage->order->keys[i / 2], second, from);
        else if (keyed)
            emit_metric(c, &q, p, stage, stage->order->keys[i], from);
        else if (p->deleted < 0)
            emit_started(c, &q, stage, p->experiments[i / 2], second, from);
        else
            emit_started(c, &q, stage, p->experiments[i], p->deleted, from);
        run_set_emit(c, &q, set, row);
        sql_add(c, &q, order_of(stage, text && second), "");
        rc = open_one(s, &q);
    }
    for (size_t i = s->n / 2; i-- > 0;)
        sift(s, i);
    return rc;
}

int streams_next(struct streams *s) {
    int rc = read_row(s, &s->items[0]);
    if (rc == 0)
        s->items[0] = s->items[--s->n];
    sift(s, 0);
    return rc < 0 ? rc : 0;
}

void streams_close(struct streams *s) {
    for (size_t i = 0; i < s->n; i++)
        stmt_end(s->items[i].st);
    s->n = 0;
}
