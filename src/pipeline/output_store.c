/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "pipeline_run.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

int output_insert(struct ctx *c, int64_t attempt_id, const struct output_row *o) {
    return db_exec(
        c,
        "INSERT INTO pipeline_output (attempt_id, name, kind, path, folder, sha256, size, "
        "data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        "isssisis", attempt_id, o->name, o->kind, o->path, (int64_t)o->folder, o->sha256, o->size,
        o->data);
}

int outputs_load(struct ctx *c, int64_t attempt_id, struct output_rows *out) {
    int64_t count = 0;
    *out = (struct output_rows){0};
    int rc = db_get_i64(c, "SELECT COUNT(*) FROM pipeline_output WHERE attempt_id = ?", &count,
                        NULL, "i", attempt_id);
    if (rc || count == 0) {
        return rc;
    }
    out->items = ARENA_ARRAY(c->arena, struct output_row, (size_t)count);
    struct stmt *st = db_query(c,
                               "SELECT name, kind, path, folder, sha256, size, data FROM "
                               "pipeline_output WHERE attempt_id = ? ORDER BY name LIMIT ?",
                               "ii", attempt_id, count);
    while ((rc = stmt_next(st)) > 0) {
        out->items[out->n++] = (struct output_row){.name = stmt_text(c, st, 0),
                                                   .kind = stmt_text(c, st, 1),
                                                   .path = stmt_text(c, st, 2),
                                                   .folder = stmt_i64(st, 3) != 0,
                                                   .sha256 = stmt_text(c, st, 4),
                                                   .size = stmt_i64(st, 5),
                                                   .data = stmt_text(c, st, 6)};
    }
    stmt_end(st);
    return rc;
}

const struct output_row *output_find(const struct output_rows *rows, const char *name) {
    for (size_t i = 0; i < rows->n; i++) {
        if (str_eq(rows->items[i].name, name)) {
            return &rows->items[i];
        }
    }
    return NULL;
}
