/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/fd.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/json/json_error.h"
#include "quern/json/json_out.h"
#include "quern/metric/metric.h"

/* Sent with every answer. */
static const struct {
    const char *name, *value;
} always[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "SAMEORIGIN"},
    {"Referrer-Policy", "no-referrer"},
};

/* What goes out, before it is a response of the library. */
struct answer {
    int status;
    const char *type; /* NULL: none */
    char *bytes;
    size_t n;
    bool owned; /* bytes are from malloc */
    int fd;
    int64_t from, count; /* of fd */
    char range[96];      /* Content-Range, "" for none */
    const char *encoding;
    const char *etag;
    bool error;
    bool varies;
};

static const short status_slots[STATUS_CELLS] = {200, 201, 202, 204, 206, 304, 400, 401, 403, 404,
                                                 405, 408, 409, 412, 413, 414, 415, 416, 417, 421,
                                                 422, 429, 431, 499, 500, 501, 503, 504, 505, 507};

unsigned status_slot(int status) {
    for (unsigned i = 0; i < STATUS_CELLS; i++)
        if (status_slots[i] == status)
            return i;
    return STATUS_CELLS;
}

static void count(struct call *k, int status) {
    char text[16];
    snprintf(text, sizeof(text), "%d", status);
    unsigned slot = status_slot(status);
    if (!k->entry || slot == STATUS_CELLS) {
        const char *route = k->entry ? k->entry->row->id : k->refused ? "(refused)" : "(none)";
        metric_add(METRIC_HTTP_REQUESTS, 1, route, k->c.method, text);
        return;
    }
    /* The label is the row's method: HEAD counts as the GET it is answered by. */
    _Atomic(struct metric_cell *) *cell = &k->entry->requests[slot];
    struct metric_cell *m = atomic_load_explicit(cell, memory_order_acquire);
    if (!m) {
        m = metric_cell(METRIC_HTTP_REQUESTS, k->entry->row->id, k->entry->row->method, text);
        atomic_store_explicit(cell, m, memory_order_release);
    }
    metric_cell_add(m, 1);
    metric_cell_observe(k->entry->seconds, (double)(clock_mono_ns() - k->start_ns) / 1e9);
}

void reply_drop(struct call *k) {
    struct reply *r = &k->c.reply;
    if (r->kind == REPLY_FILE) {
        fd_close(r->fd);
        r->fd = -1;
    } else if (r->kind == REPLY_STREAM) {
        stream_close(k);
    }
}

/* ------------------------------------------------------------------ what to say */

static void put_buf(struct answer *a, struct buf *b) {
    a->bytes = b->data;
    a->n = b->len;
    a->owned = b->data != NULL;
}

static void answer_refused(struct call *k, struct answer *a) {
    struct buf text = {0};
    const char *why =
        k->w && k->w->strict.why ? k->w->strict.why : "This connection cannot be checked.";
    a->status = k->refused;
    a->type = "text/plain; charset=utf-8";
    a->error = true;
    buf_printf(&text, "%s\n", why);
    put_buf(a, &text);
}

/* Headers of a handler that failed describe an answer that is not sent; these belong to the
 * failure. */
static bool belongs_to_error(const char *name) {
    return str_ieq(name, "WWW-Authenticate") || str_ieq(name, "Allow") ||
           str_ieq(name, "Retry-After") || str_ieq(name, "Accept-Encoding");
}

/* Whoever failed may have known better. */
static bool told(const struct ctx *c, const char *name) {
    for (const struct reply_header *h = c->reply.headers; h; h = h->next)
        if (str_ieq(h->name, name))
            return true;
    return false;
}

