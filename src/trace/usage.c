/* SPDX-License-Identifier: Apache-2.0 */
#include "usage.h"

#include <jansson.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"
#include "span.h"
#include "trace_store.h"

enum kind { TOKENS, COST, KINDS };
enum above { UNKNOWN, LOOKING, NOTHING, SOMETHING };

static const char *const attributes[KINDS] = {SPAN_TOKENS, SPAN_COST};
static const char *const metadata[KINDS] = {"mlflow.trace.tokenUsage", "mlflow.trace.cost"};
/* Sums name the first three always, the others where a span tells them. */
static const char *const token_keys[] = {"input_tokens", "output_tokens", "total_tokens",
                                         "cache_read_input_tokens", "cache_creation_input_tokens"};
#define NTOKENS ARRAY_LEN(token_keys)
#define ALWAYS 3
#define TOKENS_REAL 9007199254740992.0 /* exact up to here */

struct node {
    const char *id, *parent;
    json_int_t tokens[NTOKENS];
    double cost[3];
    bool told[NTOKENS], has[KINDS];
};
struct tree {
    struct node *nodes; /* by id */
    size_t n;
    enum above *above; /* per node: whether any ancestor has what is asked for */
    size_t *path;
    enum kind kind;
};

static int by_id(const void *key, const void *node) {
    return strcmp(key, ((const struct node *)node)->id);
}

static struct node *find(const struct tree *t, const char *id) {
    return id ? bsearch(id, t->nodes, t->n, sizeof *t->nodes, by_id) : NULL;
}

static enum above below(const struct tree *t, size_t parent) {
    return t->nodes[parent].has[t->kind] ? SOMETHING : t->above[parent];
}

/* What is above a node, with every node on the way up; a ring of parents counts as something, for
 * nobody can say which of them holds the sum. */
static enum above look_up(struct tree *t, size_t i) {
    size_t depth = 0;
    enum above seen = t->above[i];
    while (t->above[i] == UNKNOWN) {
        const struct node *p = find(t, t->nodes[i].parent);
        size_t next = p ? (size_t)(p - t->nodes) : 0;
        t->above[i] = LOOKING;
        t->path[depth++] = i;
        if (!p)
            seen = NOTHING;
        else if (t->above[next] == LOOKING)
            seen = SOMETHING;
        else if (t->above[next] != UNKNOWN)
            seen = below(t, next);
        else
            i = next;
    }
    while (depth > 0) {
        i = t->path[--depth];
        t->above[i] = seen;
        seen = below(t, i);
    }
    return t->above[i];
}

static int load_spans(struct ctx *c, int64_t row, struct tree *t) {
    struct stmt *st = db_query(c,
                               "SELECT span_id, parent_id, input_cost, output_cost, total_cost"
                               " FROM span WHERE trace = ? ORDER BY span_id",
                               "i", row);
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct node *x = arena_push(c->arena, (void **)&t->nodes, &t->n, &cap, sizeof *x);
        x->id = stmt_text(c, st, 0);
        x->parent = stmt_text(c, st, 1);
        for (int k = 0; k < 3; k++) {
            x->has[COST] = x->has[COST] || !stmt_null(st, 2 + k);
            x->cost[k] = stmt_null(st, 2 + k) ? 0 : stmt_f64(st, 2 + k);
        }
    }
    stmt_end(st);
    t->above = ARENA_ARRAY(c->arena, enum above, t->n + 1);
    t->path = ARENA_ARRAY(c->arena, size_t, t->n + 1);
    return rc;
}

static void put_tokens(struct node *x, const char *text) {
    json_t *told = json_loads(text, 0, NULL);
    x->has[TOKENS] = told != NULL;
    for (size_t k = 0; k < NTOKENS; k++) {
        const json_t *v = json_object_get(told, token_keys[k]);
        double d = json_number_value(v); /* a sender without whole numbers tells 10.0 */
        x->told[k] = json_is_number(v);
        x->tokens[k] = json_is_integer(v)                    ? json_integer_value(v)
                       : d > -TOKENS_REAL && d < TOKENS_REAL ? (json_int_t)d
                                                             : 0;
    }
    json_decref(told);
}

