/* SPDX-License-Identifier: Apache-2.0 */
#include "golden_compare.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "tensor_print.h"

#define SHOWN 120 /* bytes of a value in a sentence */

int golden_want_check(struct ctx *c, const json_t *want, const char *name, const char *field) {
    const char *output = json_string_value(json_object_get(want, "name"));
    const json_t *type = json_object_get(want, "datatype"), *shape = json_object_get(want, "shape");
    enum dtype unused;
    if (!output)
        return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/name", field),
                          "an output of case '%s' has no name", name);
    if (type && (!json_is_string(type) || dtype_parse(json_string_value(type), &unused) < 0))
        return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/datatype", field),
                          "output '%s' of case '%s' has an unknown datatype", output, name);
    bool sizes = !shape || json_is_array(shape);
    for (size_t i = 0; sizes && i < json_array_size(shape); i++)
        sizes = json_is_integer(json_array_get(shape, i));
    if (!sizes)
        return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/shape", field),
                          "the shape of output '%s' of case '%s' must be a list of sizes", output,
                          name);
    if (!json_is_array(json_object_get(want, "data")))
        return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/data", field),
                          "output '%s' of case '%s' has no list of data", output, name);
    return 0;
}

struct comparison {
    struct ctx *c;
    const char *name; /* of the case */
    const struct tensor *t;
    struct tolerance tolerance;
    size_t at; /* elements compared so far */
};

static const char *element_text(struct ctx *c, const struct tensor *t, size_t i) {
    struct text o;
    text_init(&o, c->arena, 64);
    text_element(&o, t, i);
    return arena_strndup(c->arena, o.data, o.len < SHOWN ? o.len : SHOWN);
}

static double element_value(const struct tensor *t, size_t i) {
    if (t->dtype == DT_FP32)
        return (double)((const float *)t->data)[i];
    if (t->dtype == DT_FP64)
        return ((const double *)t->data)[i];
    uint16_t bits = ((const uint16_t *)t->data)[i];
    if (t->dtype == DT_FP16)
        return (double)half_to_float(bits);
    uint32_t wide = (uint32_t)bits << 16;
    float v;
    memcpy(&v, &wide, sizeof v);
    return (double)v;
}

static bool is_float(enum dtype t) {
    return t == DT_FP16 || t == DT_BF16 || t == DT_FP32 || t == DT_FP64;
}

static bool integer_equal(const struct tensor *t, size_t i, const json_t *want) {
    if (!json_is_integer(want))
        return false;
    json_int_t w = json_integer_value(want);
    switch (t->dtype) {
    case DT_UINT8:
        return ((const uint8_t *)t->data)[i] == w;
    case DT_UINT16:
        return ((const uint16_t *)t->data)[i] == w;
    case DT_UINT32:
        return ((const uint32_t *)t->data)[i] == w;
    case DT_UINT64:
        return w >= 0 && ((const uint64_t *)t->data)[i] == (uint64_t)w;
    case DT_INT8:
        return ((const int8_t *)t->data)[i] == w;
    case DT_INT16:
        return ((const int16_t *)t->data)[i] == w;
    case DT_INT32:
        return ((const int32_t *)t->data)[i] == w;
    default:
        return ((const int64_t *)t->data)[i] == w;
    }
}

static bool equal(const struct comparison *k, const json_t *want) {
    const struct tensor *t = k->t;
    size_t i = k->at;
    if (t->dtype == DT_BYTES) {
        const struct bytes *b = (const struct bytes *)t->data + i;
        return json_is_string(want) && json_string_length(want) == b->len &&
               (!b->len || memcmp(json_string_value(want), b->data, b->len) == 0);
    }
    if (t->dtype == DT_BOOL)
        return json_is_boolean(want) &&
               json_is_true(want) == (((const unsigned char *)t->data)[i] != 0);
    if (!is_float(t->dtype))
        return integer_equal(t, i, want);
    double got = element_value(t, i);
    if (json_is_null(want))
        return !isfinite(got);
    double w = json_number_value(want);
    return json_is_number(want) && isfinite(got) &&
           fabs(got - w) <= k->tolerance.atol + k->tolerance.rtol * fabs(w);
}

