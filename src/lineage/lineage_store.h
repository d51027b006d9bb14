/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_LINEAGE_PRIVATE_LINEAGE_STORE_H
#define QUERN_LINEAGE_PRIVATE_LINEAGE_STORE_H
/* Lineage store: the statements. Everything is of c->project. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;

struct node_row {
    const char *ref, *kind, *label, *attrs; /* attrs NULL when none */
};
struct edge_row {
    const char *from, *to, *verb;
};
struct node_rows {
    struct node_row *items;
    size_t n, cap;
};
struct edge_rows {
    struct edge_row *items;
    size_t n, cap;
};

int lineage_store_node(struct ctx *c, const char *ref, const char *kind, const char *label,
                       const char *attrs);
int lineage_store_node_if_absent(struct ctx *c, const char *ref, const char *kind,
                                 const char *label);
int lineage_store_relabel(struct ctx *c, const char *ref, const char *label);
int lineage_store_edge(struct ctx *c, const char *from, const char *to, const char *verb);
int lineage_store_edge_drop(struct ctx *c, const char *from, const char *to, const char *verb);
int lineage_store_rename(struct ctx *c, const char *from, const char *to, const char *kind,
                         const char *label);
int lineage_store_get(struct ctx *c, const char *ref, struct node_row *out, bool *found);
/* Edges that leave (downstream) or enter the node, at most `most`, appended. */
int lineage_store_edges(struct ctx *c, const char *ref, bool downstream, size_t most,
                        struct edge_rows *out);
/* Newest first; kind and q may be NULL; q is looked for in ref and label, ASCII case folded. */
int lineage_store_search(struct ctx *c, const char *kind, const char *q, int64_t limit,
                         int64_t offset, struct node_rows *out);

void node_push(struct ctx *c, struct node_rows *list, struct node_row row);
void edge_push(struct ctx *c, struct edge_rows *list, struct edge_row row);

#endif
