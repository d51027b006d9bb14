/* SPDX-License-Identifier: Apache-2.0 */
#include "siphash.h"

#include <string.h>

static uint64_t rotate(uint64_t x, unsigned by) {
    return x << by | x >> (64 - by);
}

static uint64_t little(uint64_t x) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(x);
#else
    return x;
#endif
}

static void round_once(struct siphash *s) {
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static void rounds(struct siphash *s, unsigned n) {
    while (n--)
        round_once(s);
}

static void word(struct siphash *s, uint64_t m) {
    s->v3 ^= m;
    rounds(s, 2);
    s->v0 ^= m;
}

void siphash_init(struct siphash *s, const unsigned char key[16]) {
    uint64_t k0, k1;
    memcpy(&k0, key, 8);
    memcpy(&k1, key + 8, 8);
    k0 = little(k0);
    k1 = little(k1);
    /* "somepseudorandomlygeneratedbytes", as the algorithm has it */
    *s = (struct siphash){.v0 = 0x736f6d6570736575u ^ k0,
                          .v1 = 0x646f72616e646f6du ^ k1 ^ 0xee,
                          .v2 = 0x6c7967656e657261u ^ k0,
                          .v3 = 0x7465646279746573u ^ k1};
}

void siphash_add(struct siphash *s, const void *data, size_t n) {
    const unsigned char *p = data;
    unsigned held = s->n & 7;
    s->n += n;
    while (held && n) {
        s->tail |= (uint64_t)*p++ << (8 * held);
        n--;
        held = (held + 1) & 7;
        if (!held) {
            word(s, s->tail);
            s->tail = 0;
        }
    }
    for (uint64_t m; n >= 8; n -= 8, p += 8) {
        memcpy(&m, p, 8);
        word(s, little(m));
    }
    for (unsigned i = 0; i < n; i++)
        s->tail |= (uint64_t)p[i] << (8 * i);
}

void siphash_number(struct siphash *s, uint64_t n) {
    n = little(n);
    siphash_add(s, &n, sizeof n);
}

void siphash_text(struct siphash *s, const char *text) {
    size_t n = text ? strlen(text) : 0;
    siphash_number(s, text ? n : UINT64_MAX);
    if (n)
        siphash_add(s, text, n);
}

struct digest128 siphash_end(struct siphash *s) {
    struct digest128 out;
    word(s, s->tail | s->n << 56);
    s->v2 ^= 0xee;
    rounds(s, 4);
    out.lo = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
    s->v1 ^= 0xdd;
    rounds(s, 4);
    out.hi = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
    return out;
}
