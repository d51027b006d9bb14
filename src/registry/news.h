/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_REGISTRY_PRIVATE_NEWS_H
#define QUERN_REGISTRY_PRIVATE_NEWS_H
/* News: the registry's events as MLflow's webhooks tell them, with their data to the letter.
 * Prompts, registered models with a tag, have names of their own. Inside the write of the change.
 */
#include <stdbool.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;
struct model_row;
struct version_row;

int news_model_created(struct ctx *c, const struct model_row *m, const struct pairs *tags,
                       bool prompt);
int news_version_created(struct ctx *c, const struct version_row *v, const struct pairs *tags,
                         bool prompt);
/* value NULL: deleted. Models' own tags are told of for prompts alone. */
int news_model_tag(struct ctx *c, const struct model_row *m, const char *key, const char *value);
int news_version_tag(struct ctx *c, const struct version_row *v, const char *key,
                     const char *value);
/* version 0: deleted */
int news_alias(struct ctx *c, int64_t model, const char *name, const char *alias, int64_t version);

#endif
