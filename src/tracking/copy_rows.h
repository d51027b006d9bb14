/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_COPY_ROWS_H
#define QUERN_TRACKING_COPY_ROWS_H
/* Copy rows: reading lists of copy.h. */
#include "quern/core/shape.h"

struct ctx;
struct stmt;

/* Rows of key and value; ends the statement. 0 or a negative code. */
int copy_pairs(struct ctx *c, struct stmt *st, struct pairs *out);
/* Room for one more item of `size` bytes in an array of *n with *cap; the new item is zeroed. */
void *copy_grow(struct ctx *c, void *items, size_t *n, size_t *cap, size_t size, void **moved);

#endif
