/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint.h"

#include <inttypes.h>
#include <string.h>

#include "arm.h"
#include "endpoint_store.h"
#include "graph_spec.h"
#include "loader.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/ref.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"
#include "quern/lane/lane.h"
#include "quern/lineage/lineage.h"
#include "quern/prediction/prediction.h"
#include "quern/registry/registry.h"
#include "quern/rollout/rollout.h"
#include "spec.h"

static const struct state_row states[] = {
    {"pending", false, "Bound to a target that was not looked at yet."},
    {"loading", false, "The target's model is being fetched, vetted and warmed."},
    {"ready", false, "A model is in memory and answers; reason tells if it is not the target's."},
    {"failed", false, "No model is in memory; reason says why."},
    {"deleted", true, "Taken away; its name may be used again."},
};
static const struct move_row moves[] = {
    {"pending", "loading", "the loader takes it up"},
    {"pending", "ready", "the target's model is in memory already"},
    {"pending", "failed", "the target cannot be resolved"},
    {"loading", "ready", "the model was loaded, or the one before it goes on"},
    {"loading", "failed", "the model was refused and there is none before it"},
    {"loading", "pending", "a new target, or the daemon was restarted"},
    {"ready", "loading", "its alias moved"},
    {"ready", "pending", "a new target, or the daemon was restarted"},
    {"failed", "loading", "its alias moved"},
    {"failed", "pending", "a new target"},
    {"failed", "ready", "the alias moved back to what is in memory"},
    {"pending", "deleted", "deleted"},
    {"loading", "deleted", "deleted"},
    {"ready", "deleted", "deleted"},
    {"failed", "deleted", "deleted"},
    {"deleted", "pending", "made anew"},
};
const struct lifecycle endpoint_lifecycle = {.noun = "endpoint",
                                             .states = states,
                                             .nstates = ARRAY_LEN(states),
                                             .moves = moves,
                                             .nmoves = ARRAY_LEN(moves)};

/* Names stand in URLs and metric labels. */
static int check_name(struct ctx *c, const char *name) {
    size_t n = strlen(name);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (n == 0 || n > 128 || good != n || name[0] == '.' || name[0] == '-')
        return fail_field(c, ERR_INVALID, "name",
                          "an endpoint's name is 1 to 128 letters, digits, '.', '_' and '-', and "
                          "begins with a letter, a digit or '_'");
    return 0;
}

static int move(struct ctx *c, struct endpoint *e, const char *to) {
    if (strcmp(e->state, to) == 0)
        return 0;
    int rc = lifecycle_check(c, &endpoint_lifecycle, e->state, to);
    if (rc == 0)
        e->state = to;
    return rc;
}

static const char *ref_of(struct ctx *c, const char *name) {
    return ref_make(c, "endpoint", name);
}

static const char *version_ref(struct ctx *c, const char *model, int64_t version) {
    return ref_make(c, "model_version", arena_printf(c->arena, "%s/%" PRId64, model, version));
}

static int tell(struct ctx *c, const char *type, const struct endpoint *e) {
    struct buf text = {0};
    struct json_writer w;
    jw_init(&w, &text);
    jw_obj(&w);
    jw_key_str(&w, "endpoint", e->name);
    jw_key_str(&w, "target", e->target);
    jw_key_str(&w, "state", e->state);
    if (e->version) {
        jw_key_str(&w, "model", e->model);
        jw_key_i64(&w, "version", e->version);
    }
    if (*e->reason)
        jw_key_str(&w, "reason", e->reason);
    jw_obj_end(&w);
    int rc = event_emit(c, type, ref_of(c, e->name), text.data);
    buf_free(&text);
    return rc;
}

int endpoint_put(struct ctx *c, const char *name, struct endpoint_spec *spec, struct endpoint *out,
                 bool *created) {
    struct model_version_info info;
    struct endpoint e = {0};
    bool found = false;
    int rc = check_name(c, name);
    if (rc == 0)
        rc = spec_check(c, spec);
    const struct arm_spec *arms = spec->arms.items;
    for (size_t i = 0; rc == 0 && i < spec->arms.n; i++)
        rc = arms[i].graph ? graph_spec_reach(c, arena_printf(c->arena, "arms/%zu/graph", i), name,
                                              arms[i].graph)
                           : model_resolve(c, arms[i].target, &info);
    if (rc == 0)
        rc = endpoint_store_find(c, c->project, name, &e, &found);
    if (rc < 0)
        return rc;
    *created = !found || strcmp(e.state, "deleted") == 0;
    if (!found)
        e = (struct endpoint){
            .project = c->project, .name = name, .state = "pending", .sha256 = ""};
    rc = move(c, &e, "pending");
    if (rc < 0)
        return rc;
    if (*created) {
        e.created_ms = c->now_ms;
        e.model = e.sha256 = "";
        e.version = 0;
    }
    e.target = spec_target(&arms[0]);
    e.policy = spec_text(c, spec);
    e.reason = "";
    e.revision++;
    e.updated_ms = c->now_ms;
    rc = endpoint_store_put(c, &e);
    if (rc == 0)
        rc = revision_record(c, name, e.revision, e.policy);
    if (rc == 0)
        rc = arms_put(c, &e, spec, *created);
    if (rc == 0)
        rc = prediction_keep(c, name, spec->log);
    if (rc == 0)
        rc = lineage_node(c, ref_of(c, name), name, NULL);
    if (rc == 0)
        rc = tell(c, *created ? "endpoint.created" : "endpoint.updated", &e);
    if (rc == 0)
        db_after_commit(c, loader_wake, NULL);
    *out = e;
    return rc;
}

