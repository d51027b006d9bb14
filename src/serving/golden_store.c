/* SPDX-License-Identifier: Apache-2.0 */
#include "golden_store.h"

#include <inttypes.h>
#include <string.h>

#include "folder.h"
#include "golden.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/registry/registry.h"

int golden_store_get(struct ctx *c, const char *name, int64_t version, enum object_need need,
                     struct golden_row *out) {
    *out = (struct golden_row){.version = version};
    bool found = false;
    struct stmt *st = db_query(c,
                               "SELECT v.model, g.sha256, g.size, g.cases, g.updated_ms "
                               "FROM registered_model m JOIN model_version v ON v.model = m.id "
                               "LEFT JOIN model_version_golden g ON g.model = v.model AND "
                               "g.version = v.version "
                               "WHERE m.project_id = ? AND m.name = ? AND v.version = ?",
                               "isi", c->project, name, version);
    int rc = stmt_next(st);
    if (rc > 0) {
        found = true;
        out->model = stmt_i64(st, 0);
        if (!stmt_null(st, 1)) {
            str_copy(out->sha256, sizeof out->sha256, stmt_text(c, st, 1));
            out->size = stmt_i64(st, 2);
            out->cases = stmt_i64(st, 3);
            out->updated_ms = stmt_i64(st, 4);
        }
        rc = 0;
    }
    stmt_end(st);
    if (rc < 0)
        return rc;
    if (!found) {
        access_object_nothing(c);
        return fail(c, ERR_NOT_FOUND, "model '%.200s' has no version %" PRId64, name, version);
    }
    return access_object(c, OBJECT_MODEL, out->model, need);
}

static const char *owner(struct ctx *c, const struct golden_row *r) {
    return arena_printf(c->arena, "golden:%" PRId64 "/%" PRId64, r->model, r->version);
}

int golden_store_put(struct ctx *c, const struct golden_row *r) {
    int rc = blob_ref_drop(c, owner(c, r));
    if (rc == 0)
        rc = blob_ref_add(c, owner(c, r), r->sha256);
    return rc < 0
               ? rc
               : db_exec(c,
                         "INSERT INTO model_version_golden (model, version, sha256, size, "
                         "cases, updated_ms) VALUES (?, ?, ?, ?, ?, ?) "
                         "ON CONFLICT (model, version) DO UPDATE SET sha256 = "
                         "excluded.sha256, size = excluded.size, cases = excluded.cases, "
                         "updated_ms = excluded.updated_ms",
                         "iisiii", r->model, r->version, r->sha256, r->size, r->cases, c->now_ms);
}

int golden_store_delete(struct ctx *c, const struct golden_row *r) {
    return db_exec(c, "DELETE FROM model_version_golden WHERE model = ? AND version = ?", "ii",
                   r->model, r->version);
}

int golden_find(struct ctx *c, const struct model_version_info *info, const struct folder *files,
                struct golden_row *out) {
    struct folder found;
    int rc = golden_store_get(c, info->name, info->version, OBJECT_READ, out);
    if (rc < 0 || *out->sha256)
        return rc;
    if (!files) {
        if (folder_find(c, info, &found) < 0)
            err_clear(c); /* what is no ONNX model may have golden cases all the same */
        files = &found;
    }
    const char *want = arena_printf(c->arena, "%s%s", files->base, GOLDEN_FILE);
    for (size_t i = 0; *files->base && i < files->files.n; i++) {
        const struct artifact_entry *e = &files->files.items[i];
        if (strcmp(e->path, want) != 0)
            continue;
        str_copy(out->sha256, sizeof out->sha256, e->sha256);
        out->size = e->size;
        out->file = true;
    }
    return 0;
}