static void answer_error(struct call *k, struct answer *a) {
    struct ctx *c = &k->c;
    struct buf text = {0};
    if (!c->err.code)
        fail(c, -k->rc, "%s.", err_row(k->rc)->title);
    const struct err_row *row = err_row(c->err.code);
    if (c->err.code == ERR_INTERNAL) {
        log_request_id(c->request_id);
        log_error("http.internal", "%s %s: %s", c->method, c->path, c->err.message);
        log_request_id(NULL);
    }
    reply_drop(k);
    a->status = row->status;
    a->error = true;
    a->type = json_error(call_dialect(k), c, &text);
    if (text.len && text.data[text.len - 1] != '\n')
        buf_putc(&text, '\n');
    put_buf(a, &text);
    if (row->retry_after && !told(c, "Retry-After"))
        reply_header(c, "Retry-After", arena_printf(c->arena, "%d", row->retry_after));
    if (c->err.code == ERR_UNAUTHENTICATED && !told(c, "WWW-Authenticate"))
        reply_header(c, "WWW-Authenticate", "Basic realm=\"quern\", charset=\"UTF-8\"");
}

static void answer_range(struct call *k, struct answer *a) {
    struct reply *r = &k->c.reply;
    const char *range = ctx_header(&k->c, "range");
    const char *only_if = ctx_header(&k->c, "if-range");
    if (!r->ranges || !range || a->status != 200 || k->method != METHOD_GET)
        return;
    /* If-Range compares strongly; a date can never match, there is no Last-Modified here. */
    if (only_if && (!r->etag || str_starts(only_if, "W/") || !str_eq(only_if, r->etag)))
        return;
    int part = range_parse(range, r->file_size, &a->from, &a->count);
    if (part == 0)
        return;
    if (part < 0) {
        fd_close(r->fd);
        r->fd = a->fd = -1;
        a->status = 416;
        a->type = "text/plain; charset=utf-8";
        a->bytes = (char *)"The range lies outside the content.\n";
        a->n = strlen(a->bytes);
        snprintf(a->range, sizeof(a->range), "bytes */%lld", (long long)r->file_size);
        return;
    }
    a->status = 206;
    snprintf(a->range, sizeof(a->range), "bytes %lld-%lld/%lld", (long long)a->from,
             (long long)(a->from + a->count - 1), (long long)r->file_size);
}

static void answer_reply(struct call *k, struct answer *a) {
    struct reply *r = &k->c.reply;
    const struct route *row = k->entry ? k->entry->row : NULL;
    struct buf text = {0};
    a->status = r->status ? r->status : 200;
    a->type = r->content_type;
    a->etag = r->etag;
    switch (r->kind) {
    case REPLY_SHAPE:
        a->type = "application/json";
        if (row && row->out)
            json_encode(&text, row->out, k->out);
        else
            buf_puts(&text, "{}");
        buf_putc(&text, '\n');
        put_buf(a, &text);
        break;
    case REPLY_BYTES:
        a->bytes = (char *)r->bytes;
        a->n = r->len;
        break;
    case REPLY_FILE:
        a->fd = r->fd;
        a->count = r->file_size;
        break;
    case REPLY_STREAM:
        break;
    }
    const char *known = r->etag ? ctx_header(&k->c, "if-none-match") : NULL;
    if (known && a->status == 200 && (k->method == METHOD_GET || k->method == METHOD_HEAD) &&
        etag_matches(known, r->etag)) {
        reply_drop(k);
        if (a->owned)
            free(a->bytes);
        a->status = 304;
        a->varies = a->n >= ENCODE_LEAST; /* what its 200 would say */
        a->type = NULL;
        a->bytes = NULL;
        a->n = 0;
        a->owned = false;
        a->fd = -1;
        return;
    }
    if (a->fd >= 0)
        answer_range(k, a);
}

static void answer_make(struct call *k, struct answer *a) {
    a->fd = -1;
    if (k->refused)
        answer_refused(k, a);
    else if (k->rc < 0)
        answer_error(k, a);
    else
        answer_reply(k, a);
    char *packed;
    size_t n;
    if (a->fd < 0 && a->bytes && a->status != 206 &&
        encode_body(k, a->type, a->bytes, a->n, &packed, &n, &a->encoding)) {
        if (a->owned)
            free(a->bytes);
        a->bytes = packed;
        a->n = n;
        a->owned = true;
    }
}

