/* SPDX-License-Identifier: Apache-2.0 */
#include "predict.h"

#include <string.h>

#include "model.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "quern/metric/metric.h"
#include "snapshot.h"

static _Thread_local bool no_place;

void predict_without_place(void) {
    no_place = true;
}

/* Once a second is enough to tell who was used last. */
static void touch(const struct ctx *c, const struct entry_arm *a) {
    int64_t then = atomic_load_explicit(&a->live->used_ms, memory_order_relaxed);
    if (c->now_ms - then > 1000)
        atomic_store_explicit(&a->live->used_ms, c->now_ms, memory_order_relaxed);
}

static const struct entry_arm *of_version(const struct entry *e, const char *version) {
    for (size_t i = 0; i < e->narms; i++)
        if (e->arms[i].model && strcmp(e->arms[i].model->version_text, version) == 0)
            return &e->arms[i];
    return NULL;
}

static const struct entry_arm *of_name(const struct entry *e, const char *name) {
    for (size_t i = 0; i < e->narms; i++)
        if (strcmp(e->arms[i].name, name) == 0)
            return &e->arms[i];
    return NULL;
}

static int choose(struct ctx *c, const struct entry *e, const struct request *q, struct answer *a) {
    a->reason = "forced";
    if (q->version) {
        a->arm = of_version(e, q->version);
        if (!a->arm)
            return fail(c, ERR_NOT_FOUND, "endpoint '%s' does not serve version '%.40s'%s%s",
                        e->name, q->version, e->model ? "; it serves version " : "",
                        e->model ? e->model->version_text : "");
    } else if (q->arm) {
        a->arm = of_name(e, q->arm);
        if (!a->arm)
            return fail(c, ERR_NOT_FOUND, "endpoint '%s' has no arm '%.64s'", e->name, q->arm);
    } else {
        a->arm = &e->arms[0];
        a->reason = "only";
    }
    return 0;
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
    if (no_place && m->blocks)
        return fail(c, ERR_BUSY, "endpoint '%s' is busy, try again", e->name);
    touch(c, arm);
    int rc = q->bind(c, q, m, &in, &nin);
    if (rc == 0) {
        a->run_ns = clock_mono_ns();
        rc = model_run(c, m, in, nin, q->wanted, &a->outputs, &a->n);
        a->ran_ns = clock_mono_ns();
    }
    a->model = m;
    a->version = m->version_text;
    return rc;
}

static bool in_chain(const struct plan *p, enum failure f) {
    for (size_t i = 0; i < p->ndegrade; i++)
        if (p->degrade[i].when & 1u << f)
            return true;
    return false;
}

int predict_step(struct ctx *c, const struct entry *e, const struct degrade_step *s,
                 struct request *q, struct answer *a) {
    if (s->arm >= 0) {
        const struct entry_arm *arm =
            of_name(e, ((const struct arm_spec *)e->plan->spec.arms.items)[s->arm].name);
        if (!arm || arm == a->arm)
            return -ERR_NOT_READY;
        int rc = predict_arm(c, e, arm, q, a);
        if (rc == 0)
            a->arm = arm;
        return rc;
    }
    if (!s->outputs)
        return -ERR_NOT_READY;
    degrade_constant(c, s, q->rows ? q->rows : 1, &a->outputs, &a->n);
    a->model = NULL;
    a->version = "constant";
    return 0;
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

static void tell(struct ctx *c, const struct entry *e, const struct answer *a) {
    const char *by = a->model ? a->arm->served_by : NULL;
    if (!a->degraded && strcmp(a->reason, "only") == 0)
        reply_header(c, "X-Quern-Served-By", a->arm->served_only);
    else if (!a->degraded)
        reply_header(c, "X-Quern-Served-By", arena_printf(c->arena, "%s%s", by, a->reason));
    else
        reply_header(c, "X-Quern-Served-By",
                     arena_printf(c->arena, "%s%s; degraded=%u; failure=%s",
                                  by ? by : "constant; reason=", a->reason, a->degraded,
                                  failure_name(a->failure)));
    (void)e;
}

int predict(struct ctx *c, const struct entry *e, struct request *q, struct answer *a) {
    int rc = choose(c, e, q, a);
    if (rc < 0)
        return rc;
    rc = predict_arm(c, e, a->arm, q, a);
    if (rc < 0 && e->plan && e->plan->ndegrade) {
        a->failure = failure_of(c);
        if (a->failure != FAILURE_NONE && in_chain(e->plan, a->failure))
            rc = degrade(c, e, q, a);
    }
    no_place = false;
    if (rc == 0)
        tell(c, e, a);
    return rc;
}
