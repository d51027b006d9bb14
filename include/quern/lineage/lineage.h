/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_LINEAGE_LINEAGE_H
#define QUERN_LINEAGE_LINEAGE_H
/* Lineage: what came from what. Nodes are refs (kind:id) of one project; an edge points from the
 * source to what was made of it ("data -> run -> model version -> endpoint"). Edges are written in
 * the transaction of the fact they tell of. */
#include <stddef.h>
#include <stdint.h>

#include "quern/http/route.h"

/* Makes or refreshes a node; label is for people, attrs a JSON object or NULL (kept when NULL). */
int lineage_node(struct ctx *c, const char *ref, const char *label, const char *attrs);
/* Edge with a verb ("produced", "used", "registered_as", "deployed_to", "member_of"). Missing nodes
 * are made with their id as label. Repeating is harmless. */
int lineage_edge(struct ctx *c, const char *from, const char *to, const char *verb);
int lineage_edge_drop(struct ctx *c, const char *from, const char *to, const char *verb);
/* A thing is called otherwise but is the same thing: its node's label. No node is fine. */
int lineage_relabel(struct ctx *c, const char *ref, const char *label);
/* A thing got another name: node and edges follow. An unknown `from` is fine. */
int lineage_rename(struct ctx *c, const char *from, const char *to);

extern const struct route_list
    lineage_routes; /* GET /api/v1/lineage?node=&direction=&depth=&format= */

#endif
