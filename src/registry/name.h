/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_REGISTRY_PRIVATE_NAME_H
#define QUERN_REGISTRY_PRIVATE_NAME_H
/* Name: what names, keys, aliases, stages and version numbers may look like, with MLflow's words.
 */
#include <stddef.h>
#include <stdint.h>

struct ctx;

#define TAG_KEY_MAX 250
#define TAG_VALUE_MAX 100000
#define ALIAS_MAX 255
#define MODEL_NAME_MAX 256
#define SOURCE_MAX 2048

int model_name_check(struct ctx *c, const char *name);
int alias_check(struct ctx *c, const char *alias);
int tag_check(struct ctx *c, const char *key, const char *value);
int length_check(struct ctx *c, const char *label, const char *text, size_t points);
int version_number(struct ctx *c, const char *text, int64_t *out);
/* "staging" to "Staging"; ERR_INVALID on anything that is no stage. */
int stage_name(struct ctx *c, const char *text, const char **stage);

#endif
