/* SPDX-License-Identifier: Apache-2.0 */
/* The loops: a pass that only counts, which the compiler turns into vector code, and one that looks
 * for the first when there is any. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_rule.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "tensor_print.h"

static float f16(uint16_t v) {
    return half_to_float(v);
}
static float bf16(uint16_t v) {
    uint32_t bits = (uint32_t)v << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

#define LOOP(type, test)                                                                           \
    {                                                                                              \
        const type *p = (const type *)s.t->data + s.first;                                         \
        for (size_t i = 0; i < s.n; i++) {                                                         \
            type v = p[i * s.stride];                                                              \
            f.n += (test);                                                                         \
        }                                                                                          \
        for (size_t i = 0; f.n && i < s.n; i++) {                                                  \
            type v = p[i * s.stride];                                                              \
            if (test) {                                                                            \
                f.at = i;                                                                          \
                break;                                                                             \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    break
/* `on_float` sees x, a double or float; `on_signed` and `on_unsigned` the value as it is. */
#define EACH_TYPE(on_float, on_signed, on_unsigned)                                                \
    switch (s.t->dtype) {                                                                          \
    case DT_FP32:                                                                                  \
        LOOP(float, FLOAT_OF(v, on_float));                                                        \
    case DT_FP64:                                                                                  \
        LOOP(double, FLOAT_OF(v, on_float));                                                       \
    case DT_FP16:                                                                                  \
        LOOP(uint16_t, FLOAT_OF(f16(v), on_float));                                                \
    case DT_BF16:                                                                                  \
        LOOP(uint16_t, FLOAT_OF(bf16(v), on_float));                                               \
    case DT_INT8:                                                                                  \
        LOOP(int8_t, on_signed);                                                                   \
    case DT_INT16:                                                                                 \
        LOOP(int16_t, on_signed);                                                                  \
    case DT_INT32:                                                                                 \
        LOOP(int32_t, on_signed);                                                                  \
    case DT_INT64:                                                                                 \
        LOOP(int64_t, on_signed);                                                                  \
    case DT_BOOL:                                                                                  \
    case DT_UINT8:                                                                                 \
        LOOP(uint8_t, on_unsigned);                                                                \
    case DT_UINT16:                                                                                \
        LOOP(uint16_t, on_unsigned);                                                               \
    case DT_UINT32:                                                                                \
        LOOP(uint32_t, on_unsigned);                                                               \
    case DT_UINT64:                                                                                \
        LOOP(uint64_t, on_unsigned);                                                               \
    case DT_BYTES:                                                                                 \
    case DT_COUNT:                                                                                 \
        break;                                                                                     \
    }
#define FLOAT_OF(x, test) test((double)(x))

struct found scan_nan(struct slice s) {
    struct found f = {0};
#define TEST(x) ((x) != (x))
    EACH_TYPE(TEST, ((void)v, 0), ((void)v, 0))
#undef TEST
    return f;
}

struct found scan_infinite(struct slice s) {
    struct found f = {0};
#define TEST(x) (!(fabs(x) <= 1.7976931348623157e308))
    EACH_TYPE(TEST, ((void)v, 0), ((void)v, 0))
#undef TEST
    return f;
}

struct found scan_below(struct slice s, const struct range *r) {
    struct found f = {0};
    double lo = r->flo;
    int64_t ilo = r->ilo;
    uint64_t ulo = r->ulo;
#define TEST(x) ((x) < lo)
    EACH_TYPE(TEST, (int64_t)v < ilo, (uint64_t)v < ulo)
#undef TEST
    return f;
}

struct found scan_above(struct slice s, const struct range *r) {
    struct found f = {0};
    double hi = r->fhi;
    int64_t ihi = r->ihi;
    uint64_t uhi = r->uhi;
#define TEST(x) ((x) > hi)
    EACH_TYPE(TEST, (int64_t)v > ihi, (uint64_t)v > uhi)
#undef TEST
    return f;
}

struct found scan_fraction(struct slice s) {
    struct found f = {0};
#define TEST(x) ((x) == (x) && (x) != trunc(x))
    EACH_TYPE(TEST, ((void)v, 0), ((void)v, 0))
#undef TEST
    return f;
}

/* ---- categories ---- */

int check_text_order(const void *a_, const void *b_) {
    const struct bytes *a = a_, *b = b_;
    size_t n = a->len < b->len ? a->len : b->len;
    int order = n ? memcmp(a->data, b->data, n) : 0;
    return order ? order : a->len < b->len ? -1 : a->len > b->len;
}
int check_number_order(const void *a_, const void *b_) {
    double a = *(const double *)a_, b = *(const double *)b_;
    return a < b ? -1 : a > b;
}
int check_integer_order(const void *a_, const void *b_) {
    int64_t a = *(const int64_t *)a_, b = *(const int64_t *)b_;
    return a < b ? -1 : a > b;
}

static bool has_number(const struct check_rule *r, double x) {
    return bsearch(&x, r->numbers, r->nnumbers, sizeof x, check_number_order) != NULL;
}
static bool has_integer(const struct check_rule *r, int64_t x) {
    return bsearch(&x, r->integers, r->nintegers, sizeof x, check_integer_order) != NULL;
}

