/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ort_library.h"

static const struct {
    const char *name;
    int ort;
    unsigned size;
} rows[DT_COUNT] = {
    [DT_BOOL] = {"BOOL", ORT_BOOL, 1},
    [DT_UINT8] = {"UINT8", ORT_UINT8, 1},
    [DT_UINT16] = {"UINT16", ORT_UINT16, 2},
    [DT_UINT32] = {"UINT32", ORT_UINT32, 4},
    [DT_UINT64] = {"UINT64", ORT_UINT64, 8},
    [DT_INT8] = {"INT8", ORT_INT8, 1},
    [DT_INT16] = {"INT16", ORT_INT16, 2},
    [DT_INT32] = {"INT32", ORT_INT32, 4},
    [DT_INT64] = {"INT64", ORT_INT64, 8},
    [DT_FP16] = {"FP16", ORT_FLOAT16, 2},
    [DT_FP32] = {"FP32", ORT_FLOAT, 4},
    [DT_FP64] = {"FP64", ORT_DOUBLE, 8},
    [DT_BF16] = {"BF16", ORT_BFLOAT16, 2},
    [DT_BYTES] = {"BYTES", ORT_STRING, sizeof(struct bytes)},
};

const char *dtype_name(enum dtype t) {
    return t < DT_COUNT ? rows[t].name : "?";
}

int dtype_parse(const char *name, enum dtype *out) {
    for (int i = 0; i < DT_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0) {
            *out = (enum dtype)i;
            return 0;
        }
    return -1;
}

size_t dtype_size(enum dtype t) {
    return rows[t].size;
}

int dtype_of_ort(int element, enum dtype *out) {
    for (int i = 0; i < DT_COUNT; i++)
        if (rows[i].ort == element) {
            *out = (enum dtype)i;
            return 0;
        }
    return -1;
}

int dtype_to_ort(enum dtype t) {
    return rows[t].ort;
}
