/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_REGISTRY_PRIVATE_MODEL_H
#define QUERN_REGISTRY_PRIVATE_MODEL_H
/* Model: the rules of registered models and of their aliases. */
#include <stdint.h>

#include "quern/access/access.h"
#include "quern/core/shape.h"

struct ctx;

struct model_row {
    int64_t id;
    const char *name, *description;
    int64_t created_ms, updated_ms;
};

int model_create(struct ctx *c, const char *name, const char *description, const struct pairs *tags,
                 struct model_row *out);
/* ERR_NOT_FOUND, or ERR_FORBIDDEN when the caller may not do this with it. */
int model_find(struct ctx *c, const char *name, enum object_need need, struct model_row *out);
int model_describe(struct ctx *c, const char *name, const char *description,
                   struct model_row *out); /* NULL clears it */
int model_rename(struct ctx *c, const char *name, const char *to, struct model_row *out);
int model_delete(struct ctx *c, const char *name);
int model_set_tag(struct ctx *c, const char *name, const char *key, const char *value);
int model_delete_tag(struct ctx *c, const char *name, const char *key);
int model_alias_drop(struct ctx *c, const char *name, const char *alias); /* absent is fine */
/* The version that the alias names, "latest" included. ERR_INVALID when there is no such alias. */
int model_alias_version(struct ctx *c, const char *name, const char *alias, int64_t *version);
/* Tells of an alias that was moved, set (from 0) or dropped (to 0). */
int alias_moved(struct ctx *c, const char *name, const char *alias, int64_t from, int64_t to);
/* Before a model (version 0) or a version is deleted. */
int registry_tell_deleting(struct ctx *c, const char *name, int64_t version);
/* A run's token registers versions of its own run and changes nothing else. */
int registry_check_caller(struct ctx *c, const char *run_id);

#endif
