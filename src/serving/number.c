/* SPDX-License-Identifier: Apache-2.0 */
#include "number.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number_fast.h"

const double number_tens[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* w * 10^e, exactly rounded, or false when this path cannot promise that. Both operands of the one
 * multiplication or division are exact, so its result is the rounded true value. */
static bool by_double(uint64_t w, int e, double *out) {
    if (w > (1ull << 53) || e < -22 || e > 22)
        return false;
    *out = e < 0 ? (double)w / number_tens[-e] : (double)w * number_tens[e];
    return true;
}

#if LDBL_MANT_DIG == 64
/* The same with 64 bits of significand, where powers up to 10^27 are exact. The second rounding, to
 * 53 bits, is safe unless the extra 11 bits are within one unit of the half. */
static bool by_long_double(uint64_t w, int e, double *out) {
    static const long double high[] = {1e23L, 1e24L, 1e25L, 1e26L, 1e27L};
    if (w == 0 || e < -27 || e > 27)
        return false;
    int a = e < 0 ? -e : e;
    long double power = a <= 22 ? (long double)number_tens[a] : high[a - 23];
    long double r = e < 0 ? (long double)w / power : (long double)w * power;
    uint64_t significand;
    memcpy(&significand, &r, sizeof significand);
    unsigned extra = (unsigned)(significand & 0x7FF);
    if (extra >= 0x3FF && extra <= 0x401)
        return false;
    *out = (double)r;
    return true;
}
#else
static bool by_long_double(uint64_t w, int e, double *out) {
    (void)w;
    (void)e;
    (void)out;
    return false;
}
#endif

bool number_by_division(uint64_t w, unsigned k, double *out) {
    return by_long_double(w, -(int)k, out);
}

static inline bool is_digit(char ch) {
    return ch >= '0' && ch <= '9';
}

/* strtod on a copy: the locale is "C", and the literal was checked before. */
static double by_library(const char *start, size_t n) {
    char small[64];
    char *text = n < sizeof small ? small : malloc(n + 1);
    if (!text)
        abort();
    memcpy(text, start, n);
    text[n] = 0;
    double v = strtod(text, NULL);
    if (text != small)
        free(text);
    return v;
}

const char *number_scan(const char *p, const char *end, struct number *out) {
    const char *fast = number_fast(p, end, out);
    if (fast)
        return fast;
    const char *start = p;
    uint64_t w = 0;
    int digits = 0; /* significant ones in w */
    int e = 0;
    bool exact = true, integer = true;
    out->negative = p < end && *p == '-';
    p += out->negative;
    if (p >= end || !is_digit(*p))
        return NULL;
    if (*p == '0' && is_digit(p[1]))
        return NULL;
    for (; is_digit(*p); p++) {
        if (w > (UINT64_MAX - (uint64_t)(*p - '0')) / 10) {
            exact = false;
            integer = false;
            continue;
        }
        w = w * 10 + (uint64_t)(*p - '0');
        digits += w != 0;
    }
    if (*p == '.') {
        integer = false;
        p++;
        if (!is_digit(*p))
            return NULL;
        for (; is_digit(*p); p++) {
            if (!exact || digits >= 19) {
                exact = exact && *p == '0';
                continue;
            }
            w = w * 10 + (uint64_t)(*p - '0');
            digits += w != 0;
            e--;
        }
    }
    if (*p == 'e' || *p == 'E') {
        integer = false;
        p++;
        bool minus = *p == '-';
        p += *p == '-' || *p == '+';
        if (!is_digit(*p))
            return NULL;
        int x = 0;
        for (; is_digit(*p); p++)
            x = x < 100000 ? x * 10 + (*p - '0') : x;
        e += minus ? -x : x;
    }
    if (p > end)
        return NULL;
    double v;
    if (w == 0 && exact)
        v = 0;
    else if (!exact || !(by_double(w, e, &v) || by_long_double(w, e, &v)))
        v = fabs(by_library(start, (size_t)(p - start)));
    out->value = out->negative ? -v : v;
    out->magnitude = w;
    out->integer = integer;
    return p;
}

static const struct {
    uint64_t most;  /* positive */
    uint64_t least; /* magnitude of the most negative */
} ranges[DT_COUNT] = {
    [DT_UINT8] = {UINT8_MAX, 0},          [DT_UINT16] = {UINT16_MAX, 0},
    [DT_UINT32] = {UINT32_MAX, 0},        [DT_UINT64] = {UINT64_MAX, 0},
    [DT_INT8] = {INT8_MAX, 1ull << 7},    [DT_INT16] = {INT16_MAX, 1ull << 15},
    [DT_INT32] = {INT32_MAX, 1ull << 31}, [DT_INT64] = {INT64_MAX, 1ull << 63},
};

static const char *store_integer(const struct number *n, enum dtype t, bool strict, void *element) {
    uint64_t m = n->magnitude;
    if (!n->integer) {
        double v = fabs(n->value);
        if (strict || v != floor(v))
            return isinf(v) ? "wants a number in its range" : "wants an integer";
        if (v > 9007199254740992.0)
            return "wants an integer that is written without exponent or fraction";
        m = (uint64_t)v;
    }
    if (m > (n->negative ? ranges[t].least : ranges[t].most))
        return "wants an integer in its range";
    uint64_t bits = n->negative ? 0 - m : m;
    /* Little-endian machines only; the low bytes are the value in every width. */
    memcpy(element, &bits, dtype_size(t));
    return NULL;
}

const char *number_store(const struct number *n, enum dtype t, bool strict, void *element) {
    if (t == DT_FP32) {
        float f = (float)n->value;
        if (isinf(f))
            return "wants a number in its range";
        memcpy(element, &f, sizeof f);
        return NULL;
    }
    if (t == DT_FP64) {
        if (isinf(n->value))
            return "wants a number in its range";
        memcpy(element, &n->value, sizeof n->value);
        return NULL;
    }
    if (t == DT_BOOL)
        return "wants true or false";
    if (t == DT_BYTES)
        return "wants a string";
    if (t == DT_FP16 || t == DT_BF16)
        return "cannot be told in JSON";
    return store_integer(n, t, strict, element);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors travel in little-endian order");

/* Writes m (without trailing zeros) * 10^-k. */
static size_t print_digits(uint64_t m, int k, char *out) {
    char digits[24];
    while (m % 10 == 0 && m != 0) {
        m /= 10;
        k--;
    }
    int n = 1;
    for (uint64_t x = m / 10; x; x /= 10)
        n++;
    for (int i = n - 1; i >= 0; i--, m /= 10)
        digits[i] = (char)('0' + m % 10);
    int point = n - k; /* digits before the point */
    char *o = out;
    if (point > 0 && point <= 15) {
        for (int i = 0; i < point; i++)
            *o++ = i < n ? digits[i] : '0';
        *o++ = '.';
        if (point >= n)
            *o++ = '0';
        for (int i = point; i < n; i++)
            *o++ = digits[i];
    } else if (point <= 0 && point > -5) {
        *o++ = '0';
        *o++ = '.';
        for (int i = point; i < 0; i++)
            *o++ = '0';
        for (int i = 0; i < n; i++)
            *o++ = digits[i];
    } else {
        *o++ = digits[0];
        if (n > 1)
            *o++ = '.';
        for (int i = 1; i < n; i++)
            *o++ = digits[i];
        int e = point - 1;
        *o++ = 'e';
        *o++ = e < 0 ? '-' : '+';
        e = e < 0 ? -e : e;
        *o++ = (char)('0' + e / 10);
        *o++ = (char)('0' + e % 10);
    }
    return (size_t)(o - out);
}

static size_t print_slowly(float v, char *out) {
    char text[32];
    int n = 0;
    for (int digits = 6; digits <= 9; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v)
            break;
    }
    if (!memchr(text, '.', (size_t)n) && !memchr(text, 'e', (size_t)n)) {
        text[n++] = '.';
        text[n++] = '0';
    }
    memcpy(out, text, (size_t)n);
    return (size_t)n;
}

size_t number_print_f32(float v, char *out) {
    char *o = out;
    if (signbit(v))
        *o++ = '-';
    float a = fabsf(v);
    if (a == 0) {
        memcpy(o, "0.0", 3);
        return (size_t)(o - out) + 3;
    }
    if (!(a >= 1e-12f && a < 1e15f))
        return (size_t)(o - out) + print_slowly(a, o);
    double d = (double)a;
    /* Everything strictly between the halfway points to the neighbours reads back as v. */
    double low = (d + (double)nextafterf(a, 0)) / 2;
    double high = (d + (double)nextafterf(a, INFINITY)) / 2;
    int exponent =
        0; /* of ten: 10^exponent <= a; the estimate from the power of two may be one low */
    frexp(d, &exponent);
    exponent = (int)floor((exponent - 1) * 0.30103);
    if (exponent >= -1 ? d >= number_tens[exponent + 1] : d * number_tens[-(exponent + 1)] >= 1)
        exponent++;
    for (int digits = 6; digits <= 10; digits++) {
        int k = digits - 1 - exponent;
        if (k > 22 || k < -22)
            break;
        double scaled = k >= 0 ? d * number_tens[k] : d / number_tens[-k];
        uint64_t m = (uint64_t)(scaled + 0.5);
        double back = k >= 0 ? (double)m / number_tens[k] : (double)m * number_tens[-k];
        if (back > low && back < high)
            return (size_t)(o - out) + print_digits(m, k, o);
    }
    return (size_t)(o - out) + print_slowly(a, o);
}
