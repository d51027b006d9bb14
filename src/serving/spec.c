/* SPDX-License-Identifier: Apache-2.0 */
#include "spec.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "child.h"
#include "degrade.h"
#include "graph_spec.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "quern/rollout/policy.h"

static const char *const warm_names[] = {"used", "pinned", NULL};

SHAPE_STRICT(
    shape_arm_spec, "ArmSpec", struct arm_spec,
    FIELD_MAX(struct arm_spec, name, T_STR, F_REQUIRED, 1, 64,
              "1 to 64 letters, digits, '_' and '-'; labels of TensorFlow Serving name it"),
    FIELD_MAX(struct arm_spec, target, T_STR, 0, 1, 1024,
              "models:/NAME@ALIAS (follows the alias) or models:/NAME/VERSION"),
    FIELD(struct arm_spec, weight, T_F64, 0,
          "Share of the requests among all arms' weights; default 1 for the first, else 0"),
    FIELD_SUB(struct arm_spec, graph, T_OBJ, 0, &shape_graph,
              "In place of a target: endpoints and models, their tensors wired by name"),
    FIELD_SUB(struct arm_spec, runtime, T_OBJ, 0, &shape_runtime,
              "What runs it; default ONNX Runtime in the daemon"));
SHAPE_STRICT(shape_degrade_spec, "DegradeStep", struct degrade_spec,
             FIELD(struct degrade_spec, arm, T_STR, 0, "Another arm answers"),
             FIELD(struct degrade_spec, last, T_BOOL, 0,
                   "The last good answer to the same key or the same inputs"),
             FIELD(struct degrade_spec, outputs, T_JSON, 0,
                   "A constant answer: a list of Open Inference Protocol outputs of one row"),
             FIELD(struct degrade_spec, when, T_STRS, 0,
                   "Kinds of failure: unavailable, failed, deadline, output; all by default"));
SHAPE_STRICT(shape_endpoint_spec, "EndpointPut", struct endpoint_spec,
             FIELD(struct endpoint_spec, name, T_STR, F_PATH,
                   "1 to 128 letters, digits, '.', '_' and '-'"),
             FIELD_MAX(struct endpoint_spec, target, T_STR, 0, 1, 1024,
                       "models:/NAME@ALIAS or models:/NAME/VERSION: short for one arm called main"),
             FIELD_SUB(struct endpoint_spec, arms, T_LIST, 0, &shape_arm_spec,
                       "The models that requests are spread over, at most 16"),
             FIELD_ENUM(struct endpoint_spec, warm, 0, warm_names,
                        "used: leaves memory when others need it; pinned: stays"),
             ROLLOUT_FIELDS(struct endpoint_spec, rollout),
             FIELD_SUB(struct endpoint_spec, limits, T_OBJ, 0, &shape_limits_spec,
                       "How many requests run and wait, and for how long"),
             FIELD_SUB(struct endpoint_spec, batching, T_OBJ, 0, &shape_batching_spec,
                       "Requests that wait together run together; not by default"),
             FIELD_SUB(struct endpoint_spec, cache, T_OBJ, 0, &shape_cache_spec,
                       "Answers are kept for equal requests; not by default"),
             FIELD_SUB(struct endpoint_spec, checks, T_OBJ, 0, &shape_checks_spec,
                       "Rules for inputs and outputs"),
             FIELD_SUB(struct endpoint_spec, last, T_OBJ, 0, &shape_last_spec,
                       "What the chain's step `last` remembers"),
             FIELD_SUB(struct endpoint_spec, log, T_OBJ, 0, &shape_prediction_log,
                       "What is kept of its predictions; nothing by default"),
             FIELD_SUB(struct endpoint_spec, degrade, T_LIST, 0, &shape_degrade_spec,
                       "What answers when the chosen arm fails, in order"));

static int check_arm(struct ctx *c, const struct endpoint_spec *s, size_t i) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    struct arm_spec *arms = s->arms.items;
    struct arm_spec *a = &arms[i];
    const char *field = arena_printf(c->arena, "arms/%zu", i);
    if (strspn(a->name, letters) != strlen(a->name))
        return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/name", field),
                          "an arm's name is 1 to 64 letters, digits, '_' and '-'");
    if ((a->target != NULL) == (a->graph != NULL))
        return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/target", field),
                          "an arm has a target (models:/NAME@ALIAS or models:/NAME/VERSION) or a "
                          "graph");
    if (a->graph && a->runtime)
        return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/runtime", field),
                          "a graph has no runtime of its own");
    if (a->target && !str_starts(a->target, "models:/"))
        return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/target", field),
                          "target must be models:/NAME@ALIAS or models:/NAME/VERSION");
    for (size_t k = 0; k < i; k++)
        if (strcmp(arms[k].name, a->name) == 0)
            return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/name", field),
                              "two arms are called '%s'", a->name);
    if (!a->weight.set)
        a->weight = SET_F64(i == 0 ? 1 : 0);
    if (!(a->weight.v >= 0) || !isfinite(a->weight.v))
        return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/weight", field),
                          "a weight is a number from 0 on");
    if (a->graph)
        return graph_spec_check(c, arena_printf(c->arena, "%s/graph", field), a->graph);
    return a->runtime ? runtime_check(c, arena_printf(c->arena, "%s/runtime", field), a->runtime)
                      : 0;
}

