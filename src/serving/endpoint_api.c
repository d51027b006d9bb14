/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "arm.h"
#include "child_api.h"
#include "doors.h"
#include "endpoint.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "spec.h"

struct arm_out {
    const char *name, *target, *state, *reason, *model, *sha256;
    struct opt_f64 weight;
    struct opt_i64 version, bytes, load_ms, golden;
    struct opt_bool loaded;
    struct child_out *child;
};
struct endpoint_out {
    const char *name, *target, *state, *reason, *model, *sha256, *predict, *invocations;
    struct opt_i64 version, revision, created_ms, updated_ms;
    struct list arms;
    struct json_t *spec;
};
struct endpoints_out {
    struct list endpoints;
};

SHAPE_LOCAL(shape_arm, "EndpointArm", struct arm_out,
            FIELD(struct arm_out, name, T_STR, F_ALWAYS, "The arm's name"),
            FIELD(struct arm_out, target, T_STR, F_ALWAYS, "What it is bound to"),
            FIELD(struct arm_out, weight, T_F64, 0, "Its share among the arms' weights"),
            FIELD(struct arm_out, state, T_STR, F_ALWAYS, "pending, loading, ready or failed"),
            FIELD(struct arm_out, reason, T_STR, F_ALWAYS,
                  "Empty, or why the target's model is not the one that serves"),
            FIELD(struct arm_out, model, T_STR, 0, "Registered model that serves"),
            FIELD(struct arm_out, version, T_I64, 0, "Its version"),
            FIELD(struct arm_out, sha256, T_STR, 0, "Digest of its file"),
            FIELD(struct arm_out, golden, T_I64, 0,
                  "Golden cases that it passed before it took traffic"),
            FIELD(struct arm_out, loaded, T_BOOL, F_ALWAYS,
                  "In memory now; else it is loaded by the next request"),
            FIELD_SUB(struct arm_out, child, T_OBJ, 0, &shape_child,
                      "Of an arm that a child server runs"),
            FIELD(struct arm_out, bytes, T_I64, 0, "Memory it takes, bytes"),
            FIELD(struct arm_out, load_ms, T_I64, 0, "Milliseconds its load took"));
