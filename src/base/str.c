/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"

bool str_eq(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static unsigned char fold(char c) {
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool str_ieq(const char *a, const char *b) {
    if (!a || !b)
        return a == b;
    while (*a && fold(*a) == fold(*b))
        a++, b++;
    return fold(*a) == fold(*b);
}

bool str_starts(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix) {
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

static bool digit(char c) {
    return c >= '0' && c <= '9';
}

bool str_to_u64(const char *s, uint64_t *out) {
    uint64_t v = 0;
    if (!digit(*s))
        return false;
    for (; digit(*s); s++)
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return false;
    if (*s)
        return false;
    *out = v;
    return true;
}

bool str_to_i64(const char *s, int64_t *out) {
    bool minus = *s == '-';
    uint64_t v;
    if (!str_to_u64(s + minus, &v))
        return false;
    uint64_t limit = (uint64_t)INT64_MAX + (minus ? 1u : 0u);
    if (v > limit)
        return false;
    *out = minus ? (int64_t)(0u - v) : (int64_t)v;
    return true;
}

bool str_to_f64(const char *s, double *out) {
    const char *p = s;
    if (*p == '-' || *p == '+')
        p++;
    size_t digits = 0;
    for (; digit(*p); p++)
        digits++;
    if (*p == '.')
        for (p++; digit(*p); p++)
            digits++;
    if (!digits)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '-' || *p == '+')
            p++;
        if (!digit(*p))
            return false;
        while (digit(*p))
            p++;
    }
    if (*p)
        return false;
    /* The daemon never calls setlocale, so strtod reads a point. */
    double v = strtod(s, NULL);
    if (!isfinite(v))
        return false;
    *out = v;
    return true;
}

/* Splits "12suffix"; false without digits or on overflow. */
static bool number_with_suffix(const char *s, uint64_t *value, const char **suffix) {
    size_t n = 0;
    char digits[24];
    while (digit(s[n]) && n < sizeof digits - 1) {
        digits[n] = s[n];
        n++;
    }
    digits[n] = '\0';
    *suffix = s + n;
    return str_to_u64(digits, value);
}

bool str_to_bytes(const char *s, uint64_t *out) {
    uint64_t v;
    const char *suffix;
    if (!number_with_suffix(s, &v, &suffix))
        return false;
    unsigned shift;
    if (str_eq(suffix, ""))
        shift = 0;
    else if (str_eq(suffix, "K"))
        shift = 10;
    else if (str_eq(suffix, "M"))
        shift = 20;
    else if (str_eq(suffix, "G"))
        shift = 30;
    else if (str_eq(suffix, "T"))
        shift = 40;
    else
        return false;
    if (v > (UINT64_MAX >> shift))
        return false;
    *out = v << shift;
    return true;
}

bool str_to_ms(const char *s, int64_t *out) {
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t v;
    const char *suffix;
    if (!number_with_suffix(s, &v, &suffix) || v > INT64_MAX)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        int64_t ms;
        if (!str_eq(suffix, units[i].suffix))
            continue;
        if (__builtin_mul_overflow((int64_t)v, units[i].ms, &ms))
            return false;
        *out = ms;
        return true;
    }
    return false;
}

bool str_copy(char *dst, size_t size, const char *src) {
    size_t n = strlen(src);
    bool whole = n < size;
    if (!size)
        return false;
    if (!whole)
        n = size - 1;
    memcpy(dst, src, n);
    dst[n] = '\0';
    return whole;
}
