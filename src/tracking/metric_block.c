/* SPDX-License-Identifier: Apache-2.0 */
#include "metric_block.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metric_store.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"

#define FORM 1
#define POINT_MOST 32 /* bytes of one point at most: modes, two varints, a double */

/* Which bytes of the XOR follow, counted from the most significant one; shortest first. Doubles of
 * one size share their leading bytes, widened floats end in zero bytes. */
static const struct {
    uint8_t skip, take;
} value_modes[16] = {
    {0, 0}, {1, 1}, {0, 2}, {1, 2}, {3, 2}, {0, 3}, {2, 3}, {1, 4},
    {4, 4}, {0, 5}, {3, 5}, {0, 6}, {1, 6}, {2, 6}, {1, 7}, {0, 8},
};
static const uint64_t nan_bits = UINT64_C(0x7ff8000000000000);

/* ------------------------------------------------------------------ points in memory */

static void reserve(struct points *p, size_t more) {
    if (p->cap - p->n >= more)
        return;
    size_t cap = p->cap * 2 > p->n + more ? p->cap * 2 : p->n + more;
    if (cap > SIZE_MAX / 2 / sizeof *p->items)
        mem_die();
    p->items = mem_realloc(p->items, cap * sizeof *p->items);
    p->cap = cap;
}

void points_add(struct points *p, const struct point *one) {
    if (p->n == p->cap)
        reserve(p, 64);
    p->items[p->n++] = *one;
}

void points_free(struct points *p) {
    free(p->items);
    *p = (struct points){0};
}

int point_order(const struct point *a, const struct point *b) {
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    if (a->step != b->step)
        return a->step < b->step ? -1 : 1;
    if (a->value < b->value || a->value > b->value)
        return a->value < b->value ? -1 : 1;
    return (a->is_nan > b->is_nan) - (a->is_nan < b->is_nan);
}

static int order(const void *a, const void *b) {
    return point_order(a, b);
}

void points_sort(struct points *p) {
    for (size_t i = 1; i < p->n; i++)
        if (point_order(&p->items[i - 1], &p->items[i]) > 0) {
            qsort(p->items, p->n, sizeof *p->items, order);
            return;
        }
}

size_t points_unique(struct points *p) {
    size_t m = 0;
    for (size_t i = 0; i < p->n; i++)
        if (m == 0 || point_order(&p->items[m - 1], &p->items[i]) != 0)
            p->items[m++] = p->items[i];
    size_t gone = p->n - m;
    p->n = m;
    return gone;
}

int64_t points_stride(const struct point *items, size_t n) {
    if (n < 2)
        return (int64_t)n;
    uint64_t stride = (uint64_t)items[1].step - (uint64_t)items[0].step;
    for (size_t i = 1; i < n; i++)
        if (items[i].step <= items[i - 1].step ||
            (uint64_t)items[i].step - (uint64_t)items[i - 1].step != stride)
            return 0;
    return stride <= INT64_MAX ? (int64_t)stride : 0;
}

/* ------------------------------------------------------------------ writing */

static uint64_t zigzag(uint64_t v) {
    return v << 1 ^ (v >> 63 ? UINT64_MAX : 0);
}

static uint64_t unzigzag(uint64_t v) {
    return v >> 1 ^ (v & 1 ? UINT64_MAX : 0);
}

/* The change of the difference; returns its mode. */
static unsigned put_number(unsigned char **at, uint64_t v, uint64_t *last, uint64_t *last_step) {
    uint64_t difference = v - *last;
    uint64_t z = zigzag(difference - *last_step);
    *last = v;
    *last_step = difference;
    if (z == 0)
        return 0;
    unsigned char *p = *at;
    unsigned mode = z < 0x100 ? 1 : z < 0x10000 ? 2 : 3;
    if (mode < 3) {
        *p++ = (unsigned char)z;
        if (mode == 2)
            *p++ = (unsigned char)(z >> 8);
    } else {
        for (; z >= 0x80; z >>= 7)
            *p++ = (unsigned char)(z | 0x80);
        *p++ = (unsigned char)z;
    }
    *at = p;
    return mode;
}

static unsigned put_value(unsigned char **at, uint64_t x) {
    if (x == 0)
        return 0;
    unsigned lead = (unsigned)__builtin_clzll(x) / 8, trail = (unsigned)__builtin_ctzll(x) / 8;
    unsigned mode = 1;
    while (value_modes[mode].skip > lead ||
           value_modes[mode].skip + value_modes[mode].take + trail < 8)
        mode++;
    unsigned take = value_modes[mode].take;
    x >>= 8 * (8 - value_modes[mode].skip - take);
    for (unsigned i = 0; i < take; i++, x >>= 8)
        *(*at)++ = (unsigned char)x;
    return mode;
}

