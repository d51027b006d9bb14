/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_TENSOR_PRINT_H
#define QUERN_SERVING_TENSOR_PRINT_H
/* Tensor print: values to JSON text in the context's arena, without a tree. NaN and infinities are
 * printed as null: JSON has no other word for them. */
#include <stddef.h>

#include "quern/onnx/tensor.h"

struct arena;

struct text {
    struct arena *arena;
    char *data;
    size_t len, cap;
};

void text_init(struct text *t, struct arena *a, size_t guess);
/* Room for so much and no more, where it is known to be all that follows. */
void text_reserve(struct text *t, size_t more);
char *text_room(struct text *t, size_t more); /* where `more` bytes may be written */
void text_put(struct text *t, const char *s, size_t n);
void text_puts(struct text *t, const char *s);
void text_string(struct text *t, const char *s, size_t n); /* quoted; bad UTF-8 becomes U+FFFD */
void text_i64(struct text *t, int64_t v);

void text_element(struct text *o, const struct tensor *t, size_t i);
void text_flat(struct text *o, const struct tensor *t); /* "[1,2,3]" */
/* Elements from `index` on, nested along the axes from `axis` on; returns the next index. With
 * classes the last axis is an object. */
size_t text_nested(struct text *o, const struct tensor *t, size_t axis, size_t index);
/* "[1,2]" of the shape. */
void text_shape(struct text *o, const int64_t *shape, size_t rank);

float half_to_float(uint16_t bits);

#endif
