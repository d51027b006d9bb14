/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <stdlib.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"

/* The spec is decoded in a context of its own, whose arena then belongs to the plan. */
int plan_make(struct ctx *c, const char *policy, int64_t revision, struct plan **out) {
    struct ctx own;
    struct plan *p = mem_alloc(sizeof *p);
    ctx_begin(&own);
    int rc = spec_read(&own, arena_strdup(own.arena, policy), &p->spec);
    if (rc < 0) {
        rc = fail(c, own.err.code, "%s", own.err.message ? own.err.message : "unreadable spec");
        ctx_end(&own);
        free(p);
        return rc;
    }
    p->arena = own.arena;
    p->revision = revision;
    *out = p;
    return 0;
}

void plan_free(struct plan *p) {
    if (!p)
        return;
    arena_free(p->arena);
    free(p);
}
