/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <stdlib.h>

#include "endpoint.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/rollout/policy.h"

static int make_degrade(struct ctx *own, struct plan *p) {
    const struct endpoint_spec *s = &p->spec;
    const char **names = ARENA_ARRAY(own->arena, const char *, s->arms.n);
    int rc = 0;
    for (size_t i = 0; i < s->arms.n; i++)
        names[i] = ((const struct arm_spec *)s->arms.items)[i].name;
    p->ndegrade = s->degrade.n;
    p->degrade = ARENA_ARRAY(own->arena, struct degrade_step, s->degrade.n ? s->degrade.n : 1);
    for (size_t i = 0; rc == 0 && i < p->ndegrade; i++)
        rc = degrade_make(own, &((const struct degrade_spec *)s->degrade.items)[i], i, names,
                          s->arms.n, &p->degrade[i]);
    return rc;
}

static int make_policy(struct ctx *own, const struct endpoint *e, struct live *live,
                       struct plan *p) {
    int rc = spec_policy(own, e->name, &p->spec, live, &p->policy);
    const char *constant = rc == 0 ? policy_holdout_outputs(p->policy) : NULL;
    return constant ? degrade_constant_read(own, constant, "holdout/outputs", &p->holdout) : rc;
}

/* The spec is decoded in a context of its own, whose arena then belongs to the plan. */
int plan_make(struct ctx *c, const struct endpoint *e, struct live *live, struct plan **out) {
    struct ctx own;
    struct plan *p = mem_alloc(sizeof *p);
    ctx_begin(&own);
    int rc = spec_read(&own, arena_strdup(own.arena, e->policy), &p->spec);
    if (rc == 0)
        rc = make_degrade(&own, p);
    if (rc == 0)
        rc = make_policy(&own, e, live, p);
    if (rc < 0) {
        rc = fail(c, own.err.code, "%s", own.err.message ? own.err.message : "unreadable spec");
        policy_unref(p->policy);
        ctx_end(&own);
        free(p);
        return rc;
    }
    p->arena = own.arena;
    p->revision = e->revision;
    *out = p;
    return 0;
}

void plan_free(struct plan *p) {
    if (!p)
        return;
    policy_unref(p->policy);
    arena_free(p->arena);
    free(p);
}
