/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

#define COLUMNS                                                                                    \
    "id, project_id, state, reason, spec, model, version, input_sha256, input_bytes, made_by, "    \
    "attempt, cancelled, rows_done, errors, bytes_done, created_ms, started_ms, ended_ms"

static void take(struct ctx *c, struct stmt *st, struct batch *b) {
    *b = (struct batch){.id = stmt_text(c, st, 0),
                        .project = stmt_i64(st, 1),
                        .state = stmt_text(c, st, 2),
                        .reason = stmt_text(c, st, 3),
                        .spec = stmt_text(c, st, 4),
                        .model = stmt_text(c, st, 5),
                        .version = stmt_i64(st, 6),
                        .input_sha256 = stmt_text(c, st, 7),
                        .input_bytes = stmt_i64(st, 8),
                        .made_by = stmt_text(c, st, 9),
                        .attempt = stmt_i64(st, 10),
                        .cancelled = stmt_i64(st, 11) != 0,
                        .rows = stmt_i64(st, 12),
                        .errors = stmt_i64(st, 13),
                        .bytes = stmt_i64(st, 14),
                        .created_ms = stmt_i64(st, 15),
                        .started_ms = stmt_i64(st, 16),
                        .ended_ms = stmt_i64(st, 17)};
}

static int take_all(struct ctx *c, struct stmt *st, struct batch **out, size_t *n) {
    size_t cap = 0;
    int rc;
    *out = NULL;
    *n = 0;
    while ((rc = stmt_next(st)) > 0) {
        *out = arena_room(c->arena, *out, *n, &cap, sizeof **out);
        take(c, st, &(*out)[(*n)++]);
    }
    return rc;
}

int batch_get(struct ctx *c, const char *id, struct batch *out) {
    struct stmt *st = db_query(c, "SELECT " COLUMNS " FROM batch WHERE project_id = ? AND id = ?",
                               "is", c->project, id);
    int rc = stmt_next(st);
    if (rc > 0)
        take(c, st, out);
    stmt_end(st);
    if (rc == 0)
        return fail(c, ERR_NOT_FOUND, "there is no batch job '%.64s'", id);
    return rc < 0 ? rc : 0;
}

int batch_list(struct ctx *c, int64_t most, struct batch **out, size_t *n) {
    return take_all(c,
                    db_query(c,
                             "SELECT " COLUMNS " FROM batch WHERE project_id = ? "
                             "ORDER BY created_ms DESC, id LIMIT ?",
                             "ii", c->project, most),
                    out, n);
}

int batch_list_open(struct ctx *c, struct batch **out, size_t *n) {
    return take_all(c,
                    db_query(c,
                             "SELECT " COLUMNS " FROM batch WHERE state IN ('queued', 'running') "
                             "ORDER BY created_ms, id LIMIT 10000",
                             ""),
                    out, n);
}

int batch_count_open(struct ctx *c, int64_t *n) {
    return db_get_i64(c,
                      "SELECT count(*) FROM batch WHERE project_id = ? AND state IN ('queued', "
                      "'running')",
                      n, NULL, "i", c->project);
}

int batch_insert(struct ctx *c, const struct batch *b) {
    int rc = blob_ref_add(c, arena_printf(c->arena, "batch:%s", b->id), b->input_sha256);
    return rc < 0 ? rc
                  : db_exec(c,
                            "INSERT INTO batch (id, project_id, state, spec, model, version, "
                            "input_sha256, input_bytes, made_by, created_ms) "
                            "VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?)",
                            "sissisisi", b->id, c->project, b->spec, b->model, b->version,
                            b->input_sha256, b->input_bytes, b->made_by, c->now_ms);
}

int batch_update(struct ctx *c, const struct batch *b) {
    return db_exec(c,
                   "UPDATE batch SET state = ?, reason = ?, attempt = ?, rows_done = ?, errors = "
                   "?, bytes_done = ?, started_ms = ?, ended_ms = ?, cancelled = max(cancelled, ?) "
                   "WHERE id = ? AND state IN ('queued', 'running')",
                   "ssiiiiiiis", b->state, b->reason, b->attempt, b->rows, b->errors, b->bytes,
                   b->started_ms, b->ended_ms, (int64_t)b->cancelled, b->id);
}

int batch_delete(struct ctx *c, const struct batch *b) {
    return db_exec(c, "DELETE FROM batch WHERE project_id = ? AND id = ?", "is", c->project, b->id);
}
