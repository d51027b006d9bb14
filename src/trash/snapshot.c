/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshot: shapes over the structs of quern/registry/copy.h, whose fields are plain; the rows here
 * have the optional types that shapes need. */
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "quern/registry/copy.h"
#include "trash.h"

struct version {
    const char *source, *storage, *run_id, *run_link, *logged_model, *description, *stage, *status;
    struct opt_i64 version, created_ms, updated_ms;
    struct pairs tags;
};
#define V(m, t) FIELD(struct version, m, t, F_ALWAYS | F_EMPTY_OK, "")
SHAPE_LOCAL(version_shape, "TrashVersion", struct version, V(version, T_I64), V(source, T_STR),
            FIELD(struct version, storage, T_STR, F_EMPTY_OK, ""), V(run_id, T_STR),
            V(run_link, T_STR), V(logged_model, T_STR), V(description, T_STR), V(stage, T_STR),
            V(status, T_STR), V(created_ms, T_I64), V(updated_ms, T_I64), V(tags, T_MAP));

struct alias {
    const char *alias;
    struct opt_i64 version;
};
SHAPE_LOCAL(alias_shape, "TrashAlias", struct alias,
            FIELD(struct alias, alias, T_STR, F_REQUIRED, ""),
            FIELD(struct alias, version, T_I64, F_REQUIRED, ""));

struct model {
    const char *name, *description;
    struct opt_i64 created_ms, updated_ms, last_version;
    struct pairs tags;
    struct list aliases, versions;
};
#define M(m, t) FIELD(struct model, m, t, F_ALWAYS | F_EMPTY_OK, "")
SHAPE_LOCAL(model_shape, "TrashModel", struct model, M(name, T_STR), M(description, T_STR),
            M(created_ms, T_I64), M(updated_ms, T_I64), M(last_version, T_I64), M(tags, T_MAP),
            FIELD_SUB(struct model, aliases, T_LIST, F_ALWAYS, &alias_shape, ""),
            FIELD_SUB(struct model, versions, T_LIST, F_ALWAYS, &version_shape, ""));

const char *snapshot_text(struct ctx *c, const struct copy_registered *in) {
    struct alias *a = ARENA_ARRAY(c->arena, struct alias, in->naliases + 1);
    struct version *v = ARENA_ARRAY(c->arena, struct version, in->nversions + 1);
    for (size_t i = 0; i < in->naliases; i++)
        a[i] = (struct alias){in->aliases[i].alias, SET_I64(in->aliases[i].version)};
    for (size_t i = 0; i < in->nversions; i++) {
        const struct copy_version *from = &in->versions[i];
        v[i] = (struct version){.source = from->source,
                                .storage = from->storage,
                                .run_id = from->run_id,
                                .run_link = from->run_link,
                                .logged_model = from->logged_model,
                                .description = from->description,
                                .stage = from->stage,
                                .status = from->status,
                                .version = SET_I64(from->version),
                                .created_ms = SET_I64(from->created_ms),
                                .updated_ms = SET_I64(from->updated_ms),
                                .tags = from->tags};
    }
    struct model m = {.name = in->name,
                      .description = in->description,
                      .created_ms = SET_I64(in->created_ms),
                      .updated_ms = SET_I64(in->updated_ms),
                      .last_version = SET_I64(in->last_version),
                      .tags = in->tags,
                      .aliases = {a, in->naliases},
                      .versions = {v, in->nversions}};
    struct buf text = {0};
    json_encode(&text, &model_shape, &m);
    const char *out = arena_strndup(c->arena, text.data, text.len);
    buf_free(&text);
    return out;
}

int snapshot_read(struct ctx *c, const char *text, struct copy_registered *out) {
    struct model m = {0};
    struct json_t *tree = NULL;
    int rc = json_parse(c, DIALECT_PROBLEM, text, strlen(text), &tree);
    if (rc == 0)
        rc = json_decode(c, DIALECT_PROBLEM, &model_shape, tree, NULL, NULL, &m);
    if (rc != 0)
        return rc;
    *out = (struct copy_registered){.name = m.name,
                                    .description = m.description,
                                    .created_ms = m.created_ms.v,
                                    .updated_ms = m.updated_ms.v,
                                    .last_version = m.last_version.v,
                                    .tags = m.tags,
                                    .naliases = m.aliases.n,
                                    .nversions = m.versions.n};
    out->aliases = ARENA_ARRAY(c->arena, struct copy_alias, m.aliases.n + 1);
    out->versions = ARENA_ARRAY(c->arena, struct copy_version, m.versions.n + 1);
    const struct alias *a = m.aliases.items;
    const struct version *v = m.versions.items;
    for (size_t i = 0; i < m.aliases.n; i++)
        out->aliases[i] = (struct copy_alias){a[i].alias, a[i].version.v};
    for (size_t i = 0; i < m.versions.n; i++)
        out->versions[i] = (struct copy_version){.version = v[i].version.v,
                                                 .source = v[i].source,
                                                 .storage = v[i].storage,
                                                 .run_id = v[i].run_id,
                                                 .run_link = v[i].run_link,
                                                 .logged_model = v[i].logged_model,
                                                 .description = v[i].description,
                                                 .stage = v[i].stage,
                                                 .status = v[i].status,
                                                 .created_ms = v[i].created_ms.v,
                                                 .updated_ms = v[i].updated_ms.v,
                                                 .tags = v[i].tags};
    return 0;
}
