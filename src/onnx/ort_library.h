/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ONNX_ORT_LIBRARY_H
#define QUERN_ONNX_ORT_LIBRARY_H
/* Ort library: the opened runtime, shared by this folder's files. */
#include "ort_abi.h"
#include "quern/onnx/tensor.h"

struct ctx;

extern struct ort ort; /* filled by onnx_open, read-only afterwards */

/* Takes ownership of a status; 0 for NULL, else fail() with the runtime's words and `what`.
 * `fallback` is the code used unless the runtime says that an argument was wrong. */
int ort_check(struct ctx *c, ort_status *status, int fallback, const char *what);
void ort_ignore(ort_status *status);
int dtype_of_ort(int element, enum dtype *out); /* 0 or -1 */
int dtype_to_ort(enum dtype t);

#endif
