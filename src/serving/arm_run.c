/* SPDX-License-Identifier: Apache-2.0 */
#include "arm_run.h"

#include "batcher.h"
#include "cache.h"
#include "checks.h"
#include "fit.h"
#include "model.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "quern/metric/metric.h"
#include "snapshot.h"

static void count(const struct entry *e, const struct check_report *r) {
    for (int k = 0; k < CHECK_KINDS; k++)
        if (r->counts[k])
            metric_add(METRIC_CHECKS, (double)r->counts[k], e->name,
                       check_kind_name((enum check_kind)k), NULL);
}

/* Those that were sent, for a model that has a use for them; its own defaults it knows itself. */
static const char *params_of(const struct model *m, const struct request *q) {
    return m->takes_params && q->params != m->param_values ? q->params : NULL;
}

static int run_model(struct ctx *c, const struct entry_arm *arm, const struct request *q,
                     const struct tensor *in, size_t nin, struct answer *a) {
    const struct fit *f = arm->fit;
    const char *params = params_of(arm->model, q);
    bool joined = f && f->batcher && !params; /* others' params are not these */
    a->run_ns = clock_mono_ns();
    model_params_use(params);
    int rc = joined ? batch_run(f->batcher, c, in, nin, q->wanted, &a->outputs, &a->n)
                    : model_run(c, arm->model, in, nin, q->wanted, &a->outputs, &a->n);
    model_params_use(NULL);
    a->ran_ns = clock_mono_ns();
    a->joined = joined;
    return rc;
}

static int check_answer(struct ctx *c, const struct entry *e, const struct fit *f,
                        struct answer *a) {
    struct check_report report = {0};
    if (!f->checks)
        return 0;
    int rc = check_outputs(c, f->checks, a->outputs, a->n, &report);
    count(e, &report);
    a->broken = rc < 0;
    a->broken_degrades = report.degrade;
    return rc;
}

/* What answers: the same files give other answers to another command. */
static struct digest128 digest(struct ctx *c, const struct model *m, const struct request *q,
                               const struct tensor *in, size_t nin) {
    const char *version = *m->made_of ? arena_printf(c->arena, "%s %s", m->version_text, m->made_of)
                                      : m->version_text;
    return cache_digest(m->sha256, version, in, nin, q->wanted);
}

/* What is kept has passed the checks: a hit needs none. */
static int run_cached(struct ctx *c, const struct entry *e, const struct entry_arm *arm,
                      const struct request *q, const struct tensor *in, size_t nin,
                      struct answer *a) {
    const struct fit *f = arm->fit;
    int64_t began = clock_mono_ns();
    struct digest128 key = digest(c, arm->model, q, in, nin);
    bool hit = cache_get(f->plan->cache, c, key, &a->outputs, &a->n);
    metric_cell_add(hit ? f->hits : f->misses, 1);
    tally_add(&f->live->tally, hit ? PHASE_CACHE_HIT : PHASE_CACHE_MISS, clock_mono_ns() - began);
    a->cache = hit ? "hit" : "miss";
    if (hit)
        return 0;
    int rc = run_model(c, arm, q, in, nin, a);
    if (rc == 0)
        rc = check_answer(c, e, f, a);
    if (rc == 0)
        cache_put(f->plan->cache, key, a->outputs, a->n);
    return rc;
}

/* The column names of the request as its door tells them. */
static const char *name_of(const void *request, size_t i) {
    const struct request *q = request;
    return q->name(q, i);
}

int arm_run(struct ctx *c, const struct entry *e, const struct entry_arm *arm, struct request *q,
            const struct tensor *in, size_t nin, struct answer *a) {
    const struct fit *f = arm->fit;
    a->cache = NULL;
    a->broken = a->broken_degrades = false;
    if (c->deadline_ns && c->deadline_ns <= clock_mono_ns())
        return fail(c, ERR_DEADLINE, "the deadline passed before endpoint '%s' could answer",
                    e->name);
    if (!f || f->plain)
        return run_model(c, arm, q, in, nin, a);
    if (f->checks) {
        struct check_report report = {0};
        int rc = check_inputs(c, f->checks, in, nin, q->name ? name_of : NULL, q, &report);
        count(e, &report);
        if (rc < 0)
            return rc;
    }
    if (f->cached && !arm->model->asks_others && !params_of(arm->model, q))
        return run_cached(c, e, arm, q, in, nin, a);
    int rc = run_model(c, arm, q, in, nin, a);
    return rc == 0 ? check_answer(c, e, f, a) : rc;
}
