/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_PLAN_H
#define QUERN_SERVING_PLAN_H
/* Plan: an endpoint's spec made ready for predictions, and what lives as long as the endpoint does
 * whatever its spec says. Both are shared by the snapshots that hold them; their references are
 * changed by the loader's thread alone. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "degrade.h"
#include "spec.h"
#include "tally.h"

struct arena;
struct cache;
struct ctx;
struct endpoint;
struct lastgood;
struct live;
struct policy;

/* Immutable. */
struct plan {
    struct arena *arena;
    struct endpoint_spec spec;   /* in the arena */
    struct cache *cache;         /* NULL: none; goes on from plan to plan */
    struct lastgood *lastgood;   /* NULL: no step of the chain asks for it; likewise */
    struct policy *policy;       /* which arm answers; one reference is the plan's */
    struct degrade_step holdout; /* its constant, when the holdout is answered by one */
    struct degrade_step *degrade;
    size_t ndegrade;
    int64_t revision;
    unsigned refs;
};
/* Compiles an endpoint's stored spec; fails only when it cannot be read. `live` is gone on with. */
int plan_make(struct ctx *c, const struct endpoint *e, struct live *live, struct plan **out);
/* Makes what keeps answers, or goes on with that of the plan before (NULL: none) when both agree on
 * it. */
void plan_keep(struct plan *p, const struct plan *before);
void plan_free(struct plan *p);

/* What is counted of one arm, from the time its endpoint was made. */
struct arm_live {
    _Atomic int64_t used_ms; /* wall time of the last prediction, within a second */
    /* Wall time until which its runs wait at the gate: one took long on a network thread. */
    _Atomic int64_t slow_until_ms;
    struct tally tally;
    unsigned refs;
};

#endif
