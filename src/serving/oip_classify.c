/* SPDX-License-Identifier: Apache-2.0 */
#include "oip_classify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "tensor_print.h"

struct candidate {
    double value;
    size_t index; /* within its row */
};

/* Integers beyond 2^53 may tie as doubles; the order then is that of the indices. */
static double value_of(const struct tensor *t, size_t i) {
    switch (t->dtype) {
    case DT_UINT8:
        return ((const uint8_t *)t->data)[i];
    case DT_UINT16:
        return ((const uint16_t *)t->data)[i];
    case DT_UINT32:
        return ((const uint32_t *)t->data)[i];
    case DT_UINT64:
        return (double)((const uint64_t *)t->data)[i];
    case DT_INT8:
        return ((const int8_t *)t->data)[i];
    case DT_INT16:
        return ((const int16_t *)t->data)[i];
    case DT_INT32:
        return ((const int32_t *)t->data)[i];
    case DT_INT64:
        return (double)((const int64_t *)t->data)[i];
    case DT_FP16:
        return (double)half_to_float(((const uint16_t *)t->data)[i]);
    case DT_FP32:
        return (double)((const float *)t->data)[i];
    case DT_FP64:
        return ((const double *)t->data)[i];
    case DT_BOOL:
    case DT_BF16:
    case DT_BYTES:
    case DT_COUNT:
        break;
    }
    return 0;
}

static int by_value(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    if (isnan(x->value) != isnan(y->value))
        return isnan(x->value) ? 1 : -1;
    if (x->value > y->value || x->value < y->value)
        return x->value > y->value ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static struct bytes describe(struct ctx *c, const struct tensor *t, size_t at, size_t index) {
    struct text o;
    text_init(&o, c->arena, 48);
    text_element(&o, t, at);
    text_put(&o, ":", 1);
    text_i64(&o, (int64_t)index);
    size_t labels = t->classes ? (size_t)t->shape[t->rank - 1] : 0;
    if (index < labels) {
        text_put(&o, ":", 1);
        text_puts(&o, t->classes[index]);
    }
    return (struct bytes){o.data, o.len};
}

int oip_classify(struct ctx *c, uint64_t classes, struct tensor *t) {
    if (t->dtype == DT_BOOL || t->dtype == DT_BF16 || t->dtype == DT_BYTES)
        return fail_field(c, ERR_INVALID, t->name,
                          "output '%s' is %s; classification is for outputs of numbers", t->name,
                          dtype_name(t->dtype));
    size_t rows = t->rank ? (size_t)t->shape[0] : 1;
    size_t width = rows ? t->count / rows : 0;
    size_t k = classes < width ? (size_t)classes : width;
    struct candidate *all = ARENA_ARRAY(c->arena, struct candidate, width ? width : 1);
    struct bytes *best = arena_alloc_n(c->arena, rows * k + 1, sizeof *best);
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < width; i++)
            all[i] = (struct candidate){value_of(t, r * width + i), i};
        qsort(all, width, sizeof *all, by_value);
        for (size_t i = 0; i < k; i++)
            best[r * k + i] = describe(c, t, r * width + all[i].index, all[i].index);
    }
    *t = (struct tensor){.name = t->name,
                         .dtype = DT_BYTES,
                         .rank = 2,
                         .shape = {(int64_t)rows, (int64_t)k},
                         .count = rows * k,
                         .data = best};
    return 0;
}
