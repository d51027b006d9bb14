/* SPDX-License-Identifier: Apache-2.0 */
/* Rehearsal: goes down an endpoint's chain as if its arm had failed, and tells of every step what
 * it would have answered. Nobody's prediction is touched. */
#include <string.h>

#include "doors.h"
#include "loader.h"
#include "model.h"
#include "oip_print.h"
#include "oip_scan.h"
#include "plan.h"
#include "predict.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "quern/metric/metric.h"
#include "tensor_print.h"

static const char *const failures[] = {"unavailable", "failed", "deadline", "output", NULL};

struct rehearse_in {
    const char *name, *failure;
    struct json_t *inputs;
};
struct step_out {
    const char *kind, *arm, *version, *reason;
    struct opt_i64 step, latency_us;
    struct opt_bool applies, answers;
    struct json_t *outputs;
};
struct rehearse_out {
    const char *endpoint, *arm, *failure;
    struct opt_i64 answered_by;
    struct list steps;
};
SHAPE_STRICT(shape_rehearse, "Rehearse", struct rehearse_in,
             FIELD(struct rehearse_in, name, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
             FIELD_ENUM(struct rehearse_in, failure, 0, failures,
                        "How the first arm is taken to fail; failed by default"),
             FIELD(struct rehearse_in, inputs, T_JSON, 0,
                   "Open Inference Protocol inputs; one row of zeros by default"));
SHAPE_LOCAL(shape_rehearsed_step, "RehearsedStep", struct step_out,
            FIELD(struct step_out, step, T_I64, F_ALWAYS, "Number in the chain, from 1"),
            FIELD(struct step_out, kind, T_STR, F_ALWAYS, "arm, last or outputs"),
            FIELD(struct step_out, arm, T_STR, 0, "The arm that was asked"),
            FIELD(struct step_out, applies, T_BOOL, F_ALWAYS, "The step is for this failure"),
            FIELD(struct step_out, answers, T_BOOL, F_ALWAYS, "It gave an answer"),
            FIELD(struct step_out, version, T_STR, 0, "Version that answered"),
            FIELD(struct step_out, latency_us, T_I64, 0, "Microseconds it took"),
            FIELD(struct step_out, reason, T_STR, 0, "Why it gave none"),
            FIELD(struct step_out, outputs, T_JSON, 0, "Its answer"));
SHAPE(shape_rehearsed, "Rehearsed", struct rehearse_out,
      FIELD(struct rehearse_out, endpoint, T_STR, F_ALWAYS, "The endpoint's name"),
      FIELD(struct rehearse_out, arm, T_STR, F_ALWAYS, "The arm that was taken to fail"),
      FIELD(struct rehearse_out, failure, T_STR, F_ALWAYS, "How"),
      FIELD(struct rehearse_out, answered_by, T_I64, F_ALWAYS,
            "Number of the step that would answer; 0: an error would be answered"),
      FIELD_SUB(struct rehearse_out, steps, T_LIST, F_ALWAYS, &shape_rehearsed_step,
                "Every step of the chain"));

struct rehearsal {
    struct request q; /* first: bind gets it */
    struct oip_request oip;
    bool given;
};

static int bind(struct ctx *c, struct request *q, const struct model *m, struct tensor **in,
                size_t *nin) {
    struct rehearsal *r = (struct rehearsal *)q;
    if (!r->given) {
        *nin = m->ninputs;
        return model_zeros(c, m->inputs, m->ninputs, in);
    }
    *in = r->oip.inputs;
    *nin = r->oip.ninputs;
    return 0;
}

static int read_inputs(struct ctx *c, const struct rehearse_in *in, struct rehearsal *r) {
    r->q = (struct request){.bind = bind, .rows = 1};
    r->given = in->inputs != NULL;
    if (!r->given)
        return 0;
    const char *text =
        arena_printf(c->arena, "{\"inputs\":%s}", json_text(c->arena, in->inputs, JSON_TIGHT));
    int rc = oip_scan(c, text, strlen(text), "", 0, &r->oip);
    if (rc == 0 && r->oip.ninputs && r->oip.inputs[0].rank)
        r->q.rows = (size_t)r->oip.inputs[0].shape[0];
    return rc;
}

static struct json_t *outputs_of(struct ctx *c, const struct answer *a) {
    struct text t;
    struct json_t *tree = NULL;
    text_init(&t, c->arena, 256);
    if (oip_print_outputs(c, &t, a->outputs, a->n) < 0 ||
        json_parse(c, DIALECT_PROBLEM, t.data, t.len, &tree) < 0)
        err_clear(c); /* too large, or of a type that JSON does not tell */
    return tree;
}

static void rehearse_step(struct ctx *c, const struct entry *e, size_t i, unsigned failure,
                          struct rehearsal *r, struct step_out *out) {
    const struct degrade_step *s = &e->plan->degrade[i];
    struct answer a = {.arm = &e->arms[0]};
    int64_t began = clock_mono_ns();
    out->step = SET_I64((int64_t)i + 1);
    out->kind = s->arm >= 0 ? "arm" : s->last ? "last" : "outputs";
    if (s->arm >= 0)
        out->arm = ((const struct arm_spec *)e->plan->spec.arms.items)[s->arm].name;
    out->applies = SET_BOOL((s->when & 1u << failure) != 0);
    int rc = predict_step(c, e, s, &r->q, &a);
    out->answers = SET_BOOL(rc == 0);
    out->latency_us = SET_I64((clock_mono_ns() - began) / 1000);
    if (rc == 0) {
        out->version = arena_strdup(c->arena, a.version);
        out->outputs = outputs_of(c, &a);
    } else {
        out->reason = c->err.message ? c->err.message : "it has nothing to answer with";
    }
    err_clear(c);
}

int endpoint_api_rehearse(struct ctx *c, const void *in_, void *out_) {
    const struct rehearse_in *in = in_;
    struct rehearse_out *out = out_;
    struct rehearsal r;
    enum failure failure = FAILURE_FAILED;
    if (in->failure)
        failure_parse(in->failure, &failure);
    int rc = read_inputs(c, in, &r);
    if (rc == 0)
        rc = loader_warm(c, in->name, false);
    if (rc < 0)
        return rc;
    const struct entry *e = snapshot_find(snapshot_enter(), c->project, in->name);
    if (!e || !e->plan) {
        snapshot_leave();
        return fail(c, ERR_NOT_FOUND, "no endpoint '%.200s'", in->name);
    }
    size_t n = e->plan->ndegrade;
    struct step_out *steps = ARENA_ARRAY(c->arena, struct step_out, n ? n : 1);
    out->endpoint = in->name;
    out->arm = arena_strdup(c->arena, e->arms[0].name);
    out->failure = failure_name(failure);
    out->answered_by = SET_I64(0);
    for (size_t i = 0; i < n; i++) {
        rehearse_step(c, e, i, failure, &r, &steps[i]);
        if (steps[i].arm)
            steps[i].arm = arena_strdup(c->arena, steps[i].arm);
        if (steps[i].applies.v && steps[i].answers.v && !out->answered_by.v)
            out->answered_by = steps[i].step;
    }
    snapshot_leave();
    out->steps = (struct list){steps, n};
    metric_add(METRIC_REHEARSALS, 1, in->name, out->answered_by.v ? "answered" : "failed", NULL);
    return 0;
}
