/* SPDX-License-Identifier: Apache-2.0 */
/* Lineage doors: the graph around a node, and the search for nodes. */
#include <string.h>

#include "graph.h"
#include "lineage_store.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/core/ref.h"
#include "quern/json/json_in.h"
#include "quern/lineage/lineage.h"

#define DOT_TYPE "text/vnd.graphviz"
#define SEARCH_DEFAULT 100
#define SEARCH_MAX 1000

static const char *const directions[] = {"upstream", "downstream", "both", NULL};
static const char *const formats[] = {"json", "dot", NULL};

struct graph_in {
    const char *node, *direction, *format;
    struct opt_i64 depth;
};
SHAPE(shape_lineage_in, "LineageQuery", struct graph_in,
      FIELD(struct graph_in, node, T_STR, F_QUERY | F_REQUIRED,
            "The thing in question as kind:id, such as endpoint:breast-cancer"),
      FIELD_ENUM(struct graph_in, direction, F_QUERY, directions,
                 "What it came from, what came of it, or both; default both"),
      FIELD_MAX(struct graph_in, depth, T_I64, F_QUERY, 0, 1000,
                "Edges to follow; as many as there are when absent"),
      FIELD_ENUM(struct graph_in, format, F_QUERY, formats,
                 "json, or dot for Graphviz; Accept: " DOT_TYPE " does the same"));

struct node_out {
    const char *ref, *kind, *id, *label;
    struct json_t *attrs;
    struct opt_i64 depth;
};
SHAPE(shape_lineage_node, "LineageNode", struct node_out,
      FIELD(struct node_out, ref, T_STR, 0, "kind:id"),
      FIELD(struct node_out, kind, T_STR, 0, "Kind of the thing"),
      FIELD(struct node_out, id, T_STR, 0, "Id within its kind"),
      FIELD(struct node_out, label, T_STR, 0, "Name for people"),
      FIELD(struct node_out, attrs, T_JSON, 0, "What its room tells about it"),
      FIELD(struct node_out, depth, T_I64, 0, "Edges from the node that was asked for"));

struct edge_out {
    const char *from, *to, *verb;
};
SHAPE(shape_lineage_edge, "LineageEdge", struct edge_out,
      FIELD(struct edge_out, from, T_STR, 0, "Source"),
      FIELD(struct edge_out, to, T_STR, 0, "What was made of it"),
      FIELD(struct edge_out, verb, T_STR, 0, "How"));

struct graph_out {
    struct list nodes, edges;
    struct opt_bool truncated;
};
SHAPE(shape_lineage_graph, "LineageGraph", struct graph_out,
      FIELD_SUB(struct graph_out, nodes, T_LIST, F_ALWAYS, &shape_lineage_node,
                "The node that was asked for, then by distance"),
      FIELD_SUB(struct graph_out, edges, T_LIST, F_ALWAYS, &shape_lineage_edge,
                "Edges between these nodes"),
      FIELD(struct graph_out, truncated, T_BOOL, F_ALWAYS,
            "Whether the cap of 5,000 nodes or 20,000 edges cut something off"));

static int show_node(struct ctx *c, const struct node_row *r, struct node_out *out) {
    const char *kind, *id;
    int rc = ref_parse(c, r->ref, &kind, &id);
    if (rc != 0)
        return rc;
    *out = (struct node_out){.ref = r->ref, .kind = r->kind, .id = id, .label = r->label};
    return r->attrs ? json_parse(c, DIALECT_PROBLEM, r->attrs, strlen(r->attrs), &out->attrs) : 0;
}

static bool wants_dot(struct ctx *c, const struct graph_in *in) {
    const char *accept = ctx_header(c, "accept");
    return in->format ? str_eq(in->format, "dot") : accept && strstr(accept, DOT_TYPE);
}