SHAPE(shape_endpoint_name, "EndpointName", struct endpoint_name_in,
      FIELD(struct endpoint_name_in, name, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"));
SHAPE(shape_endpoint, "Endpoint", struct endpoint_out,
      FIELD(struct endpoint_out, name, T_STR, F_ALWAYS, "The endpoint's name"),
      FIELD(struct endpoint_out, target, T_STR, F_ALWAYS, "What it is bound to"),
      FIELD(struct endpoint_out, state, T_STR, F_ALWAYS, "pending, loading, ready or failed"),
      FIELD(struct endpoint_out, reason, T_STR, F_ALWAYS,
            "Empty, or why the target's model is not the one that serves"),
      FIELD(struct endpoint_out, model, T_STR, 0, "Registered model that serves"),
      FIELD(struct endpoint_out, version, T_I64, 0, "Its version"),
      FIELD(struct endpoint_out, sha256, T_STR, 0, "Digest of its file"),
      FIELD(struct endpoint_out, predict, T_STR, F_ALWAYS,
            "Path for Open Inference Protocol requests"),
      FIELD(struct endpoint_out, invocations, T_STR, F_ALWAYS, "Path for MLflow scoring requests"),
      FIELD(struct endpoint_out, revision, T_I64, F_ALWAYS, "Grows with every change"),
      FIELD_SUB(struct endpoint_out, arms, T_LIST, F_ALWAYS, &shape_arm, "What its arms came to"),
      FIELD(struct endpoint_out, spec, T_JSON, F_ALWAYS, "What it was told to be"),
      FIELD(struct endpoint_out, created_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"),
      FIELD(struct endpoint_out, updated_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"));
SHAPE(shape_endpoints, "Endpoints", struct endpoints_out,
      FIELD_SUB(struct endpoints_out, endpoints, T_LIST, F_ALWAYS, &shape_endpoint,
                "Endpoints of the project by name"));

/* The loader notes the cases with what it vetted: "... golden=<digest>:<cases>". */
static struct opt_i64 golden_passed(const struct arm *a) {
    const char *at = strstr(a->vetted, " golden=");
    const char *colon = at ? strrchr(at, ':') : NULL;
    int64_t n = 0;
    return colon && str_to_i64(colon + 1, &n) ? SET_I64(n) : (struct opt_i64){0};
}

static void put_arm(struct ctx *c, const struct arm *a, const struct snapshot *s,
                    struct arm_out *out) {
    const struct entry *e = snapshot_find(s, a->project, a->endpoint);
    *out = (struct arm_out){
        .name = a->name, .target = a->target, .state = a->state, .reason = a->reason};
    out->loaded = SET_BOOL(false);
    for (size_t i = 0; e && i < e->narms; i++)
        if (e->arms[i].number == a->number) {
            out->loaded.v = e->arms[i].model != NULL;
            out->child = child_out_of(c, e->arms[i].model);
        }
    if (!a->version)
        return;
    out->model = a->model;
    out->version = SET_I64(a->version);
    out->sha256 = a->sha256;
    out->bytes = SET_I64(a->bytes);
    out->load_ms = SET_I64(a->load_ms);
    out->golden = golden_passed(a);
}

static int put_arms(struct ctx *c, const struct endpoint *e, const struct endpoint_spec *spec,
                    struct endpoint_out *out) {
    struct arm *arms;
    size_t n;
    int rc = arm_list(c, e->project, e->name, &arms, &n);
    if (rc < 0)
        return rc;
    struct arm_out *items = ARENA_ARRAY(c->arena, struct arm_out, n ? n : 1);
    const struct arm_spec *specs = spec->arms.items;
    const struct snapshot *s = snapshot_enter();
    size_t living = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(arms[i].state, "deleted") == 0)
            continue;
        put_arm(c, &arms[i], s, &items[living]);
        if ((size_t)arms[i].place < spec->arms.n)
            items[living].weight = specs[arms[i].place].weight;
        living++;
    }
    snapshot_leave();
    out->arms = (struct list){items, living};
    return 0;
}

static int put_out(struct ctx *c, const struct endpoint *e, struct endpoint_out *out) {
    struct endpoint_spec spec;
    *out = (struct endpoint_out){
        .name = e->name, .target = e->target, .state = e->state, .reason = e->reason};
    if (e->version) {
        out->model = e->model;
        out->version = SET_I64(e->version);
        out->sha256 = e->sha256;
    }
    out->predict = arena_printf(c->arena, "/v2/models/%s/infer", e->name);
    out->invocations = arena_printf(c->arena, "/endpoints/%s/invocations", e->name);
    out->revision = SET_I64(e->revision);
    out->created_ms = SET_I64(e->created_ms);
    out->updated_ms = SET_I64(e->updated_ms);
    int rc = spec_read(c, e->policy, &spec);
    if (rc == 0)
        rc = json_parse(c, DIALECT_PROBLEM, e->policy, strlen(e->policy), &out->spec);
    return rc < 0 ? rc : put_arms(c, e, &spec, out);
}

int endpoint_api_put(struct ctx *c, const void *in_, void *out) {
    struct endpoint_spec spec = *(const struct endpoint_spec *)in_;
    struct endpoint e;
    bool created = false;
    int rc = endpoint_put(c, spec.name, &spec, &e, &created);
    if (rc == 0)
        rc = put_out(c, &e, out);
    if (rc < 0)
        return rc;
    reply_status(c, created ? 201 : 200);
    return 0;
}

int endpoint_api_show(struct ctx *c, const char *name, void *out) {
    struct endpoint e;
    int rc = endpoint_get(c, name, &e);
    return rc < 0 ? rc : put_out(c, &e, out);
}

int endpoint_api_get(struct ctx *c, const void *in_, void *out) {
    const struct endpoint_name_in *in = in_;
    return endpoint_api_show(c, in->name, out);
}

int endpoint_api_list(struct ctx *c, const void *in, void *out_) {
    struct endpoints_out *out = out_;
    struct endpoint *rows;
    size_t n;
    (void)in;
    int rc = endpoint_list(c, &rows, &n);
    if (rc < 0)
        return rc;
    struct endpoint_out *items = ARENA_ARRAY(c->arena, struct endpoint_out, n ? n : 1);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = put_out(c, &rows[i], &items[i]);
    out->endpoints = (struct list){items, n};
    return rc;
}

int endpoint_api_delete(struct ctx *c, const void *in_, void *out) {
    const struct endpoint_name_in *in = in_;
    (void)out;
    return endpoint_delete(c, in->name);
}
