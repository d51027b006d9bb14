/* SPDX-License-Identifier: Apache-2.0 */
#include "divert.h"

#include "doors.h"
#include "gate.h"
#include "loader.h"
#include "plan.h"
#include "predict.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/http/server.h"
#include "quern/metric/metric.h"
#include "snapshot.h"

struct diverted {
    struct gate_call call;
    struct gate *gate; /* one reference is ours */
    struct call *k;
    const char *endpoint;
    bool chain; /* may answer what found no place */
};

/* Of the call that runs on this thread. */
static _Thread_local int64_t waited_ns;

int64_t divert_waited_ns(void) {
    return waited_ns;
}

/* The caller's own bound, header X-Request-Timeout-Ms, may shorten the time that a request has, not
 * lengthen it. */
static void time_limit_ms(struct ctx *c, int64_t ms) {
    int64_t until = clock_mono_ns() + ms * 1000000;
    if (c->deadline_ns == 0 || until < c->deadline_ns)
        c->deadline_ns = until;
}

static int time_limit(struct ctx *c) {
    const char *text = ctx_header(c, "x-request-timeout-ms");
    int64_t ms;
    if (!text)
        return 0;
    if (!str_to_i64(text, &ms) || ms < 1 || ms > 86400000)
        return fail(c, ERR_INVALID,
                    "X-Request-Timeout-Ms must be a whole number of milliseconds from 1 to "
                    "86400000");
    time_limit_ms(c, ms);
    return 0;
}

static int refuse(struct ctx *c, struct gate *g, const char *endpoint, int rc) {
    metric_add(METRIC_SHED, 1, endpoint, rc == -ERR_DEADLINE ? "deadline" : "full", NULL);
    if (rc == -ERR_DEADLINE)
        return fail(c, ERR_DEADLINE, "the deadline passed while the request waited for '%s'",
                    endpoint);
    reply_header(c, "Retry-After", arena_printf(c->arena, "%d", gate_retry_after(g)));
    return fail(c, ERR_BUSY, "endpoint '%s' is busy: as many requests wait as may, try again",
                endpoint);
}

static void run(void *arg, int rc) {
    struct diverted *d = arg;
    struct call *k = d->k;
    struct ctx *c = call_ctx(k);
    struct gate *gate = d->gate;
    log_request_id(c->request_id);
    /* With the deadline past no model is run: what is left of the chain does not block. */
    if (rc == -ERR_DEADLINE && d->chain)
        rc = 0;
    else if (rc < 0)
        rc = refuse(c, gate, d->endpoint, rc);
    else
        rc = loader_warm(c, d->endpoint, false);
    waited_ns = clock_mono_ns() - d->call.began_ns;
    if (rc == 0)
        rc = call_run(k);
    waited_ns = 0;
    call_finish(k, rc); /* d and c are gone with it */
    log_request_id(NULL);
    gate_unref(gate);
}

static bool may_block(const struct ctx *c, const struct entry *e) {
    if (e->idle || e->blocks)
        return true;
    for (size_t i = 0; i < e->narms; i++)
        if (atomic_load_explicit(&e->arms[i].live->slow_until_ms, memory_order_relaxed) > c->now_ms)
            return true;
    return false;
}

int divert_to(struct call *k, const char *endpoint) {
    struct ctx *c = call_ctx(k);
    int rc = time_limit(c);
    predict_without_place(false); /* a body that was refused may have left it */
    if (rc < 0 || !endpoint)
        return rc;
    const struct entry *e = snapshot_find(snapshot_enter(), c->project, endpoint);
    struct gate *gate = e && may_block(c, e) ? e->gate : NULL;
    bool chain = gate && e->plan && e->plan->ndegrade;
    if (e && e->plan && e->plan->spec.limits && e->plan->spec.limits->timeout_ms.set)
        time_limit_ms(c, e->plan->spec.limits->timeout_ms.v);
    if (gate)
        gate_ref(gate);
    snapshot_leave();
    if (!gate)
        return 0;
    struct diverted *d = ARENA_NEW(c->arena, struct diverted);
    *d = (struct diverted){.call = {.run = run, .arg = d, .deadline_ns = c->deadline_ns},
                           .gate = gate,
                           .k = k,
                           .chain = chain,
                           .endpoint = arena_strdup(c->arena, endpoint)};
    call_hold(k);
    rc = gate_submit(gate, &d->call);
    if (rc == 0)
        return 1;
    if (rc == -ERR_BUSY && chain) { /* what the endpoint says for such a case needs no place */
        gate_unref(gate);
        metric_add(METRIC_SHED, 1, endpoint, "full", NULL);
        predict_without_place(true);
        return 0;
    }
    rc = refuse(c, gate, endpoint, rc);
    gate_unref(gate);
    return rc;
}

int divert_oip(struct call *k) {
    const struct oip_model_in *in = call_in(k); /* NULL on paths without a model */
    return divert_to(k, in ? in->model : NULL);
}

int divert_scoring(struct call *k) {
    struct ctx *c = call_ctx(k);
    const char *name = scoring_endpoint(c, call_in(k));
    return divert_to(k, name);
}
