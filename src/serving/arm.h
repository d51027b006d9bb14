/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_ARM_H
#define QUERN_SERVING_ARM_H
/* Arm: one of the models that an endpoint spreads its requests over. The row says what is wanted
 * (target, revision) and what came of it (state, reason, version); the loader brings the second in
 * line with the first. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct endpoint;
struct endpoint_spec;

struct arm {
    int64_t project;
    const char *endpoint, *name;
    int64_t number; /* the arm's for as long as its endpoint lives, from 0 */
    int64_t place;  /* in the spec, from 0 */
    const char *target;
    const char *runtime; /* of the spec, JSON; "" for ONNX in process */
    const char *state;   /* as an endpoint's */
    const char *reason;
    const char *model; /* registered model that serves; "" before the first load */
    int64_t version;
    const char *sha256;
    int64_t revision; /* the endpoint's when it was bound last */
    int64_t done;     /* revision whose outcome is in state and reason */
    const char *vetted;
    int64_t bytes, load_ms, used_ms;
    int64_t born_ms; /* the endpoint's: a name deleted and made anew is another */
    bool pinned;
};

/* Brings the arms' rows in line with a spec, inside the endpoint's write. */
int arms_put(struct ctx *c, const struct endpoint *e, const struct endpoint_spec *s, bool anew);
int arms_delete(struct ctx *c, const struct endpoint *e);

struct arm_load {
    int64_t project;
    const char *endpoint, *arm;
    int64_t revision;
    const char *state;  /* "loading" "ready" "failed" */
    const char *reason; /* "" or why the target is not what serves */
    const char *model;  /* what serves now; NULL: unchanged */
    int64_t version;
    const char *sha256, *vetted;
    int64_t bytes, load_ms;
};
/* Records what came of a load in the arm and its endpoint, with lineage edge and event. Nothing
 * happens when the arm was taken away meanwhile. */
int arm_record(struct ctx *c, const struct arm_load *o);

/* ---- rows (arm_store.c) ---- */

int arm_list(struct ctx *c, int64_t project, const char *endpoint, struct arm **out, size_t *n);
int arm_list_all(struct ctx *c, struct arm **out, size_t *n); /* living ones of every project */
int arm_store_put(struct ctx *c, const struct arm *a);
int arm_store_used(struct ctx *c, const struct arm *a, int64_t used_ms);
/* Whether some arm's model passed the trial of that text; *bytes is what it grew by. */
int arm_store_vetted(struct ctx *c, const char *vetted, int64_t *bytes, bool *found);
int arm_store_reset(struct ctx *c); /* after a start: nothing is in memory */

#endif
