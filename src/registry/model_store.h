/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_REGISTRY_PRIVATE_MODEL_STORE_H
#define QUERN_REGISTRY_PRIVATE_MODEL_STORE_H
/* Model store: statements on registered_model, its tags and aliases. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;
struct stmt;
struct model_row;

#define MODEL_COLUMNS "m.id, m.name, m.description, m.created_ms, m.updated_ms"

void model_store_read(struct ctx *c, struct stmt *st, struct model_row *out); /* MODEL_COLUMNS */
int model_store_get(struct ctx *c, const char *name, struct model_row *out, bool *found);
int model_store_insert(struct ctx *c, struct model_row *row); /* fills id */
int model_store_update(struct ctx *c, const struct model_row *row);
int model_store_touch(struct ctx *c, int64_t id);
int model_store_delete(struct ctx *c, int64_t id);
int model_store_next_version(struct ctx *c, int64_t id, int64_t *version);
int model_store_set_tag(struct ctx *c, int64_t id, const char *key, const char *value);
int model_store_delete_tag(struct ctx *c, int64_t id, const char *key, bool *there);
int model_store_tags(struct ctx *c, int64_t id, struct pairs *out);
int model_store_has_tag(struct ctx *c, int64_t id, const char *key, const char *value, bool *has);

struct alias_row {
    const char *alias;
    int64_t version;
};
struct alias_rows {
    struct alias_row *items;
    size_t n;
};
/* version 0: all of the model's */
int alias_store_list(struct ctx *c, int64_t model, int64_t version, struct alias_rows *out);
int alias_store_get(struct ctx *c, int64_t model, const char *alias, int64_t *version, bool *found);
int alias_store_set(struct ctx *c, int64_t model, const char *alias, int64_t version);
int alias_store_delete(struct ctx *c, int64_t model, const char *alias);

/* Of several models by one query: `ids` is a JSON array of their numbers, `out` has as many zeroed
 * items. */
const char *model_store_ids(struct ctx *c, const struct model_row *rows, size_t n);
int model_store_tags_of(struct ctx *c, const char *ids, size_t n, struct pairs *out);
int alias_store_list_of(struct ctx *c, const char *ids, size_t n, struct alias_rows *out);

/* Rows of two text columns, in the order of the statement. */
int pairs_read(struct ctx *c, struct stmt *st, struct pairs *out);

#endif
