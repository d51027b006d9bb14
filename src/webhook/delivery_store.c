/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery_store.h"

#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/map.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "topic.h"

struct told {
    int64_t seq, project, at_ms;
    const char *type, *data;
};

static int workspace_of(struct ctx *c, int64_t project, const char **name) {
    char *text = NULL;
    int rc = project == 1
                 ? 0
                 : db_get_text(c, "SELECT name FROM project WHERE id = ?", &text, "i", project);
    *name = text;
    return rc;
}

static int listeners_of(struct ctx *c, const struct told *e, struct strs *out) {
    size_t cap = 0, n = 0;
    const char **items = NULL;
    struct stmt *st =
        db_query(c,
                 "SELECT w.id FROM webhook_event e CROSS JOIN webhook w ON w.id = e.webhook"
                 " WHERE e.event = ? AND w.project_id = ? AND w.status = 'ACTIVE'"
                 " AND w.deleted_ms IS NULL AND w.since_seq < ?",
                 "sii", e->type, e->project, e->seq);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        items = arena_room(c->arena, items, n, &cap, sizeof *items);
        items[n++] = stmt_text(c, st, 0);
    }
    *out = (struct strs){items, n};
    return rc;
}

/* How many deliveries of a webhook wait: asked once per fan-out, counted from then on. */
static int waiting_of(struct ctx *c, struct map *all, const char *webhook, int64_t **n) {
    int rc = 0;
    *n = map_get(all, webhook);
    if (!*n) {
        *n = ARENA_NEW(c->arena, int64_t);
        rc = db_get_i64(c,
                        "SELECT count(*) FROM (SELECT 1 FROM webhook_delivery WHERE webhook = ?"
                        " AND state = 'pending' LIMIT ?)",
                        *n, NULL, "si", webhook, (int64_t)WAITING_MAX);
        map_set(all, webhook, *n);
    }
    return rc;
}

static int make_rows(struct ctx *c, const struct told *e, const struct topic *t,
                     struct map *waiting, int64_t *over) {
    static const char too_many[] = "it was not sent: too many deliveries were waiting already";
    struct strs hooks;
    const char *workspace = NULL;
    int64_t *n = NULL;
    int rc = listeners_of(c, e, &hooks);
    if (rc == 0 && hooks.n)
        rc = workspace_of(c, e->project, &workspace);
    const char *body = rc == 0 && hooks.n ? topic_body(c, t, e->at_ms, e->data, workspace) : "";
    for (size_t i = 0; rc == 0 && i < hooks.n; i++) {
        char id[37];
        id_uuid(id);
        rc = waiting_of(c, waiting, hooks.items[i], &n);
        bool full = rc == 0 && *n >= WAITING_MAX;
        if (rc == 0)
            rc = db_exec(c,
                         "INSERT INTO webhook_delivery (delivery_id, webhook, event_seq, event,"
                         " body, state, error, next_ms, created_ms, updated_ms)"
                         " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                         " ON CONFLICT (webhook, event_seq) DO NOTHING",
                         "ssissssiii", id, hooks.items[i], e->seq, t->event, body,
                         full ? "failed" : "pending", full ? too_many : NULL, c->now_ms, c->now_ms,
                         c->now_ms);
        *n += !full;
        *over += full;
    }
    return rc;
}

int delivery_store_fan_out(struct ctx *c, int64_t most, bool *more, int64_t *over) {
    struct map *waiting = map_new();
    struct told *events = ARENA_ARRAY(c->arena, struct told, (size_t)most);
    size_t n = 0;
    struct stmt *st = db_query(c,
                               "SELECT seq, project_id, type, data, created_ms FROM event"
                               " WHERE seq > (SELECT seq FROM webhook_cursor)"
                               " ORDER BY seq LIMIT ?",
                               "i", most);
    int rc;
    while ((rc = stmt_next(st)) > 0)
        events[n++] = (struct told){.seq = stmt_i64(st, 0),
                                    .project = stmt_i64(st, 1),
                                    .type = stmt_text(c, st, 2),
                                    .data = stmt_text(c, st, 3),
                                    .at_ms = stmt_i64(st, 4)};
    *more = (int64_t)n == most;
    *over = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const struct topic *t = topic_of(events[i].type);
        if (t)
            rc = make_rows(c, &events[i], t, waiting, over);
    }
    map_free(waiting, NULL);
    return rc || n == 0 ? rc
                        : db_exec(c, "UPDATE webhook_cursor SET seq = ?", "i", events[n - 1].seq);
}

