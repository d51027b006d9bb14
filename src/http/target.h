/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_HTTP_TARGET_H
#define QUERN_HTTP_TARGET_H
/* Target: "/path?query" in origin form, checked once and decoded once. */
#include <stdbool.h>
#include <stddef.h>

#include "quern/core/shape.h"

struct arena;

#define TARGET_SEGMENTS_MAX 64u

/* NULL, or a constant sentence that says what is wrong. Of the path: no bytes outside printable
 * ASCII, no '#', no '\', no empty or dot segment (also after decoding), no escape of NUL, '/', '\'
 * or a control character. Of the query: printable ASCII, whole escapes, none of NUL. */
const char *target_check(const char *target, size_t n);

struct segment {
    const char *text; /* decoded, NUL-terminated */
    size_t len;
};

/* Splits a checked path (no query) into decoded segments; "/a/" ends with an empty segment.
 * Returns how many, or -1 when there are more than max. */
int target_segments(struct arena *a, const char *path, size_t n, struct segment *out, size_t max);

/* Pairs of a checked query, decoded, '+' is a space. */
void target_query(struct arena *a, const char *query, struct pairs *out);

#endif
