/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_LINEAGE_PRIVATE_GRAPH_H
#define QUERN_LINEAGE_PRIVATE_GRAPH_H
/* Graph: the part of the lineage that a question is about, nearest first. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lineage_store.h"

struct ctx;
struct buf;

#define GRAPH_NODES_MAX 5000
#define GRAPH_EDGES_MAX 20000

struct graph_node {
    struct node_row row;
    int64_t depth; /* edges from the node that was asked for */
};
struct graph {
    struct graph_node *nodes;
    size_t n, cap;
    struct edge_rows edges; /* only between nodes of the graph, each once */
    bool truncated;         /* a cap was reached; not: depth was */
};

/* depth < 0: as far as it goes. ERR_NOT_FOUND names an unknown node. */
int graph_walk(struct ctx *c, const char *ref, bool upstream, bool downstream, int64_t depth,
               struct graph *out);
void graph_dot(const struct graph *g, struct buf *out);

#endif
