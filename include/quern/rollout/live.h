/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ROLLOUT_LIVE_H
#define QUERN_ROLLOUT_LIVE_H
/* Live: what an endpoint's rollout has counted and learnt. It outlives the policies that are made
 * of the endpoint's changing spec: each new policy goes on with it. Counted references. */
#include <stddef.h>
#include <stdint.h>

#include "quern/rollout/arm_stats.h"

struct bandit;
struct live;

struct live *live_new(void);
struct live *live_ref(struct live *l);
void live_unref(struct live *l); /* NULL is allowed */

/* The counts of the arm called so, made when it is new; they live as long as `l`. After
 * LIVE_ARMS_MAX names all new ones share the last, called "other". */
#define LIVE_ARMS_MAX 256
struct arm_stats *live_arm(struct live *l, const char *name);
/* The i-th arm's name and counts; NULL past the end. Arms are never taken away. */
struct arm_stats *live_arm_at(struct live *l, size_t i, const char **name);

/* The canary's share now, in percent; below 0: no canary runs; NaN: nobody said yet, and the first
 * policy with a canary begins it. */
double live_canary(const struct live *l);
void live_canary_set(struct live *l, double percent);

/* The bandit of the policy made last; NULL when it has none. A reference that is the caller's. */
struct bandit *live_bandit(struct live *l);
/* Takes a reference; NULL: none any more. */
void live_bandit_set(struct live *l, struct bandit *b);

#endif
