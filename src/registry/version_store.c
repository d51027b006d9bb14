/* SPDX-License-Identifier: Apache-2.0 */
#include "version_store.h"

#include <inttypes.h>

#include "model_store.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "version.h"

#define ANSWER_BYTES (256u << 20)

static int version_answer_check(struct ctx *c) {
    if (arena_bytes(c->arena) <= ANSWER_BYTES)
        return 0;
    return fail_field(c, ERR_INVALID, "max_results",
                      "The answer would exceed %u MiB; ask for fewer at once with 'max_results'",
                      ANSWER_BYTES >> 20);
}

int version_store_read_all(struct ctx *c, struct stmt *st, struct version_rows *out) {
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        if ((rc = version_answer_check(c)) != 0) {
            stmt_end(st);
            return rc;
        }
        out->items = arena_room(c->arena, out->items, out->n, &out->cap, sizeof *out->items);
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

int version_store_latest_of(struct ctx *c, const char *ids, struct version_rows *out) {
    return version_store_read_all(
        c,
        db_query(c,
                 "SELECT " VERSION_COLUMNS " FROM json_each(?) j"
                 " CROSS JOIN json_each('[\"None\",\"Staging\",\"Production\",\"Archived\"]') s"
                 " CROSS JOIN model_version v ON v.model = j.value AND v.version ="
                 " (SELECT max(x.version) FROM model_version x"
                 " WHERE x.model = j.value AND x.stage = s.value)"
                 " CROSS JOIN registered_model m ON m.id = v.model"
                 " ORDER BY j.key, s.key",
                 "s", ids),
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

int version_store_delete_tag(struct ctx *c, int64_t model, int64_t version, const char *key,
                             bool *there) {
    int rc = db_exec(c, "DELETE FROM model_version_tag WHERE model = ? AND version = ? AND key = ?",
                     "iis", model, version, key);
    *there = rc == 0 && db_changes(c) > 0;
    return rc;
}

/* "[[model,version],...]" for json_each, which keeps statements constant and walks in order. */
static const char *keys_of(struct ctx *c, const struct version_rows *rows) {
    struct buf text = {0};
    for (size_t i = 0; i < rows->n; i++)
        buf_printf(&text, "%c[%" PRId64 ",%" PRId64 "]", i ? ',' : '[', rows->items[i].model,
                   rows->items[i].version);
    buf_putc(&text, ']');
    const char *keys = arena_strndup(c->arena, text.data, text.len);
    buf_free(&text);
    return keys;
}

int version_store_tags_of(struct ctx *c, const struct version_rows *rows, struct pairs *out) {
    size_t *caps = ARENA_ARRAY(c->arena, size_t, rows->n);
    struct stmt *st = db_query(c,
                               "SELECT j.key, t.key, t.value FROM json_each(?) j"
                               " CROSS JOIN model_version_tag t"
                               " ON t.model = json_extract(j.value, '$[0]')"
                               " AND t.version = json_extract(j.value, '$[1]')",
                               "s", keys_of(c, rows));
    int rc;
    while ((rc = stmt_next(st)) > 0 && (rc = version_answer_check(c)) == 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        out[i].items = arena_room(c->arena, out[i].items, out[i].n, &caps[i], sizeof *out[i].items);
        out[i].items[out[i].n++] = (struct pair){stmt_text(c, st, 1), stmt_text(c, st, 2)};
    }
    stmt_end(st);
    return rc;
}

int version_store_aliases_of(struct ctx *c, const struct version_rows *rows, struct strs *out) {
    size_t *caps = ARENA_ARRAY(c->arena, size_t, rows->n);
    struct stmt *st = db_query(c,
                               "SELECT j.key, a.alias FROM json_each(?) j"
                               " CROSS JOIN model_alias a"
                               " ON a.model = json_extract(j.value, '$[0]')"
                               " AND a.version = json_extract(j.value, '$[1]')",
                               "s", keys_of(c, rows));
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        out[i].items = arena_room(c->arena, out[i].items, out[i].n, &caps[i], sizeof *out[i].items);
        out[i].items[out[i].n++] = stmt_text(c, st, 1);
    }
    stmt_end(st);
    return rc;
}
