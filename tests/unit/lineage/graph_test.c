/* SPDX-License-Identifier: Apache-2.0 */
#include "graph.h"

#include "artifact/house.h"
#include "quern/http/route.h"
#include "quern/lineage/lineage.h"

static struct house h;

struct edge {
    const char *from, *to, *verb;
};
static int edge_op(struct ctx *c, void *arg) {
    const struct edge *e = arg;
    return lineage_edge(c, e->from, e->to, e->verb);
}
static int edge(const char *from, const char *to) {
    return house_write(&h, edge_op, &(struct edge){from, to, "used"});
}

struct node {
    const char *ref, *label, *attrs;
};
static int node_op(struct ctx *c, void *arg) {
    const struct node *n = arg;
    return lineage_node(c, n->ref, n->label, n->attrs);
}

struct ask {
    const char *ref;
    bool up, down;
    int64_t depth;
};
static char told[4000];
static bool truncated;
static size_t node_count, edge_count;
static int walk_op(struct ctx *c, void *arg) {
    const struct ask *a = arg;
    struct graph g;
    int rc = graph_walk(c, a->ref, a->up, a->down, a->depth, &g);
    told[0] = '\0';
    for (size_t i = 0; rc == 0 && i < g.n; i++) {
        size_t n = strlen(told);
        snprintf(told + n, sizeof told - n, "%s%s=%lld", i ? " " : "", g.nodes[i].row.ref,
                 (long long)g.nodes[i].depth);
    }
    truncated = rc == 0 && g.truncated;
    node_count = rc == 0 ? g.n : 0;
    edge_count = rc == 0 ? g.edges.n : 0;
    return rc;
}
static const char *walk(const char *ref, bool up, bool down, int64_t depth) {
    CHECK_INT(house_read(&h, walk_op, &(struct ask){ref, up, down, depth}), 0);
    return told;
}

static void diamond(void) {
    CHECK_INT(edge("artifact:data", "run:a"), 0);
    CHECK_INT(edge("artifact:data", "run:b"), 0);
    CHECK_INT(edge("run:a", "model_version:m/1"), 0);
    CHECK_INT(edge("run:b", "model_version:m/1"), 0);
    CHECK_INT(edge("model_version:m/1", "endpoint:e"), 0);
    CHECK_INT(edge("git:c0ffee", "run:a"), 0);
    CHECK_INT(edge("run:a", "model_version:m/1"), 0); /* again: harmless */
    CHECK_STR(walk("endpoint:e", true, false, -1),
              "endpoint:e=0 model_version:m/1=1 run:a=2 run:b=2 artifact:data=3 git:c0ffee=3");
    CHECK_INT(edge_count, 6);
    CHECK(!truncated);
    CHECK_STR(walk("artifact:data", false, true, -1),
              "artifact:data=0 run:a=1 run:b=1 model_version:m/1=2 endpoint:e=3");
    CHECK_INT(edge_count, 5);
    /* Both ways is what it came from and what came of it, not the relatives. */
    CHECK_STR(walk("run:b", true, true, -1),
              "run:b=0 artifact:data=1 model_version:m/1=1 endpoint:e=2");
}

static void depth(void) {
    CHECK_STR(walk("endpoint:e", true, false, 0), "endpoint:e=0");
    CHECK_INT(edge_count, 0);
    CHECK_STR(walk("endpoint:e", true, false, 2),
              "endpoint:e=0 model_version:m/1=1 run:a=2 run:b=2");
    CHECK_INT(edge_count, 3);
    CHECK(!truncated);
}

static void cycle(void) {
    CHECK_INT(edge("step:1", "step:2"), 0);
    CHECK_INT(edge("step:2", "step:3"), 0);
    CHECK_INT(edge("step:3", "step:1"), 0);
    CHECK_INT(edge("step:3", "step:3"), 0);
    CHECK_STR(walk("step:1", false, true, -1), "step:1=0 step:2=1 step:3=2");
    CHECK_INT(edge_count, 4);
    walk("step:1", true, true, -1);
    CHECK_INT(node_count, 3);
    CHECK_INT(edge_count, 4);
    CHECK_HAS(told, "step:3=1");
}

static void unknown_and_malformed(void) {
    CHECK_INT(house_read(&h, walk_op, &(struct ask){"run:nobody", true, true, -1}), -ERR_NOT_FOUND);
    CHECK_HAS(said, "run:nobody");
    CHECK_INT(edge("bogus:1", "run:a"), -ERR_INVALID);
    CHECK_INT(edge("run:a", "run:"), -ERR_INVALID);
}

