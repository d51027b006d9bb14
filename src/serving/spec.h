/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_SPEC_H
#define QUERN_SERVING_SPEC_H
/* Spec: what an endpoint was told to be, as the one JSON document that its PUT carries and its row
 * keeps. */
#include "checks.h"
#include "limit_spec.h"
#include "quern/core/shape.h"
#include "quern/prediction/prediction.h"
#include "quern/rollout/spec.h"

struct ctx;
struct degrade_step;
struct live;
struct policy;

#define ARMS_MAX 16
#define DEGRADE_MAX 8

struct graph_spec;
struct runtime_spec;

struct arm_spec {
    const char *name;   /* of the arm */
    const char *target; /* models:/NAME@ALIAS or models:/NAME/VERSION */
    struct opt_f64 weight;
    struct runtime_spec *runtime; /* NULL: ONNX in process */
    struct graph_spec *graph;     /* in place of a target */
};

/* One step of the chain that is gone down when the chosen arm fails. */
struct degrade_spec {
    const char *arm;        /* another arm answers */
    struct opt_bool last;   /* the last good answer to the same key */
    struct json_t *outputs; /* a constant answer: OIP output objects */
    struct strs when;       /* kinds of failure it is for; empty: every one */
};

struct endpoint_spec {
    const char *name;               /* of the endpoint: from the path, no part of the document */
    const char *target;             /* short for one arm called main */
    struct list arms;               /* struct arm_spec; after spec_check never empty */
    const char *warm;               /* "used" (default), "pinned" */
    struct rollout_spec rollout;    /* which arm answers */
    struct list degrade;            /* struct degrade_spec */
    struct limits_spec *limits;     /* NULL: what fits the models */
    struct batching_spec *batching; /* NULL: none */
    struct cache_spec *cache;       /* NULL: none */
    struct checks_spec *checks;     /* NULL: none */
    struct last_spec *last;         /* of the chain's step `last`; NULL: defaults */
    struct prediction_log *log;     /* what is kept of its predictions; NULL: nothing */
};

extern const struct shape shape_arm_spec, shape_degrade_spec, shape_endpoint_spec;

/* Puts defaults in and refuses what does not fit together, naming the field. */
int spec_check(struct ctx *c, struct endpoint_spec *s);
/* The document as it is stored: JSON in c's arena. */
const char *spec_text(struct ctx *c, const struct endpoint_spec *s);
/* What an arm's row has for a target. */
const char *spec_target(const struct arm_spec *a);
/* Its runtime, or its graph, likewise; "" for ONNX in process. */
const char *spec_runtime_text(struct ctx *c, const struct arm_spec *a);
int spec_runtime_read(struct ctx *c, const char *text, struct runtime_spec *out);
/* Reads what spec_text wrote. */
int spec_read(struct ctx *c, const char *text, struct endpoint_spec *out);
/* Compiles the chain: as many steps as s->degrade has, in c's arena. */
int spec_degrade(struct ctx *c, const struct endpoint_spec *s, struct degrade_step **out);
/* Compiles which arm answers. */
int spec_policy(struct ctx *c, const char *endpoint, const struct endpoint_spec *s,
                struct live *live, struct policy **out);

#endif
