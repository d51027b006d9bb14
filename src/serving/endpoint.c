/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint.h"

#include <inttypes.h>
#include <string.h>

#include "endpoint_store.h"
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
#include "quern/registry/registry.h"

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

int endpoint_put(struct ctx *c, const char *name, const char *target, struct endpoint *out,
                 bool *created) {
    struct model_version_info info;
    struct endpoint e = {0};
    bool found = false;
    int rc = check_name(c, name);
    if (rc == 0 && !str_starts(target, "models:/"))
        rc = fail_field(c, ERR_INVALID, "target",
                        "target must be models:/NAME@ALIAS or models:/NAME/VERSION");
    if (rc == 0)
        rc = model_resolve(c, target, &info);
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
    e.target = target;
    e.reason = "";
    e.revision++;
    e.updated_ms = c->now_ms;
    rc = endpoint_store_put(c, &e);
    if (rc == 0)
        rc = lineage_node(c, ref_of(c, name), name, NULL);
    if (rc == 0)
        rc = tell(c, *created ? "endpoint.created" : "endpoint.updated", &e);
    if (rc == 0)
        db_after_commit(c, loader_wake, NULL);
    *out = e;
    return rc;
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
    if (rc == 0 && e.version)
        rc = lineage_edge_drop(c, version_ref(c, e.model, e.version), ref_of(c, name),
                               "deployed_to");
    if (rc < 0)
        return rc;
    e.reason = "";
    e.updated_ms = c->now_ms;
    rc = endpoint_store_put(c, &e);
    if (rc == 0)
        rc = tell(c, "endpoint.deleted", &e);
    if (rc == 0)
        db_after_commit(c, loader_wake, NULL);
    return rc;
}

int endpoint_record(struct ctx *c, const struct endpoint_outcome *o) {
    struct endpoint e;
    bool found;
    c->project = o->project;
    int rc = endpoint_store_find(c, o->project, o->name, &e, &found);
    if (rc < 0 || !found || strcmp(e.state, "deleted") == 0)
        return rc;
    bool newer = e.revision != o->revision; /* bound anew while this one was loading */
    bool moved = o->model && (strcmp(e.model, o->model) != 0 || e.version != o->version);
    if (!newer) {
        rc = move(c, &e, o->state);
        if (rc < 0)
            return rc;
        e.reason = o->reason;
        if (strcmp(o->state, "loading") != 0)
            e.done = o->revision;
    }
    if (moved && e.version)
        rc = lineage_edge_drop(c, version_ref(c, e.model, e.version), ref_of(c, e.name),
                               "deployed_to");
    if (o->model) {
        e.model = o->model;
        e.version = o->version;
        e.sha256 = o->sha256;
    }
    e.updated_ms = c->now_ms;
    if (rc == 0)
        rc = endpoint_store_put(c, &e);
    if (rc == 0 && o->model)
        rc = lineage_edge(c, version_ref(c, e.model, e.version), ref_of(c, e.name), "deployed_to");
    if (rc == 0 && strcmp(o->state, "loading") != 0)
        rc = tell(
            c, strcmp(o->state, "ready") == 0 && !*o->reason ? "endpoint.ready" : "endpoint.failed",
            &e);
    return rc;
}
