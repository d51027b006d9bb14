/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_GRAPH_STATE_H
#define QUERN_SERVING_GRAPH_STATE_H
/* Graph state: a compiled graph. Immutable but for its counts. */
#include <stdatomic.h>

#include "graph.h"
#include "graph_spec.h"
#include "quern/onnx/tensor.h"

/* A tensor of a node or of the answer, and where it may come from, in order. */
struct graph_wire {
    const char *name;
    struct graph_ref *refs;
    size_t n;
};
struct graph_node {
    const char *name, *endpoint;
    struct model *model; /* the graph's own; NULL for an endpoint */
    bool soft;
    bool raw; /* takes from the request alone: what it refuses is the caller's */
    struct graph_wire *wires;
    size_t nwires;
    _Atomic uint64_t runs, failed, ns;
};
struct graph {
    struct graph_node *nodes; /* in the spec's order */
    size_t n;
    size_t order[GRAPH_NODES];
    struct graph_wire *outputs;
    size_t noutputs;
};

extern const struct runtime graph_runtime;
int graph_run(struct ctx *c, const struct model *m, const struct tensor *in, size_t nin,
              const char *const *wanted, struct tensor **out, size_t *nout);

#endif
