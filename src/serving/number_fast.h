/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_NUMBER_FAST_H
#define QUERN_SERVING_NUMBER_FAST_H
/* Number fast: the literals that bodies are full of, eight digits at a time. It takes decimals of
 * up to 19 digits without exponent that have NUMBER_AHEAD bytes of text before them; everything
 * else, faults included, is left to number_scan. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "number.h"

enum { NUMBER_AHEAD = 48 };

extern const double number_tens[23]; /* 1e0 to 1e22, all exact */
/* w * 10^-k, correctly rounded, k up to 18; false when it cannot be told this way. */
bool number_by_division(uint64_t w, unsigned k, double *out);

/* The digits at p, eight at most: how many, and their value in *out. Little-endian. */
static inline unsigned number_digits8(const char *p, uint64_t *out) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    v ^= UINT64_C(0x3030303030303030); /* digits become 0 to 9 */
    /* The lowest byte with its top bit set is the first that is no digit; what a carry does to
     * those above it does not matter. */
    uint64_t other = ((v + UINT64_C(0x7676767676767676)) | v) & UINT64_C(0x8080808080808080);
    unsigned n = other ? (unsigned)__builtin_ctzll(other) / 8 : 8;
    if (n == 0)
        return 0;
    v <<= 64 - 8 * n; /* leading zeros in front */
    v = v * 10 + (v >> 8);
    *out = (((v & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x000F424000000064)) +
            (((v >> 16) & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x0000271000000001))) >>
           32;
    return n;
}

/* As number_scan, or NULL when this way is not open. */
static inline const char *number_fast(const char *p, const char *end, struct number *out) {
    static const uint32_t power[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    if (end - p < NUMBER_AHEAD)
        return NULL;
    bool negative = *p == '-';
    p += negative;
    const char *first = p;
    uint64_t w = 0;
    while (*p >= '0' && *p <= '9' && p - first < 19)
        w = w * 10 + (uint64_t)(*p++ - '0');
    unsigned whole = (unsigned)(p - first), k = 0;
    if (whole == 0 || whole > 18 || (*first == '0' && whole > 1))
        return NULL;
    if (*p == '.') {
        uint64_t part;
        unsigned n;
        p++;
        do {
            n = number_digits8(p, &part);
            if (n == 0)
                break;
            w = w * power[n] + part; /* past 19 digits it is thrown away */
            k += n;
            p += n;
        } while (n == 8 && k < 24);
        if (k == 0 || whole + k > 19)
            return NULL;
    }
    if (*p == 'e' || *p == 'E')
        return NULL;
    double v = 0;
    if (k == 0)
        v = (double)w;
    else if (w <= UINT64_C(1) << 53)
        v = (double)w / number_tens[k];
    else if (!number_by_division(w, k, &v))
        return NULL;
    out->value = negative ? -v : v;
    out->magnitude = w;
    out->negative = negative;
    out->integer = k == 0;
    return p;
}

#endif