static int lineage_graph(struct ctx *c, const void *input, void *output) {
    const struct graph_in *in = input;
    struct graph_out *out = output;
    const char *kind, *id;
    struct graph g;
    bool up = !in->direction || !str_eq(in->direction, "downstream");
    bool down = !in->direction || !str_eq(in->direction, "upstream");
    int rc = ref_parse(c, in->node, &kind, &id);
    if (rc == 0)
        rc = graph_walk(c, in->node, up, down, in->depth.set ? in->depth.v : -1, &g);
    if (rc != 0)
        return rc;
    if (wants_dot(c, in)) {
        struct buf text = {0};
        graph_dot(&g, &text);
        reply_bytes(c, DOT_TYPE, arena_dup(c->arena, text.data, text.len), text.len);
        buf_free(&text);
        return 0;
    }
    struct node_out *nodes = ARENA_ARRAY(c->arena, struct node_out, g.n);
    for (size_t i = 0; rc == 0 && i < g.n; i++) {
        rc = show_node(c, &g.nodes[i].row, &nodes[i]);
        nodes[i].depth = SET_I64(g.nodes[i].depth);
    }
    struct edge_out *edges = ARENA_ARRAY(c->arena, struct edge_out, g.edges.n + 1);
    for (size_t i = 0; i < g.edges.n; i++)
        edges[i] =
            (struct edge_out){g.edges.items[i].from, g.edges.items[i].to, g.edges.items[i].verb};
    out->nodes = (struct list){nodes, g.n};
    out->edges = (struct list){edges, g.edges.n};
    out->truncated = SET_BOOL(g.truncated);
    return rc;
}

struct search_in {
    const char *kind, *q, *page_token;
    struct opt_i64 max_results;
};
SHAPE(shape_lineage_search_in, "LineageSearch", struct search_in,
      FIELD(struct search_in, kind, T_STR, F_QUERY, "Only nodes of this kind"),
      FIELD_MAX(struct search_in, q, T_STR, F_QUERY, 0, 500,
                "Text that the ref or the label contains, letter case aside"),
      FIELD_MAX(struct search_in, max_results, T_I64, F_QUERY, 1, SEARCH_MAX,
                "Nodes per page, default 100"),
      FIELD(struct search_in, page_token, T_STR, F_QUERY, "next_page_token of the page before"));

struct search_out {
    struct list nodes;
    const char *next_page_token;
};
SHAPE(shape_lineage_search_out, "LineageNodes", struct search_out,
      FIELD_SUB(struct search_out, nodes, T_LIST, F_ALWAYS, &shape_lineage_node, "Newest first"),
      FIELD(struct search_out, next_page_token, T_STR, 0, "Absent on the last page"));

static int lineage_nodes(struct ctx *c, const void *input, void *output) {
    const struct search_in *in = input;
    struct search_out *out = output;
    struct node_rows found = {0};
    int64_t offset = 0, most = in->max_results.set ? in->max_results.v : SEARCH_DEFAULT;
    if (in->kind && !ref_kind_known(in->kind))
        return fail_field(c, ERR_INVALID, "kind", "'%s' is not a kind of node.", in->kind);
    int rc = page_offset(c, in->page_token, &offset);
    if (rc == 0)
        rc = lineage_store_search(c, in->kind, in->q && *in->q ? in->q : NULL, most + 1, offset,
                                  &found);
    if (rc != 0)
        return rc;
    if ((int64_t)found.n > most) {
        found.n = (size_t)most;
        out->next_page_token = page_token(c, offset + most);
    }
    struct node_out *nodes = ARENA_ARRAY(c->arena, struct node_out, found.n + 1);
    for (size_t i = 0; rc == 0 && i < found.n; i++)
        rc = show_node(c, &found.items[i], &nodes[i]);
    out->nodes = (struct list){nodes, found.n};
    return rc;
}

static const struct route rows[] = {
    {.id = "lineage.graph",
     .method = "GET",
     .path = "/api/v1/lineage",
     .in = &shape_lineage_in,
     .out = &shape_lineage_graph,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .dialect = DIALECT_PROBLEM,
     .fn = lineage_graph,
     .summary = "What a thing came from and what came of it, as JSON or Graphviz."},
    {.id = "lineage.nodes",
     .method = "GET",
     .path = "/api/v1/lineage/nodes",
     .in = &shape_lineage_search_in,
     .out = &shape_lineage_search_out,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .dialect = DIALECT_PROBLEM,
     .fn = lineage_nodes,
     .summary = "Searches the lineage's nodes by kind and text."},
};

const struct route_list lineage_routes = {rows, ARRAY_LEN(rows)};
