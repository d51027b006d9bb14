/* SPDX-License-Identifier: Apache-2.0 */
/* What a request may cost, known before anything runs. */
#include "document.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

struct count {
    struct ctx *c;
    const struct gql_definition *all;
    unsigned selections, roots;
};

/* The fragments being walked, innermost first: one that appears again contains itself. */
struct trail {
    const struct gql_definition *fragment;
    const struct trail *outer;
};

const struct gql_definition *gql_fragment(const struct gql_definition *all, const char *name) {
    for (const struct gql_definition *d = all; d; d = d->next)
        if (d->fragment && str_eq(d->name, name))
            return d;
    return NULL;
}

static int walk(struct count *n, const struct gql_selection *first, int depth, unsigned *aliases,
                const struct trail *trail);

static int walk_fragment(struct count *n, const struct gql_selection *s, int depth,
                         unsigned *aliases, const struct trail *trail) {
    const struct gql_definition *f = gql_fragment(n->all, s->name);
    if (!f)
        return fail_field(n->c, ERR_INVALID, "query", "Unknown fragment '%s'.", s->name);
    for (const struct trail *t = trail; t; t = t->outer)
        if (t->fragment == f)
            return fail_field(n->c, ERR_INVALID, "query",
                              "Cannot spread fragment '%s' within itself.", s->name);
    struct trail inner = {.fragment = f, .outer = trail};
    return walk(n, f->first, depth, aliases, &inner);
}

static int walk(struct count *n, const struct gql_selection *first, int depth, unsigned *aliases,
                const struct trail *trail) {
    int rc = 0;
    if (depth > GQL_DEPTH_MAX)
        return fail_field(n->c, ERR_INVALID, "query", "Query exceeds maximum depth of %d",
                          GQL_DEPTH_MAX);
    for (const struct gql_selection *s = first; s && rc == 0; s = s->next) {
        unsigned inner = 0;
        /* Spreads count as well: a tree of fragments can grow exponentially without one field. */
        if (++n->selections > GQL_SELECTIONS_MAX)
            return fail_field(n->c, ERR_INVALID, "query",
                              "Query exceeds maximum total selections of %d", GQL_SELECTIONS_MAX);
        if (s->kind == GQL_SPREAD) {
            rc = walk_fragment(n, s, depth, aliases, trail);
        } else if (s->kind == GQL_INLINE) {
            rc = walk(n, s->first, depth, aliases, trail);
        } else {
            n->roots += depth == 1;
            *aliases += s->alias != NULL;
            rc = s->first ? walk(n, s->first, depth + 1, &inner, trail) : 0;
        }
        if (rc == 0 && (*aliases > GQL_ALIASES_MAX || inner > GQL_ALIASES_MAX))
            rc = fail_field(n->c, ERR_INVALID, "query",
                            "GraphQL queries should have at most %d aliases, got %u aliases.",
                            GQL_ALIASES_MAX, *aliases > inner ? *aliases : inner);
    }
    return rc;
}

int gql_bounds(struct ctx *c, const struct gql_definition *all, const struct gql_definition *op) {
    struct count n = {.c = c, .all = all};
    unsigned aliases = 0;
    int rc = walk(&n, op->first, 1, &aliases, NULL);
    if (rc == 0 && n.roots > GQL_ROOTS_MAX)
        rc = fail_field(c, ERR_INVALID, "query",
                        "GraphQL queries should have at most %d root fields, got %u root fields.",
                        GQL_ROOTS_MAX, n.roots);
    return rc;
}
