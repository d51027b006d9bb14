/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_ENDPOINT_H
#define QUERN_SERVING_ENDPOINT_H
/* Endpoint: a name bound to a model. The row says what is wanted (target, revision) and what came
 * of it (state, reason, version); the loader brings the second in line with the first. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/lifecycle.h"

struct ctx;

extern const struct lifecycle endpoint_lifecycle; /* pending loading ready failed deleted */

struct endpoint {
    int64_t project;
    const char *name;
    const char *target; /* "models:/name@alias" */
    const char *state;
    const char *reason; /* "" or a sentence */
    const char *model;  /* registered model that serves; "" before the first load */
    int64_t version;    /* of it; 0 before the first load */
    const char *sha256; /* of its file */
    int64_t revision;   /* grows with every PUT */
    int64_t done;       /* revision whose outcome is in state and reason */
    int64_t created_ms, updated_ms;
};

/* ---- rules, inside a write ---- */

/* Binds a name to a target (made when new); *created tells. The loader is woken after the commit.
 */
int endpoint_put(struct ctx *c, const char *name, const char *target, struct endpoint *out,
                 bool *created);
int endpoint_delete(struct ctx *c, const char *name);

struct endpoint_outcome {
    int64_t project;
    const char *name;
    int64_t revision;
    const char *state;  /* "loading" "ready" "failed" */
    const char *reason; /* "" or why the target is not what serves */
    const char *model;  /* what serves now; NULL: unchanged */
    int64_t version;
    const char *sha256;
};
/* Records what came of a load, with its lineage edge and event. Nothing happens when the endpoint
 * was deleted meanwhile. */
int endpoint_record(struct ctx *c, const struct endpoint_outcome *o);

/* ---- rows ---- */

int endpoint_get(struct ctx *c, const char *name, struct endpoint *out); /* ERR_NOT_FOUND */
int endpoint_list(struct ctx *c, struct endpoint **out, size_t *n);      /* of the project */
int endpoint_list_all(struct ctx *c, struct endpoint **out, size_t *n);  /* of every project */

#endif
