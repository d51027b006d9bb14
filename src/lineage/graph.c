/* SPDX-License-Identifier: Apache-2.0 */
#include "graph.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/map.h"
#include "quern/core/ctx.h"

struct walk {
    struct graph *g;
    struct map *index;   /* ref to position in g->nodes, plus 1 */
    struct map *visited; /* refs of this direction */
    struct edge_rows edges;
};

static size_t index_of(const struct map *m, const char *ref) {
    return (size_t)(uintptr_t)map_get(m, ref);
}

static void add_node(struct ctx *c, struct walk *w, struct node_row row, int64_t depth) {
    struct graph *g = w->g;
    size_t at = index_of(w->index, row.ref);
    if (at > 0) {
        /* Seen in the other direction already (a cycle): the shorter way counts. */
        if (depth < g->nodes[at - 1].depth)
            g->nodes[at - 1].depth = depth;
        return;
    }
    g->nodes = arena_room(c->arena, g->nodes, g->n, &g->cap, sizeof *g->nodes);
    g->nodes[g->n++] = (struct graph_node){row, depth};
    map_set(w->index, row.ref, (void *)(uintptr_t)g->n);
}

struct queue_item {
    const char *ref;
    int64_t depth;
};

/* Breadth first, so that the caps cut off what is farthest away. */
static int walk_one_way(struct ctx *c, struct walk *w, struct node_row start, bool downstream,
                        int64_t limit) {
    struct queue_item *queue = ARENA_ARRAY(c->arena, struct queue_item, GRAPH_NODES_MAX);
    size_t head = 0, tail = 0;
    int rc = 0;
    queue[tail++] = (struct queue_item){start.ref, 0};
    map_set(w->visited, start.ref, w);
    while (rc == 0 && head < tail) {
        struct queue_item at = queue[head++];
        if (limit >= 0 && at.depth >= limit)
            continue;
        size_t first = w->edges.n;
        /* One more than fits, so that reaching the cap is told from filling it exactly. */
        rc = lineage_store_edges(c, at.ref, downstream, GRAPH_EDGES_MAX - first + 1, &w->edges);
        if (w->edges.n > GRAPH_EDGES_MAX) {
            w->edges.n = GRAPH_EDGES_MAX;
            w->g->truncated = true;
        }
        for (size_t i = first; rc == 0 && i < w->edges.n; i++) {
            const char *next = downstream ? w->edges.items[i].to : w->edges.items[i].from;
            struct node_row row;
            bool found = false;
            if (map_has(w->visited, next))
                continue;
            if (w->g->n >= GRAPH_NODES_MAX || tail >= GRAPH_NODES_MAX) {
                w->g->truncated = true;
                continue;
            }
            rc = lineage_store_get(c, next, &row, &found);
            if (rc != 0 || !found)
                continue;
            map_set(w->visited, row.ref, w);
            add_node(c, w, row, at.depth + 1);
            queue[tail++] = (struct queue_item){row.ref, at.depth + 1};
        }
    }
    return rc;
}

/* A cycle can bring one edge in both directions; an edge to a node beyond a cap hangs loose. */
static void keep_edges(struct ctx *c, struct walk *w) {
    struct map *seen = map_new();
    for (size_t i = 0; i < w->edges.n; i++) {
        struct edge_row e = w->edges.items[i];
        const char *key = arena_printf(c->arena, "%zu:%s%zu:%s%s", strlen(e.from), e.from,
                                       strlen(e.to), e.to, e.verb);
        if (index_of(w->index, e.from) == 0 || index_of(w->index, e.to) == 0 || map_has(seen, key))
            continue;
        map_set(seen, key, w);
        edge_push(c, &w->g->edges, e);
    }
    map_free(seen, NULL);
}

int graph_walk(struct ctx *c, const char *ref, bool upstream, bool downstream, int64_t depth,
               struct graph *out) {
    struct walk w = {.g = out};
    struct node_row start;
    bool found = false;
    *out = (struct graph){0};
    int rc = lineage_store_get(c, ref, &start, &found);
    if (rc != 0)
        return rc;
    if (!found)
        return fail_field(c, ERR_NOT_FOUND, "node", "The lineage has no node '%s'.", ref);
    w.index = map_new();
    add_node(c, &w, start, 0);
    for (int way = 0; rc == 0 && way < 2; way++) {
        if (way == 0 ? !upstream : !downstream)
            continue;
        w.visited = map_new();
        rc = walk_one_way(c, &w, start, way == 1, depth);
        map_free(w.visited, NULL);
    }
    if (rc == 0)
        keep_edges(c, &w);
    map_free(w.index, NULL);
    return rc;
}

/* A quoted string of DOT: '"' and '\' are escaped, line breaks become \n, controls blanks. */
static void dot_text(struct buf *out, const char *s) {
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_putc(out, '\\');
        if (*s == '\n')
            buf_puts(out, "\\n");
        else
            buf_putc(out, (unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s);
    }
}

void graph_dot(const struct graph *g, struct buf *out) {
    buf_puts(out, "digraph lineage {\n  rankdir=LR;\n  node [shape=box];\n");
    for (size_t i = 0; i < g->n; i++) {
        const struct node_row *r = &g->nodes[i].row;
        buf_puts(out, "  \"");
        dot_text(out, r->ref);
        buf_puts(out, "\" [label=\"");
        dot_text(out, r->label);
        buf_puts(out, "\\n(");
        dot_text(out, r->kind);
        buf_puts(out, i == 0 ? ")\", style=bold];\n" : ")\"];\n");
    }
    for (size_t i = 0; i < g->edges.n; i++) {
        const struct edge_row *e = &g->edges.items[i];
        buf_puts(out, "  \"");
        dot_text(out, e->from);
        buf_puts(out, "\" -> \"");
        dot_text(out, e->to);
        buf_puts(out, "\" [label=\"");
        dot_text(out, e->verb);
        buf_puts(out, "\"];\n");
    }
    buf_puts(out, "}\n");
}