int delivery_store_anybody(struct ctx *c, bool *active) {
    int64_t one;
    return db_get_i64(c,
                      "SELECT 1 FROM webhook WHERE status = 'ACTIVE' AND deleted_ms IS NULL"
                      " LIMIT 1",
                      &one, active, "");
}

#define COLUMNS                                                                                    \
    "d.id, d.delivery_id, d.webhook, d.event, d.body, d.state, d.attempts, d.next_ms,"             \
    " d.response_status, d.response_body, d.error, d.created_ms, d.updated_ms"

static void read_row(struct ctx *c, struct stmt *st, struct delivery_row *out) {
    *out = (struct delivery_row){.id = stmt_i64(st, 0),
                                 .delivery_id = stmt_text(c, st, 1),
                                 .webhook = stmt_text(c, st, 2),
                                 .event = stmt_text(c, st, 3),
                                 .body = stmt_text(c, st, 4),
                                 .state = stmt_text(c, st, 5),
                                 .attempts = stmt_i64(st, 6),
                                 .next_ms = stmt_i64(st, 7),
                                 .response_status = stmt_i64(st, 8),
                                 .response_body = stmt_text(c, st, 9),
                                 .error = stmt_text(c, st, 10),
                                 .created_ms = stmt_i64(st, 11),
                                 .updated_ms = stmt_i64(st, 12)};
}

int delivery_store_job(struct ctx *c, int64_t id, struct delivery_job *out, bool *found) {
    struct stmt *st = db_query(c,
                               "SELECT " COLUMNS ", w.url, w.secret, d.state = 'pending'"
                               " AND w.status = 'ACTIVE' AND w.deleted_ms IS NULL"
                               " FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook"
                               " WHERE d.id = ?",
                               "i", id);
    int rc = stmt_next(st);
    *found = rc > 0;
    if (rc > 0) {
        *out = (struct delivery_job){.url = stmt_text(c, st, 13), .wanted = stmt_i64(st, 15)};
        read_row(c, st, &out->row);
        if (!stmt_null(st, 14)) {
            const void *sealed = stmt_blob(st, 14, &out->secret_n);
            out->secret = arena_dup(c->arena, sealed, out->secret_n);
        }
    }
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

/* What was delivered was delivered, even when it had been cancelled meanwhile. */
int delivery_store_record(struct ctx *c, const struct delivery_row *r) {
    return db_exec(c,
                   "UPDATE webhook_delivery SET state = ?, attempts = ?, next_ms = ?,"
                   " response_status = nullif(?, 0), response_body = ?, error = ?,"
                   " updated_ms = ? WHERE id = ? AND (state = 'pending' OR ? = 'delivered')",
                   "siiissiis", r->state, r->attempts, r->next_ms, r->response_status,
                   r->response_body, r->error, c->now_ms, r->id, r->state);
}

int delivery_store_cancel(struct ctx *c, const char *webhook, const char *why) {
    return db_exec(c,
                   "UPDATE webhook_delivery SET state = 'cancelled', error = ?, updated_ms = ?"
                   " WHERE webhook = ? AND state = 'pending'",
                   "sis", why, c->now_ms, webhook);
}

int delivery_store_due(struct ctx *c, int64_t now_ms, struct pairs *out) {
    struct pair *items = NULL;
    size_t n = 0, cap = 0;
    struct stmt *st = db_query(c,
                               "SELECT w.id, w.url FROM webhook w WHERE w.status = 'ACTIVE'"
                               " AND w.deleted_ms IS NULL AND EXISTS (SELECT 1 FROM"
                               " webhook_delivery d WHERE d.webhook = w.id AND"
                               " d.state = 'pending' AND d.next_ms <= ?)",
                               "i", now_ms);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        items = arena_room(c->arena, items, n, &cap, sizeof *items);
        items[n++] = (struct pair){stmt_text(c, st, 0), stmt_text(c, st, 1)};
    }
    *out = (struct pairs){items, n};
    return rc;
}