int endpoint_bind(struct ctx *c, const char *name, const char *arm, const char *target,
                  struct endpoint *out, bool *created) {
    struct endpoint_spec spec = {0};
    struct endpoint e;
    bool found = false;
    int rc = endpoint_store_find(c, c->project, name, &e, &found);
    if (rc == 0 && found && strcmp(e.state, "deleted") != 0)
        rc = spec_read(c, e.policy, &spec);
    if (rc < 0)
        return rc;
    struct arm_spec *arms = spec.arms.items;
    size_t i = 0;
    while (arm && i < spec.arms.n && strcmp(arms[i].name, arm) != 0)
        i++;
    if (arm && i == spec.arms.n)
        return fail_field(c, ERR_INVALID, "arm", "endpoint '%s' has no arm '%.64s'", name, arm);
    if (!spec.arms.n || spec.target) {
        spec.target = target;
        spec.arms = (struct list){0};
    } else {
        arms[i].target = target;
    }
    return endpoint_put(c, name, &spec, out, created);
}

int endpoint_get(struct ctx *c, const char *name, struct endpoint *out) {
    bool found;
    int rc = endpoint_store_find(c, c->project, name, out, &found);
    if (rc == 0 && (!found || strcmp(out->state, "deleted") == 0))
        rc = fail(c, ERR_NOT_FOUND, "no endpoint '%.200s'", name);
    return rc;
}

int endpoint_delete(struct ctx *c, const char *name) {
    struct endpoint e;
    int rc = endpoint_get(c, name, &e);
    if (rc == 0)
        rc = move(c, &e, "deleted");
    if (rc < 0)
        return rc;
    e.reason = "";
    e.updated_ms = c->now_ms;
    rc = endpoint_store_put(c, &e);
    if (rc == 0)
        rc = arms_delete(c, &e);
    if (rc == 0)
        rc = rollout_forget(c, name);
    if (rc == 0)
        rc = tell(c, "endpoint.deleted", &e);
    if (rc == 0)
        db_after_commit(c, loader_wake, NULL);
    return rc;
}

/* Every arm's word, by name unless there is only one. */
static const char *reasons(struct ctx *c, const struct arm *arms, size_t n) {
    const char *text = "";
    for (size_t i = 0; i < n; i++)
        if (*arms[i].reason)
            text = n == 1 ? arms[i].reason
                          : arena_printf(c->arena, "%s%sarm %s: %s", text, *text ? "; " : "",
                                         arms[i].name, arms[i].reason);
    return text;
}

/* Loading while an arm is on its way; then ready when one answers, else failed. */
static const char *state_of(const struct arm *arms, size_t n) {
    bool loading = false, ready = false;
    for (size_t i = 0; i < n; i++) {
        loading |= strcmp(arms[i].state, "pending") == 0 || strcmp(arms[i].state, "loading") == 0;
        ready |= strcmp(arms[i].state, "ready") == 0;
    }
    return loading ? "loading" : ready ? "ready" : "failed";
}

static size_t count_living(const struct arm *arms, size_t n) {
    size_t living = 0;
    for (size_t i = 0; i < n; i++)
        living += strcmp(arms[i].state, "deleted") != 0;
    return living;
}

int endpoint_link(struct ctx *c, const struct arm *a, const char *old_model, int64_t old_version) {
    struct arm *arms;
    size_t n;
    bool kept = false;
    int rc = arm_list(c, a->project, a->endpoint, &arms, &n);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++) /* what an arm that is gone served is no longer in its row */
        kept = kept || (arms[i].version == old_version && strcmp(arms[i].model, old_model) == 0);
    if (old_version && !kept)
        rc = lineage_edge_drop(c, version_ref(c, old_model, old_version), ref_of(c, a->endpoint),
                               "deployed_to");
    if (rc == 0 && a->version && (a->version != old_version || strcmp(a->model, old_model) != 0))
        rc = lineage_edge(c, version_ref(c, a->model, a->version), ref_of(c, a->endpoint),
                          "deployed_to");
    return rc;
}

int endpoint_follow(struct ctx *c, const struct arm *a) {
    struct endpoint e;
    struct arm *arms;
    size_t n;
    bool found;
    int rc = endpoint_store_find(c, a->project, a->endpoint, &e, &found);
    if (rc == 0)
        rc = arm_list(c, a->project, a->endpoint, &arms, &n);
    if (rc < 0 || !found || strcmp(e.state, "deleted") == 0)
        return rc;
    n = count_living(arms, n); /* those that are gone stand behind */
    if (n == 0)
        return 0;
    rc = move(c, &e, state_of(arms, n));
    if (rc < 0)
        return rc;
    bool settled = strcmp(e.state, "loading") != 0;
    e.reason = settled ? reasons(c, arms, n) : "";
    if (settled)
        e.done = e.revision;
    e.model = arms[0].model;
    e.version = arms[0].version;
    e.sha256 = arms[0].sha256;
    e.updated_ms = c->now_ms;
    rc = endpoint_store_put(c, &e);
    if (rc == 0 && settled)
        rc = tell(
            c, strcmp(e.state, "ready") == 0 && !*e.reason ? "endpoint.ready" : "endpoint.failed",
            &e);
    return rc;
}
