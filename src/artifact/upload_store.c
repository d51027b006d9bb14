/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "upload.h"

int upload_store_add(struct ctx *c, const struct upload_row *u) {
    return db_exec(c,
                   "INSERT INTO upload (id, project_id, path, parts, expires_ms)"
                   " VALUES (?, ?, ?, ?, ?)",
                   "sisii", u->id, u->project, u->path, u->parts, u->expires_ms);
}

int upload_store_get(struct ctx *c, const char *id, struct upload_row *out, bool *found) {
    struct stmt *st = db_query(c,
                               "SELECT id, path, sha256, project_id, parts, part_size, expires_ms"
                               " FROM upload WHERE id = ?",
                               "s", id);
    int rc = stmt_next(st);
    *found = rc > 0;
    if (rc > 0)
        *out = (struct upload_row){.id = stmt_text(c, st, 0),
                                   .path = stmt_text(c, st, 1),
                                   .sha256 = stmt_text(c, st, 2),
                                   .project = stmt_i64(st, 3),
                                   .parts = stmt_i64(st, 4),
                                   .part_size = stmt_i64(st, 5),
                                   .expires_ms = stmt_i64(st, 6)};
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

int upload_store_open_count(struct ctx *c, int64_t *n) {
    return db_get_i64(c, "SELECT count(*) FROM upload WHERE project_id = ? AND sha256 = ''", n,
                      NULL, "i", c->project);
}

int upload_store_open_bytes(struct ctx *c, const char *id, int64_t number, int64_t *n) {
    return db_get_i64(c,
                      "SELECT coalesce(sum(p.size), 0) FROM upload u JOIN upload_part p"
                      " ON p.upload_id = u.id WHERE u.project_id = ? AND u.sha256 = ''"
                      " AND NOT (u.id = ? AND p.number = ?)",
                      n, NULL, "isi", c->project, id, number);
}

int upload_store_parts(struct ctx *c, const char *id, struct upload_parts *out) {
    struct stmt *st = db_query(c,
                               "SELECT number, size, sha256, file FROM upload_part"
                               " WHERE upload_id = ? ORDER BY number",
                               "s", id);
    int rc;
    *out = (struct upload_parts){.items = ARENA_ARRAY(c->arena, struct upload_part, 16)};
    for (size_t cap = 16; (rc = stmt_next(st)) > 0;) {
        if (out->n == cap) {
            struct upload_part *more = ARENA_ARRAY(c->arena, struct upload_part, cap * 2);
            memcpy(more, out->items, cap * sizeof *more);
            out->items = more;
            cap *= 2;
        }
        out->items[out->n++] = (struct upload_part){.number = stmt_i64(st, 0),
                                                    .size = stmt_i64(st, 1),
                                                    .sha256 = stmt_text(c, st, 2),
                                                    .file = stmt_text(c, st, 3)};
    }
    stmt_end(st);
    return rc;
}

int upload_store_put_part(struct ctx *c, const char *id, const struct upload_part *p,
                          int64_t part_size, const char **older) {
    char *file = NULL;
    int rc = db_get_text(c, "SELECT file FROM upload_part WHERE upload_id = ? AND number = ?",
                         &file, "si", id, p->number);
    *older = file && *file ? file : NULL;
    if (rc == 0)
        rc = db_exec(c,
                     "INSERT INTO upload_part (upload_id, number, size, sha256, file)"
                     " VALUES (?, ?, ?, ?, ?) ON CONFLICT (upload_id, number) DO UPDATE SET"
                     " size = excluded.size, sha256 = excluded.sha256, file = excluded.file",
                     "siiss", id, p->number, p->size, p->sha256, p->file);
    if (rc == 0 && part_size > 0)
        rc = db_exec(c, "UPDATE upload SET part_size = ? WHERE id = ?", "is", part_size, id);
    return rc;
}

int upload_store_complete(struct ctx *c, const char *id, const char *sha256, int64_t expires_ms) {
    int rc = db_exec(c, "DELETE FROM upload_part WHERE upload_id = ?", "s", id);
    return rc ? rc
              : db_exec(c, "UPDATE upload SET sha256 = ?, expires_ms = ? WHERE id = ?", "sis",
                        sha256, expires_ms, id);
}

int upload_store_delete(struct ctx *c, const char *id) {
    int rc = db_exec(c, "DELETE FROM upload_part WHERE upload_id = ?", "s", id);
    return rc ? rc : db_exec(c, "DELETE FROM upload WHERE id = ?", "s", id);
}

int upload_store_expired(struct ctx *c, int64_t most, const char ***ids, size_t *n) {
    struct stmt *st =
        db_query(c, "SELECT id FROM upload WHERE expires_ms < ? LIMIT ?", "ii", c->now_ms, most);
    int rc;
    *ids = ARENA_ARRAY(c->arena, const char *, (size_t)most);
    for (*n = 0; (rc = stmt_next(st)) > 0 && *n < (size_t)most;)
        (*ids)[(*n)++] = stmt_text(c, st, 0);
    stmt_end(st);
    return rc < 0 ? rc : 0;
}
