/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_SIGNATURE_H
#define QUERN_SERVING_SIGNATURE_H
/* Signature: the columns that a model's MLmodel file declares, in order. */
#include <stdbool.h>
#include <stddef.h>

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

#endif
