/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/trash/trash.h"
#include "quota.h"

#define BOUND(S, m, d) FIELD_MAX(S, m, T_I64, 0, 0, INT64_MAX, d)

struct quota_in {
    const char *name;
    struct opt_i64 runs, artifact_bytes, registered_models, traces;
};
SHAPE_LOCAL(quota_in_shape, "QuotaBounds", struct quota_in,
            FIELD(struct quota_in, name, T_STR, F_PATH | F_REQUIRED, "Project"),
            BOUND(struct quota_in, runs, "Most runs, deleted ones included; absent: no bound"),
            BOUND(struct quota_in, artifact_bytes,
                  "Most bytes of stored artifacts; absent: no bound"),
            BOUND(struct quota_in, registered_models, "Most registered models; absent: no bound"),
            BOUND(struct quota_in, traces, "Most traces; absent: no bound"));

SHAPE_LOCAL(amounts_shape, "QuotaAmounts", struct quota_amounts,
            FIELD(struct quota_amounts, runs, T_I64, 0, "Runs, deleted ones included"),
            FIELD(struct quota_amounts, artifact_bytes, T_I64, 0, "Bytes of stored artifacts"),
            FIELD(struct quota_amounts, registered_models, T_I64, 0, "Registered models"),
            FIELD(struct quota_amounts, traces, T_I64, 0, "Traces"));

struct quota_out {
    const char *project;
    struct quota_amounts *most, *held;
};
SHAPE_LOCAL(quota_out_shape, "Quota", struct quota_out,
            FIELD(struct quota_out, project, T_STR, F_ALWAYS, "Project"),
            FIELD_SUB(struct quota_out, most, T_OBJ, F_ALWAYS, &amounts_shape,
                      "Bounds; absent members have none"),
            FIELD_SUB(struct quota_out, held, T_OBJ, F_ALWAYS, &amounts_shape, "What is there"));

struct quota_name {
    const char *name;
};
SHAPE_LOCAL(quota_name_shape, "QuotaProject", struct quota_name,
            FIELD(struct quota_name, name, T_STR, F_PATH | F_REQUIRED, "Project"));

static int answer(struct ctx *c, const char *name, int64_t project, struct quota_out *out) {
    *out = (struct quota_out){.project = name,
                              .most = ARENA_NEW(c->arena, struct quota_amounts),
                              .held = ARENA_NEW(c->arena, struct quota_amounts)};
    return quota_get(c, project, out->most, out->held);
}

static int get_door(struct ctx *c, const void *in, void *out) {
    const char *name = ((const struct quota_name *)in)->name;
    int64_t project = 0;
    int rc = quota_project(c, name, &project);
    return rc ? rc : answer(c, name, project, out);
}

static int put_door(struct ctx *c, const void *in_, void *out) {
    const struct quota_in *in = in_;
    const struct quota_amounts most = {in->runs, in->artifact_bytes, in->registered_models,
                                       in->traces};
    int64_t project = 0;
    int rc = quota_project(c, in->name, &project);
    if (rc == 0)
        rc = quota_set(c, project, &most);
    return rc ? rc : answer(c, in->name, project, out);
}

static const struct route rows[] = {
    {.id = "quota.get",
     .method = "GET",
     .path = "/api/v1/projects/{name}/quota",
     .in = &quota_name_shape,
     .out = &quota_out_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_READ,
     .fn = get_door,
     .summary = "Tells how much a project may hold, and holds."},
    {.id = "quota.put",
     .method = "PUT",
     .path = "/api/v1/projects/{name}/quota",
     .in = &quota_in_shape,
     .out = &quota_out_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT,
     .fn = put_door,
     .summary = "Says how much a project may hold; what is left out is not bounded."},
};
const struct route_list quota_routes = {rows, ARRAY_LEN(rows)};
