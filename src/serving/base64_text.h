/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_BASE64_TEXT_H
#define QUERN_SERVING_BASE64_TEXT_H
/* Base64 text: bytes as JSON bodies carry them. Blanks and line ends within are passed over (Python
 * puts one behind every 76 characters), padding may be missing. */
#include "quern/onnx/tensor.h"

struct arena;

/* 0, or -1 when it is no base64. `out` may be `in`; its bytes are followed by a NUL. */
int base64_bytes(struct arena *a, struct bytes in, struct bytes *out);

#endif
