/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_REGISTRY_PRIVATE_VERSION_H
#define QUERN_REGISTRY_PRIVATE_VERSION_H
/* Version: the rules of model versions and their stages. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/access/access.h"
#include "quern/core/shape.h"

struct artifact_place;
struct ctx;
struct model_row;

struct version_row {
    int64_t model;
    const char *name;
    int64_t version;
    const char *source, *storage; /* storage NULL: the source is where the bytes are */
    const char *run_id, *run_link, *logged_model, *description, *stage, *status;
    int64_t created_ms, updated_ms;
};
struct version_rows {
    struct version_row *items;
    size_t n, cap;
};

struct version_new {
    const char *name, *source, *run_id, *run_link, *description, *model_id;
    struct pairs tags;
};

/* The model must be there. */
int version_create(struct ctx *c, const struct version_new *in, struct version_row *out);
/* ERR_NOT_FOUND, or ERR_FORBIDDEN when the caller may not do this with its model. */
int version_find(struct ctx *c, const char *name, int64_t version, enum object_need need,
                 struct version_row *out);
int version_describe(struct ctx *c, const char *name, int64_t version, const char *description,
                     struct version_row *out);
int version_delete(struct ctx *c, const char *name, int64_t version);
int version_transition(struct ctx *c, const char *name, int64_t version, const char *stage,
                       bool archive_others, struct version_row *out);
int version_set_tag(struct ctx *c, const char *name, int64_t version, const char *key,
                    const char *value);
int version_delete_tag(struct ctx *c, const char *name, int64_t version, const char *key);
/* Newest of each asked stage; none asked: of each stage that has any. */
int versions_latest(struct ctx *c, const struct model_row *m, const struct strs *stages,
                    struct version_rows *out);
const char *version_uri(const struct version_row *v); /* where a client fetches from */
/* Where this server reads the model's folder; *found false when it does not. */
int version_place(struct ctx *c, const struct version_row *v, struct artifact_place *out,
                  bool *found);
/* Logical path of the model's folder; NULL when the bytes are not ours. */
int version_artifact_path(struct ctx *c, const struct version_row *v, const char **path);

#endif
