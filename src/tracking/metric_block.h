/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_METRIC_BLOCK_H
#define QUERN_TRACKING_METRIC_BLOCK_H
/* Metric block: points of one series as bytes, about 9 each where the values are random doubles.
 *
 * A byte 1 (the form), then per point a byte of modes and what these say:
 *   bits 0-3  value: which bytes of (bits of the double XOR bits of the one before) follow; the
 *             others are zero. NaN is the quiet NaN, other non-finite doubles never occur.
 *   bits 4-5  time: the change of the difference to the point before, zigzag:
 *             0 none, 1 one byte, 2 two bytes, 3 a varint (7 bits a byte, low ones first)
 *   bits 6-7  step: likewise
 * All numbers are little-endian and wrap at 64 bits; before the first point everything is 0. Points
 * can be appended after decoding, for that leaves the state the next point needs. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct point;

struct points {
    struct point *items;
    size_t n, cap;
};
void points_add(struct points *p, const struct point *one);
void points_free(struct points *p);
/* Negative, 0, positive in the order time, step, value, NaN mark. */
int point_order(const struct point *a, const struct point *b);
void points_sort(struct points *p);     /* does nothing to what is in order */
size_t points_unique(struct points *p); /* sorted; the number of exact duplicates dropped */

/* By how much the step grows from each point to the next; 0 when it differs or does not grow. */
int64_t points_stride(const struct point *items, size_t n);

struct block_state {
    uint64_t time, time_step, step, step_step, bits;
};
/* Appends one point; *s is zero and `to` empty before the first. */
void block_put(struct buf *to, struct block_state *s, const struct point *p);
/* Appends the points to `out`; `s` may be NULL. False when the bytes are not of this form; then
 * `out` is as before. */
bool block_get(const void *data, size_t n, struct points *out, struct block_state *s);
int64_t block_digest(const void *data, size_t n); /* finds damage, no defence against malice */

#endif
