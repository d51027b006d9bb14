/* SPDX-License-Identifier: Apache-2.0 */
#include "replay.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/map.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"
#include "quern/http/server.h"
#include "quern/json/json_out.h"
#include "quern/lane/lane.h"

#define KEEP_MS (24 * 3600 * 1000LL)
#define KEEP_BODY_MAX (1u << 20) /* larger answers are not worth keeping */
#define NOT_KEPT 0               /* in place of a status: done, but the answer held a secret */

int replay_read(struct call *k, struct replay *r) {
    struct ctx *c = call_ctx(k);
    r->key = NULL;
    if (strcmp(call_route(k)->method, "POST") != 0)
        return 0;
    const char *key = ctx_header(c, "idempotency-key");
    if (!key)
        return 0;
    size_t n = strlen(key);
    if (n == 0 || n > 255)
        return fail_field(c, ERR_INVALID, "Idempotency-Key",
                          "Idempotency-Key must have 1 to 255 characters.");
    struct sha256 *h = sha256_new();
    /* Each part ends with a NUL, which none of them can hold but the body, which is last. */
    sha256_add(h, call_route(k)->id, strlen(call_route(k)->id) + 1);
    sha256_add(h, c->path, strlen(c->path) + 1);
    sha256_add(h, c->query, strlen(c->query) + 1);
    sha256_add(h, c->body, c->body_len);
    sha256_end(h, r->hash);
    r->key = key;
    return 0;
}

int replay_find(struct call *k, const struct replay *r) {
    struct ctx *c = call_ctx(k);
    if (!r->key)
        return 0;
    struct stmt *st = db_query(c,
                               "SELECT request_hash, status, content_type, body FROM idempotency "
                               "WHERE project_id = ? AND principal = ? AND key = ? "
                               "AND created_ms > ?",
                               "issi", c->project, c->who.name, r->key, c->now_ms - KEEP_MS);
    int rc = stmt_next(st);
    if (rc <= 0)
        return rc;
    size_t n;
    const void *hash = stmt_blob(st, 0, &n);
    if (n != sizeof(r->hash) || memcmp(hash, r->hash, n) != 0) {
        stmt_end(st);
        return fail_field(c, ERR_UNPROCESSABLE, "Idempotency-Key",
                          "This Idempotency-Key was used with another request; use a new key.");
    }
    if (stmt_i64(st, 1) == NOT_KEPT) {
        stmt_end(st);
        return fail_field(
            c, ERR_CONFLICT, "Idempotency-Key",
            "The request with this Idempotency-Key was carried out; its answer held a "
            "secret, which is shown only once.");
    }
    reply_status(c, (int)stmt_i64(st, 1));
    const char *type = stmt_text(c, st, 2);
    const void *body = stmt_blob(st, 3, &n);
    reply_bytes(c, *type ? type : NULL, arena_dup(c->arena, n ? body : "", n ? n : 1), n);
    reply_header(c, "Idempotency-Replayed", "true");
    stmt_end(st);
    return 1;
}

/* The answer by the row's output shape, as bytes. */
static void encode_reply(struct call *k) {
    struct ctx *c = call_ctx(k);
    const struct route *row = call_route(k);
    if (c->reply.kind != REPLY_SHAPE)
        return;
    struct buf text = {0};
    if (row->out)
        json_encode(&text, row->out, call_out(k));
    else
        buf_puts(&text, "{}");
    buf_putc(&text, '\n');
    reply_bytes(c, "application/json", arena_dup(c->arena, text.data, text.len), text.len);
    buf_free(&text);
}

int replay_keep(struct call *k, const struct replay *r) {
    struct ctx *c = call_ctx(k);
    if (!r->key)
        return 0;
    encode_reply(k);
    struct reply kept = c->reply;
    if (call_route(k)->flags & ROUTE_SECRET)
        kept = (struct reply){.kind = REPLY_BYTES, .bytes = "", .status = NOT_KEPT};
    else if (kept.kind != REPLY_BYTES || kept.len > KEEP_BODY_MAX)
        return 0;
    else if (!kept.status)
        kept.status = 200;
    /* The key itself may be spent; others go in the background. */
    int rc = db_exec(c,
                     "DELETE FROM idempotency WHERE project_id = ? AND principal = ? AND key = ?"
                     " AND created_ms <= ?",
                     "issi", c->project, c->who.name, r->key, c->now_ms - KEEP_MS);
    if (rc)
        return rc;
    return db_exec(c,
                   "INSERT INTO idempotency (project_id, principal, key, route, request_hash, "
                   "status, content_type, body, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "isssbisbi", c->project, c->who.name, r->key, call_route(k)->id,
                   (const void *)r->hash, sizeof(r->hash), (int64_t)kept.status,
                   kept.content_type ? kept.content_type : "", (const void *)kept.bytes, kept.len,
                   c->now_ms);
}

int replay_expire(struct ctx *c, int64_t most) {
    int rc = db_exec(c,
                     "DELETE FROM idempotency WHERE (project_id, principal, key) IN"
                     " (SELECT project_id, principal, key FROM idempotency WHERE created_ms <= ?"
                     " ORDER BY created_ms LIMIT ?)",
                     "ii", c->now_ms - KEEP_MS, most);
    return rc < 0 ? rc : (int)db_changes(c);
}

/* ------------------------------------------------------------------ under way */

struct replay_running {
    pthread_mutex_t lock;
    struct map *keys;
};

struct replay_running *replay_running_new(void) {
    struct replay_running *x = mem_alloc(sizeof(*x));
    pthread_mutex_init(&x->lock, NULL);
    x->keys = map_new();
    return x;
}

void replay_running_free(struct replay_running *x) {
    map_free(x->keys, NULL);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

static const char *full_key(struct call *k, const struct replay *r) {
    struct ctx *c = call_ctx(k);
    return arena_printf(c->arena, "%" PRId64 "/%zu/%s/%s", c->project, strlen(c->who.name),
                        c->who.name, r->key);
}

bool replay_enter(struct replay_running *x, struct call *k, const struct replay *r) {
    if (!r->key)
        return true;
    const char *key = full_key(k, r);
    pthread_mutex_lock(&x->lock);
    bool fresh = !map_has(x->keys, key);
    if (fresh)
        map_set(x->keys, key, x);
    pthread_mutex_unlock(&x->lock);
    return fresh;
}

void replay_leave(struct replay_running *x, struct call *k, const struct replay *r) {
    if (!r->key)
        return;
    const char *key = full_key(k, r);
    pthread_mutex_lock(&x->lock);
    map_remove(x->keys, key);
    pthread_mutex_unlock(&x->lock);
}
