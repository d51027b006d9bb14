/* SPDX-License-Identifier: Apache-2.0 */
#include "rollout_spec.h"

#include <string.h>

#include "quern/core/ctx.h"

int spec_promote(struct ctx *c, struct endpoint_spec *s, const char **arm) {
    struct arm_spec *arms = s->arms.items;
    bool found = false;
    if (!*arm && !s->rollout.canary)
        return fail_field(c, ERR_INVALID, "arm", "no canary runs: name the arm that takes all");
    if (!*arm)
        *arm = s->rollout.canary->arm;
    for (size_t i = 0; i < s->arms.n; i++)
        found = found || strcmp(arms[i].name, *arm) == 0;
    if (!found)
        return fail_field(c, ERR_INVALID, "arm", "the endpoint has no arm '%.64s'", *arm);
    for (size_t i = 0; i < s->arms.n; i++)
        arms[i].weight = SET_F64(strcmp(arms[i].name, *arm) == 0);
    s->rollout.canary = NULL;
    s->rollout.bandit = NULL;
    return 0;
}

int spec_roll_back(struct ctx *c, struct endpoint_spec *s) {
    struct arm_spec *arms = s->arms.items;
    const struct canary_spec *y = s->rollout.canary;
    double rest = 0;
    if (!y)
        return fail(c, ERR_CONFLICT, "no canary runs");
    for (size_t i = 0; i < s->arms.n; i++) {
        if (strcmp(arms[i].name, y->arm) == 0)
            arms[i].weight = SET_F64(0);
        rest += arms[i].weight.v;
    }
    for (size_t i = 0; i < s->arms.n && !(rest > 0); i++)
        if (y->baseline && strcmp(arms[i].name, y->baseline) == 0)
            arms[i].weight = SET_F64(1);
    s->rollout.canary = NULL;
    return 0;
}
