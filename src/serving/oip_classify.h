/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_OIP_CLASSIFY_H
#define QUERN_SERVING_OIP_CLASSIFY_H
/* Oip classify: the classification extension. An output becomes texts "value:index" or
 * "value:index:label", the best classes of each row, best first. */
#include <stddef.h>
#include <stdint.h>

#include "quern/onnx/tensor.h"

struct ctx;

/* Replaces *t by its `classes` best, [rows, classes]; fewer when there are fewer. Rows are the
 * first dimension; the one row of an output without it. NaN comes last. ERR_INVALID for outputs
 * that are no numbers. */
int oip_classify(struct ctx *c, uint64_t classes, struct tensor *t);

#endif
