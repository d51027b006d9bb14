/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_REGISTRY_PRIVATE_VERSION_STORE_H
#define QUERN_REGISTRY_PRIVATE_VERSION_STORE_H
/* Version store: statements on model_version and its tags. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;
struct stmt;
struct version_row;
struct version_rows;

#define VERSION_COLUMNS                                                                            \
    "v.model, m.name, v.version, v.source, v.storage, v.run_id, v.run_link, v.logged_model,"       \
    " v.description, v.stage, v.status, v.created_ms, v.updated_ms"
#define VERSION_TABLES "model_version v JOIN registered_model m ON m.id = v.model"

int version_store_read_all(struct ctx *c, struct stmt *st, struct version_rows *out);
int version_store_get(struct ctx *c, const char *name, int64_t version, struct version_row *out,
                      bool *found);
int version_store_all(struct ctx *c, int64_t model, struct version_rows *out);
int version_store_latest(struct ctx *c, int64_t model, const char *stage,
                         struct version_rows *out); /* appends one or none */
/* The newest of each stage, for several models (model_store_ids): model by model, stages in their
 * usual order. */
int version_store_latest_of(struct ctx *c, const char *ids, struct version_rows *out);
int version_store_newest(struct ctx *c, int64_t model, int64_t *version, bool *found);
int version_store_insert(struct ctx *c, const struct version_row *row);
int version_store_update(struct ctx *c, const struct version_row *row);
int version_store_delete(struct ctx *c, int64_t model, int64_t version);
int version_store_archive_others(struct ctx *c, int64_t model, int64_t version, const char *stage);
int version_store_set_tag(struct ctx *c, int64_t model, int64_t version, const char *key,
                          const char *value);
int version_store_delete_tag(struct ctx *c, int64_t model, int64_t version, const char *key,
                             bool *there);
/* Of each row in turn; `out` has as many zeroed items. */
int version_store_tags_of(struct ctx *c, const struct version_rows *rows, struct pairs *out);
int version_store_aliases_of(struct ctx *c, const struct version_rows *rows, struct strs *out);

#endif
