/* SPDX-License-Identifier: Apache-2.0 */
/* Graph: from its spec to a model, with every wire checked against the models that it joins. */
#include "graph.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "graph_state.h"
#include "loader.h"
#include "model.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/json/json_in.h"
#include "snapshot.h"

static void free_graph(struct model *m) {
    struct graph *g = m->state;
    for (size_t i = 0; g && i < g->n; i++)
        model_free(g->nodes[i].model);
}

const struct runtime graph_runtime = {.name = "graph", .run = graph_run, .free = free_graph};

/* ---- from the spec ---- */

static void compile_wires(struct ctx *c, struct arena *a, const struct graph_spec *s,
                          const struct pairs *wires, struct graph_wire **out, size_t *n) {
    struct graph_wire *w = *out = ARENA_ARRAY(a, struct graph_wire, wires->n ? wires->n : 1);
    *n = wires->n;
    for (size_t i = 0; i < wires->n; i++) {
        size_t cap = 0;
        struct graph_ref ref;
        w[i].name = arena_strdup(a, wires->items[i].key);
        for (const char *at = wires->items[i].value; graph_ref_next(c, s, &at, &ref);) {
            w[i].refs = arena_room(a, w[i].refs, w[i].n, &cap, sizeof *w[i].refs);
            w[i].refs[w[i].n++] =
                (struct graph_ref){.node = ref.node, .tensor = arena_strdup(a, ref.tensor)};
        }
    }
}

static void compile(struct ctx *c, struct arena *a, const struct graph_spec *s, struct graph *g) {
    g->n = s->nodes.n;
    g->nodes = ARENA_ARRAY(a, struct graph_node, g->n);
    graph_spec_order(s, g->order);
    for (size_t i = 0; i < g->n; i++) {
        const struct graph_node_spec *from = &((const struct graph_node_spec *)s->nodes.items)[i];
        struct graph_node *to = &g->nodes[i];
        to->name = arena_strdup(a, from->name);
        to->endpoint = arena_strdup(a, from->endpoint);
        to->soft = str_eq(from->dependency, "soft");
        compile_wires(c, a, s, &from->inputs, &to->wires, &to->nwires);
        to->raw = true;
        for (size_t w = 0; w < to->nwires; w++)
            for (size_t r = 0; r < to->wires[w].n; r++)
                to->raw = to->raw && to->wires[w].refs[r].node < 0;
    }
    compile_wires(c, a, s, &s->outputs, &g->outputs, &g->noutputs);
}

/* ---- what the nodes take and give ---- */

struct face {
    struct tensor_spec *inputs, *outputs;
    size_t ninputs, noutputs;
};

static struct tensor_spec *copy_specs(struct arena *a, const struct tensor_spec *s, size_t n) {
    struct tensor_spec *out = ARENA_ARRAY(a, struct tensor_spec, n ? n : 1);
    for (size_t i = 0; i < n; i++) {
        out[i] = s[i];
        out[i].name = arena_strdup(a, s[i].name);
        out[i].classes = NULL; /* live with the model, which may go */
    }
    return out;
}

static void face_of(struct arena *a, const struct model *m, struct face *out) {
    *out = (struct face){.inputs = copy_specs(a, m->inputs, m->ninputs),
                         .outputs = copy_specs(a, m->outputs, m->noutputs),
                         .ninputs = m->ninputs,
                         .noutputs = m->noutputs};
}

static int face_of_node(struct ctx *c, const struct graph_node *n, struct arena *a,
                        struct face *out) {
    int rc = 0;
    if (n->model) {
        face_of(a, n->model, out);
        return 0;
    }
    const struct entry *e = snapshot_find(snapshot_enter(), c->project, n->endpoint);
    if (!e)
        rc = fail(c, ERR_NOT_READY, "node '%s': there is no endpoint '%s'", n->name, n->endpoint);
    else if (e->model)
        face_of(a, e->model, out);
    else if (strcmp(e->state, "failed") == 0)
        rc = fail(c, ERR_NOT_READY, "node '%s': endpoint '%s' is not ready: %s", n->name,
                  n->endpoint, e->reason);
    else
        rc = fail(c, ERR_BUSY, "node '%s': endpoint '%s' is being loaded", n->name, n->endpoint);
    snapshot_leave();
    if (rc == -ERR_BUSY)
        loader_ask(c, n->endpoint);
    return rc;
}

