/* SPDX-License-Identifier: Apache-2.0 */
#include "predict.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "arm_run.h"
#include "chance.h"
#include "fit.h"
#include "last_answer.h"
#include "model.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "quern/metric/metric.h"
#include "quern/rollout/arm_stats.h"
#include "quern/rollout/policy.h"
#include "remember.h"
#include "shadow.h"
#include "snapshot.h"

#define SLOW_NS 10000000
#define SLOW_FOR_MS 60000
#define ANCHOR_NS 1000000

static _Thread_local bool no_place;

void predict_without_place(bool without) {
    no_place = without;
}

/* ---- which arm ---- */

static const struct entry_arm *of_version(const struct entry *e, const char *version) {
    for (size_t i = 0; i < e->narms; i++)
        if (e->arms[i].model && strcmp(e->arms[i].model->version_text, version) == 0)
            return &e->arms[i];
    return NULL;
}

struct asker {
    struct ctx *c;
    const struct request *q;
};

static const char *attribute(void *arg, enum attribute_from from, const char *name) {
    struct asker *a = arg;
    switch (from) {
    case FROM_HEADER:
        return ctx_header(a->c, name);
    case FROM_PARAMETER:
        return a->q->parameter ? a->q->parameter(a->c, a->q, name) : NULL;
    case FROM_FIELD:
        return a->q->field ? a->q->field(a->c, a->q, name) : NULL;
    case FROM_NONE:
        break;
    }
    return NULL;
}

/* Arms without a model are passed over as long as another has one. */
static uint32_t usable_arms(const struct entry *e) {
    uint32_t usable = 0;
    for (size_t i = 0; i < e->narms; i++)
        usable |= e->arms[i].model ? 1u << i : 0;
    return usable ? usable : UINT32_MAX >> (32 - e->narms);
}

static int by_policy(struct ctx *c, const struct entry *e, const struct request *q,
                     const char *forced, struct choice *choice) {
    struct asker asker = {c, q};
    const struct policy_request request = {.attribute = attribute,
                                           .arg = &asker,
                                           .forced = forced,
                                           .random = chance_u64(),
                                           .now_ms = c->now_ms,
                                           .usable = usable_arms(e)};
    switch (policy_choose(e->plan->policy, &request, choice)) {
    case CHOICE_OK:
        return 0;
    case CHOICE_NO_ARM:
        return fail(c, ERR_NOT_FOUND, "endpoint '%s' has no arm '%.64s'", e->name, forced);
    case CHOICE_NOT_FORCE:
        return fail(c, ERR_FORBIDDEN, "endpoint '%s' does not let a request name its arm", e->name);
    case CHOICE_NONE:
        break;
    }
    return fail(c, ERR_NOT_READY, "no arm of endpoint '%s' can answer", e->name);
}

static int choose(struct ctx *c, const struct entry *e, const struct request *q, struct answer *a,
                  struct choice *choice) {
    const char *forced = q->arm ? q->arm : ctx_header(c, "x-quern-arm");
    int rc = 0;
    if (q->version) {
        a->arm = of_version(e, q->version);
        a->reason = "forced";
        if (!a->arm)
            return fail(c, ERR_NOT_FOUND, "endpoint '%s' does not serve version '%.40s'%s%s",
                        e->name, q->version, e->model ? "; it serves version " : "",
                        e->model ? e->model->version_text : "");
        choice->reason = REASON_FORCED;
        return 0;
    }
    if (forced || !policy_only(e->plan->policy))
        rc = by_policy(c, e, q, forced, choice);
    a->arm = rc < 0 || choice->constant ? NULL : &e->arms[choice->arm];
    a->reason = choice_reason_text(choice->reason);
    return rc;
}

/* ---- its answer ---- */

/* Once a second is enough to tell who was used last. */
static void touch(const struct ctx *c, const struct entry_arm *a) {
    int64_t then = atomic_load_explicit(&a->live->used_ms, memory_order_relaxed);
    if (c->now_ms - then > 1000)
        atomic_store_explicit(&a->live->used_ms, c->now_ms, memory_order_relaxed);
}

/* Processor time of this thread at some moment within ANCHOR_NS before the run that is under way: a
 * thread that others kept from its processor is not a slow model, and the clock is a system call.
 */
static _Thread_local struct { int64_t at_ns, cpu_ns; } anchor;

