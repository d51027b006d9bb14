/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/lineage/lineage.h"

#include "lineage_store.h"
#include "quern/core/ctx.h"
#include "quern/core/ref.h"

int lineage_node(struct ctx *c, const char *ref, const char *label, const char *attrs) {
    const char *kind, *id;
    int rc = ref_parse(c, ref, &kind, &id);
    return rc == 0 ? lineage_store_node(c, ref, kind, label && *label ? label : id, attrs) : rc;
}

static int ensure(struct ctx *c, const char *ref) {
    const char *kind, *id;
    int rc = ref_parse(c, ref, &kind, &id);
    return rc == 0 ? lineage_store_node_if_absent(c, ref, kind, id) : rc;
}

int lineage_edge(struct ctx *c, const char *from, const char *to, const char *verb) {
    int rc = ensure(c, from);
    if (rc == 0)
        rc = ensure(c, to);
    return rc == 0 ? lineage_store_edge(c, from, to, verb) : rc;
}

int lineage_edge_drop(struct ctx *c, const char *from, const char *to, const char *verb) {
    return lineage_store_edge_drop(c, from, to, verb);
}

int lineage_relabel(struct ctx *c, const char *ref, const char *label) {
    return lineage_store_relabel(c, ref, label);
}

int lineage_rename(struct ctx *c, const char *from, const char *to) {
    const char *kind, *id;
    int rc = ref_parse(c, to, &kind, &id);
    return rc == 0 ? lineage_store_rename(c, from, to, kind, id) : rc;
}
