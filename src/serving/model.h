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
struct metric_cell;
struct signature_column;

struct model;

/* What runs a model. */
struct runtime {
    const char *name; /* "onnx" */
    /* As onnx_run. */
    int (*run)(struct ctx *c, const struct model *m, const struct tensor *in, size_t nin,
               const char *const *wanted, struct tensor **out, size_t *nout);
    void (*free)(struct model *m); /* what it holds beyond its arena */
};

struct model {
    struct arena *arena;
    const struct runtime *runtime;
    void *state;      /* the runtime's; for ONNX a session that models of one digest share */
    bool blocks;      /* a run may wait or take milliseconds: not on a network thread */
    int64_t bytes;    /* in memory */
    const char *name; /* of the registered model */
    int64_t version;
    char version_text[24];
    char sha256[65];      /* of the model file */
    const char *made_of;  /* the arm's runtime as its row has it; "" for ONNX in process */
    const char *platform; /* "onnxruntime_onnx" */
    const struct tensor_spec *inputs;
    size_t ninputs;
    struct tensor_spec *outputs; /* as the warm-up run gave them, open sizes from the graph */
    size_t noutputs;
    const char **features; /* column names of the signature; NULL when there is none */
    size_t nfeatures;
    const struct signature_column *columns; /* the same ones with their types */
    bool takes_params;                      /* a request's params change what it answers */
    bool asks_others;                       /* its answers may change while it stays as it is */
    bool tensors;                           /* the signature declares tensors */
    const char *params;       /* schema of the signature, JSON; NULL when there is none */
    const char *param_values; /* its defaults, the text of an object */
    unsigned refs;            /* snapshots that hold it; changed by the loader's thread alone */
};

/* Loads a model file that was vetted, and runs it twice. Models that are given the same `sha256`
 * share what the runtime made of the file; NULL shares nothing. */
int model_load(struct ctx *c, const char *path, const char *sha256, struct model **out);
void model_free(struct model *m);
/* The runtime's run. */
int model_run(struct ctx *c, const struct model *m, const struct tensor *in, size_t nin,
              const char *const *wanted, struct tensor **out, size_t *nout);

/* A JSON object for runs of this thread's models that take params; NULL: none. What reads it is the
 * runtime. */
void model_params_use(const char *json);
const char *model_params(void);

/* The inputs in the order of the specs, [n] and [n, 1] made what the spec says; ERR_INVALID names
 * the one that is missing, unknown, there twice, or of another type or shape. */
int model_fit(struct ctx *c, const struct tensor_spec *specs, size_t n, const struct tensor *in,
              size_t nin, struct tensor **out);

/* Zeros (and empty strings) in the shape of the inputs, 1 where the size is open. */
int model_zeros(struct ctx *c, const struct tensor_spec *specs, size_t n, struct tensor **out);

#endif