static int load(struct ctx *c, int64_t row, struct tree *t) {
    int rc = load_spans(c, row, t);
    struct stmt *st = rc < 0 ? NULL
                             : db_query(c,
                                        "SELECT span_id, tokens FROM span"
                                        " WHERE trace = ? AND tokens IS NOT NULL",
                                        "i", row);
    while (st && (rc = stmt_next(st)) > 0) {
        struct node *x = find(t, stmt_text(c, st, 0));
        if (x)
            put_tokens(x, stmt_text(c, st, 1));
    }
    if (st)
        stmt_end(st);
    return rc;
}

static json_int_t plus(json_int_t a, json_int_t b) {
    json_int_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static const char *token_sums(struct ctx *c, struct tree *t) {
    json_int_t sums[NTOKENS] = {0};
    bool told[NTOKENS] = {false}, any = false;
    const char *out = "";
    for (size_t i = 0; i < t->n; i++) {
        const struct node *x = &t->nodes[i];
        if (!x->has[TOKENS] || look_up(t, i) != NOTHING)
            continue;
        any = true;
        for (size_t k = 0; k < NTOKENS; k++) {
            told[k] = told[k] || x->told[k];
            sums[k] = plus(sums[k], x->tokens[k]);
        }
    }
    for (size_t k = 0; k < NTOKENS; k++)
        if (k < ALWAYS || told[k])
            out = arena_printf(c->arena, "%s%s\"%s\": %lld", out, k ? ", " : "", token_keys[k],
                               (long long)sums[k]);
    return any ? arena_printf(c->arena, "{%s}", out) : NULL;
}

static const char *cost_sums(struct ctx *c, struct tree *t) {
    double sums[3] = {0};
    char text[3][32];
    bool any = false;
    for (size_t i = 0; i < t->n; i++) {
        if (!t->nodes[i].has[COST] || look_up(t, i) != NOTHING)
            continue;
        any = true;
        for (size_t k = 0; k < 3; k++)
            sums[k] += t->nodes[i].cost[k];
    }
    for (size_t k = 0; k < 3; k++)
        json_double(sums[k], text[k]);
    return any ? arena_printf(c->arena,
                              "{\"input_cost\": %s, \"output_cost\": %s, \"total_cost\": %s}",
                              text[0], text[1], text[2])
               : NULL;
}

static int put(struct ctx *c, int64_t row, struct tree *t, enum kind kind) {
    t->kind = kind;
    memset(t->above, 0, (t->n + 1) * sizeof *t->above);
    const char *text = kind == TOKENS ? token_sums(c, t) : cost_sums(c, t);
    return text ? trace_put_metadata(c, row, metadata[kind], text) : 0;
}

/* A span without usage may come between two that have some, so once is anew each time; a trace
 * that waited for its root is looked at then. */
static int asked(struct ctx *c, const struct usage_of *of, const struct span *spans, size_t n,
                 enum kind kind, bool *yes) {
    bool there = false, these = of->spans > USAGE_OPEN_MAX;
    int rc = trace_has(c, of->row, false, metadata[kind], &there);
    for (size_t i = 0; i < n && !there && !these; i++)
        these = json_is_object(span_attribute(c, &spans[i], attributes[kind]));
    *yes = there ? !of->told : these;
    return rc;
}

int usage_put(struct ctx *c, const struct usage_of *of, const struct span *spans, size_t n) {
    struct tree t = {0};
    bool yes[KINDS] = {false};
    if (of->open && of->spans > USAGE_OPEN_MAX)
        return 0;
    int rc = asked(c, of, spans, n, TOKENS, &yes[TOKENS]);
    rc = rc ? rc : asked(c, of, spans, n, COST, &yes[COST]);
    if (rc == 0 && (yes[TOKENS] || yes[COST]))
        rc = load(c, of->row, &t);
    for (enum kind k = TOKENS; k < KINDS && rc == 0; k++)
        rc = yes[k] ? put(c, of->row, &t, k) : 0;
    return rc;
}
