/* SPDX-License-Identifier: Apache-2.0 */
/* Graph run: one prediction through a graph. */
#include <inttypes.h>
#include <string.h>

#include "doors.h"
#include "graph_state.h"
#include "model.h"
#include "plan.h"
#include "predict.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "snapshot.h"
#include "tensor_print.h"

/* Of nodes for one request: 64 in each of 8 levels would never come to an end. */
#define RUNS_MAX 4096

static _Thread_local unsigned depth; /* of graphs within graphs */
static _Thread_local unsigned runs;  /* of nodes since the outermost began */

/* What a node came to. */
struct done {
    bool ran, failed;
    int code;
    const char *why;
    struct tensor *outputs;
    size_t n;
    int64_t ns;
};

struct run {
    const struct graph *g;
    const struct tensor *in;
    size_t nin;
    struct done *done; /* by place in the spec */
};

static const struct tensor *find(const struct tensor *t, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(t[i].name, name) == 0)
            return &t[i];
    return NULL;
}

/* The first of a wire's sources that is there; NULL, and then *why tells of the last. */
static const struct tensor *follow(struct ctx *c, const struct run *r, const struct graph_wire *w,
                                   const char **why, int *code) {
    *why = "nothing is there";
    for (size_t i = 0; i < w->n; i++) {
        const struct graph_ref *ref = &w->refs[i];
        const struct done *d = ref->node < 0 ? NULL : &r->done[ref->node];
        const struct tensor *t = d ? (d->failed ? NULL : find(d->outputs, d->n, ref->tensor))
                                   : find(r->in, r->nin, ref->tensor);
        if (t)
            return t;
        *code = d && d->failed ? d->code : ERR_UNPROCESSABLE;
        *why = d && d->failed
                   ? arena_printf(c->arena, "node '%s' failed: %s", r->g->nodes[ref->node].name,
                                  d->why)
                   : arena_printf(c->arena, "%s%s gave no tensor '%s'", d ? "node " : "the request",
                                  d ? r->g->nodes[ref->node].name : "", ref->tensor);
    }
    return NULL;
}

/* ---- an endpoint as a node ---- */

struct nested {
    struct request q; /* first: bind gets it */
    struct tensor *in;
    size_t nin;
};

static int bind(struct ctx *c, struct request *q, const struct model *m, struct tensor **in,
                size_t *nin) {
    struct nested *n = (struct nested *)q;
    int rc = model_fit(c, m->inputs, m->ninputs, n->in, n->nin, in);
    *nin = m->ninputs;
    return rc;
}

static const char *field(struct ctx *c, const struct request *q, const char *name) {
    const struct nested *n = (const struct nested *)q;
    const struct tensor *t = find(n->in, n->nin, name);
    struct text o;
    if (!t || !t->count)
        return NULL;
    if (t->dtype == DT_BYTES) {
        struct bytes first = *(const struct bytes *)t->data;
        return arena_strndup(c->arena, first.data, first.len);
    }
    text_init(&o, c->arena, 32);
    text_element(&o, t, 0);
    return arena_strndup(c->arena, o.data, o.len);
}

/* The caller may name an arm of the endpoint that he asks, not of those within. */
static void own_headers(struct ctx *c) {
    struct header *kept = ARENA_ARRAY(c->arena, struct header, c->header_count + 1);
    size_t n = 0;
    for (size_t i = 0; i < c->header_count; i++)
        if (strcmp(c->headers[i].name, "x-quern-arm") != 0)
            kept[n++] = c->headers[i];
    c->headers = kept;
    c->header_count = n;
}

/* By the endpoint's own policy and counted as its own; the answer's headers are the outer one's. */
static int ask_endpoint(struct ctx *c, const char *endpoint, struct tensor *in, size_t nin,
                        struct done *d) {
    const struct entry *e = snapshot_find(snapshot_held(), c->project, endpoint);
    struct nested q = {.q = {.bind = bind, .field = field}, .in = in, .nin = nin};
    struct answer a = {0};
    struct ctx own = *c;
    if (!e)
        return fail(c, ERR_NOT_READY, "there is no endpoint '%s'", endpoint);
    if (!e->model && !(e->plan && e->plan->ndegrade))
        return fail(c, ERR_NOT_READY, "endpoint '%s' is not ready (%s)", endpoint, e->state);
    q.q.rows = nin && in[0].rank ? (size_t)in[0].shape[0] : 1;
    own.reply = (struct reply){0};
    own_headers(&own);
    err_clear(&own);
    int64_t began = clock_mono_ns();
    int rc = predict(&own, e, &q.q, &a);
    door_count(&own, e, &a, rc, q.q.rows, began);
    d->outputs = a.outputs;
    d->n = a.n;
    c->err = own.err;
    return rc;
}

/* ---- nodes ---- */

static int gather(struct ctx *c, const struct run *r, const struct graph_node *n,
                  struct tensor *in) {
    for (size_t i = 0; i < n->nwires; i++) {
        const char *why;
        int code = ERR_UNPROCESSABLE;
        const struct tensor *t = follow(c, r, &n->wires[i], &why, &code);
        if (!t)
            return fail(c, code, "its input '%s' is missing: %s", n->wires[i].name, why);
        in[i] = *t;
        in[i].name = n->wires[i].name;
    }
    return 0;
}