static uint64_t bits_of(const struct point *p) {
    uint64_t bits;
    double v = p->value + 0.0; /* no negative zero */
    memcpy(&bits, &v, sizeof bits);
    return p->is_nan ? nan_bits : bits;
}

void block_put(struct buf *to, struct block_state *s, const struct point *p) {
    buf_reserve(to, POINT_MOST + 1);
    unsigned char *data = (unsigned char *)to->data + to->len, *at = data;
    if (to->len == 0)
        *at++ = FORM;
    unsigned char *modes = at++;
    uint64_t bits = bits_of(p);
    unsigned m = put_number(&at, (uint64_t)p->time_ms, &s->time, &s->time_step) << 4;
    m |= put_number(&at, (uint64_t)p->step, &s->step, &s->step_step) << 6;
    m |= put_value(&at, bits ^ s->bits);
    s->bits = bits;
    *modes = (unsigned char)m;
    to->len += (size_t)(at - data);
    to->data[to->len] = '\0';
}

/* ------------------------------------------------------------------ reading */

static inline bool get_number(const unsigned char **at, const unsigned char *end, unsigned mode,
                              uint64_t *last, uint64_t *last_step) {
    const unsigned char *p = *at;
    uint64_t z = 0;
    if (mode == 3) {
        unsigned shift = 0;
        do {
            if (p == end || shift > 63)
                return false;
            z |= (uint64_t)(*p & 0x7f) << shift;
            shift += 7;
        } while (*p++ & 0x80);
    } else {
        if ((size_t)(end - p) < mode)
            return false;
        if (mode > 0)
            z = *p++;
        if (mode > 1)
            z |= (uint64_t)*p++ << 8;
    }
    *last_step += unzigzag(z);
    *last += *last_step;
    *at = p;
    return true;
}

static uint64_t load(const unsigned char *p) {
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++) /* one instruction where the processor has this order */
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static inline bool get_value(const unsigned char **at, const unsigned char *end, unsigned mode,
                             uint64_t *bits) {
    unsigned take = value_modes[mode].take;
    if (take == 0)
        return true;
    if ((size_t)(end - *at) < take)
        return false;
    uint64_t x = 0;
    if (end - *at >= 8)
        x = load(*at) & UINT64_MAX >> (64 - 8 * take);
    else
        for (unsigned i = 0; i < take; i++)
            x |= (uint64_t)(*at)[i] << (8 * i);
    *at += take;
    *bits ^= x << 8 * (8 - value_modes[mode].skip - take);
    return true;
}

static inline bool point_of(const struct block_state *s, struct point *p) {
    *p = (struct point){.time_ms = (int64_t)s->time, .step = (int64_t)s->step};
    if (s->bits == nan_bits)
        p->is_nan = 1;
    else
        memcpy(&p->value, &s->bits, sizeof p->value);
    return isfinite(p->value);
}

bool block_get(const void *data, size_t n, struct points *out, struct block_state *state) {
    const unsigned char *at = data, *end = at + n;
    struct block_state s = {0};
    size_t m = out->n;
    bool ok = n == 0 || *at++ == FORM;
    if (n > 0)
        reserve(out, n); /* a point has a byte at least */
    while (ok && at < end) {
        unsigned modes = *at++;
        ok = get_number(&at, end, modes >> 4 & 3, &s.time, &s.time_step) &&
             get_number(&at, end, modes >> 6, &s.step, &s.step_step) &&
             get_value(&at, end, modes & 15, &s.bits) && point_of(&s, &out->items[m++]);
    }
    if (!ok)
        return false;
    out->n = m;
    if (state)
        *state = s;
    return true;
}

/* Two sums side by side, for a multiplication takes longer than the processor need wait. */
int64_t block_digest(const void *data, size_t n) {
    const unsigned char *p = data;
    const uint64_t k = UINT64_C(0xff51afd7ed558ccd);
    uint64_t a = UINT64_C(0x9e3779b97f4a7c15) ^ n, b = ~a;
    for (; n >= 16; n -= 16, p += 16) {
        a = (a ^ load(p)) * k;
        b = (b ^ load(p + 8)) * k;
        a ^= a >> 32;
        b ^= b >> 32;
    }
    for (; n > 0; n--, p++)
        a = (a ^ *p) * k;
    a ^= (b ^ b >> 29) * k;
    return (int64_t)(a ^ a >> 32);
}