static bool has_unsigned(const struct check_rule *r, uint64_t x) {
    return x <= INT64_MAX && has_integer(r, (int64_t)x);
}

struct found scan_category(struct slice s, const struct check_rule *r) {
    struct found f = {0};
    if (s.t->dtype == DT_BYTES) {
        for (size_t i = 0; i < s.n; i++) {
            const struct bytes *v = (const struct bytes *)s.t->data + s.first + i * s.stride;
            if (bsearch(v, r->texts, r->ntexts, sizeof *v, check_text_order))
                continue;
            f.at = f.n++ ? f.at : i;
        }
        return f;
    }
#define TEST(x) ((x) == (x) && !has_number(r, x)) /* NaN has a rule of its own */
    EACH_TYPE(TEST, !has_integer(r, (int64_t)v), !has_unsigned(r, v))
#undef TEST
    return f;
}

/* ---- outputs ---- */

struct found scan_sum(const struct tensor *t, double sum, double tolerance) {
    struct found f = {0};
    size_t rows = t->rank ? (size_t)t->shape[0] : 1, width = rows ? t->count / rows : 0;
    for (size_t r = 0; r < rows; r++) {
        double got = 0;
        for (size_t i = r * width; i < (r + 1) * width; i++)
            got += t->dtype == DT_FP32 ? (double)((const float *)t->data)[i]
                                       : ((const double *)t->data)[i];
        if (!(fabs(got - sum) <= tolerance))
            f.at = f.n++ ? f.at : r;
    }
    return f;
}

void null_infinities(struct tensor *t) {
    float *f = t->data;
    double *d = t->data;
    for (size_t i = 0; t->dtype == DT_FP32 && i < t->count; i++)
        f[i] = isinf(f[i]) ? NAN : f[i];
    for (size_t i = 0; t->dtype == DT_FP64 && i < t->count; i++)
        d[i] = isinf(d[i]) ? (double)NAN : d[i];
}

/* ---- bounds ---- */

static void integer_low(struct range *r, const json_t *min) {
    double v = json_number_value(min);
    if (json_is_integer(min)) {
        r->ilo = json_integer_value(min);
        r->ulo = r->ilo < 0 ? 0 : (uint64_t)r->ilo;
        return;
    }
    v = ceil(v);
    bool none = v >= 9223372036854775808.0; /* no int64 is as large */
    r->ilo = none ? INT64_MAX : v < -9223372036854775808.0 ? INT64_MIN : (int64_t)v;
    r->ihi = none ? INT64_MIN : r->ihi; /* with both bounds out of reach every value breaks one */
    none = v >= 18446744073709551616.0;
    r->ulo = none ? UINT64_MAX : v < 0 ? 0 : (uint64_t)v;
    r->uhi = none ? 0 : r->uhi;
}

static void integer_high(struct range *r, const json_t *max) {
    double v = json_number_value(max);
    if (json_is_integer(max)) {
        int64_t i = json_integer_value(max);
        r->ihi = i < r->ihi ? i : r->ihi;
        r->uhi = i < 0 ? 0 : (uint64_t)i < r->uhi ? (uint64_t)i : r->uhi;
        r->ulo = i < 0 ? UINT64_MAX : r->ulo;
        return;
    }
    v = floor(v);
    bool none = v < -9223372036854775808.0;
    int64_t i = none ? INT64_MIN : v >= 9223372036854775808.0 ? INT64_MAX : (int64_t)v;
    r->ihi = i < r->ihi ? i : r->ihi;
    r->ilo = none ? INT64_MAX : r->ilo;
    uint64_t u = v < 0 ? 0 : v >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)v;
    r->uhi = u < r->uhi ? u : r->uhi;
    r->ulo = v < 0 ? UINT64_MAX : r->ulo;
}

struct range range_make(enum dtype t, const json_t *min, const json_t *max) {
    struct range r = {.set = min || max,
                      .flo = -INFINITY,
                      .fhi = INFINITY,
                      .ilo = INT64_MIN,
                      .ihi = INT64_MAX,
                      .ulo = 0,
                      .uhi = UINT64_MAX};
    if (min) {
        double v = json_number_value(min);
        r.flo = t == DT_FP32 ? (double)(float)v : v;
        integer_low(&r, min);
    }
    if (max) {
        double v = json_number_value(max);
        r.fhi = t == DT_FP32 ? (double)(float)v : v;
        integer_high(&r, max);
    }
    return r;
}

const char *value_text(struct ctx *c, const struct tensor *t, size_t i) {
    struct text text;
    switch (t->dtype) {
    case DT_FP32:
        return arena_printf(c->arena, "%.9g", (double)((const float *)t->data)[i]);
    case DT_FP64:
        return arena_printf(c->arena, "%.17g", ((const double *)t->data)[i]);
    case DT_BYTES:
        return "the text"; /* of the caller's data numbers alone are told */
    default:
        text_init(&text, c->arena, 32);
        text_element(&text, t, i);
        return arena_strndup(c->arena, text.data, text.len);
    }
}