static int run_node(struct ctx *c, const struct run *r, const struct graph_node *n,
                    struct done *d) {
    struct tensor *in = ARENA_ARRAY(c->arena, struct tensor, n->nwires ? n->nwires : 1);
    struct tensor *fitted = NULL;
    if (c->deadline_ns && clock_mono_ns() >= c->deadline_ns)
        return fail(c, ERR_DEADLINE, "the deadline passed before its turn");
    int rc = gather(c, r, n, in);
    if (rc < 0)
        return rc;
    if (n->endpoint)
        return ask_endpoint(c, n->endpoint, in, n->nwires, d);
    const struct model *m = n->model;
    rc = model_fit(c, m->inputs, m->ninputs, in, n->nwires, &fitted);
    return rc < 0 ? rc : model_run(c, m, fitted, m->ninputs, NULL, &d->outputs, &d->n);
}

/* What a node within says of its tensors is the graph's fault unless they are the caller's. */
static int code_of(const struct graph_node *n, int code) {
    if (n->raw && err_row(code)->status < 500)
        return code == ERR_NOT_FOUND ? ERR_NOT_READY : code;
    switch (code) {
    case ERR_BUSY:
    case ERR_NOT_READY:
    case ERR_DEADLINE:
    case ERR_UPSTREAM:
    case ERR_INTERNAL:
        return code;
    default:
        return ERR_UNPROCESSABLE;
    }
}

static int step(struct ctx *c, struct run *r, size_t place) {
    struct graph_node *n = &r->g->nodes[place];
    struct done *d = &r->done[place];
    if (++runs > RUNS_MAX) /* for soft nodes as well, or all the others would still be tried */
        return fail(c, ERR_UNPROCESSABLE,
                    "graphs within graphs would run more than %d nodes for one request", RUNS_MAX);
    int64_t began = clock_mono_ns();
    int rc = run_node(c, r, n, d);
    d->ns = clock_mono_ns() - began;
    d->ran = true;
    d->failed = rc < 0;
    atomic_fetch_add_explicit(&n->runs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&n->ns, (uint64_t)d->ns, memory_order_relaxed);
    if (rc == 0)
        return 0;
    atomic_fetch_add_explicit(&n->failed, 1, memory_order_relaxed);
    d->code = code_of(n, c->err.code);
    d->why = c->err.message ? c->err.message : "it failed";
    err_clear(c);
    return n->soft && runs <= RUNS_MAX ? 0 : fail(c, d->code, "node '%s': %s", n->name, d->why);
}

/* One header for the outermost graph, as browsers and proxies read it. */
static void tell(struct ctx *c, const struct run *r) {
    struct buf text = {0};
    for (size_t i = 0; i < r->g->n; i++)
        buf_printf(&text, "%s%s;dur=%.3f%s", i ? ", " : "", r->g->nodes[r->g->order[i]].name,
                   (double)r->done[r->g->order[i]].ns / 1e6,
                   r->done[r->g->order[i]].failed ? ";desc=\"failed\"" : "");
    reply_header(c, "Server-Timing", arena_strndup(c->arena, text.data, text.len));
    buf_free(&text);
}

static bool is_wanted(const char *const *wanted, const char *name) {
    if (!wanted)
        return true;
    for (; *wanted; wanted++)
        if (strcmp(*wanted, name) == 0)
            return true;
    return false;
}

static int give(struct ctx *c, const struct run *r, const char *const *wanted, struct tensor **out,
                size_t *nout) {
    const struct graph *g = r->g;
    const char *why = "";
    int code = ERR_UNPROCESSABLE;
    struct tensor *t = *out = ARENA_ARRAY(c->arena, struct tensor, g->noutputs);
    *nout = 0;
    for (size_t i = 0; i < g->noutputs; i++) {
        if (!is_wanted(wanted, g->outputs[i].name))
            continue;
        const struct tensor *from = follow(c, r, &g->outputs[i], &why, &code);
        if (!from && wanted)
            return fail(c, code, "output '%s' is missing: %s", g->outputs[i].name, why);
        if (!from)
            continue; /* of a soft node: the others are answered */
        t[*nout] = *from;
        t[(*nout)++].name = g->outputs[i].name;
    }
    for (; wanted && *wanted; wanted++)
        if (!find(*out, *nout, *wanted))
            return fail_field(c, ERR_INVALID, *wanted, "the graph has no output '%s'", *wanted);
    return *nout ? 0 : fail(c, code, "no output is there: %s", why);
}

int graph_run(struct ctx *c, const struct model *m, const struct tensor *in, size_t nin,
              const char *const *wanted, struct tensor **out, size_t *nout) {
    const struct graph *g = m->state;
    struct tensor *fitted = NULL;
    int rc = model_fit(c, m->inputs, m->ninputs, in, nin, &fitted);
    if (rc < 0)
        return rc;
    if (depth == GRAPH_DEPTH)
        return fail(c, ERR_UNPROCESSABLE, "graphs are nested more than %d deep", GRAPH_DEPTH);
    struct run r = {
        .g = g, .in = fitted, .nin = m->ninputs, .done = ARENA_ARRAY(c->arena, struct done, g->n)};
    if (depth++ == 0)
        runs = 0;
    for (size_t i = 0; rc == 0 && i < g->n; i++)
        rc = step(c, &r, g->order[i]);
    depth--;
    if (rc == 0)
        rc = give(c, &r, wanted, out, nout);
    if (depth == 0)
        tell(c, &r);
    return rc;
}
