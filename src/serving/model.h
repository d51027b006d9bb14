/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_MODEL_H
#define QUERN_SERVING_MODEL_H
/* Model: one version of a registered model in memory, ready to predict. Immutable; shared by the
 * snapshots that hold it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/onnx/tensor.h"

struct arena;
struct ctx;
struct onnx_session;
struct metric_cell;

struct model {
    struct arena *arena;
    struct onnx_session *session;
    const char *name; /* of the registered model */
    int64_t version;
    char version_text[24];
    char sha256[65];      /* of the model file */
    const char *platform; /* "onnxruntime_onnx" */
    const struct tensor_spec *inputs;
    size_t ninputs;
    struct tensor_spec *outputs; /* as the warm-up run gave them, open sizes from the graph */
    size_t noutputs;
    const char **features; /* column names of the signature; NULL when there is none */
    size_t nfeatures;
    unsigned refs; /* snapshots that hold it; changed under the snapshot's lock only */
};

/* Loads a model file that was vetted, and runs it once. */
int model_load(struct ctx *c, const char *path, struct model **out);
void model_free(struct model *m);

/* Zeros (and empty strings) in the shape of the inputs, 1 where the size is open. */
int model_zeros(struct ctx *c, const struct tensor_spec *specs, size_t n, struct tensor **out);

/* Column names from an MLmodel file's signature, in the arena a; 0 names when it has none, when
 * they are tensors, or when the file cannot be understood. */
void signature_features(struct ctx *c, struct arena *a, const char *mlmodel, size_t n,
                        const char ***names, size_t *nnames);

#endif
