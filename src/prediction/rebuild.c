/* SPDX-License-Identifier: Apache-2.0 */
#include "rebuild.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

/* Round to nearest even; what a half holds came from a half, so nothing is lost. */
static uint16_t to_half(double v) {
    if (isnan(v))
        return 0x7E00;
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    v = fabs(v);
    if (v >= 65520)
        return (uint16_t)(sign | 0x7C00);
    if (v < ldexp(1, -14))
        return (uint16_t)(sign | (uint16_t)nearbyint(ldexp(v, 24)));
    int e;
    double f = frexp(v, &e); /* 0.5 <= f < 1 */
    return (uint16_t)(sign | (uint16_t)(((e + 13) << 10) + (int)nearbyint(ldexp(f, 11))));
}

static uint16_t to_brain(double v) {
    float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static bool number_of(const json_t *v, double *out) {
    const char *s = json_string_value(v);
    if (json_is_number(v) || json_is_boolean(v))
        *out = json_is_number(v) ? json_number_value(v) : json_is_true(v);
    else if (s && strcmp(s, "NaN") == 0)
        *out = NAN;
    else if (s && (strcmp(s, "Infinity") == 0 || strcmp(s, "-Infinity") == 0))
        *out = *s == '-' ? -HUGE_VAL : HUGE_VAL;
    else if (json_is_null(v))
        *out = NAN;
    else
        return false;
    return true;
}

static bool text_of(struct ctx *c, const json_t *v, struct bytes *out) {
    const char *s = json_string_value(v), *b64 = json_string_value(json_object_get(v, "b64"));
    if (s)
        *out = (struct bytes){s, json_string_length(v)};
    else if (b64)
        out->data = (const char *)base64_decode(c->arena, b64, &out->len);
    else
        return false;
    return out->data != NULL;
}

static bool in_range(double d, double least, double most) {
    return d >= least && d <= most && d == trunc(d);
}

/* False for a value that the type does not hold. */
static bool put(struct ctx *c, struct tensor *t, size_t i, const json_t *v) {
    double d = 0;
    if (t->dtype == DT_BYTES)
        return text_of(c, v, &((struct bytes *)t->data)[i]);
    if (t->dtype == DT_INT64 && json_is_integer(v)) {
        ((int64_t *)t->data)[i] = json_integer_value(v);
        return true;
    }
    if (t->dtype == DT_UINT64 && json_is_integer(v)) {
        ((uint64_t *)t->data)[i] = (uint64_t)json_integer_value(v);
        return json_integer_value(v) >= 0;
    }
    if (t->dtype == DT_UINT64 && json_is_string(v))
        return str_to_u64(json_string_value(v), &((uint64_t *)t->data)[i]);
    if (!number_of(v, &d))
        return false;
    switch (t->dtype) {
    case DT_BOOL:
        ((uint8_t *)t->data)[i] = d != 0;
        return true;
    case DT_FP16:
        ((uint16_t *)t->data)[i] = to_half(d);
        return true;
    case DT_BF16:
        ((uint16_t *)t->data)[i] = to_brain(d);
        return true;
    case DT_FP32:
        ((float *)t->data)[i] = (float)d;
        return true;
    case DT_FP64:
        ((double *)t->data)[i] = d;
        return true;
    case DT_UINT8:
        ((uint8_t *)t->data)[i] = (uint8_t)d;
        return in_range(d, 0, UINT8_MAX);
    case DT_UINT16:
        ((uint16_t *)t->data)[i] = (uint16_t)d;
        return in_range(d, 0, UINT16_MAX);
    case DT_UINT32:
        ((uint32_t *)t->data)[i] = (uint32_t)d;
        return in_range(d, 0, UINT32_MAX);
    case DT_UINT64:
        ((uint64_t *)t->data)[i] = (uint64_t)d;
        return in_range(d, 0, 0x1p63);
    case DT_INT8:
        ((int8_t *)t->data)[i] = (int8_t)d;
        return in_range(d, INT8_MIN, INT8_MAX);
    case DT_INT16:
        ((int16_t *)t->data)[i] = (int16_t)d;
        return in_range(d, INT16_MIN, INT16_MAX);
    case DT_INT32:
        ((int32_t *)t->data)[i] = (int32_t)d;
        return in_range(d, INT32_MIN, INT32_MAX);
    case DT_INT64:
        ((int64_t *)t->data)[i] = (int64_t)d;
        return in_range(d, -0x1p63, 0x1p63 - 1024);
    default:
        return false;
    }
}

static int make(struct ctx *c, struct tensor *t, const struct tensor_spec *s, const int64_t *shape,
                size_t rank) {
    *t = (struct tensor){.name = s->name, .dtype = s->dtype, .rank = rank, .count = 1};
    for (size_t i = 0; i < rank; i++) {
        t->shape[i] = shape[i];
        if (s->shape[i] >= 0 && s->shape[i] != shape[i])
            return fail(c, ERR_INVALID, "input '%s' was kept with another shape", s->name);
        t->count *= (size_t)shape[i];
    }
    t->data = arena_alloc_n(c->arena, t->count ? t->count : 1, dtype_size(t->dtype));
    return 0;
}

static int misfit(struct ctx *c, const char *name, enum dtype t) {
    return fail(c, ERR_INVALID, "input '%s' holds a value that is no %s", name, dtype_name(t));
}

static const json_t *bare(const json_t *v) {
    while (json_is_array(v) && json_array_size(v) == 1)
        v = json_array_get(v, 0);
    return v;
}

/* A matrix of columns: rows of what each column holds. */
static int from_columns(struct ctx *c, const json_t *inputs, int64_t rows,
                        const struct replay_model *m, struct tensor *t) {
    int rc = make(c, t, &m->inputs[0], (int64_t[]){rows, (int64_t)m->nfeatures}, 2);
    for (size_t k = 0; rc == 0 && k < m->nfeatures; k++) {
        const json_t *column = json_object_get(inputs, m->features[k]);
        if ((int64_t)json_array_size(column) != rows)
            return fail(c, ERR_INVALID, "column '%s' was not kept", m->features[k]);
        for (int64_t r = 0; r < rows; r++)
            if (!put(c, t, (size_t)r * m->nfeatures + k, bare(json_array_get(column, (size_t)r))))
                return misfit(c, m->features[k], t->dtype);
    }
    return rc;
}

static bool fill(struct ctx *c, struct tensor *t, const json_t *v, size_t axis, size_t *at) {
    json_t *item;
    size_t i;
    if (axis == t->rank)
        return put(c, t, (*at)++, v);
    if ((int64_t)json_array_size(v) != t->shape[axis])
        return false;
    json_array_foreach(v, i, item) if (!fill(c, t, item, axis + 1, at)) return false;
    return true;
}

static int from_tensor(struct ctx *c, const json_t *v, int64_t rows, const struct tensor_spec *s,
                       struct tensor *t) {
    int64_t shape[TENSOR_MAX_RANK];
    const json_t *deep = v;
    size_t rank = 0, at = 0;
    for (; json_is_array(deep) && rank < TENSOR_MAX_RANK; deep = json_array_get(deep, 0))
        shape[rank++] = (int64_t)json_array_size(deep);
    /* A column of plain values is what an input [n, 1] gets, and the other way round. */
    bool column = rows == (int64_t)json_array_size(v) && s->rank == 2 && rank == 1;
    bool flat = s->rank == 1 && rank == 2 && shape[1] == 1;
    if (column)
        shape[rank++] = 1;
    if (flat)
        rank = 1;
    if (rank != s->rank)
        return fail(c, ERR_INVALID, "input '%s' was kept with another rank", s->name);
    int rc = make(c, t, s, shape, rank);
    if (rc < 0)
        return rc;
    if (!column && !flat)
        return fill(c, t, v, 0, &at) ? 0 : misfit(c, s->name, s->dtype);
    for (size_t i = 0; i < t->count; i++)
        if (!put(c, t, i, bare(json_array_get(v, i))))
            return misfit(c, s->name, s->dtype);
    return 0;
}

int rebuild(struct ctx *c, const json_t *inputs, int64_t rows, const struct replay_model *m,
            struct tensor **out) {
    *out = ARENA_ARRAY(c->arena, struct tensor, m->ninputs ? m->ninputs : 1);
    if (!json_object_size(inputs))
        return fail(c, ERR_INVALID, "its inputs were not kept");
    if (m->nfeatures && m->ninputs == 1 && json_object_get(inputs, m->features[0]))
        return from_columns(c, inputs, rows, m, *out);
    for (size_t i = 0; i < m->ninputs; i++) {
        const json_t *v = json_object_get(inputs, m->inputs[i].name);
        /* One input each: the name says nothing. */
        if (!v && m->ninputs == 1 && json_object_size(inputs) == 1)
            v = json_object_iter_value(json_object_iter((json_t *)inputs));
        if (!v)
            return fail(c, ERR_INVALID, "input '%s' was not kept", m->inputs[i].name);
        int rc = from_tensor(c, v, rows, &m->inputs[i], &(*out)[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}
