/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_SIGNATURE_H
#define QUERN_SERVING_SIGNATURE_H
/* Signature: what a model's MLmodel file declares of its inputs and outputs. */
#include <stdbool.h>
#include <stddef.h>

#include "quern/onnx/tensor.h"

struct arena;
struct ctx;

struct signature_column {
    const char *name;
    const char *type; /* MLflow's: "long" "double" "string" ... */
    bool required;
};

/* In the arena a; 0 columns when it has none, when they are tensors, or when the file cannot be
 * understood. */
void signature_columns(struct ctx *c, struct arena *a, const char *mlmodel, size_t n,
                       struct signature_column **columns, size_t *ncolumns);
/* Whether it declares whole tensors in place of columns. */
bool signature_of_tensors(struct ctx *c, const char *mlmodel, size_t n);
/* The schema of its params as JSON text in the arena a, see params.h; NULL when there is none. */
const char *signature_params(struct ctx *c, struct arena *a, const char *mlmodel, size_t n);

/* All that it declares under "inputs" or "outputs": a column is a tensor of one open size. 0 specs
 * when it has no signature; ERR_UNPROCESSABLE for types that no tensor has. */
struct signature_specs {
    struct tensor_spec *specs;
    size_t n;
    bool columns; /* of a data frame, not whole tensors */
    bool named;   /* names were given; else they are "0", "1", ... */
};
int signature_specs(struct ctx *c, struct arena *a, const char *member, const char *mlmodel,
                    size_t n, struct signature_specs *out);

#endif
