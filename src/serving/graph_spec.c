/* SPDX-License-Identifier: Apache-2.0 */
#include "graph_spec.h"

#include <string.h>

#include "endpoint.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "spec.h"

#define WIRES_MAX 2048 /* of a graph */

static const char *const dependencies[] = {"hard", "soft", NULL};

SHAPE_LOCAL(
    shape_node, "GraphNode", struct graph_node_spec,
    FIELD_MAX(struct graph_node_spec, name, T_STR, F_REQUIRED, 1, 64,
              "1 to 64 letters, digits, '_' and '-'; not request"),
    FIELD_MAX(struct graph_node_spec, endpoint, T_STR, 0, 1, 128,
              "An endpoint of the project, which answers by its own policy"),
    FIELD_MAX(struct graph_node_spec, model, T_STR, 0, 1, 1024,
              "Or a model: models:/NAME/VERSION, with an ONNX file"),
    FIELD(struct graph_node_spec, inputs, T_MAP, F_REQUIRED,
          "Its inputs: where each comes from, request.TENSOR or NODE.TENSOR; several with | "
          "between: the first that is there"),
    FIELD_ENUM(struct graph_node_spec, dependency, 0, dependencies,
               "hard: its failure fails the graph; soft: its outputs are missing then"));
SHAPE(shape_graph, "Graph", struct graph_spec,
      FIELD_SUB(struct graph_spec, nodes, T_LIST, F_REQUIRED, &shape_node,
                "What is asked, in any order; at most 64"),
      FIELD(struct graph_spec, outputs, T_MAP, F_REQUIRED,
            "The graph's outputs: where each comes from, as inputs of nodes say it"));

static const struct graph_node_spec *nodes_of(const struct graph_spec *g) {
    return g->nodes.items;
}

static int refuse(struct ctx *c, const char *field, const char *why) {
    return fail_field(c, ERR_INVALID, field, "%s", why);
}

bool graph_ref_next(struct ctx *c, const struct graph_spec *g, const char **at,
                    struct graph_ref *out) {
    if (!**at)
        return false;
    size_t n = strcspn(*at, "|");
    const char *text = arena_strndup(c->arena, *at, n), *dot = strchr(text, '.');
    *at += n + ((*at)[n] == '|');
    if (!dot || dot == text || !dot[1])
        return false;
    size_t len = (size_t)(dot - text);
    *out = (struct graph_ref){.node = -1, .tensor = dot + 1};
    if (len == 7 && memcmp(text, "request", 7) == 0)
        return true;
    for (size_t i = 0; i < g->nodes.n; i++)
        if (strlen(nodes_of(g)[i].name) == len && memcmp(nodes_of(g)[i].name, text, len) == 0) {
            out->node = (int)i;
            return true;
        }
    return false;
}

static int check_wires(struct ctx *c, const char *field, const struct graph_spec *g,
                       const struct pairs *wires) {
    if (wires->n == 0)
        return refuse(c, field, "must name tensors and where they come from");
    for (size_t i = 0; i < wires->n; i++) {
        const char *text = wires->items[i].value, *at = text;
        const char *own = arena_printf(c->arena, "%s/%s", field, wires->items[i].key);
        struct graph_ref ref;
        do {
            if (!graph_ref_next(c, g, &at, &ref))
                return fail_field(
                    c, ERR_INVALID, own,
                    "'%.200s' must be request.TENSOR or NODE.TENSOR of a node of this "
                    "graph, several with '|' between",
                    text);
        } while (*at);
        if (str_ends(text, "|"))
            return fail_field(c, ERR_INVALID, own, "'%.200s' ends with '|'", text);
    }
    return 0;
}

static int check_node(struct ctx *c, const char *at, const struct graph_spec *g, size_t i) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const struct graph_node_spec *n = &nodes_of(g)[i];
    const char *field = arena_printf(c->arena, "%s/nodes/%zu", at, i);
    const char *name = arena_printf(c->arena, "%s/name", field);
    if (strspn(n->name, letters) != strlen(n->name) || str_eq(n->name, "request"))
        return refuse(c, name,
                      "a node's name is 1 to 64 letters, digits, '_' and '-', and not request");
    for (size_t k = 0; k < i; k++)
        if (strcmp(nodes_of(g)[k].name, n->name) == 0)
            return fail_field(c, ERR_INVALID, name, "two nodes are called '%s'", n->name);
    if ((n->endpoint != NULL) == (n->model != NULL))
        return refuse(c, arena_printf(c->arena, "%s/endpoint", field),
                      "a node is an endpoint or a model: give one of both");
    int64_t version = 0;
    const char *slash = n->model ? strrchr(n->model, '/') : NULL;
    if (n->model && (!str_starts(n->model, "models:/") || slash < n->model + 9 ||
                     !str_to_i64(slash + 1, &version) || version < 1))
        return refuse(c, arena_printf(c->arena, "%s/model", field),
                      "model must be models:/NAME/VERSION; what follows an alias is an endpoint");
    return check_wires(c, arena_printf(c->arena, "%s/inputs", field), g, &n->inputs);
}

