/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_TENSOR_ROWS_H
#define QUERN_SERVING_TENSOR_ROWS_H
/* Tensor rows: joining tensors along their first axis, and cutting rows out again. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/onnx/tensor.h"

struct arena;

/* The first size that all of them have in common; -1 when there is none. */
int64_t tensor_rows(const struct tensor *t, size_t n);
/* Whether both may be joined: same names, types and shapes behind the first axis, in order. */
bool tensor_rows_alike(const struct tensor *a, const struct tensor *b, size_t n);
/* Bytes of the elements; those of strings included. SIZE_MAX when it overflows. */
size_t tensor_bytes(const struct tensor *t, size_t n);
/* `parts` arrays of n tensors each, joined, in the arena, strings as well; names are the first
 * part's own. */
struct tensor *tensor_join(struct arena *a, const struct tensor *const *parts, size_t nparts,
                           size_t n);
/* Rows [first, first + rows) of each, copied into the arena with names, classes and strings. */
struct tensor *tensor_cut(struct arena *a, const struct tensor *t, size_t n, size_t first,
                          size_t rows);
/* The whole of each, copied likewise; of any rank. */
struct tensor *tensor_copy(struct arena *a, const struct tensor *t, size_t n);

#endif
