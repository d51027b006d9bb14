/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GENAI_RECORD_SCHEMA_H
#define QUERN_GENAI_RECORD_SCHEMA_H
/* Record schema: names and types of the fields that records of a dataset have had so far, told by
 * part (inputs, outputs, expectations). */

struct ctx;
struct json_t;

/* From its text (NULL: a new one); goes with the arena. */
struct json_t *schema_open(struct ctx *c, const char *text);
/* The first type of a field stays. */
void schema_learn(struct json_t *schema, const struct json_t *record);

#endif
