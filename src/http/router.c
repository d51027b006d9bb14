/* SPDX-License-Identifier: Apache-2.0 */
#include "router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/http/server.h"
#include "quern/metric/metric.h"

struct node {
    char *text; /* literal, or the suffix behind a variable */
    size_t len;
    struct node *literals; /* sorted by text once built */
    size_t nliterals;
    struct node *suffixes;
    size_t nsuffixes;
    struct node *var;  /* "{name}" */
    struct node *rest; /* "{path...}", a leaf */
    struct entry *at[METHOD_COUNT];
};

struct router {
    struct node root;
    struct entry *entries;
    size_t n;
};

static const char *const method_names[METHOD_COUNT] = {"GET",   "HEAD",   "POST",   "PUT",
                                                       "PATCH", "DELETE", "OPTIONS"};

enum method method_of(const char *name) {
    for (unsigned m = 0; m < METHOD_COUNT; m++)
        if (strcmp(name, method_names[m]) == 0)
            return (enum method)m;
    return METHOD_COUNT;
}

const char *method_text(enum method m) {
    return method_names[m];
}

const char *route_ajax_path(const struct route *row, char *out, size_t size) {
    if (!(row->flags & ROUTE_MLFLOW_AJAX) || !str_starts(row->path, "/api/"))
        return NULL;
    int n = snprintf(out, size, "/ajax-api%s", row->path + 4);
    return n > 0 && (size_t)n < size ? out : NULL;
}

/* ------------------------------------------------------------------ building */

static struct node *child_of(struct node **list, size_t *n, const char *text, size_t len) {
    for (size_t i = 0; i < *n; i++)
        if ((*list)[i].len == len && memcmp((*list)[i].text, text, len) == 0)
            return &(*list)[i];
    *list = mem_realloc(*list, (*n + 1) * sizeof(**list));
    struct node *fresh = &(*list)[(*n)++];
    *fresh = (struct node){.len = len};
    fresh->text = mem_alloc(len + 1);
    memcpy(fresh->text, text, len);
    return fresh;
}

static struct node *single(struct node **slot) {
    if (!*slot)
        *slot = mem_alloc(sizeof(**slot));
    return *slot;
}

/* One pattern segment; adds the variable's name to the entry when `name_it`. */
static struct node *descend(struct node *at, const char *seg, size_t n, struct entry *e,
                            bool name_it) {
    if (n == 0 || seg[0] != '{')
        return child_of(&at->literals, &at->nliterals, seg, n);
    const char *close = memchr(seg, '}', n);
    size_t name = (size_t)(close - seg) - 1;
    size_t suffix = n - name - 2;
    bool rest = name > 3 && memcmp(close - 3, "...", 3) == 0;
    if (name_it && e->nvars < ROUTE_VARS_MAX) {
        size_t len = rest ? name - 3 : name;
        char *copy = mem_alloc(len + 1);
        memcpy(copy, seg + 1, len);
        e->vars[e->nvars++].key = copy;
    }
    if (rest)
        return single(&at->rest);
    if (suffix)
        return child_of(&at->suffixes, &at->nsuffixes, close + 1, suffix);
    return single(&at->var);
}

static void add(struct router *r, struct entry *e, const char *path, bool name_them) {
    struct node *at = &r->root;
    for (const char *p = path + 1;;) {
        size_t n = strcspn(p, "/");
        at = descend(at, p, n, e, name_them);
        if (!p[n])
            break;
        p += n + 1;
    }
    enum method m = method_of(e->row->method);
    at->at[m] = e;
    if (m == METHOD_GET)
        at->at[METHOD_HEAD] = e;
}

static int by_text(const void *a, const void *b) {
    const struct node *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->text, y->text, n);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static int by_length_desc(const void *a, const void *b) {
    const struct node *x = a, *y = b;
    return (x->len < y->len) - (x->len > y->len);
}

static void sort(struct node *at) {
    if (at->nliterals)
        qsort(at->literals, at->nliterals, sizeof(*at->literals), by_text);
    if (at->nsuffixes)
        qsort(at->suffixes, at->nsuffixes, sizeof(*at->suffixes), by_length_desc);
    for (size_t i = 0; i < at->nliterals; i++)
        sort(&at->literals[i]);
    for (size_t i = 0; i < at->nsuffixes; i++)
        sort(&at->suffixes[i]);
    if (at->var)
        sort(at->var);
}

struct router *router_new(const struct route_list *lists) {
    struct router *r = mem_alloc(sizeof(*r));
    size_t n = 0;
    for (const struct route_list *l = lists; l->n; l++)
        n += l->n;
    r->entries = mem_alloc((n ? n : 1) * sizeof(*r->entries));
    for (const struct route_list *l = lists; l->n; l++) {
        for (size_t i = 0; i < l->n; i++) {
            struct entry *e = &r->entries[r->n++];
            char ajax[256];
            e->row = &l->rows[i];
            e->seconds = metric_cell(METRIC_HTTP_SECONDS, e->row->id, NULL, NULL);
            add(r, e, e->row->path, true);
            if (route_ajax_path(e->row, ajax, sizeof(ajax)))
                add(r, e, ajax, false);
        }
    }
    sort(&r->root);
    return r;
}

