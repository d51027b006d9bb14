/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_OIP_PARAMETERS_H
#define QUERN_SERVING_OIP_PARAMETERS_H
/* Oip parameters: the objects of scalars that the Open Inference Protocol allows at requests,
 * inputs and outputs. Those that it reserves are read and checked, others are kept for policies. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/onnx/tensor.h"

struct scan;

/* text: of a string what it says, of numbers and booleans the literal. */
struct oip_parameter {
    struct bytes key, text;
};

struct oip_parameters {
    bool has_size, has_binary, binary, has_output, output, base64;
    uint64_t size;       /* binary_data_size */
    uint64_t classes;    /* classification; 0: none */
    uint64_t timeout_us; /* 0: none */
    struct oip_parameter *items;
    size_t n;
};

/* Fails with ERR_INVALID naming the parameter. Values that are no scalars (servers behind proxies
 * get headers so) are skipped. */
int oip_parameters_scan(struct scan *s, struct oip_parameters *out);

#endif
