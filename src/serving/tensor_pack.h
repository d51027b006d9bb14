/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_TENSOR_PACK_H
#define QUERN_SERVING_TENSOR_PACK_H
/* Tensor pack: tensors as one run of bytes within this process, names, classes and strings
 * included; neither aligned nor meant for a file. */
#include <stddef.h>

#include "quern/onnx/tensor.h"

struct arena;

size_t tensor_packed(const struct tensor *t, size_t n); /* bytes that tensor_pack writes */
void tensor_pack(const struct tensor *t, size_t n, char *out);
struct tensor *tensor_unpack(struct arena *a, const char *packed, size_t *n);

#endif
