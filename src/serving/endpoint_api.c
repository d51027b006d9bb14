/* SPDX-License-Identifier: Apache-2.0 */
#include "doors.h"
#include "endpoint.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

struct endpoint_in {
    const char *name, *target;
};
struct endpoint_out {
    const char *name, *target, *state, *reason, *model, *sha256, *predict, *invocations;
    struct opt_i64 version, created_ms, updated_ms;
};
struct endpoints_out {
    struct list endpoints;
};

SHAPE(shape_endpoint_put, "EndpointPut", struct endpoint_in,
      FIELD(struct endpoint_in, name, T_STR, F_PATH | F_REQUIRED,
            "1 to 128 letters, digits, '.', '_' and '-'"),
      FIELD_MAX(struct endpoint_in, target, T_STR, F_REQUIRED, 1, 1024,
                "models:/NAME@ALIAS (follows the alias) or models:/NAME/VERSION"));
SHAPE(shape_endpoint_name, "EndpointName", struct endpoint_in,
      FIELD(struct endpoint_in, name, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"));
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
      FIELD(struct endpoint_out, created_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"),
      FIELD(struct endpoint_out, updated_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"));
SHAPE(shape_endpoints, "Endpoints", struct endpoints_out,
      FIELD_SUB(struct endpoints_out, endpoints, T_LIST, F_ALWAYS, &shape_endpoint,
                "Endpoints of the project by name"));

static void put_out(struct ctx *c, const struct endpoint *e, struct endpoint_out *out) {
    *out = (struct endpoint_out){
        .name = e->name, .target = e->target, .state = e->state, .reason = e->reason};
    if (e->version) {
        out->model = e->model;
        out->version = SET_I64(e->version);
        out->sha256 = e->sha256;
    }
    out->predict = arena_printf(c->arena, "/v2/models/%s/infer", e->name);
    out->invocations = arena_printf(c->arena, "/endpoints/%s/invocations", e->name);
    out->created_ms = SET_I64(e->created_ms);
    out->updated_ms = SET_I64(e->updated_ms);
}

int endpoint_api_put(struct ctx *c, const void *in_, void *out) {
    const struct endpoint_in *in = in_;
    struct endpoint e;
    bool created = false;
    int rc = endpoint_put(c, in->name, in->target, &e, &created);
    if (rc < 0)
        return rc;
    put_out(c, &e, out);
    reply_status(c, created ? 201 : 200);
    return 0;
}

int endpoint_api_get(struct ctx *c, const void *in_, void *out) {
    const struct endpoint_in *in = in_;
    struct endpoint e;
    int rc = endpoint_get(c, in->name, &e);
    if (rc == 0)
        put_out(c, &e, out);
    return rc;
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
    for (size_t i = 0; i < n; i++)
        put_out(c, &rows[i], &items[i]);
    out->endpoints = (struct list){items, n};
    return 0;
}

int endpoint_api_delete(struct ctx *c, const void *in_, void *out) {
    const struct endpoint_in *in = in_;
    (void)out;
    return endpoint_delete(c, in->name);
}