/* Flat or nested alike: the order of the elements is the same. */
static int walk(struct comparison *k, const json_t *data) {
    size_t n = json_array_size(data);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const json_t *v = json_array_get(data, i);
        if (json_is_array(v)) {
            rc = walk(k, v);
            continue;
        }
        if (k->at < k->t->count && !equal(k, v))
            rc = fail(k->c, ERR_UNPROCESSABLE,
                      "golden case '%s': output '%s', element %zu: got %s, the case wants %.*s",
                      k->name, k->t->name, k->at, element_text(k->c, k->t, k->at), SHOWN,
                      json_text(k->c->arena, v, JSON_TIGHT));
        k->at++;
    }
    return rc;
}

static const char *shape_text(struct ctx *c, const struct tensor *t) {
    struct text o;
    text_init(&o, c->arena, 64);
    text_shape(&o, t->shape, t->rank);
    return arena_strndup(c->arena, o.data, o.len);
}

static int compare_form(struct ctx *c, const char *name, const json_t *want,
                        const struct tensor *t) {
    const char *type = json_string_value(json_object_get(want, "datatype"));
    const json_t *shape = json_object_get(want, "shape");
    if (type && strcmp(type, dtype_name(t->dtype)) != 0)
        return fail(c, ERR_UNPROCESSABLE, "golden case '%s': output '%s' is %s, the case wants %s",
                    name, t->name, dtype_name(t->dtype), type);
    bool same = !shape || json_array_size(shape) == t->rank;
    for (size_t i = 0; same && shape && i < t->rank; i++)
        same = json_integer_value(json_array_get(shape, i)) == t->shape[i];
    if (!same)
        return fail(c, ERR_UNPROCESSABLE,
                    "golden case '%s': output '%s' has shape %s, the case wants %s", name, t->name,
                    shape_text(c, t), json_text(c->arena, shape, JSON_TIGHT));
    return 0;
}

static int compare_labels(struct ctx *c, const char *name, const json_t *want,
                          const struct tensor *t) {
    const char *text =
        json_string_value(json_object_get(json_object_get(want, "parameters"), "labels"));
    json_t *labels = NULL;
    if (!text || !t->classes)
        return 0;
    int rc = json_parse(c, DIALECT_PROBLEM, text, strlen(text), &labels);
    bool same = rc == 0 && (int64_t)json_array_size(labels) == t->shape[t->rank - 1];
    for (size_t i = 0; same && i < json_array_size(labels); i++) {
        const char *label = json_string_value(json_array_get(labels, i));
        same = label && strcmp(label, t->classes[i]) == 0;
    }
    err_clear(c);
    return same ? 0
                : fail(c, ERR_UNPROCESSABLE,
                       "golden case '%s': output '%s' has other class labels than %.*s", name,
                       t->name, SHOWN, text);
}

int golden_compare(struct ctx *c, const char *name, const json_t *want, const struct tensor *got,
                   size_t n, struct tolerance tolerance) {
    for (size_t i = 0; i < json_array_size(want); i++) {
        const json_t *one = json_array_get(want, i);
        const char *output = json_string_value(json_object_get(one, "name"));
        const struct tensor *t = NULL;
        for (size_t k = 0; k < n && !t; k++)
            if (strcmp(got[k].name, output) == 0)
                t = &got[k];
        if (!t)
            return fail(c, ERR_UNPROCESSABLE, "golden case '%s': the model has no output '%.100s'",
                        name, output);
        struct comparison k = {.c = c, .name = name, .t = t, .tolerance = tolerance};
        int rc = compare_form(c, name, one, t);
        if (rc == 0)
            rc = compare_labels(c, name, one, t);
        if (rc == 0)
            rc = walk(&k, json_object_get(one, "data"));
        if (rc == 0 && k.at != t->count)
            rc = fail(c, ERR_UNPROCESSABLE,
                      "golden case '%s': output '%s' has %zu elements, the case wants %zu", name,
                      t->name, t->count, k.at);
        if (rc < 0)
            return rc;
    }
    return 0;
}
