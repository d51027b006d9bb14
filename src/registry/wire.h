/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_REGISTRY_PRIVATE_WIRE_H
#define QUERN_REGISTRY_PRIVATE_WIRE_H
/* Wire: models and versions as they are written, with their tags and aliases. */
#include "quern/core/shape.h"

struct ctx;
struct model_row;
struct version_row;
struct version_rows;

struct tag_wire {
    const char *key, *value;
};
struct alias_wire {
    const char *alias, *version;
};
struct version_wire {
    const char *name, *version;
    struct opt_i64 creation_timestamp, last_updated_timestamp;
    const char *current_stage, *description, *source, *run_id, *status, *run_link;
    struct list tags;
    struct strs aliases;
};
struct model_wire {
    const char *name;
    struct opt_i64 creation_timestamp, last_updated_timestamp;
    const char *description;
    struct list latest_versions, tags, aliases;
};

extern const struct shape shape_registry_tag, shape_model_version, shape_registered_model;

int show_version(struct ctx *c, const struct version_row *v, struct version_wire *out);
int show_versions(struct ctx *c, const struct version_rows *rows, struct list *out);
int show_model(struct ctx *c, const struct model_row *m, struct model_wire *out);
/* As many queries for many models as for one. */
int show_models(struct ctx *c, const struct model_row *rows, size_t n, struct model_wire *out);

#endif
