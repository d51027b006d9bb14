/* SPDX-License-Identifier: Apache-2.0 */
#include "model_store.h"

#include <inttypes.h>

#include "model.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

void model_store_read(struct ctx *c, struct stmt *st, struct model_row *out) {
    *out = (struct model_row){.id = stmt_i64(st, 0),
                              .name = stmt_text(c, st, 1),
                              .description = stmt_text(c, st, 2),
                              .created_ms = stmt_i64(st, 3),
                              .updated_ms = stmt_i64(st, 4)};
}

int model_store_get(struct ctx *c, const char *name, struct model_row *out, bool *found) {
    struct stmt *st = db_query(c,
                               "SELECT " MODEL_COLUMNS " FROM registered_model m"
                               " WHERE m.project_id = ? AND m.name = ?",
                               "is", c->project, name);
    int rc = stmt_next(st);
    *found = rc > 0;
    if (rc > 0)
        model_store_read(c, st, out);
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

int model_store_insert(struct ctx *c, struct model_row *row) {
    int rc =
        db_exec(c,
                "INSERT INTO registered_model"
                " (project_id, name, description, created_ms, updated_ms)"
                " VALUES (?, ?, ?, ?, ?)",
                "issii", c->project, row->name, row->description, row->created_ms, row->updated_ms);
    if (rc == 0)
        row->id = db_last_id(c);
    return rc;
}

int model_store_update(struct ctx *c, const struct model_row *row) {
    return db_exec(c,
                   "UPDATE registered_model SET name = ?, description = ?, updated_ms = ?"
                   " WHERE id = ? AND project_id = ?",
                   "ssiii", row->name, row->description, row->updated_ms, row->id, c->project);
}

int model_store_touch(struct ctx *c, int64_t id) {
    return db_exec(c, "UPDATE registered_model SET updated_ms = ? WHERE id = ? AND project_id = ?",
                   "iii", c->now_ms, id, c->project);
}

int model_store_delete(struct ctx *c, int64_t id) {
    return db_exec(c, "DELETE FROM registered_model WHERE id = ? AND project_id = ?", "ii", id,
                   c->project);
}

int model_store_next_version(struct ctx *c, int64_t id, int64_t *version) {
    int rc = db_exec(c,
                     "UPDATE registered_model SET last_version = last_version + 1, updated_ms = ?"
                     " WHERE id = ?",
                     "ii", c->now_ms, id);
    return rc ? rc
              : db_get_i64(c, "SELECT last_version FROM registered_model WHERE id = ?", version,
                           NULL, "i", id);
}

int model_store_set_tag(struct ctx *c, int64_t id, const char *key, const char *value) {
    return db_exec(c,
                   "INSERT INTO registered_model_tag (model, key, value) VALUES (?, ?, ?)"
                   " ON CONFLICT (model, key) DO UPDATE SET value = excluded.value",
                   "iss", id, key, value);
}

int model_store_delete_tag(struct ctx *c, int64_t id, const char *key, bool *there) {
    int rc =
        db_exec(c, "DELETE FROM registered_model_tag WHERE model = ? AND key = ?", "is", id, key);
    *there = rc == 0 && db_changes(c) > 0;
    return rc;
}

int pairs_read(struct ctx *c, struct stmt *st, struct pairs *out) {
    size_t cap = 0;
    int rc;
    *out = (struct pairs){0};
    while ((rc = stmt_next(st)) > 0) {
        out->items = arena_room(c->arena, out->items, out->n, &cap, sizeof *out->items);
        out->items[out->n++] = (struct pair){stmt_text(c, st, 0), stmt_text(c, st, 1)};
    }
    return rc;
}

int model_store_tags(struct ctx *c, int64_t id, struct pairs *out) {
    return pairs_read(
        c,
        db_query(c, "SELECT key, value FROM registered_model_tag WHERE model = ? ORDER BY key", "i",
                 id),
        out);
}

int model_store_has_tag(struct ctx *c, int64_t id, const char *key, const char *value, bool *has) {
    int64_t one;
    return db_get_i64(c,
                      "SELECT 1 FROM registered_model_tag"
                      " WHERE model = ? AND key = ? AND value = ?",
                      &one, has, "iss", id, key, value);
}

int alias_store_list(struct ctx *c, int64_t model, int64_t version, struct alias_rows *out) {
    struct stmt *st = db_query(c,
                               "SELECT alias, version FROM model_alias"
                               " WHERE model = ? AND (? = 0 OR version = ?) ORDER BY alias",
                               "iii", model, version, version);
    size_t cap = 0;
    int rc;
    *out = (struct alias_rows){0};
    while ((rc = stmt_next(st)) > 0) {
        out->items = arena_room(c->arena, out->items, out->n, &cap, sizeof *out->items);
        out->items[out->n++] = (struct alias_row){stmt_text(c, st, 0), stmt_i64(st, 1)};
    }
    return rc;
}

int alias_store_get(struct ctx *c, int64_t model, const char *alias, int64_t *version,
                    bool *found) {
    return db_get_i64(c, "SELECT version FROM model_alias WHERE model = ? AND alias = ?", version,
                      found, "is", model, alias);
}

int alias_store_set(struct ctx *c, int64_t model, const char *alias, int64_t version) {
    return db_exec(c,
                   "INSERT INTO model_alias (model, alias, version) VALUES (?, ?, ?)"
                   " ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version",
                   "isi", model, alias, version);
}

int alias_store_delete(struct ctx *c, int64_t model, const char *alias) {
    return db_exec(c, "DELETE FROM model_alias WHERE model = ? AND alias = ?", "is", model, alias);
}

const char *model_store_ids(struct ctx *c, const struct model_row *rows, size_t n) {
    struct buf text = {0};
    buf_putc(&text, '[');
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s%" PRId64, i ? "," : "", rows[i].id);
    buf_putc(&text, ']');
    const char *ids = arena_strndup(c->arena, text.data, text.len);
    buf_free(&text);
    return ids;
}

/* Lists grow by doubling: one that holds a power of two of items is full. */
int model_store_tags_of(struct ctx *c, const char *ids, size_t n, struct pairs *out) {
    size_t *caps = ARENA_ARRAY(c->arena, size_t, n);
    struct stmt *st = db_query(c,
                               "SELECT j.key, t.key, t.value FROM json_each(?) j"
                               " CROSS JOIN registered_model_tag t ON t.model = j.value"
                               " ORDER BY j.key, t.key",
                               "s", ids);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        if (i >= n)
            continue;
        out[i].items = arena_room(c->arena, out[i].items, out[i].n, &caps[i], sizeof *out[i].items);
        out[i].items[out[i].n++] = (struct pair){stmt_text(c, st, 1), stmt_text(c, st, 2)};
    }
    return rc;
}

int alias_store_list_of(struct ctx *c, const char *ids, size_t n, struct alias_rows *out) {
    size_t *caps = ARENA_ARRAY(c->arena, size_t, n);
    struct stmt *st = db_query(c,
                               "SELECT j.key, a.alias, a.version FROM json_each(?) j"
                               " CROSS JOIN model_alias a ON a.model = j.value"
                               " ORDER BY j.key, a.alias",
                               "s", ids);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        if (i >= n)
            continue;
        out[i].items = arena_room(c->arena, out[i].items, out[i].n, &caps[i], sizeof *out[i].items);
        out[i].items[out[i].n++] = (struct alias_row){stmt_text(c, st, 1), stmt_i64(st, 2)};
    }
    return rc;
}