static int64_t thread_cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void drop_anchor(int64_t now_ns) {
    if (now_ns - anchor.at_ns < ANCHOR_NS)
        return;
    anchor.at_ns = now_ns;
    anchor.cpu_ns = thread_cpu_ns();
}

/* A model whose work depends on what it is asked shows only then that it is slow: from here on its
 * requests leave their network thread, as those of models that are known to be slow. */
static void see_time(const struct ctx *c, const struct entry_arm *arm, int64_t ns) {
    if (ns > SLOW_NS && !arm->model->blocks && thread_cpu_ns() - anchor.cpu_ns > SLOW_NS)
        atomic_store_explicit(&arm->live->slow_until_ms, c->now_ms + SLOW_FOR_MS,
                              memory_order_relaxed);
}

int predict_arm(struct ctx *c, const struct entry *e, const struct entry_arm *arm,
                struct request *q, struct answer *a) {
    const struct model *m = arm->model;
    struct tensor *in = NULL;
    size_t nin = 0;
    if (!m)
        return fail(c, ERR_NOT_READY, "%s%s%sendpoint '%s' is not ready (%s)%s%s",
                    e->narms > 1 ? "arm '" : "", e->narms > 1 ? arm->name : "",
                    e->narms > 1 ? "' of " : "", e->name, arm->state, *arm->reason ? ": " : "",
                    arm->reason);
    if (no_place && (m->blocks || e->plan->spec.limits || (arm->fit && arm->fit->batcher)))
        return fail(c, ERR_BUSY, "endpoint '%s' is busy, try again", e->name);
    touch(c, arm);
    drop_anchor(q->began_ns);
    int rc = q->bind(c, q, m, &in, &nin);
    a->inputs = in;
    a->ninputs = rc == 0 ? nin : 0;
    if (rc == 0)
        rc = arm_run(c, e, arm, q, in, nin, a);
    see_time(c, arm, a->ran_ns - a->run_ns);
    a->model = m;
    a->version = m->version_text;
    return rc;
}

/* ---- the chain ---- */

static bool in_chain(const struct plan *p, enum failure f) {
    for (size_t i = 0; i < p->ndegrade; i++)
        if (p->degrade[i].when & 1u << f)
            return true;
    return false;
}

static int answer_constant(struct ctx *c, const struct degrade_step *s, const struct request *q,
                           struct answer *a) {
    a->model = NULL;
    a->version = "constant";
    return degrade_constant(c, s, q->rows ? q->rows : 1, &a->outputs, &a->n);
}

int predict_step(struct ctx *c, const struct entry *e, const struct degrade_step *s,
                 struct request *q, struct answer *a) {
    if (s->arm >= 0) {
        const struct entry_arm *arm = &e->arms[s->arm];
        if (arm == a->arm)
            return -ERR_NOT_READY;
        int rc = predict_arm(c, e, arm, q, a);
        if (rc == 0)
            a->arm = arm;
        return rc;
    }
    if (s->last)
        return last_answer_take(c, e, q, a);
    if (!s->outputs)
        return -ERR_NOT_READY;
    return answer_constant(c, s, q, a);
}

/* Down the chain; when nothing answers the first failure is the one that is told. */
static int degrade(struct ctx *c, const struct entry *e, struct request *q, struct answer *a) {
    const struct plan *p = e->plan;
    struct err first = c->err;
    char number[8];
    for (size_t i = 0; i < p->ndegrade; i++) {
        if (!(p->degrade[i].when & 1u << a->failure))
            continue;
        err_clear(c);
        if (predict_step(c, e, &p->degrade[i], q, a) < 0)
            continue;
        err_clear(c);
        a->degraded = (unsigned)i + 1;
        number[0] = (char)('1' + i); /* a chain has eight steps at most */
        number[1] = '\0';
        metric_add(METRIC_DEGRADED, 1, e->name, number, failure_name(a->failure));
        return 0;
    }
    c->err = first;
    metric_add(METRIC_DEGRADED, 1, e->name, "none", failure_name(a->failure));
    return -first.code;
}

/* ---- what is told and counted ---- */