/* ------------------------------------------------------------------ to the library */

static struct MHD_Response *body_response(struct call *k, struct answer *a) {
    struct reply *r = &k->c.reply;
    bool streaming = !a->error && r->kind == REPLY_STREAM && a->status != 304;
    if (streaming)
        return stream_response(k);
    if (a->fd >= 0 && a->count > 0) {
        r->fd = -1; /* closed with the response */
        k->sent_bytes = (size_t)a->count;
        return MHD_create_response_from_fd_at_offset64((uint64_t)a->count, a->fd,
                                                       (uint64_t)a->from);
    }
    if (a->fd >= 0) {
        fd_close(a->fd);
        r->fd = -1;
    }
    k->sent_bytes = a->n;
    return MHD_create_response_from_buffer(
        a->n, a->bytes, a->owned ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
}

static bool has_header(const struct call *k, const char *name) {
    for (struct reply_header *h = k->c.reply.headers; h; h = h->next)
        if (str_ieq(h->name, name))
            return true;
    return false;
}

typedef void put_header(void *to, const char *name, const char *value);

static void put_headers(struct call *k, const struct answer *a, put_header *put, void *to) {
    struct ctx *c = &k->c;
    put(to, "X-Request-Id", c->request_id);
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        if (!c->reply.headers || !has_header(k, always[i].name))
            put(to, always[i].name, always[i].value);
    if (a->type)
        put(to, "Content-Type", a->type);
    if (a->encoding)
        put(to, "Content-Encoding", a->encoding);
    if (a->encoding || a->varies || (a->n >= ENCODE_LEAST && !a->error))
        put(to, "Vary", "Accept-Encoding");
    if (a->etag && !a->error)
        put(to, "ETag",
            a->encoding && !str_starts(a->etag, "W/") ? arena_printf(c->arena, "W/%s", a->etag)
                                                      : a->etag);
    if (*a->range)
        put(to, "Content-Range", a->range);
    if (!a->error && c->reply.kind == REPLY_FILE && c->reply.ranges)
        put(to, "Accept-Ranges", "bytes");
    for (struct reply_header *h = c->reply.headers; h; h = h->next)
        if (!a->error || belongs_to_error(h->name))
            put(to, h->name, h->value);
    if (!c->reply.headers || !has_header(k, "Cache-Control"))
        put(to, "Cache-Control", a->etag && !a->error ? "no-cache" : "no-store");
    if (k->close)
        put(to, "Connection", "close");
}

static void put_response(void *to, const char *name, const char *value) {
    MHD_add_response_header(to, name, value);
}

enum MHD_Result send_reply(struct call *k) {
    struct answer a = {0};
    if (k->w)
        wire_busy(k->w);
    answer_make(k, &a);
    struct MHD_Response *r = body_response(k, &a);
    if (!r)
        return MHD_NO;
    put_headers(k, &a, put_response, r);
    k->status = a.status;
    count(k, a.status);
    k->phase = CALL_SENT;
    enum MHD_Result queued = MHD_queue_response(k->conn, (unsigned)a.status, r);
    MHD_destroy_response(r);
    return queued;
}

static void put_text(void *to, const char *name, const char *value) {
    buf_printf(to, "%s: %s\r\n", name, value);
}

void send_by_hand(struct call *k) {
    struct answer a = {0};
    struct buf text = {0};
    k->close = true;
    answer_make(k, &a); /* an error: bytes, never a descriptor or a stream */
    buf_printf(&text, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n", a.status,
               MHD_get_reason_phrase_for((unsigned)a.status), a.n);
    put_headers(k, &a, put_text, &text);
    buf_puts(&text, "\r\n");
    if (k->method != METHOD_HEAD)
        buf_put(&text, a.bytes, a.n);
    wire_answer(k->w, text.data, text.len);
    buf_free(&text);
    if (a.owned)
        free(a.bytes);
    k->status = a.status;
    k->sent_bytes = a.n;
    count(k, a.status);
}
