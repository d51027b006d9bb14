/* SPDX-License-Identifier: Apache-2.0 */
#include "degrade.h"

#include <string.h>

#include "oip_scan.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "spec.h"
#include "tensor_rows.h"

#define CONSTANT_BYTES ((size_t)128 << 20) /* as the outputs of a model's run */

static const char *const names[] = {[FAILURE_NONE] = "none",
                                    [FAILURE_UNAVAILABLE] = "unavailable",
                                    [FAILURE_FAILED] = "failed",
                                    [FAILURE_DEADLINE] = "deadline",
                                    [FAILURE_OUTPUT] = "output"};

const char *failure_name(enum failure f) {
    return names[f];
}

int failure_parse(const char *name, enum failure *out) {
    for (int i = FAILURE_UNAVAILABLE; i <= FAILURE_OUTPUT; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (enum failure)i;
            return 0;
        }
    return -1;
}

enum failure failure_of(const struct ctx *c) {
    switch (c->err.code) {
    case ERR_BUSY:
    case ERR_NOT_READY:
        return FAILURE_UNAVAILABLE;
    case ERR_DEADLINE:
        return FAILURE_DEADLINE;
    case ERR_UNPROCESSABLE:
    case ERR_UPSTREAM:
    case ERR_INTERNAL:
        return FAILURE_FAILED;
    default:
        return FAILURE_NONE;
    }
}

/* The outputs are written as the protocol's tensors, so its own reader reads them. */
int degrade_constant_read(struct ctx *c, const char *outputs, const char *field,
                          struct degrade_step *out) {
    const char *text = arena_printf(c->arena, "{\"inputs\":%s}", outputs);
    struct oip_request q;
    if (*outputs != '[' || outputs[1] == ']')
        return fail_field(c, ERR_INVALID, field,
                          "a constant answer is a list of outputs: [{\"name\": \"label\", "
                          "\"datatype\": \"INT64\", \"shape\": [1], \"data\": [0]}]");
    if (oip_scan(c, text, strlen(text), "", 0, &q) < 0) {
        const char *why = arena_strdup(c->arena, c->err.message);
        err_clear(c);
        return fail_field(c, ERR_INVALID, field, "of the constant outputs, %s", why);
    }
    for (size_t i = 0; i < q.ninputs; i++)
        if (q.inputs[i].rank == 0 || q.inputs[i].shape[0] != 1)
            return fail_field(c, ERR_INVALID, field,
                              "constant output '%s' must hold one row: its shape begins with 1",
                              q.inputs[i].name);
    out->outputs = q.inputs;
    out->noutputs = q.ninputs;
    return 0;
}

int degrade_make(struct ctx *c, const struct degrade_spec *spec, size_t place,
                 const char *const *arms, size_t narms, struct degrade_step *out) {
    const char *field = arena_printf(c->arena, "degrade/%zu", place);
    int ways = (spec->arm != NULL) + (spec->last.set && spec->last.v) + (spec->outputs != NULL);
    *out = (struct degrade_step){.arm = -1, .last = spec->last.set && spec->last.v};
    if (ways != 1)
        return fail_field(c, ERR_INVALID, field,
                          "a step has one of arm, last (true) and outputs, not %d of them", ways);
    for (size_t i = 0; spec->arm && i < narms; i++)
        if (strcmp(arms[i], spec->arm) == 0)
            out->arm = (int)i;
    if (spec->arm && out->arm < 0)
        return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/arm", field),
                          "the endpoint has no arm '%.64s'", spec->arm);
    for (size_t k = 0; k < spec->when.n; k++) {
        enum failure f;
        if (failure_parse(spec->when.items[k], &f) < 0)
            return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/when", field),
                              "'%.40s' is no kind of failure; there are unavailable, failed, "
                              "deadline and output",
                              spec->when.items[k]);
        out->when |= 1u << f;
    }
    if (!spec->when.n)
        out->when = ~0u;
    return spec->outputs ? degrade_constant_read(c, json_text(c->arena, spec->outputs, JSON_TIGHT),
                                                 arena_printf(c->arena, "%s/outputs", field), out)
                         : 0;
}

/* Rows are what a shape says, and one without elements says it for nothing. */
static int check_room(struct ctx *c, const struct degrade_step *s, size_t rows) {
    size_t room = CONSTANT_BYTES;
    for (size_t i = 0; i < s->noutputs; i++) {
        size_t bytes = tensor_bytes(&s->outputs[i], 1);
        if (rows > room / (bytes ? bytes : 1))
            return fail(c, ERR_TOO_LARGE,
                        "a constant answer to %zu rows would be larger than %zu MiB", rows,
                        CONSTANT_BYTES >> 20);
        room -= rows * bytes;
    }
    return 0;
}

int degrade_constant(struct ctx *c, const struct degrade_step *s, size_t rows, struct tensor **out,
                     size_t *n) {
    int rc = check_room(c, s, rows);
    if (rc < 0)
        return rc;
    struct tensor *t = ARENA_ARRAY(c->arena, struct tensor, s->noutputs);
    for (size_t i = 0; i < s->noutputs; i++) {
        const struct tensor *one = &s->outputs[i];
        size_t bytes = one->count * dtype_size(one->dtype);
        t[i] = *one;
        t[i].shape[0] = (int64_t)rows;
        t[i].count = one->count * rows;
        t[i].data = arena_alloc_n(c->arena, t[i].count ? t[i].count : 1, dtype_size(one->dtype));
        for (size_t r = 0; r < rows && bytes; r++)
            memcpy((char *)t[i].data + r * bytes, one->data, bytes);
    }
    *out = t;
    *n = s->noutputs;
    return 0;
}
