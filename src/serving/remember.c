/* SPDX-License-Identifier: Apache-2.0 */
#include "remember.h"

#include <string.h>

#include "model.h"
#include "plan.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "snapshot.h"

static const char *entity(struct ctx *c, const struct request *q, const char *key) {
    if (!key)
        return NULL;
    if (str_starts(key, "header:"))
        return ctx_header(c, key + strlen("header:"));
    return q->field ? q->field(c, q, key) : NULL;
}

void remember(struct ctx *c, const struct entry *e, const struct request *q, struct answer *a,
              int rc) {
    const struct prediction_log *log = e->plan->spec.log;
    if (!*a->id) {
        struct prediction_parts parts = {.ms = c->now_ms};
        prediction_id(&parts, a->id);
    }
    a->key = entity(c, q, log->key);
    a->kept = prediction_sampled(log, a->id);
    if (!a->kept)
        return;
    const struct model *m = a->model;
    struct prediction_fact f = {.project = c->project,
                                .endpoint = e->name,
                                .model = m ? m->name : "",
                                .version = m ? m->version : 0,
                                .arm = a->arm ? a->arm->name : "",
                                .reason = a->degraded ? "degraded" : a->reason,
                                .kind = "answer",
                                .key = a->key,
                                .status = rc < 0 ? err_row(c->err.code)->status : 200,
                                .latency_us = (clock_mono_ns() - q->began_ns) / 1000,
                                .inputs = a->inputs,
                                .ninputs = a->ninputs,
                                .outputs = a->outputs,
                                .noutputs = rc < 0 ? 0 : a->n};
    if (m) {
        f.columns = m->features;
        f.ncolumns = m->nfeatures;
    }
    a->kept = prediction_record(log, a->id, &f);
}
