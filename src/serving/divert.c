/* SPDX-License-Identifier: Apache-2.0 */
#include "divert.h"

#include "doors.h"
#include "gate.h"
#include "loader.h"
#include "plan.h"
#include "predict.h"
#include "quern/base/arena.h"
#include "quern/base/log.h"
#include "quern/core/ctx.h"
#include "quern/http/server.h"

struct diverted {
    struct gate_call call;
    struct gate *gate; /* one reference is ours */
    struct call *k;
    const char *endpoint;
};

static int refuse(struct ctx *c, struct gate *g, const char *endpoint, int rc) {
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
    if (rc < 0)
        rc = refuse(c, gate, d->endpoint, rc);
    else
        rc = loader_warm(c, d->endpoint, false);
    if (rc == 0)
        rc = call_run(k);
    call_finish(k, rc); /* d and c are gone with it */
    log_request_id(NULL);
    gate_unref(gate);
}

int divert_to(struct call *k, const char *endpoint) {
    struct ctx *c = call_ctx(k);
    if (!endpoint)
        return 0;
    const struct entry *e = snapshot_find(snapshot_enter(), c->project, endpoint);
    struct gate *gate = e && (e->idle || e->blocks) ? e->gate : NULL;
    bool chain = gate && e->plan && e->plan->ndegrade;
    if (gate)
        gate_ref(gate);
    snapshot_leave();
    if (!gate)
        return 0;
    struct diverted *d = ARENA_NEW(c->arena, struct diverted);
    *d = (struct diverted){.call = {.run = run, .arg = d, .deadline_ns = c->deadline_ns},
                           .gate = gate,
                           .k = k,
                           .endpoint = arena_strdup(c->arena, endpoint)};
    call_hold(k);
    int rc = gate_submit(gate, &d->call);
    if (rc == 0)
        return 1;
    if (rc == -ERR_BUSY && chain) { /* what the endpoint says for such a case needs no place */
        gate_unref(gate);
        predict_without_place();
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