int delivery_store_due_of(struct ctx *c, const char *webhook, int64_t now_ms, int64_t most,
                          int64_t *ids, size_t *n) {
    struct stmt *st = db_query(c,
                               "SELECT id FROM webhook_delivery WHERE webhook = ?"
                               " AND state = 'pending' AND next_ms <= ?"
                               " ORDER BY next_ms, id LIMIT ?",
                               "sii", webhook, now_ms, most);
    int rc;
    *n = 0;
    while ((rc = stmt_next(st)) > 0)
        ids[(*n)++] = stmt_i64(st, 0);
    return rc;
}

int delivery_store_next(struct ctx *c, int64_t after_ms, int64_t *next_ms, bool *found) {
    return db_get_i64(c,
                      "SELECT next_ms FROM webhook_delivery WHERE state = 'pending'"
                      " AND next_ms > ? ORDER BY next_ms LIMIT 1",
                      next_ms, found, "i", after_ms);
}

int delivery_store_stranded(struct ctx *c, int64_t after_ms, bool *found) {
    int64_t next = 0;
    return delivery_store_next(c, after_ms, &next, found);
}

int delivery_store_rescue(struct ctx *c, int64_t after_ms) {
    return db_exec(c,
                   "UPDATE webhook_delivery SET next_ms = ? WHERE state = 'pending'"
                   " AND next_ms > ?",
                   "ii", c->now_ms, after_ms);
}

int delivery_store_pending(struct ctx *c, int64_t *n) {
    return db_get_i64(c, "SELECT count(*) FROM webhook_delivery WHERE state = 'pending'", n, NULL,
                      "");
}

int delivery_store_list(struct ctx *c, const char *webhook, const char *state, int64_t limit,
                        int64_t offset, struct delivery_rows *out) {
    out->items = ARENA_ARRAY(c->arena, struct delivery_row, (size_t)limit);
    out->n = 0;
    struct stmt *st = db_query(c,
                               "SELECT " COLUMNS " FROM webhook_delivery d WHERE d.webhook = ?1"
                               " AND (?2 IS NULL OR d.state = ?2) ORDER BY d.id DESC"
                               " LIMIT ?3 OFFSET ?4",
                               "ssii", webhook, state, limit, offset);
    int rc;
    while ((rc = stmt_next(st)) > 0)
        read_row(c, st, &out->items[out->n++]);
    return rc;
}

int delivery_store_find(struct ctx *c, const char *webhook, const char *delivery_id,
                        struct delivery_row *out, bool *found) {
    struct stmt *st = db_query(c,
                               "SELECT " COLUMNS " FROM webhook_delivery d WHERE d.webhook = ?"
                               " AND d.delivery_id = ?",
                               "ss", webhook, delivery_id);
    int rc = stmt_next(st);
    *found = rc > 0;
    if (rc > 0)
        read_row(c, st, out);
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

int delivery_store_again(struct ctx *c, int64_t id) {
    return db_exec(c,
                   "UPDATE webhook_delivery SET state = 'pending', attempts = 0, next_ms = ?,"
                   " updated_ms = ? WHERE id = ?",
                   "iii", c->now_ms, c->now_ms, id);
}

int delivery_store_expire(struct ctx *c, int64_t before_ms, int64_t most) {
    int rc = db_exec(c,
                     "DELETE FROM webhook_delivery WHERE id IN (SELECT id FROM webhook_delivery"
                     " WHERE state <> 'pending' AND updated_ms < ? ORDER BY updated_ms LIMIT ?)",
                     "ii", before_ms, most);
    return rc < 0 ? rc : (int)db_changes(c);
}