static void node_clear(struct node *at) {
    for (size_t i = 0; i < at->nliterals; i++)
        node_clear(&at->literals[i]);
    for (size_t i = 0; i < at->nsuffixes; i++)
        node_clear(&at->suffixes[i]);
    if (at->var)
        node_clear(at->var);
    free(at->literals);
    free(at->suffixes);
    free(at->var);
    free(at->rest);
    free(at->text);
}

void router_free(struct router *r) {
    if (!r)
        return;
    node_clear(&r->root);
    for (size_t i = 0; i < r->n; i++)
        for (unsigned v = 0; v < r->entries[i].nvars; v++)
            free((char *)r->entries[i].vars[v].key);
    free(r->entries);
    free(r);
}

/* ------------------------------------------------------------------ finding */

struct walk {
    const struct segment *segments;
    size_t n;
    struct arena *arena;
    enum method method;
    const char *values[ROUTE_VARS_MAX];
    unsigned allow;
    struct entry *found;
    size_t nvalues;
};

static const struct node *literal_child(const struct node *at, const struct segment *s) {
    const struct node key = {.text = (char *)s->text, .len = s->len};
    return at->nliterals
               ? bsearch(&key, at->literals, at->nliterals, sizeof(*at->literals), by_text)
               : NULL;
}

static char *join(struct arena *a, const struct segment *s, size_t n) {
    size_t total = 1;
    for (size_t i = 0; i < n; i++)
        total += s[i].len + 1;
    char *out = arena_alloc(a, total), *o = out;
    for (size_t i = 0; i < n; i++) {
        if (i)
            *o++ = '/';
        memcpy(o, s[i].text, s[i].len);
        o += s[i].len;
    }
    return out;
}

/* True when the walk ended at a row of the wanted method; leaves of other methods are noted. */
static bool leaf(struct walk *w, const struct node *at, size_t nvalues) {
    for (unsigned m = 0; m < METHOD_COUNT; m++)
        if (at->at[m])
            w->allow |= 1u << m;
    if (!at->at[w->method])
        return false;
    w->found = at->at[w->method];
    w->nvalues = nvalues;
    return true;
}

static bool step(struct walk *w, const struct node *at, size_t i, size_t nvalues) {
    if (i == w->n)
        return leaf(w, at, nvalues);
    const struct segment *s = &w->segments[i];
    const struct node *next = literal_child(at, s);
    if (next && step(w, next, i + 1, nvalues))
        return true;
    if (s->len == 0 || nvalues == ROUTE_VARS_MAX)
        return false;
    for (size_t k = 0; k < at->nsuffixes; k++) {
        next = &at->suffixes[k];
        if (s->len <= next->len || memcmp(s->text + s->len - next->len, next->text, next->len) != 0)
            continue;
        w->values[nvalues] = arena_strndup(w->arena, s->text, s->len - next->len);
        if (step(w, next, i + 1, nvalues + 1))
            return true;
    }
    w->values[nvalues] = s->text;
    if (at->var && step(w, at->var, i + 1, nvalues + 1))
        return true;
    if (!at->rest)
        return false;
    w->values[nvalues] = i + 1 == w->n ? s->text : join(w->arena, s, w->n - i);
    return leaf(w, at->rest, nvalues + 1);
}

void router_find(const struct router *r, struct arena *a, enum method m, const char *path, size_t n,
                 struct route_match *out) {
    struct segment segments[TARGET_SEGMENTS_MAX];
    int count = target_segments(a, path, n, segments, TARGET_SEGMENTS_MAX);
    out->entry = NULL;
    out->allow = 0;
    out->nvars = 0;
    if (count < 0)
        return;
    struct walk w = {.segments = segments, .n = (size_t)count, .arena = a, .method = m};
    step(&w, &r->root, 0, 0);
    out->entry = w.found;
    out->allow = w.allow;
    if (!w.found)
        return;
    out->nvars = w.nvalues < w.found->nvars ? w.nvalues : w.found->nvars;
    for (size_t i = 0; i < out->nvars; i++)
        out->vars[i] = (struct pair){.key = w.found->vars[i].key, .value = w.values[i]};
}

const struct entry *router_entries(const struct router *r, size_t *n) {
    *n = r->n;
    return r->entries;
}

const struct route *routes_find(const struct route_list *routes, const char *method,
                                const char *path) {
    enum method m = method_of(method);
    size_t n = strcspn(path, "?");
    if (m == METHOD_COUNT || target_check(path, strlen(path)))
        return NULL;
    struct router *r = router_new(routes);
    struct arena *a = arena_new();
    struct route_match match;
    router_find(r, a, m, path, n, &match);
    const struct route *row = match.entry ? match.entry->row : NULL;
    arena_free(a);
    router_free(r);
    return row;
}
