/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "doors.h"
#include "model.h"
#include "oip_print.h"
#include "oip_scan.h"
#include "predict.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

struct oip_call {
    struct request q; /* first: bind gets it */
    struct oip_request oip;
    bool raw; /* the whole body is the one input's bytes */
};

/* The whole body is the one input's bytes; its open size follows from their number. */
static int raw_request(struct ctx *c, const struct model *m, struct oip_request *q) {
    const struct tensor_spec *spec = &m->inputs[0];
    struct tensor *t = ARENA_NEW(c->arena, struct tensor);
    size_t fixed = dtype_size(spec->dtype), open = 0;
    if (m->ninputs != 1)
        return fail(c, ERR_INVALID, "a raw request is for models with one input; this has %zu",
                    m->ninputs);
    *t = (struct tensor){.name = spec->name, .dtype = spec->dtype, .rank = spec->rank};
    memcpy(t->shape, spec->shape, sizeof t->shape);
    for (size_t i = 0; i < spec->rank; i++) {
        if (spec->shape[i] >= 0 && __builtin_mul_overflow(fixed, (size_t)spec->shape[i], &fixed))
            return fail(c, ERR_INVALID, "input '%s' is too large for a raw request", spec->name);
        open += spec->shape[i] < 0;
    }
    if (spec->dtype == DT_BYTES)
        fixed = c->body_len; /* one string */
    /* The first open size is the batch, which a raw request sets to 1. */
    for (size_t i = 0, seen = 0; i < spec->rank; i++) {
        if (spec->shape[i] >= 0)
            continue;
        t->shape[i] = ++seen < open || !fixed || (i == 0 && c->body_len == fixed)
                          ? 1
                          : (int64_t)(c->body_len / fixed);
    }
    if (open > 2)
        return fail(c, ERR_INVALID, "input '%s' has %zu open sizes; a raw request cannot tell them",
                    spec->name, open);
    q->inputs = t;
    q->ninputs = 1;
    q->binary = true;
    int rc = oip_count(c, t);
    return rc == 0 ? oip_raw(c, t, c->body, c->body_len) : rc;
}

static int bind(struct ctx *c, struct request *q, const struct model *m, struct tensor **in,
                size_t *nin) {
    struct oip_call *call = (struct oip_call *)q;
    int rc = call->raw ? raw_request(c, m, &call->oip) : 0;
    *in = call->oip.inputs;
    *nin = call->oip.ninputs;
    q->rows = *nin && (*in)[0].rank ? (size_t)(*in)[0].shape[0] : 1;
    return rc;
}

static int read_request(struct ctx *c, struct oip_call *call) {
    const char *header = ctx_header(c, "inference-header-content-length");
    uint64_t json = c->body_len;
    int rc;
    if (header && (!str_to_u64(header, &json) || json > c->body_len))
        return fail(c, ERR_INVALID,
                    "Inference-Header-Content-Length must be a number up to the "
                    "body's %zu bytes",
                    c->body_len);
    call->raw = header && json == 0;
    if (call->raw)
        return 0;
    rc = oip_scan(c, c->body, (size_t)json, c->body + json, c->body_len - (size_t)json, &call->oip);
    call->q.wanted = call->oip.wanted;
    call->q.rows =
        call->oip.ninputs && call->oip.inputs[0].rank ? (size_t)call->oip.inputs[0].shape[0] : 1;
    return rc;
}

static int infer(struct ctx *c, const struct entry *e, struct oip_call *call, struct answer *a) {
    int rc = read_request(c, call);
    if (rc == 0)
        rc = predict(c, e, &call->q, a);
    if (rc < 0)
        return rc;
    struct oip_answer out = {
        .model_name = e->name, .model_version = a->version, .outputs = a->outputs, .n = a->n};
    return oip_print(c, &call->oip, &out);
}

int oip_infer(struct ctx *c, const void *in_, void *out) {
    const struct oip_model_in *in = in_;
    const struct entry *e = NULL;
    struct oip_call call = {.q = {.version = in->version, .bind = bind}};
    struct answer a = {0};
    int64_t began = clock_mono_ns();
    (void)out;
    int rc = door_find_answering(c, snapshot_enter(), in->model, &e);
    if (rc == 0)
        rc = infer(c, e, &call, &a);
    door_count(c, e, &a, rc, call.q.rows, began);
    snapshot_leave();
    return rc;
}
