/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "checks.h"
#include "endpoint.h"
#include "lastgood.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "quern/rollout/policy.h"

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
        rc = spec_degrade(&own, &p->spec, &p->degrade);
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
    p->ndegrade = p->spec.degrade.n;
    p->revision = e->revision;
    *out = p;
    return 0;
}

static bool same_cache(const struct cache_spec *a, const struct cache_spec *b) {
    return a && b && a->bytes.v == b->bytes.v && a->ttl_ms.v == b->ttl_ms.v;
}

static bool chain_remembers(const struct plan *p) {
    for (size_t i = 0; i < p->ndegrade; i++)
        if (p->degrade[i].last)
            return true;
    return false;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whose answers they are must not change. */
static bool same_last(const struct last_spec *a, const struct last_spec *b) {
    const struct key_spec none = {0};
    const struct key_spec *x = a && a->key ? a->key : &none, *y = b && b->key ? b->key : &none;
    return (a ? a->bytes.v : 0) == (b ? b->bytes.v : 0) && same_text(x->header, y->header) &&
           same_text(x->parameter, y->parameter) && same_text(x->field, y->field);
}

/* A kept answer is not checked again: it passed the checks of its time. */
static bool same_checks(const struct checks_spec *a, const struct checks_spec *b) {
    struct buf x = {0}, y = {0};
    if (!a || !b)
        return a == b;
    json_encode(&x, &shape_checks_spec, a);
    json_encode(&y, &shape_checks_spec, b);
    bool same = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
    buf_free(&x);
    buf_free(&y);
    return same;
}

void plan_keep(struct plan *p, const struct plan *before) {
    const struct endpoint_spec *s = &p->spec;
    if (s->cache)
        p->cache = before && same_cache(s->cache, before->spec.cache) &&
                           same_checks(s->checks, before->spec.checks)
                       ? cache_ref(before->cache)
                       : cache_new((size_t)s->cache->bytes.v, s->cache->ttl_ms.v);
    if (!chain_remembers(p))
        return;
    size_t bytes = s->last && s->last->bytes.set ? (size_t)s->last->bytes.v : LAST_BYTES;
    p->lastgood = before && before->lastgood && same_last(s->last, before->spec.last)
                      ? lastgood_ref(before->lastgood)
                      : lastgood_new(bytes);
}

void plan_free(struct plan *p) {
    if (!p)
        return;
    cache_unref(p->cache);
    lastgood_unref(p->lastgood);
    policy_unref(p->policy);
    arena_free(p->arena);
    free(p);
}
