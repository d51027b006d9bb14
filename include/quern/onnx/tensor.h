/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ONNX_TENSOR_H
#define QUERN_ONNX_TENSOR_H
/* Tensor: a named array, row-major; the one internal form of every prediction. */
#include <stddef.h>
#include <stdint.h>

enum dtype {
    DT_BOOL,
    DT_UINT8,
    DT_UINT16,
    DT_UINT32,
    DT_UINT64,
    DT_INT8,
    DT_INT16,
    DT_INT32,
    DT_INT64,
    DT_FP16,
    DT_FP32,
    DT_FP64,
    DT_BF16,
    DT_BYTES, /* data is struct bytes[] */
    DT_COUNT
};

struct bytes {
    const char *data;
    size_t len;
};

#define TENSOR_MAX_RANK 16

struct tensor {
    const char *name;
    enum dtype dtype;
    size_t rank;
    int64_t shape[TENSOR_MAX_RANK];
    size_t count;               /* product of shape */
    void *data;                 /* count elements */
    const char *const *classes; /* labels along the last axis (ZipMap), or NULL */
};

struct tensor_spec {
    const char *name;
    enum dtype dtype;
    size_t rank;
    int64_t shape[TENSOR_MAX_RANK]; /* -1: any */
    const char *const *classes;     /* unknown before a run: NULL */
};

const char *dtype_name(enum dtype t);               /* OIP's: "BOOL" "FP32" "BYTES" */
int dtype_parse(const char *name, enum dtype *out); /* 0 or -1 */
size_t dtype_size(enum dtype t);                    /* bytes; sizeof(struct bytes) for BYTES */

#endif
