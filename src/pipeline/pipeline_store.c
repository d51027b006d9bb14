/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline_store.h"

#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

#define COLUMNS                                                                                    \
    "v.name, v.version, v.description, v.definition, v.digest, v.created_by, v.created_ms"

static const char *owner(struct ctx *c, const char *name, int64_t version) {
    return arena_printf(c->arena, "pipeline:%s/%lld", name, (long long)version);
}

/* Blobs of all versions hang on one owner, named with its project. */
static const char *blob_owner(struct ctx *c, const char *name) {
    return arena_printf(c->arena, "pipeline:%lld/%s", (long long)c->project, name);
}

static void row_read(struct ctx *c, struct stmt *st, struct pipeline_row *p) {
    *p = (struct pipeline_row){.name = stmt_text(c, st, 0),
                               .version = stmt_i64(st, 1),
                               .description = stmt_text(c, st, 2),
                               .definition = stmt_text(c, st, 3),
                               .digest = stmt_text(c, st, 4),
                               .created_by = stmt_text(c, st, 5),
                               .created_ms = stmt_i64(st, 6)};
}

int pipeline_put(struct ctx *c, const struct pipeline_row *p, const struct source_files *files,
                 int64_t *version, bool *made) {
    int64_t newest = 0;
    char *digest = NULL;
    int rc = db_get_i64(
        c,
        "SELECT COALESCE(MAX(version), 0) FROM pipeline_version WHERE project_id = ? AND "
        "name = ?",
        &newest, NULL, "is", c->project, p->name);
    rc = rc ? rc
            : db_get_text(
                  c,
                  "SELECT digest FROM pipeline_version WHERE project_id = ? AND name = ? AND "
                  "version = ?",
                  &digest, "isi", c->project, p->name, newest);
    *made = rc == 0 && !(digest && str_eq(digest, p->digest));
    *version = *made ? newest + 1 : newest;
    if (rc || !*made) {
        return rc;
    }
    rc =
        db_exec(c,
                "INSERT INTO pipeline_version (project_id, name, version, description, definition, "
                "digest, created_ms, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                "isisssis", c->project, p->name, *version, p->description ? p->description : "",
                p->definition, p->digest, c->now_ms, c->who.name);
    rc = rc ? rc
            : db_exec(
                  c,
                  "INSERT INTO pipeline (project_id, name, version, created_ms, updated_ms) VALUES "
                  "(?, ?, ?, ?, ?) ON CONFLICT (project_id, name) DO UPDATE SET version = "
                  "excluded.version, updated_ms = excluded.updated_ms",
                  "isiii", c->project, p->name, *version, c->now_ms, c->now_ms);
    rc = rc ? rc : files_insert(c, owner(c, p->name, *version), files);
    for (size_t i = 0; rc == 0 && i < files->n; i++) {
        rc = blob_ref_add(c, blob_owner(c, p->name), files->items[i].sha256);
    }
    return rc;
}

int pipeline_load(struct ctx *c, const char *name, int64_t version, struct pipeline_row *out) {
    struct stmt *st =
        db_query(c,
                 "SELECT " COLUMNS " FROM pipeline_version v JOIN pipeline p ON "
                 "p.project_id = v.project_id AND p.name = v.name WHERE v.project_id = ? "
                 "AND v.name = ? AND v.version = COALESCE(NULLIF(?, 0), p.version)",
                 "isi", c->project, name, version);
    int rc = stmt_next(st);
    if (rc > 0) {
        row_read(c, st, out);
    }
    stmt_end(st);
    if (rc) {
        return rc < 0 ? rc : 0;
    }
    return version ? fail_field(c, ERR_NOT_FOUND, "version", "pipeline %s has no version %lld",
                                name, (long long)version)
                   : fail_field(c, ERR_NOT_FOUND, "name", "there is no pipeline %s", name);
}

int pipeline_files(struct ctx *c, const char *name, int64_t version, struct source_files *out) {
    return files_load(c, owner(c, name, version), out);
}

static int rows(struct ctx *c, struct stmt *st, struct pipeline_row **out, size_t *n) {
    int rc;
    *out = NULL;
    *n = 0;
    while ((rc = stmt_next(st)) > 0) {
        *out = rows_grown(c, *out, *n, sizeof **out);
        row_read(c, st, &(*out)[(*n)++]);
    }
    stmt_end(st);
    return rc;
}

int pipeline_list(struct ctx *c, int64_t limit, int64_t offset, struct pipeline_row **out,
                  size_t *n) {
    return rows(
        c,
        db_query(c,
                 "SELECT " COLUMNS " FROM pipeline p JOIN pipeline_version v ON v.project_id = "
                 "p.project_id AND v.name = p.name AND v.version = p.version WHERE p.project_id "
                 "= ? ORDER BY p.name LIMIT ? OFFSET ?",
                 "iii", c->project, limit, offset),
        out, n);
}

int pipeline_versions(struct ctx *c, const char *name, struct pipeline_row **out, size_t *n) {
    return rows(c,
                db_query(c,
                         "SELECT " COLUMNS
                         " FROM pipeline_version v WHERE v.project_id = ? AND v.name = "
                         "? ORDER BY v.version DESC LIMIT 1000",
                         "is", c->project, name),
                out, n);
}

int pipeline_delete(struct ctx *c, const char *name) {
    int rc = db_exec(
        c,
        "DELETE FROM pipeline_file WHERE project_id = ? AND owner IN (SELECT 'pipeline:' || "
        "name || '/' || version FROM pipeline_version WHERE project_id = ? AND name = ?)",
        "iis", c->project, c->project, name);
    rc = rc ? rc
            : db_exec(c, "DELETE FROM pipeline_version WHERE project_id = ? AND name = ?", "is",
                      c->project, name);
    rc = rc ? rc
            : db_exec(c, "DELETE FROM pipeline WHERE project_id = ? AND name = ?", "is", c->project,
                      name);
    if (rc == 0 && db_changes(c) == 0) {
        return fail_field(c, ERR_NOT_FOUND, "name", "there is no pipeline %s", name);
    }
    return rc ? rc : blob_ref_drop(c, blob_owner(c, name));
}