static bool takes_from(const struct graph_spec *g, size_t node, size_t from) {
    const struct graph_node_spec *n = &nodes_of(g)[node];
    const char *name = nodes_of(g)[from].name;
    size_t len = strlen(name);
    for (size_t i = 0; i < n->inputs.n; i++)
        for (const char *at = n->inputs.items[i].value; at; at = strchr(at, '|')) {
            at += *at == '|';
            if (strncmp(at, name, len) == 0 && at[len] == '.')
                return true;
        }
    return false;
}

/* How many nodes could be put in order. */
static size_t sort(const struct graph_spec *g, size_t *order) {
    bool placed[GRAPH_NODES] = {false}, takes[GRAPH_NODES][GRAPH_NODES];
    size_t n = 0, count = g->nodes.n;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++)
            takes[i][k] = takes_from(g, i, k);
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < count; i++) {
            bool free_to_go = !placed[i];
            for (size_t k = 0; free_to_go && k < count; k++)
                free_to_go = placed[k] || !takes[i][k];
            if (!free_to_go)
                continue;
            placed[i] = moved = true;
            order[n++] = i;
        }
    }
    return n;
}

void graph_spec_order(const struct graph_spec *g, size_t *order) {
    sort(g, order);
}

int graph_spec_check(struct ctx *c, const char *at, const struct graph_spec *g) {
    size_t order[GRAPH_NODES];
    if (g->nodes.n == 0 || g->nodes.n > GRAPH_NODES)
        return refuse(c, arena_printf(c->arena, "%s/nodes", at), "a graph has 1 to 64 nodes");
    size_t wires = g->outputs.n;
    for (size_t i = 0; i < g->nodes.n; i++)
        wires += nodes_of(g)[i].inputs.n;
    if (wires > WIRES_MAX)
        return refuse(c, arena_printf(c->arena, "%s/nodes", at), "a graph has at most 2048 wires");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < g->nodes.n; i++)
        rc = check_node(c, at, g, i);
    if (rc == 0)
        rc = check_wires(c, arena_printf(c->arena, "%s/outputs", at), g, &g->outputs);
    if (rc < 0)
        return rc;
    size_t n = sort(g, order);
    for (size_t i = 0; n < g->nodes.n && i < g->nodes.n; i++) {
        size_t k = 0;
        while (k < n && order[k] != i)
            k++;
        if (k == n)
            return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/nodes/%zu/inputs", at, i),
                              "node '%s' takes, by way of others, from itself",
                              nodes_of(g)[i].name);
    }
    return 0;
}

/* ---- endpoints that lead to endpoints ---- */

struct reach {
    const char *at, *from; /* the endpoint that must not be reached */
    const char **seen;
    size_t n, cap;
};

static int reach(struct ctx *c, struct reach *r, const char *field, const struct graph_spec *g,
                 unsigned depth);

static int reach_endpoint(struct ctx *c, struct reach *r, const char *field, const char *name,
                          unsigned depth) {
    struct endpoint e;
    struct endpoint_spec spec;
    if (strcmp(name, r->from) == 0)
        return fail_field(c, ERR_INVALID, field,
                          "endpoint '%s' would, by way of others, ask itself", r->from);
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->seen[i], name) == 0)
            return 0;
    r->seen = arena_room(c->arena, r->seen, r->n, &r->cap, sizeof *r->seen);
    r->seen[r->n++] = name;
    int rc = endpoint_get(c, name, &e);
    if (rc < 0 && c->err.code == ERR_NOT_FOUND && depth == 1) {
        err_clear(c);
        return fail_field(c, ERR_INVALID, field, "there is no endpoint '%.128s'", name);
    }
    if (rc < 0 && c->err.code == ERR_NOT_FOUND) { /* its graph tells when it is asked */
        err_clear(c);
        return 0;
    }
    if (rc == 0)
        rc = spec_read(c, e.policy, &spec);
    for (size_t i = 0; rc == 0 && i < spec.arms.n; i++) {
        const struct arm_spec *a = &((const struct arm_spec *)spec.arms.items)[i];
        if (a->graph)
            rc = reach(c, r, field, a->graph, depth);
    }
    return rc;
}

static int reach(struct ctx *c, struct reach *r, const char *field, const struct graph_spec *g,
                 unsigned depth) {
    if (depth == GRAPH_DEPTH)
        return fail_field(c, ERR_INVALID, field, "graphs are nested more than %d deep",
                          GRAPH_DEPTH);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < g->nodes.n; i++) {
        const struct graph_node_spec *n = &nodes_of(g)[i];
        if (n->endpoint)
            rc = reach_endpoint(
                c, r, depth ? field : arena_printf(c->arena, "%s/nodes/%zu/endpoint", r->at, i),
                n->endpoint, depth + 1);
    }
    return rc;
}

int graph_spec_reach(struct ctx *c, const char *at, const char *endpoint,
                     const struct graph_spec *g) {
    struct reach r = {.at = at, .from = endpoint};
    return reach(c, &r, at, g, 0);
}
