/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook_store.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

#define COLUMNS "w.id, w.name, w.description, w.url, w.status, w.secret, w.created_ms, w.updated_ms"
#define EVENTS_MAX 64

static void read_row(struct ctx *c, struct stmt *st, struct webhook_row *out) {
    *out = (struct webhook_row){.id = stmt_text(c, st, 0),
                                .name = stmt_text(c, st, 1),
                                .description = stmt_text(c, st, 2),
                                .url = stmt_text(c, st, 3),
                                .status = stmt_text(c, st, 4),
                                .created_ms = stmt_i64(st, 6),
                                .updated_ms = stmt_i64(st, 7)};
    if (!stmt_null(st, 5)) {
        const void *sealed = stmt_blob(st, 5, &out->secret_n);
        out->secret = arena_dup(c->arena, sealed, out->secret_n);
    }
}

static int read_events(struct ctx *c, struct webhook_row *w) {
    const char **items = ARENA_ARRAY(c->arena, const char *, EVENTS_MAX);
    struct stmt *st = db_query(
        c, "SELECT event FROM webhook_event WHERE webhook = ? ORDER BY position", "s", w->id);
    size_t n = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0 && n < EVENTS_MAX)
        items[n++] = stmt_text(c, st, 0);
    stmt_end(st);
    w->events = (struct strs){items, n};
    return rc < 0 ? rc : 0;
}

int webhook_store_get(struct ctx *c, const char *id, struct webhook_row *out, bool *found) {
    struct stmt *st = db_query(c,
                               "SELECT " COLUMNS " FROM webhook w WHERE w.id = ?"
                               " AND w.project_id = ? AND w.deleted_ms IS NULL",
                               "si", id, c->project);
    int rc = stmt_next(st);
    *found = rc > 0;
    if (rc > 0)
        read_row(c, st, out);
    stmt_end(st);
    if (rc < 0)
        return rc;
    return *found ? read_events(c, out) : 0;
}

int webhook_store_list(struct ctx *c, int64_t limit, int64_t offset, struct webhook_rows *out) {
    out->items = ARENA_ARRAY(c->arena, struct webhook_row, (size_t)limit);
    out->n = 0;
    struct stmt *st = db_query(c,
                               "SELECT " COLUMNS " FROM webhook w WHERE w.project_id = ?"
                               " AND w.deleted_ms IS NULL ORDER BY w.created_ms DESC, w.id DESC"
                               " LIMIT ? OFFSET ?",
                               "iii", c->project, limit, offset);
    int rc;
    while ((rc = stmt_next(st)) > 0)
        read_row(c, st, &out->items[out->n++]);
    stmt_end(st);
    for (size_t i = 0; rc == 0 && i < out->n; i++)
        rc = read_events(c, &out->items[i]);
    return rc;
}

static int write_events(struct ctx *c, const struct webhook_row *w) {
    int rc = db_exec(c, "DELETE FROM webhook_event WHERE webhook = ?", "s", w->id);
    for (size_t i = 0; rc == 0 && i < w->events.n; i++)
        rc = db_exec(c, "INSERT INTO webhook_event (webhook, event, position) VALUES (?, ?, ?)",
                     "ssi", w->id, w->events.items[i], (int64_t)i);
    return rc;
}

int webhook_store_wake(struct ctx *c, const char *id) {
    int rc = db_exec(c,
                     "UPDATE webhook_cursor SET seq = max(seq, (SELECT coalesce(max(seq), 0) FROM"
                     " event)) WHERE NOT EXISTS (SELECT 1 FROM webhook WHERE status = 'ACTIVE'"
                     " AND deleted_ms IS NULL AND id <> ?)",
                     "s", id);
    return rc ? rc
              : db_exec(c,
                        "UPDATE webhook SET since_seq = (SELECT coalesce(max(seq), 0) FROM event)"
                        " WHERE id = ?",
                        "s", id);
}

int webhook_store_insert(struct ctx *c, const struct webhook_row *w) {
    int rc = db_exec(c,
                     "INSERT INTO webhook (id, project_id, name, description, url, status, secret,"
                     " since_seq, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
                     "sissssbii", w->id, c->project, w->name, w->description, w->url, w->status,
                     w->secret, w->secret_n, w->created_ms, w->updated_ms);
    rc = rc ? rc : write_events(c, w);
    return rc ? rc : webhook_store_wake(c, w->id);
}

int webhook_store_update(struct ctx *c, const struct webhook_row *w) {
    int rc = db_exec(c,
                     "UPDATE webhook SET name = ?, description = ?, url = ?, status = ?,"
                     " secret = ?, updated_ms = ? WHERE id = ? AND project_id = ?",
                     "ssssbisi", w->name, w->description, w->url, w->status, w->secret, w->secret_n,
                     w->updated_ms, w->id, c->project);
    return rc ? rc : write_events(c, w);
}

int webhook_store_delete(struct ctx *c, const char *id) {
    return db_exec(c,
                   "UPDATE webhook SET deleted_ms = ?, updated_ms = ?, secret = NULL"
                   " WHERE id = ? AND project_id = ?",
                   "iisi", c->now_ms, c->now_ms, id, c->project);
}
