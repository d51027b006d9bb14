/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_GRAPH_SPEC_H
#define QUERN_SERVING_GRAPH_SPEC_H
/* Graph spec: an arm that is no model of its own but a graph of endpoints and models, whose tensors
 * are wired by name. A wire names where a tensor comes from: "request.TENSOR" or "NODE.TENSOR",
 * several with '|' between: the first that is there. */
#include "quern/core/shape.h"

struct ctx;

#define GRAPH_TARGET "graph:" /* stands where rows of other arms have their target */
#define GRAPH_NODES 64
#define GRAPH_DEPTH 8 /* of graphs within graphs */

struct graph_node_spec {
    const char *name;
    const char *endpoint;   /* answers by its own policy */
    const char *model;      /* or models:/NAME/VERSION, ONNX */
    struct pairs inputs;    /* of the node: wires */
    const char *dependency; /* "hard" (default), "soft" */
};
struct graph_spec {
    struct list nodes;    /* struct graph_node_spec */
    struct pairs outputs; /* of the graph: wires */
};
extern const struct shape shape_graph;

/* Names, wires and cycles; ERR_INVALID with a JSON pointer below `at`. */
int graph_spec_check(struct ctx *c, const char *at, const struct graph_spec *g);
/* Places of the nodes so that each stands behind those it takes from; of a checked spec. */
void graph_spec_order(const struct graph_spec *g, size_t *order);

/* Where a wire's next alternative leads: node -1 is the request. *at moves on; false at the end or
 * when nothing of that name is known. */
struct graph_ref {
    int node;
    const char *tensor;
};
bool graph_ref_next(struct ctx *c, const struct graph_spec *g, const char **at,
                    struct graph_ref *out);

/* Inside a read or write: the endpoints that the graph names exist, and none leads back to
 * `endpoint`. */
int graph_spec_reach(struct ctx *c, const char *at, const char *endpoint,
                     const struct graph_spec *g);

#endif