static const struct tensor_spec *spec_of(const struct tensor_spec *s, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(s[i].name, name) == 0)
            return &s[i];
    return NULL;
}

static bool same_form(const struct tensor_spec *a, const struct tensor_spec *b) {
    if (a->dtype != b->dtype)
        return false;
    for (size_t d = 0; a->rank == b->rank && d < a->rank; d++)
        if (a->shape[d] >= 0 && b->shape[d] >= 0 && a->shape[d] != b->shape[d])
            return false;
    return true;
}

static int misfit(struct ctx *c, const struct graph_node *n, const char *input,
                  const struct tensor_spec *wants, const char *from, const struct tensor_spec *is) {
    return fail(c, ERR_UNPROCESSABLE,
                "node '%s': its input '%s' is %s, which does not fit '%s' (%s)", n->name, input,
                dtype_name(wants->dtype), from, dtype_name(is->dtype));
}

/* A tensor that the request must bring; two nodes must mean the same by it. */
static int add_request(struct ctx *c, struct model *m, struct tensor_spec *inputs, size_t cap,
                       const char *name, const struct tensor_spec *as, const struct graph_node *n) {
    const struct tensor_spec *known = spec_of(inputs, m->ninputs, name);
    if (known)
        return same_form(known, as) ? 0 : misfit(c, n, as->name, as, name, known);
    if (m->ninputs == cap)
        return fail(c, ERR_UNPROCESSABLE, "the graph takes too many tensors of the request");
    inputs[m->ninputs] = *as;
    inputs[m->ninputs].name = arena_strdup(m->arena, name);
    m->ninputs++;
    return 0;
}

static int join_node(struct ctx *c, struct model *m, const struct graph *g, size_t i,
                     const struct face *faces, struct tensor_spec *inputs, size_t cap) {
    const struct graph_node *n = &g->nodes[i];
    const struct face *f = &faces[i];
    for (size_t k = 0; k < f->ninputs; k++) {
        size_t w = 0;
        while (w < n->nwires && strcmp(n->wires[w].name, f->inputs[k].name) != 0)
            w++;
        if (w == n->nwires)
            return fail(c, ERR_UNPROCESSABLE, "node '%s': nothing feeds its input '%s'", n->name,
                        f->inputs[k].name);
    }
    int rc = 0;
    for (size_t w = 0; rc == 0 && w < n->nwires; w++) {
        const struct tensor_spec *own = spec_of(f->inputs, f->ninputs, n->wires[w].name);
        if (!own)
            return fail(c, ERR_UNPROCESSABLE, "node '%s' has no input '%s'", n->name,
                        n->wires[w].name);
        for (size_t r = 0; rc == 0 && r < n->wires[w].n; r++) {
            const struct graph_ref *ref = &n->wires[w].refs[r];
            if (ref->node < 0) {
                rc = add_request(c, m, inputs, cap, ref->tensor, own, n);
                continue;
            }
            const struct face *from = &faces[ref->node];
            const struct tensor_spec *is = spec_of(from->outputs, from->noutputs, ref->tensor);
            if (!is && from->noutputs)
                rc = fail(c, ERR_UNPROCESSABLE, "node '%s' has no output '%s', which '%s' takes",
                          g->nodes[ref->node].name, ref->tensor, n->name);
            else if (is && !same_form(is, own))
                rc = misfit(c, n, own->name, own,
                            arena_printf(c->arena, "%s.%s", g->nodes[ref->node].name, ref->tensor),
                            is);
        }
    }
    return rc;
}

static int join_outputs(struct ctx *c, struct model *m, const struct graph *g,
                        const struct face *faces) {
    m->outputs = ARENA_ARRAY(m->arena, struct tensor_spec, g->noutputs ? g->noutputs : 1);
    m->noutputs = 0;
    for (size_t i = 0; i < g->noutputs; i++) {
        const struct graph_ref *ref = &g->outputs[i].refs[0];
        const struct face *from = ref->node < 0 ? NULL : &faces[ref->node];
        const struct tensor_spec *is = from ? spec_of(from->outputs, from->noutputs, ref->tensor)
                                            : spec_of(m->inputs, m->ninputs, ref->tensor);
        if (!is && (!from || from->noutputs))
            return fail(c, ERR_UNPROCESSABLE, "output '%s' of the graph: %s%s has no tensor '%s'",
                        g->outputs[i].name, from ? "node " : "the request",
                        from ? g->nodes[ref->node].name : "", ref->tensor);
        if (!is)
            continue; /* it tells only in its answers */
        m->outputs[m->noutputs] = *is;
        m->outputs[m->noutputs++].name = g->outputs[i].name;
    }
    return 0;
}

