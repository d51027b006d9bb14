/* SPDX-License-Identifier: Apache-2.0 */
#include "version_store.h"

#include <string.h>

#include "model_store.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "version.h"

int version_store_read_all(struct ctx *c, struct stmt *st, struct version_rows *out) {
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        if (out->n == out->cap) {
            out->cap = out->cap ? out->cap * 2 : 8;
            struct version_row *more = ARENA_ARRAY(c->arena, struct version_row, out->cap);
            if (out->n)
                memcpy(more, out->items, out->n * sizeof(*more));
            out->items = more;
        }
        out->items[out->n++] = (struct version_row){.model = stmt_i64(st, 0),
                                                    .name = stmt_text(c, st, 1),
                                                    .version = stmt_i64(st, 2),
                                                    .source = stmt_text(c, st, 3),
                                                    .storage = stmt_text(c, st, 4),
                                                    .run_id = stmt_text(c, st, 5),
                                                    .run_link = stmt_text(c, st, 6),
                                                    .logged_model = stmt_text(c, st, 7),
                                                    .description = stmt_text(c, st, 8),
                                                    .stage = stmt_text(c, st, 9),
                                                    .status = stmt_text(c, st, 10),
                                                    .created_ms = stmt_i64(st, 11),
                                                    .updated_ms = stmt_i64(st, 12)};
    }
    return rc;
}

int version_store_get(struct ctx *c, const char *name, int64_t version, struct version_row *out,
                      bool *found) {
    struct version_rows rows = {0};
    int rc = version_store_read_all(c,
                                    db_query(c,
                                             "SELECT " VERSION_COLUMNS " FROM " VERSION_TABLES
                                             " WHERE m.project_id = ? AND m.name = ?"
                                             " AND v.version = ?",
                                             "isi", c->project, name, version),
                                    &rows);
    *found = rows.n > 0;
    if (rows.n > 0)
        *out = rows.items[0];
    return rc;
}

int version_store_all(struct ctx *c, int64_t model, struct version_rows *out) {
    return version_store_read_all(c,
                                  db_query(c,
                                           "SELECT " VERSION_COLUMNS " FROM " VERSION_TABLES
                                           " WHERE v.model = ? ORDER BY v.version",
                                           "i", model),
                                  out);
}

int version_store_latest(struct ctx *c, int64_t model, const char *stage,
                         struct version_rows *out) {
    return version_store_read_all(c,
                                  db_query(c,
                                           "SELECT " VERSION_COLUMNS " FROM " VERSION_TABLES
                                           " WHERE v.model = ? AND v.stage = ?"
                                           " ORDER BY v.version DESC LIMIT 1",
                                           "is", model, stage),
                                  out);
}

int version_store_newest(struct ctx *c, int64_t model, int64_t *version, bool *found) {
    return db_get_i64(c,
                      "SELECT version FROM model_version WHERE model = ?"
                      " ORDER BY version DESC LIMIT 1",
                      version, found, "i", model);
}

int version_store_insert(struct ctx *c, const struct version_row *r) {
    return db_exec(c,
                   "INSERT INTO model_version (model, version, source, storage, run_id, run_link,"
                   " logged_model, description, stage, status, created_ms, updated_ms)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "iissssssssii", r->model, r->version, r->source, r->storage, r->run_id,
                   r->run_link, r->logged_model, r->description, r->stage, r->status, r->created_ms,
                   r->updated_ms);
}

int version_store_update(struct ctx *c, const struct version_row *r) {
    return db_exec(c,
                   "UPDATE model_version SET description = ?, stage = ?, updated_ms = ?"
                   " WHERE model = ? AND version = ?",
                   "ssiii", r->description, r->stage, r->updated_ms, r->model, r->version);
}

int version_store_delete(struct ctx *c, int64_t model, int64_t version) {
    return db_exec(c, "DELETE FROM model_version WHERE model = ? AND version = ?", "ii", model,
                   version);
}

int version_store_archive_others(struct ctx *c, int64_t model, int64_t version, const char *stage) {
    return db_exec(c,
                   "UPDATE model_version SET stage = 'Archived', updated_ms = ?"
                   " WHERE model = ? AND stage = ? AND version <> ?",
                   "iisi", c->now_ms, model, stage, version);
}

int version_store_set_tag(struct ctx *c, int64_t model, int64_t version, const char *key,
                          const char *value) {
    return db_exec(c,
                   "INSERT INTO model_version_tag (model, version, key, value)"
                   " VALUES (?, ?, ?, ?)"
                   " ON CONFLICT (model, version, key) DO UPDATE SET value = excluded.value",
                   "iiss", model, version, key, value);
}

int version_store_delete_tag(struct ctx *c, int64_t model, int64_t version, const char *key) {
    return db_exec(c, "DELETE FROM model_version_tag WHERE model = ? AND version = ? AND key = ?",
                   "iis", model, version, key);
}

int version_store_tags(struct ctx *c, int64_t model, int64_t version, struct pairs *out) {
    return pairs_read(c,
                      db_query(c,
                               "SELECT key, value FROM model_version_tag"
                               " WHERE model = ? AND version = ? ORDER BY key",
                               "ii", model, version),
                      out);
}
