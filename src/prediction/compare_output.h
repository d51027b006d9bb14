/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_COMPARE_OUTPUT_H
#define QUERN_PREDICTION_COMPARE_OUTPUT_H
/* Compare output: what is told of one output, between compare's two files. */
#include <stdint.h>

#include "sample.h"

struct map;

#define COMPARE_PAIRS 1000 /* that are counted */

struct output {
    uint64_t values, agreed, numbers;
    double signed_sum;
    struct sample apart;
    struct map *pairs; /* "a -> b" to a uint64_t */
};

#endif
