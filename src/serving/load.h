/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_LOAD_H
#define QUERN_SERVING_LOAD_H
/* Load: one arm's way from stored files to a model in memory, made on one of a few threads, so
 * that a model that is large or hurts holds up its own arm only. */
#include <stdbool.h>
#include <stdint.h>

#include "arm.h"
#include "quern/core/ctx.h"
#include "quern/registry/registry.h"

struct dir;
struct model;
struct serving_options;

struct load {
    struct load *next;
    struct ctx c; /* everything below hangs on its arena */
    struct arm a;
    struct model_version_info info; /* of the target, when it was resolved */
    bool resolved;
    bool alone; /* nothing serves: the last good version is loaded when the target cannot be */
    int64_t began_ms;
    uint64_t seen;      /* how many arms had come to a model when it was handed on */
    const char *vetted; /* digest and runtime of what was loaded, when vetting passed */
    int64_t took_ms;
    /* What came of it. */
    int code; /* 0: the target's model was loaded */
    const char *why;
    struct model *model; /* the target's, else the last good one; NULL: neither */
};

struct load *load_new(const struct arm *a); /* copies what it needs of the row */
void load_free(struct load *l);             /* with a model that nobody took */

/* `done` is called from a loading thread each time a load has ended. */
void loads_start(const struct serving_options *o, struct dir *work, void (*done)(void *unused));
void loads_stop(void); /* waits for those under way, drops the others */
void load_submit(struct load *l);
struct load *load_take(void); /* one that has ended, or NULL */
/* A model by its target, on the calling thread, which has no connection; vetted like any other.
 * Freed by model_free. Between loads_start and loads_stop. */
int load_now(struct ctx *c, const char *target, struct model **out);

#endif