int spec_degrade(struct ctx *c, const struct endpoint_spec *s, struct degrade_step **out) {
    const char **names = ARENA_ARRAY(c->arena, const char *, s->arms.n);
    struct degrade_step *steps =
        ARENA_ARRAY(c->arena, struct degrade_step, s->degrade.n ? s->degrade.n : 1);
    int rc = 0;
    for (size_t i = 0; i < s->arms.n; i++)
        names[i] = ((const struct arm_spec *)s->arms.items)[i].name;
    if (s->degrade.n > DEGRADE_MAX)
        return fail_field(c, ERR_INVALID, "degrade", "a chain has at most %d steps, not %zu",
                          DEGRADE_MAX, s->degrade.n);
    for (size_t i = 0; rc == 0 && i < s->degrade.n; i++)
        rc = degrade_make(c, &((const struct degrade_spec *)s->degrade.items)[i], i, names,
                          s->arms.n, &steps[i]);
    *out = steps;
    return rc;
}

int spec_policy(struct ctx *c, const char *endpoint, const struct endpoint_spec *s,
                struct live *live, struct policy **out) {
    struct policy_arm *arms = ARENA_ARRAY(c->arena, struct policy_arm, s->arms.n);
    for (size_t i = 0; i < s->arms.n; i++) {
        const struct arm_spec *a = &((const struct arm_spec *)s->arms.items)[i];
        arms[i] = (struct policy_arm){.name = a->name, .weight = a->weight.v, .target = a->target};
    }
    return policy_make(c, endpoint, &s->rollout, arms, s->arms.n, live, out);
}

/* Made for its errors alone. */
static int check_policy(struct ctx *c, const struct endpoint_spec *s) {
    struct policy *trial = NULL;
    struct degrade_step unused;
    int rc = spec_policy(c, s->name ? s->name : "endpoint", s, NULL, &trial);
    const char *constant = rc == 0 ? policy_holdout_outputs(trial) : NULL;
    if (constant)
        rc = degrade_constant_read(c, constant, "holdout/outputs", &unused);
    policy_unref(trial);
    return rc;
}

int spec_check(struct ctx *c, struct endpoint_spec *s) {
    if ((s->target != NULL) == (s->arms.n > 0))
        return fail_field(c, ERR_INVALID, "target",
                          s->target ? "give target or arms, not both"
                                    : "give target (models:/NAME@ALIAS or models:/NAME/VERSION) or "
                                      "arms");
    if (s->target) {
        struct arm_spec *one = ARENA_NEW(c->arena, struct arm_spec);
        one->name = "main";
        one->target = s->target;
        s->arms = (struct list){one, 1};
    }
    if (s->arms.n > ARMS_MAX)
        return fail_field(c, ERR_INVALID, "arms", "an endpoint has at most %d arms, not %zu",
                          ARMS_MAX, s->arms.n);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->arms.n; i++)
        rc = check_arm(c, s, i);
    if (rc < 0 && s->target) /* the caller wrote no arms */
        c->err.field = arena_strdup(c->arena, "target");
    if (rc == 0)
        rc = check_policy(c, s);
    if (rc == 0)
        rc = batching_spec_check(c, s->batching);
    if (rc == 0)
        rc = checks_spec_check(c, s->checks);
    if (rc == 0)
        rc = last_spec_check(c, s->last);
    if (rc == 0 && s->log)
        rc = prediction_log_check(c, s->log);
    struct degrade_step *unused;
    return rc < 0 ? rc : spec_degrade(c, s, &unused);
}

const char *spec_text(struct ctx *c, const struct endpoint_spec *s) {
    struct endpoint_spec copy = *s;
    struct buf out = {0};
    copy.name = NULL;
    if (copy.target)
        copy.arms = (struct list){0};
    json_encode(&out, &shape_endpoint_spec, &copy);
    char *text = arena_strndup(c->arena, out.data, out.len);
    buf_free(&out);
    return text;
}

int spec_read(struct ctx *c, const char *text, struct endpoint_spec *out) {
    struct json_t *tree;
    *out = (struct endpoint_spec){0};
    int rc = json_parse(c, DIALECT_PROBLEM, text, strlen(text), &tree);
    if (rc == 0)
        rc = json_decode(c, DIALECT_PROBLEM, &shape_endpoint_spec, tree, NULL, NULL, out);
    return rc == 0 ? spec_check(c, out) : rc;
}

const char *spec_target(const struct arm_spec *a) {
    return a->graph ? GRAPH_TARGET : a->target;
}

const char *spec_runtime_text(struct ctx *c, const struct arm_spec *a) {
    struct buf out = {0};
    if (!a->graph && (!a->runtime || str_eq(a->runtime->kind, "onnx")))
        return "";
    if (a->graph)
        json_encode(&out, &shape_graph, a->graph);
    else
        json_encode(&out, &shape_runtime, a->runtime);
    char *text = arena_strndup(c->arena, out.data, out.len);
    buf_free(&out);
    return text;
}

int spec_runtime_read(struct ctx *c, const char *text, struct runtime_spec *out) {
    struct json_t *tree;
    *out = (struct runtime_spec){0};
    int rc = json_parse(c, DIALECT_PROBLEM, text, strlen(text), &tree);
    if (rc == 0)
        rc = json_decode(c, DIALECT_PROBLEM, &shape_runtime, tree, NULL, NULL, out);
    return rc == 0 ? runtime_check(c, "runtime", out) : rc;
}
