/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_FIT_H
#define QUERN_SERVING_FIT_H
/* Fit: what an endpoint's plan says of checks, batching and kept answers, made ready for one model.
 * Immutable; its references are changed by the loader's thread alone. */
#include <stdbool.h>

struct arena;
struct arm_live;
struct batcher;
struct checks;
struct metric_cell;
struct model;
struct plan;

struct fit {
    struct arena *arena;
    struct plan *plan; /* one reference is ours */
    const struct model *model;
    struct arm_live *live;
    struct checks *checks;   /* NULL: none declared */
    struct batcher *batcher; /* NULL: runs are not joined */
    bool cached;             /* answers are kept */
    bool plain;              /* nothing of all this: a run is a run */
    struct metric_cell *hits, *misses, *batch_rows;
    unsigned refs;
};

/* One reference is the caller's. A model whose inputs and outputs cannot be batched is logged and
 * runs alone. */
struct fit *fit_new(const char *endpoint, const char *arm, struct plan *p, const struct model *m,
                    struct arm_live *live);
void fit_unref(struct fit *f); /* NULL is allowed */

#endif
