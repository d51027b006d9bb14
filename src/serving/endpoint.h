/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_ENDPOINT_H
#define QUERN_SERVING_ENDPOINT_H
/* Endpoint: a name that predictions are asked of, made of arms (arm.h) by its spec (spec.h). State,
 * reason and version are those of its arms taken together: what the first arm serves, ready when a
 * model answers, with a reason while some arm is not what it should be. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/lifecycle.h"

struct ctx;

extern const struct lifecycle endpoint_lifecycle; /* pending loading ready failed deleted */

struct endpoint {
    int64_t project;
    const char *name;
    const char *target; /* the first arm's: "models:/name@alias" */
    const char *state;
    const char *reason; /* "" or a sentence */
    const char *model;  /* registered model that serves; "" before the first load */
    int64_t version;    /* of it; 0 before the first load */
    const char *sha256; /* of its file */
    int64_t revision;   /* grows with every PUT */
    int64_t done;       /* revision whose outcome is in state and reason */
    const char *policy; /* the spec as JSON */
    int64_t created_ms, updated_ms;
};

/* ---- rules, inside a write ---- */

struct endpoint_spec;

/* Makes a name what a spec says (made when new; *created tells). The loader is woken after the
 * commit. */
int endpoint_put(struct ctx *c, const char *name, struct endpoint_spec *spec, struct endpoint *out,
                 bool *created);
/* Binds one arm (NULL: the first) to a target and leaves the rest of the spec. */
int endpoint_bind(struct ctx *c, const char *name, const char *arm, const char *target,
                  struct endpoint *out, bool *created);
int endpoint_delete(struct ctx *c, const char *name);

struct arm;
/* Draws the lineage of what an arm serves, whose row is written, against what it served before. */
int endpoint_link(struct ctx *c, const struct arm *a, const char *old_model, int64_t old_version);
/* Takes over what an endpoint's arms have come to, and tells of it. */
int endpoint_follow(struct ctx *c, const struct arm *a);

/* ---- rows ---- */

int endpoint_get(struct ctx *c, const char *name, struct endpoint *out); /* ERR_NOT_FOUND */
int endpoint_list(struct ctx *c, struct endpoint **out, size_t *n);      /* of the project */
int endpoint_list_all(struct ctx *c, struct endpoint **out,
                      size_t *n); /* living, of every project */

#endif
