/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_GOLDEN_COMPARE_H
#define QUERN_SERVING_GOLDEN_COMPARE_H
/* Golden compare: what a model gave beside what a golden case wants. */
#include <stddef.h>

#include "quern/onnx/tensor.h"

struct ctx;
struct json_t;

struct tolerance {
    double rtol, atol;
};

/* One wanted output as it was written: {"name", "datatype"?, "shape"?, "parameters"?, "data"}.
 * ERR_INVALID naming `field`. */
int golden_want_check(struct ctx *c, const struct json_t *want, const char *name,
                      const char *field);
/* Each wanted output (checked before) with the tensor of its name. ERR_UNPROCESSABLE. */
int golden_compare(struct ctx *c, const char *name, const struct json_t *want,
                   const struct tensor *got, size_t n, struct tolerance t);

#endif
