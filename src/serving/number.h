/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_NUMBER_H
#define QUERN_SERVING_NUMBER_H
/* Number: JSON number literals to exact values, and values to the shortest text. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/onnx/tensor.h"

struct number {
    double value;       /* correctly rounded; infinite when the literal is out of range */
    uint64_t magnitude; /* of an integer literal */
    bool negative;
    bool integer; /* literal without fraction and exponent whose magnitude fits 64 bits */
};

/* Reads one literal of JSON's grammar. Returns the first byte after it, NULL when there is none.
 * The byte at `end` must be readable and no part of a number (a NUL). */
const char *number_scan(const char *p, const char *end, struct number *out);

/* Stores a number as an element of a numeric type. `strict` refuses "1.0" where an integer is
 * wanted. NULL on success, else what the type wants: "wants an integer". */
const char *number_store(const struct number *n, enum dtype t, bool strict, void *element);

/* Shortest decimal that reads back as the same float, never without '.' or an exponent. Finite
 * values only. At most 24 bytes; no NUL is written. Returns the length. */
size_t number_print_f32(float v, char *out);

#endif