static int join(struct ctx *c, struct model *m, struct graph *g) {
    struct face *faces = ARENA_ARRAY(c->arena, struct face, g->n);
    size_t cap = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < g->n; i++) {
        rc = face_of_node(c, &g->nodes[i], m->arena, &faces[i]);
        for (size_t w = 0; w < g->nodes[i].nwires; w++)
            cap += g->nodes[i].wires[w].n;
    }
    struct tensor_spec *inputs = ARENA_ARRAY(m->arena, struct tensor_spec, cap ? cap : 1);
    m->inputs = inputs;
    for (size_t i = 0; rc == 0 && i < g->n; i++)
        rc = join_node(c, m, g, g->order[i], faces, inputs, cap);
    return rc == 0 ? join_outputs(c, m, g, faces) : rc;
}

int graph_load(struct ctx *c, const char *text, graph_load_fn *load, void *arg,
               struct model **out) {
    struct json_t *tree;
    struct graph_spec spec = {0};
    int rc = json_parse(c, DIALECT_PROBLEM, text, strlen(text), &tree);
    if (rc == 0)
        rc = json_decode(c, DIALECT_PROBLEM, &shape_graph, tree, NULL, NULL, &spec);
    if (rc == 0)
        rc = graph_spec_check(c, "graph", &spec);
    if (rc < 0)
        return rc;
    struct model *m = mem_alloc(sizeof *m);
    m->arena = arena_new();
    struct graph *g = ARENA_NEW(m->arena, struct graph);
    m->runtime = &graph_runtime;
    m->state = g;
    m->blocks = true; /* whatever its endpoints come to be */
    m->name = "graph";
    m->platform = "ensemble";
    m->made_of = arena_strdup(m->arena, text);
    sha256_hex(text, strlen(text), m->sha256);
    memcpy(m->version_text, "g", 1);
    memcpy(m->version_text + 1, m->sha256, 11);
    compile(c, m->arena, &spec, g);
    for (size_t i = 0; i < g->n; i++)
        m->asks_others = m->asks_others || g->nodes[i].endpoint;
    for (size_t i = 0; rc == 0 && i < g->n; i++) {
        const char *target = ((const struct graph_node_spec *)spec.nodes.items)[i].model;
        if (target)
            rc = load(c, target, &g->nodes[i].model, arg);
        if (rc < 0) {
            const char *why = c->err.message ? c->err.message : "it cannot be loaded";
            int code = c->err.code;
            err_clear(c);
            rc = fail(c, code, "node '%s': %s", g->nodes[i].name, why);
        }
        m->bytes += g->nodes[i].model ? g->nodes[i].model->bytes : 0;
    }
    if (rc == 0)
        rc = join(c, m, g);
    if (rc < 0) {
        model_free(m);
        return rc;
    }
    *out = m;
    return 0;
}

size_t graph_nodes(struct arena *arena, const struct model *m, struct graph_figures **out) {
    if (!m || m->runtime != &graph_runtime)
        return 0;
    struct graph *g = m->state;
    *out = ARENA_ARRAY(arena, struct graph_figures, g->n);
    for (size_t i = 0; i < g->n; i++)
        (*out)[i] = (struct graph_figures){.name = arena_strdup(arena, g->nodes[i].name),
                                           .runs = atomic_load(&g->nodes[i].runs),
                                           .failed = atomic_load(&g->nodes[i].failed),
                                           .ns = atomic_load(&g->nodes[i].ns)};
    return g->n;
}

const char **graph_endpoints(struct ctx *c, const struct model *m) {
    if (!m || m->runtime != &graph_runtime)
        return NULL;
    const struct graph *g = m->state;
    const char **names = ARENA_ARRAY(c->arena, const char *, g->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++)
        if (g->nodes[i].endpoint)
            names[n++] = arena_strdup(c->arena, g->nodes[i].endpoint);
    return names;
}
