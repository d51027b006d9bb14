/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_GRAPH_H
#define QUERN_SERVING_GRAPH_H
/* Graph: an arm's graph, ready to predict, as a model like any other. Its inputs are what its nodes
 * take from the request, its outputs what it says; nodes run one after the other on the caller's
 * thread, and tensors pass between them in memory. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct ctx;
struct graph_spec;
struct model;

/* Loads a fixed model for a node, which is the graph's then. */
typedef int graph_load_fn(struct ctx *c, const char *target, struct model **out, void *arg);

/* `text` is the spec as it is stored. ERR_BUSY: an endpoint that it asks is being loaded, which
 * this sets going; ERR_NOT_READY: one is not there or failed; ERR_UNPROCESSABLE: a wire that does
 * not fit (the text names the node and the tensor). */
int graph_load(struct ctx *c, const char *text, graph_load_fn *load, void *arg, struct model **out);

struct graph_figures {
    const char *name; /* of the node */
    uint64_t runs, failed, ns;
};
/* Of each node since it was loaded, in the arena; 0 nodes when the model is no graph. */
size_t graph_nodes(struct arena *arena, const struct model *m, struct graph_figures **out);
/* Names of the endpoints that it asks, in c's arena; NULL-terminated; NULL when it is no graph. */
const char **graph_endpoints(struct ctx *c, const struct model *m);

#endif
