/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_JSON_PART_H
#define QUERN_TRANSFER_JSON_PART_H
/* Json part: JSON within a thing, in the one form in which every source gives it, whatever blanks
 * and forms of numbers it came with: digests compare these texts. No blanks, members as they came,
 * numbers as quern/json/json_out.h has them. JSON's null is NULL, nothing. What cannot be kept as
 * it is (NaN, an integer beyond 64 bits, a NUL), or is of another type than `must` (JSON_NULL:
 * any), is told in the context. */
#include <jansson.h>

struct copy_evaluation;
struct ctx;

const char *json_part(struct ctx *c, const json_t *v, json_type must);
const char *json_part_text(struct ctx *c, const char *text, json_type must); /* NULL: nothing */
const char *json_part_filled(const char *part); /* an empty list or object is nothing, too */
/* Every part of one whose parts are texts: 0, or the fault that was told. */
int json_parts_evaluation(struct ctx *c, struct copy_evaluation *e);

#endif