static int chain_op(struct ctx *c, void *arg) {
    int from = *(int *)arg, rc = 0;
    for (int i = from; rc == 0 && i < from + 500; i++)
        rc = lineage_edge(c, "dataset:wide", arena_printf(c->arena, "run:w%05d", i), "used");
    return rc;
}
static void caps(void) {
    for (int i = 0; i < GRAPH_NODES_MAX + 500; i += 500)
        CHECK_INT(house_write(&h, chain_op, &i), 0);
    walk("dataset:wide", false, true, -1);
    CHECK_INT(node_count, GRAPH_NODES_MAX);
    CHECK_INT(edge_count, GRAPH_NODES_MAX - 1);
    CHECK(truncated);
}

static int rename_op(struct ctx *c, void *arg) {
    (void)arg;
    return lineage_rename(c, "model_version:m/1", "model_version:n/1");
}
static int other_project_op(struct ctx *c, void *arg) {
    const struct ask *a = arg;
    c->project = 77;
    return walk_op(c, (void *)(uintptr_t)a);
}
static void renames_and_projects(void) {
    CHECK_INT(house_write(&h, rename_op, NULL), 0);
    CHECK_STR(walk("endpoint:e", true, false, 2),
              "endpoint:e=0 model_version:n/1=1 run:a=2 run:b=2");
    CHECK_INT(house_read(&h, walk_op, &(struct ask){"model_version:m/1", true, true, -1}),
              -ERR_NOT_FOUND);
    CHECK_INT(house_read(&h, other_project_op, &(struct ask){"endpoint:e", true, true, -1}),
              -ERR_NOT_FOUND);
}

static char dot[4000];
static int dot_op(struct ctx *c, void *arg) {
    struct graph g;
    struct buf b = {0};
    int rc = graph_walk(c, arg, true, true, -1, &g);
    if (rc == 0) {
        graph_dot(&g, &b);
        snprintf(dot, sizeof dot, "%s", b.data);
    }
    buf_free(&b);
    return rc;
}
static void dot_is_quoted(void) {
    CHECK_INT(house_write(&h, node_op,
                          &(struct node){"run:q\"; a -> b; \"", "line 1\nline \"2\" \\", NULL}),
              0);
    CHECK_INT(edge("run:q\"; a -> b; \"", "endpoint:q"), 0);
    CHECK_INT(house_read(&h, dot_op, "endpoint:q"), 0);
    CHECK_STR(dot,
              "digraph lineage {\n  rankdir=LR;\n  node [shape=box];\n"
              "  \"endpoint:q\" [label=\"q\\n(endpoint)\", style=bold];\n"
              "  \"run:q\\\"; a -> b; \\\"\" [label=\"line 1\\nline \\\"2\\\" \\\\\\n(run)\"];\n"
              "  \"run:q\\\"; a -> b; \\\"\" -> \"endpoint:q\" [label=\"used\"];\n}\n");
}

static struct node_row seen;
static int get_op(struct ctx *c, void *arg) {
    bool found;
    int rc = lineage_store_get(c, arg, &seen, &found);
    static char label[100], attrs[100];
    snprintf(label, sizeof label, "%s", found ? seen.label : "(none)");
    snprintf(attrs, sizeof attrs, "%s", found && seen.attrs ? seen.attrs : "(none)");
    seen.label = label;
    seen.attrs = attrs;
    return rc;
}
static void labels_and_attributes(void) {
    CHECK_INT(house_write(&h, node_op, &(struct node){"run:l", "first", "{\"a\":1}"}), 0);
    CHECK_INT(edge("run:l", "endpoint:l"), 0); /* does not overwrite the label */
    CHECK_INT(house_read(&h, get_op, "run:l"), 0);
    CHECK_STR(seen.label, "first");
    CHECK_INT(house_write(&h, node_op, &(struct node){"run:l", "second", NULL}), 0);
    CHECK_INT(house_read(&h, get_op, "run:l"), 0);
    CHECK_STR(seen.label, "second");
    CHECK_STR(seen.attrs, "{\"a\":1}");
    CHECK_INT(house_read(&h, get_op, "endpoint:l"), 0);
    CHECK_STR(seen.label, "l");
}

int main(void) {
    house_open(&h, 0);
    RUN(diamond);
    RUN(depth);
    RUN(cycle);
    RUN(unknown_and_malformed);
    RUN(caps);
    RUN(renames_and_projects);
    RUN(dot_is_quoted);
    RUN(labels_and_attributes);
    house_end(&h);
    return CHECK_END();
}
