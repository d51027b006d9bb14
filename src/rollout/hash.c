/* SPDX-License-Identifier: Apache-2.0 */
#include "hash.h"

#include <string.h>

/* XXH64 as its specification has it, over a text that comes in pieces. Multi-byte words are read
 * little-endian whatever the machine. */
#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u
#define P4 0x85EBCA77C2B2AE63u
#define P5 0x27D4EB2F165667C5u

struct state {
    uint64_t seed, v[4];
    uint64_t total;
    unsigned char block[32];
    size_t n; /* bytes in block */
};

static inline uint64_t rotl(uint64_t x, int r) {
    return (x << r) | (x >> (64 - r));
}

static inline uint64_t word64(const unsigned char *p) {
    uint64_t w;
    memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

static inline uint32_t word32(const unsigned char *p) {
    uint32_t w;
    memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap32(w);
#endif
    return w;
}

static inline uint64_t mix(uint64_t acc, uint64_t word) {
    return rotl(acc + word * P2, 31) * P1;
}

static inline uint64_t merge(uint64_t acc, uint64_t v) {
    return (acc ^ mix(0, v)) * P1 + P4;
}

static void begin(struct state *s, uint64_t seed) {
    s->seed = seed;
    s->v[0] = seed + P1 + P2;
    s->v[1] = seed + P2;
    s->v[2] = seed;
    s->v[3] = seed - P1;
    s->total = 0;
    s->n = 0;
}

static void stripe(struct state *s, const unsigned char *p) {
    for (int i = 0; i < 4; i++)
        s->v[i] = mix(s->v[i], word64(p + 8 * i));
}

static void add(struct state *s, const unsigned char *p, size_t n) {
    s->total += n;
    if (s->n) {
        size_t take = sizeof s->block - s->n < n ? sizeof s->block - s->n : n;
        memcpy(s->block + s->n, p, take);
        s->n += take;
        p += take;
        n -= take;
        if (s->n < sizeof s->block)
            return;
        stripe(s, s->block);
        s->n = 0;
    }
    for (; n >= sizeof s->block; p += sizeof s->block, n -= sizeof s->block)
        stripe(s, p);
    if (n)
        memcpy(s->block, p, n);
    s->n = n;
}

static uint64_t end(const struct state *s) {
    uint64_t h = s->seed + P5;
    if (s->total >= 32) {
        h = rotl(s->v[0], 1) + rotl(s->v[1], 7) + rotl(s->v[2], 12) + rotl(s->v[3], 18);
        for (int i = 0; i < 4; i++)
            h = merge(h, s->v[i]);
    }
    h += s->total;
    const unsigned char *p = s->block;
    size_t n = s->n;
    for (; n >= 8; p += 8, n -= 8)
        h = rotl(h ^ mix(0, word64(p)), 27) * P1 + P4;
    if (n >= 4) {
        h = rotl(h ^ word32(p) * P1, 23) * P2 + P3;
        p += 4;
        n -= 4;
    }
    for (; n; p++, n--)
        h = rotl(h ^ *p * P5, 11) * P1;
    h = (h ^ (h >> 33)) * P2;
    h = (h ^ (h >> 29)) * P3;
    return h ^ (h >> 32);
}

uint64_t hash_bytes(uint64_t seed, const void *data, size_t n) {
    struct state s;
    begin(&s, seed);
    add(&s, data, n);
    return end(&s);
}

uint64_t hash_key(uint64_t seed, const char *salt, size_t nsalt, const char *key) {
    struct state s;
    begin(&s, seed);
    add(&s, (const unsigned char *)salt, nsalt);
    add(&s, (const unsigned char *)"", 1);
    add(&s, (const unsigned char *)key, strlen(key));
    return end(&s);
}

double hash_unit(uint64_t h) {
    return ((double)(h >> 11) + 0.5) * 0x1p-53;
}
