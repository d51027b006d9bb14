/* SPDX-License-Identifier: Apache-2.0 */
#include "fit.h"

#include <stdlib.h>

#include "batcher.h"
#include "checks.h"
#include "limit_spec.h"
#include "model.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/core/ctx.h"
#include "quern/metric/metric.h"

/* One run for all that were joined. */
static int run_joined(struct ctx *c, void *arg, const struct tensor *in, size_t nin,
                      const char *const *wanted, struct tensor **out, size_t *nout) {
    const struct fit *f = arg;
    size_t rows = nin && in[0].rank ? (size_t)in[0].shape[0] : 1;
    int64_t began = clock_mono_ns();
    int rc = model_run(c, f->model, in, nin, wanted, out, nout);
    metric_cell_observe(f->batch_rows, (double)rows);
    if (rc == 0)
        tally_batch(&f->live->tally, rows, clock_mono_ns() - began);
    return rc;
}

static void make_batcher(struct fit *f, const char *endpoint, const char *arm) {
    const struct model *m = f->model;
    struct batch_limits limits = batching_of(f->plan->spec.batching);
    struct ctx c;
    ctx_begin(&c);
    const char *why = batch_refusal(&c, m->inputs, m->ninputs, m->outputs, m->noutputs);
    if (why) {
        log_warn("endpoint.batching", "endpoint %s, arm %s: requests are not batched: %s", endpoint,
                 arm, why);
    } else {
        f->batch_rows = metric_cell(METRIC_BATCH_ROWS, endpoint, m->version_text, NULL);
        f->batcher = batcher_new(&limits, run_joined, f);
    }
    ctx_end(&c);
}

struct fit *fit_new(const char *endpoint, const char *arm, struct plan *p, const struct model *m,
                    struct arm_live *live) {
    const struct endpoint_spec *s = &p->spec;
    struct fit *f = mem_alloc(sizeof *f);
    f->arena = arena_new();
    f->plan = p;
    p->refs++;
    f->model = m;
    f->live = live;
    f->refs = 1;
    if (s->checks) {
        struct check_target target = {m->inputs, m->ninputs, m->columns, m->nfeatures};
        f->checks = checks_make(f->arena, s->checks, &target);
    }
    if (s->batching)
        make_batcher(f, endpoint, arm);
    f->cached = p->cache != NULL;
    if (f->cached) {
        f->hits = metric_cell(METRIC_PREDICTION_CACHE, endpoint, "hit", NULL);
        f->misses = metric_cell(METRIC_PREDICTION_CACHE, endpoint, "miss", NULL);
    }
    f->plain = !f->checks && !f->batcher && !f->cached;
    return f;
}

void fit_unref(struct fit *f) {
    if (!f || --f->refs > 0)
        return;
    batcher_free(f->batcher);
    if (--f->plan->refs == 0)
        plan_free(f->plan);
    arena_free(f->arena);
    free(f);
}
