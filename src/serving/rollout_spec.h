/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_ROLLOUT_SPEC_H
#define QUERN_SERVING_ROLLOUT_SPEC_H
/* Rollout spec: what promoting and rolling back make of an endpoint's spec. */
#include "spec.h"

struct ctx;

/* The arm takes all; canary and bandit are over. NULL: the canary's arm. *arm tells which. */
int spec_promote(struct ctx *c, struct endpoint_spec *s, const char **arm);
/* The canary's arm gets nothing, the others what they had; the canary is over. */
int spec_roll_back(struct ctx *c, struct endpoint_spec *s);

#endif
