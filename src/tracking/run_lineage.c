/* SPDX-License-Identifier: Apache-2.0 */
#include "run_lineage.h"

#include <inttypes.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/core/ref.h"
#include "quern/db/db.h"
#include "quern/lineage/lineage.h"

/* The run's node with its present name; gives its ref. */
static int run_node(struct ctx *c, const char *run_id, const char **ref) {
    char *name = NULL;
    int rc = db_get_text(c, "SELECT name FROM run WHERE uuid = ?", &name, "s", run_id);
    if (rc < 0)
        return rc;
    *ref = ref_make(c, "run", run_id);
    return lineage_node(c, *ref, name ? name : run_id, NULL);
}

static int edge_to_run(struct ctx *c, const struct run_ref *r, const char *from,
                       const char *label) {
    const char *run = NULL;
    int rc = run_node(c, r->uuid, &run);
    if (!rc)
        rc = lineage_node(c, from, label, NULL);
    return rc ? rc : lineage_edge(c, from, run, "used");
}

/* The tag is free text; only what can be a commit's name becomes a node. */
static bool commit_name(const char *text) {
    size_t n = strspn(text, "0123456789abcdefABCDEF");
    return n >= 4 && n <= 64 && !text[n];
}

int run_came_from_commit(struct ctx *c, const struct run_ref *r, const char *commit) {
    if (!commit_name(commit))
        return 0;
    return edge_to_run(c, r, ref_make(c, "git", commit),
                       arena_printf(c->arena, "commit %.12s", commit));
}

int run_used_dataset(struct ctx *c, const struct run_ref *r, const char *name, const char *digest) {
    const char *id = arena_printf(c->arena, "%" PRId64 "/%s@%s", r->experiment, name, digest);
    return edge_to_run(c, r, ref_make(c, "dataset", id), name);
}

int run_used_model(struct ctx *c, const struct run_ref *r, const char *model_id) {
    const char *run = NULL;
    int rc = run_node(c, r->uuid, &run);
    return rc ? rc : lineage_edge(c, ref_make(c, "logged_model", model_id), run, "used");
}

int run_made_model(struct ctx *c, const char *run_id, const char *model_id,
                   const char *model_name) {
    const char *run = NULL, *model = ref_make(c, "logged_model", model_id);
    int rc = run_node(c, run_id, &run);
    if (!rc && model_name)
        rc = lineage_node(c, model, model_name, NULL);
    return rc ? rc : lineage_edge(c, run, model, "produced");
}

int run_renamed(struct ctx *c, const struct run_ref *r, const char *name) {
    return lineage_relabel(c, ref_make(c, "run", r->uuid), *name ? name : r->uuid);
}