/* The reply outlives the snapshot, and so must its headers. */
static void tell(struct ctx *c, const struct answer *a) {
    const char *by = a->model ? a->arm->served_by : a->by ? a->by : "constant; reason=";
    const char *text = !a->degraded && a->model && strcmp(a->reason, "only") == 0
                           ? arena_strdup(c->arena, a->arm->served_only)
                       : a->degraded
                           ? arena_printf(c->arena, "%s%s; degraded=%u; failure=%s", by, a->reason,
                                          a->degraded, failure_name(a->failure))
                           : arena_printf(c->arena, "%s%s", by, a->reason);
    reply_header(c, "X-Quern-Served-By", text);
    if (a->cache)
        reply_header(c, "X-Quern-Cache", a->cache);
    reply_header(c, "X-Quern-Prediction-Id", arena_strdup(c->arena, a->id));
}

/* Without a way out of the loop, so that many are looked at in one step. */
static bool any_odd32(const float *v, size_t n) {
    unsigned odd = 0;
    for (size_t i = 0; i < n; i++)
        odd |= !(fabsf(v[i]) <= FLT_MAX);
    return odd;
}

static bool any_odd64(const double *v, size_t n) {
    unsigned odd = 0;
    for (size_t i = 0; i < n; i++)
        odd |= !(fabs(v[i]) <= DBL_MAX);
    return odd;
}

static bool any_nan(const struct answer *a) {
    bool odd = false;
    for (size_t i = 0; i < a->n && !odd; i++) {
        const struct tensor *t = &a->outputs[i];
        if (t->dtype == DT_FP32)
            odd = any_odd32(t->data, t->count);
        else if (t->dtype == DT_FP64)
            odd = any_odd64(t->data, t->count);
    }
    return odd;
}

/* The chosen arm has answered or failed; faults of the request are nobody's. */
static void count_arm(struct ctx *c, const struct entry *e, const struct entry_arm *chosen,
                      const struct request *q, const struct answer *a, int rc) {
    enum failure f = a->failure ? a->failure : rc < 0 ? failure_of(c) : FAILURE_NONE;
    if (!chosen || (rc < 0 && f == FAILURE_NONE))
        return;
    int64_t us = (clock_mono_ns() - q->began_ns) / 1000;
    arm_stats_add(policy_stats(e->plan->policy, (unsigned)(chosen - e->arms)),
                  f != FAILURE_NONE ? ARM_ERROR
                  : any_nan(a)      ? ARM_NAN
                                    : ARM_OK,
                  us);
}

static void send_shadows(struct ctx *c, const struct entry *e, const struct choice *choice,
                         struct request *q, const struct answer *a) {
    for (unsigned i = 0; i < choice->nshadows; i++)
        shadow_send(c, e, &e->arms[choice->shadows[i]], q, a);
}

int predict(struct ctx *c, const struct entry *e, struct request *q, struct answer *a) {
    struct choice choice = {0};
    if (!q->began_ns)
        q->began_ns = clock_mono_ns();
    if (!e->plan || policy_arms(e->plan->policy) != e->narms)
        return fail(c, ERR_NOT_READY, "endpoint '%s' is being changed, try again", e->name);
    int rc = choose(c, e, q, a, &choice);
    if (rc < 0)
        return rc;
    const struct entry_arm *chosen = a->arm;
    if (choice.constant)
        rc = answer_constant(c, &e->plan->holdout, q, a);
    else
        rc = predict_arm(c, e, a->arm, q, a);
    if (rc < 0 && e->plan->ndegrade) {
        a->failure = !a->broken           ? failure_of(c)
                     : a->broken_degrades ? FAILURE_OUTPUT
                                          : FAILURE_NONE;
        if (a->failure != FAILURE_NONE && in_chain(e->plan, a->failure))
            rc = degrade(c, e, q, a);
    }
    no_place = false;
    if (rc == 0 && e->plan->lastgood && !a->degraded)
        last_answer_keep(c, e, q, a);
    count_arm(c, e, chosen, q, a, rc);
    if (rc == 0) {
        struct prediction_parts parts = {
            .ms = c->now_ms, .context = choice.bandit ? choice.context : PREDICTION_CONTEXTS - 1};
        parts.arm = a->arm ? (unsigned)a->arm->number % PREDICTION_ARMS : 0;
        prediction_id(&parts, a->id);
        policy_played(e->plan->policy, &choice);
        tell(c, a);
    }
    if (e->plan->spec.log)
        remember(c, e, q, a, rc);
    if (rc == 0 && choice.nshadows)
        send_shadows(c, e, &choice, q, a);
    return rc;
}
