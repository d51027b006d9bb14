/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/bitmap.h"

#include "quern/base/arena.h"

static size_t words_of(const struct bitmap *b) {
    return b->bits / 64 + (b->bits % 64 != 0);
}

struct bitmap *bitmap_new(struct arena *a, size_t bits) {
    struct bitmap *b = ARENA_NEW(a, struct bitmap);
    b->bits = bits;
    b->words = ARENA_ARRAY(a, uint64_t, words_of(b) + 1);
    return b;
}

static uint64_t word(const struct bitmap *b, size_t i) {
    return i < words_of(b) ? b->words[i] : 0;
}

void bitmap_and(struct bitmap *b, const struct bitmap *other) {
    for (size_t i = 0; i < words_of(b); i++)
        b->words[i] &= word(other, i);
}

void bitmap_and_not(struct bitmap *b, const struct bitmap *other) {
    for (size_t i = 0; i < words_of(b); i++)
        b->words[i] &= ~word(other, i);
}

/* Bits of the last word beyond `bits` stay clear, so that a count is right. */
static void trim(struct bitmap *b) {
    if (b->bits % 64)
        b->words[b->bits / 64] &= (UINT64_C(1) << b->bits % 64) - 1;
}

void bitmap_or(struct bitmap *b, const struct bitmap *other) {
    for (size_t i = 0; i < words_of(b); i++)
        b->words[i] |= word(other, i);
    trim(b);
}

void bitmap_not(struct bitmap *b) {
    for (size_t i = 0; i < words_of(b); i++)
        b->words[i] = ~b->words[i];
    trim(b);
}

size_t bitmap_count(const struct bitmap *b) {
    size_t n = 0;
    for (size_t i = 0; i < words_of(b); i++)
        n += (size_t)__builtin_popcountll(b->words[i]);
    return n;
}
