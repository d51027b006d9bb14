/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_BITMAP_H
#define QUERN_BASE_BITMAP_H
/* Bitmap: a set of small numbers. It lies in an arena and never grows: numbers of `bits` and more,
 * and negative ones, are in no set. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

struct bitmap {
    uint64_t *words;
    size_t bits;
};

struct bitmap *bitmap_new(struct arena *a, size_t bits); /* empty */
void bitmap_and(struct bitmap *b, const struct bitmap *other);
void bitmap_and_not(struct bitmap *b, const struct bitmap *other);
void bitmap_or(struct bitmap *b, const struct bitmap *other); /* of what lies within b's bits */
void bitmap_not(struct bitmap *b);
size_t bitmap_count(const struct bitmap *b);

static inline bool bitmap_has(const struct bitmap *b, int64_t i) {
    return i >= 0 && (uint64_t)i < b->bits && b->words[(uint64_t)i >> 6] >> ((uint64_t)i & 63) & 1;
}

static inline void bitmap_add(struct bitmap *b, int64_t i) {
    if (i >= 0 && (uint64_t)i < b->bits)
        b->words[(uint64_t)i >> 6] |= UINT64_C(1) << ((uint64_t)i & 63);
}

#endif
