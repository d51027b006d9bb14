/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "doors.h"
#include "model.h"
#include "oip_print.h"
#include "oip_scan.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/onnx/onnx.h"

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

static int read_request(struct ctx *c, const struct model *m, struct oip_request *q) {
    const char *header = ctx_header(c, "inference-header-content-length");
    uint64_t json = c->body_len;
    *q = (struct oip_request){0};
    int rc = door_plain(c);
    if (rc < 0)
        return rc;
    if (header && (!str_to_u64(header, &json) || json > c->body_len))
        return fail(c, ERR_INVALID,
                    "Inference-Header-Content-Length must be a number up to the "
                    "body's %zu bytes",
                    c->body_len);
    if (header && json == 0)
        return raw_request(c, m, q);
    return oip_scan(c, c->body, (size_t)json, c->body + json, c->body_len - (size_t)json, q);
}

static int check_version(struct ctx *c, const struct entry *e, const char *version) {
    if (version && strcmp(version, e->model->version_text) != 0)
        return fail(c, ERR_NOT_FOUND, "endpoint '%s' serves version %s, not '%.40s'", e->name,
                    e->model->version_text, version);
    return 0;
}

static int predict(struct ctx *c, const struct entry *e, size_t *rows) {
    struct oip_request q;
    struct oip_answer a = {.model_name = e->name, .model_version = e->model->version_text};
    struct tensor *outputs = NULL;
    int rc = read_request(c, e->model, &q);
    if (rc == 0)
        rc = onnx_run(c, e->model->session, q.inputs, q.ninputs, q.wanted, &outputs, &a.n);
    if (rc < 0)
        return rc;
    *rows = q.ninputs && q.inputs[0].rank ? (size_t)q.inputs[0].shape[0] : 1;
    a.outputs = outputs;
    return oip_print(c, &q, &a);
}

int oip_infer(struct ctx *c, const void *in_, void *out) {
    const struct oip_model_in *in = in_;
    const struct entry *e = NULL;
    size_t rows = 0;
    int64_t began = clock_mono_ns();
    (void)out;
    int rc = door_find(c, snapshot_enter(), in->model, &e);
    if (rc == 0)
        rc = check_version(c, e, in->version);
    if (rc == 0)
        rc = predict(c, e, &rows);
    door_count(c, e, rc, rows, began);
    snapshot_leave();
    return rc;
}
