/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_JSON_VALUE_H
#define QUERN_PIPELINE_JSON_VALUE_H
/* Json value: the values that travel between steps, as jansson trees that hang on an arena. */
#include <stdbool.h>
#include <stddef.h>

#include "quern/core/shape.h"

struct ctx;
struct json_t;

/* Hangs the reference on the arena and gives it back, so that callers may borrow freely. */
struct json_t *json_on_arena(struct ctx *c, struct json_t *t);
/* Follows "a.b[0].c". At an object the longest member name that fits wins, so that the flat name
 * "val.loss" is found as well as val: {loss}. NULL when there is nothing. Borrowed. */
struct json_t *json_walk(struct json_t *root, const char *path);
/* Text without blanks and with sorted keys: equal values give equal bytes. */
char *json_canonical(struct ctx *c, const struct json_t *t);
/* A value as an argument: text as it is, numbers in their shortest form, all else as JSON. */
char *json_argument(struct ctx *c, const struct json_t *t);
/* Every number in a tree under its dotted name; booleans count as 0 and 1, list items by index. */
int json_flatten(struct ctx *c, struct json_t *t, struct fpairs *out);
bool json_number(const struct json_t *t, double *out); /* integer, real */

#endif
