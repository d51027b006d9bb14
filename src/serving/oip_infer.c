/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "doors.h"
#include "json_scan.h"
#include "model.h"
#include "oip_print.h"
#include "oip_scan.h"
#include "predict.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "tensor_print.h"

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

/* Text of the first element of an input. */
static const char *field(struct ctx *c, const struct request *q, const char *name) {
    const struct oip_call *call = (const struct oip_call *)q;
    for (size_t i = 0; i < call->oip.ninputs; i++) {
        const struct tensor *t = &call->oip.inputs[i];
        if (strcmp(t->name, name) != 0 || !t->count || !t->data)
            continue;
        if (t->dtype == DT_BYTES) {
            struct bytes first = *(const struct bytes *)t->data;
            return arena_strndup(c->arena, first.data, first.len);
        }
        struct text o;
        text_init(&o, c->arena, 32);
        text_element(&o, t, 0);
        return arena_strndup(c->arena, o.data, o.len);
    }
    return NULL;
}

static const char *parameter(struct ctx *c, const struct request *q, const char *name) {
    const struct oip_parameters *p = &((const struct oip_call *)q)->oip.parameters;
    for (size_t i = 0; i < p->n; i++)
        if (bytes_eq(p->items[i].key, name))
            return arena_strndup(c->arena, p->items[i].text.data, p->items[i].text.len);
    return NULL;
}

/* The parameter `timeout` may shorten the time that a request has, not lengthen it. */
static void bound_time(struct ctx *c, uint64_t timeout_us) {
    if (timeout_us == 0 || timeout_us > INT64_MAX / 2000)
        return;
    int64_t until = clock_mono_ns() + (int64_t)timeout_us * 1000;
    if (c->deadline_ns == 0 || until < c->deadline_ns)
        c->deadline_ns = until;
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
    bound_time(c, call->oip.parameters.timeout_us);
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
    struct oip_call call = {
        .q = {.version = in->version, .bind = bind, .field = field, .parameter = parameter}};
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
