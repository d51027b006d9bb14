/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/id.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/json/json_in.h"
#include "quern/metric/metric.h"

#define SWALLOW_MAX (1u << 20) /* read of a refused body so that the connection lives on */
#define DECODE_INLINE_MAX                                                                          \
    (256u << 10)                   /* larger bodies would hold up a network thread: 8 ms each      \
                                    */
#define ARENA_BODY_MAX (64u << 10) /* larger bodies grow on the heap as they come */

/* ------------------------------------------------------------------ identity */

static uint64_t mix(uint64_t x) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Unique, not secret: a random start per thread and splitmix64 from there. */
static const char *request_id_new(struct call *k) {
    struct net_thread *t = net_thread(k->s);
    t->id[0] += 0x9e3779b97f4a7c15u;
    uint64_t raw[2] = {mix(t->id[0]), t->id[1]};
    char *text = arena_alloc(k->c.arena, 33);
    hex_encode(raw, sizeof(raw), text);
    return text;
}

static bool request_id_sane(const char *s) {
    size_t n = strlen(s);
    if (n == 0 || n > 64)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z') ||
              s[i] == '-' || s[i] == '_' || s[i] == '.'))
            return false;
    return true;
}

void *call_target(void *server, const char *target, struct MHD_Connection *conn) {
    struct call *k = mem_alloc(sizeof(*k));
    struct server *s = server;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    k->s = s;
    k->conn = conn;
    k->w = info ? info->socket_context : NULL;
    k->refs = 1;
    k->start_ns = clock_mono_ns();
    k->refused = k->w ? wire_request(k->w) : 500;
    struct ctx *c = &k->c;
    c->arena = arena_new();
    c->who = (struct principal){.name = "", .kind = ""};
    c->project = 1;
    c->now_ms = clock_wall_ms();
    c->remote = k->w ? k->w->remote : "";
    c->method = c->content_type = c->body = "";
    c->reply.fd = -1;
    size_t n = strcspn(target, "?");
    /* The library cuts its own copy at the '?' after this call. */
    c->path = arena_strndup(c->arena, target, n);
    c->query = target[n] ? arena_strdup(c->arena, target + n + 1) : "";
    atomic_fetch_add_explicit(&s->calls, 1, memory_order_relaxed);
    return k;
}

static enum MHD_Result one_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                  const char *value) {
    (void)kind;
    struct ctx *c = arg;
    /* Names were folded to lower case on the wire; these strings live as long as the request. */
    struct header *h = (struct header *)&c->headers[c->header_count++];
    h->name = name;
    h->value = value ? value : "";
    return MHD_YES;
}

static void read_headers(struct call *k) {
    struct ctx *c = &k->c;
    int n = MHD_get_connection_values(k->conn, MHD_HEADER_KIND, NULL, NULL);
    c->headers = ARENA_ARRAY(c->arena, struct header, (size_t)(n > 0 ? n : 1));
    MHD_get_connection_values(k->conn, MHD_HEADER_KIND, one_header, c);
    for (size_t i = 0; i < c->header_count; i++) {
        const struct header *h = &c->headers[i];
        switch (strlen(h->name)) {
        case 6:
            k->expects |= strcmp(h->name, "expect") == 0;
            break;
        case 12:
            if (strcmp(h->name, "content-type") == 0)
                c->content_type = h->value;
            else if (strcmp(h->name, "x-request-id") == 0 && request_id_sane(h->value))
                c->request_id = h->value;
            break;
        case 14:
            if (strcmp(h->name, "content-length") == 0)
                str_to_u64(h->value, &k->body_length);
            break;
        case 17:
            k->chunked |= strcmp(h->name, "transfer-encoding") == 0;
            break;
        default:
            break;
        }
    }
    if (!c->request_id)
        c->request_id = request_id_new(k);
}

/* ------------------------------------------------------------------ ending before the handler */

static bool has_body(const struct call *k) {
    return k->chunked || k->body_length > 0;
}

/* The call has failed (k->rc) before its body was read. An answer in the library's first call ends
 * the connection, so a request without a body is answered in the second, and a small body is read
 * and forgotten. A client that asked with Expect is told at once; one that sends a large body
 * unasked is told by hand, because closing on it while it sends could lose the answer. */
static enum MHD_Result fail_early(struct call *k) {
    bool small = k->chunked || k->body_length <= SWALLOW_MAX;
    if (small && !k->expects) {
        k->phase = CALL_SWALLOW;
        if (has_body(k))
            wire_body_deadline(k->w, false);
        return MHD_YES;
    }
    k->close = true;
    if (k->expects)
        return send_reply(k);
    send_by_hand(k);
    k->phase = CALL_DROP;
    return MHD_YES;
}

/* In the middle of a body the library takes no answer. */
static enum MHD_Result fail_in_body(struct call *k) {
    if (k->upload_open) {
        k->upload_open = false;
        k->entry->row->upload->abort(k->upload);
    }
    bool short_rest =
        k->chunked ? k->body_seen <= SWALLOW_MAX : k->body_length - k->body_seen <= SWALLOW_MAX;
    if (short_rest) {
        k->phase = CALL_SWALLOW;
        return MHD_YES;
    }
    send_by_hand(k);
    k->phase = CALL_DROP;
    return MHD_YES;
}

/* ------------------------------------------------------------------ routing and admission */

static enum dialect dialect_of_path(const char *path) {
    if (str_starts(path, "/api/2.0/mlflow") || str_starts(path, "/api/3.0/mlflow") ||
        str_starts(path, "/ajax-api/"))
        return DIALECT_MLFLOW;
    if (str_starts(path, "/v2/") || str_eq(path, "/v2"))
        return DIALECT_OIP;
    return str_starts(path, "/api/") ? DIALECT_PROBLEM : DIALECT_TEXT;
}

enum dialect call_dialect(const struct call *k);
enum dialect call_dialect(const struct call *k) {
    if (k->refused)
        return DIALECT_TEXT;
    return k->entry ? k->entry->row->dialect : dialect_of_path(k->c.path);
}

static void allow_header(struct call *k) {
    struct buf text = {0};
    for (unsigned m = 0; m < METHOD_COUNT; m++)
        if ((k->allow | 1u << METHOD_OPTIONS) & 1u << m)
            buf_printf(&text, "%s%s", text.len ? ", " : "", method_text((enum method)m));
    reply_header(&k->c, "Allow", arena_strdup(k->c.arena, text.data));
    buf_free(&text);
}

static int route(struct call *k) {
    struct ctx *c = &k->c;
    struct route_match match;
    router_find(k->s->router, c->arena, k->method, c->path, strlen(c->path), &match);
    k->allow = match.allow;
    if (match.entry) {
        k->entry = match.entry;
        k->nvars = match.nvars;
        memcpy(k->vars, match.vars, sizeof(k->vars));
        return 0;
    }
    if (!match.allow)
        return fail(c, ERR_NO_ROUTE, "There is nothing at %s.", c->path);
    allow_header(k);
    if (k->method == METHOD_OPTIONS) {
        reply_status(c, 204);
        reply_bytes(c, NULL, "", 0);
        return 1; /* answered */
    }
    return fail(c, ERR_METHOD, "%s is not a method of %s; see the Allow header.", c->method,
                c->path);
}

/* The media type without its parameters. */
static bool media_is(const char *type, const char *want) {
    size_t n = strcspn(type, "; \t");
    return n == strlen(want) && strncasecmp(type, want, n) == 0;
}

static bool media_is_json(const char *type) {
    size_t n = strcspn(type, "; \t");
    return media_is(type, "application/json") ||
           (n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0);
}

static int check_content_type(struct call *k) {
    const struct route *row = k->entry->row;
    struct ctx *c = &k->c;
    if (row->flags & (ROUTE_RAW_BODY | ROUTE_UPLOAD))
        return 0;
    if (row->dialect == DIALECT_MLFLOW) {
        if (k->method != METHOD_POST && k->method != METHOD_PUT)
            return 0;
        if (!*c->content_type)
            return fail(c, ERR_INVALID, "Bad Request. Content-Type header is missing.");
        if (!media_is(c->content_type, "application/json"))
            return fail(c, ERR_INVALID,
                        "Bad Request. Content-Type must be one of ['application/json'].");
        return 0;
    }
    if (row->dialect == DIALECT_PROBLEM && has_body(k) && !media_is_json(c->content_type))
        return fail(c, ERR_MEDIA_TYPE,
                    "The body must come with Content-Type: application/json (curl --json does).");
    return 0;
}

static int reserve_body(struct call *k, size_t more) {
    size_t before = atomic_fetch_add_explicit(&k->s->body_bytes, more, memory_order_relaxed);
    k->reserved += more;
    if (before + more > k->s->body_bytes_max)
        return fail(&k->c, ERR_BUSY, "Too many request bodies are under way, try again.");
    return 0;
}

static int check_body_size(struct call *k) {
    const struct route *row = k->entry->row;
    k->body_cap = row->body_cap ? row->body_cap : k->s->o.body_cap;
    if (row->flags & ROUTE_UPLOAD)
        k->body_cap = row->body_cap ? row->body_cap : k->s->o.upload_cap;
    if (k->body_length > k->body_cap)
        return fail(&k->c, ERR_TOO_LARGE,
                    "The body has %" PRIu64 " bytes, at most %" PRIu64 " are taken here.",
                    k->body_length, k->body_cap);
    if (!(row->flags & ROUTE_UPLOAD) && k->body_length)
        return reserve_body(k, (size_t)k->body_length);
    return 0;
}

/* Decodes path, query and (unless raw or streamed) the body into k->in. */
static int decode(struct call *k) {
    const struct route *row = k->entry->row;
    struct ctx *c = &k->c;
    k->decoded = true;
    if (row->out)
        k->out = arena_alloc(c->arena, row->out->size ? row->out->size : 1);
    if (!row->in)
        return 0;
    struct json_t *tree = NULL;
    struct pairs query;
    const struct pairs path = {.items = k->vars, .n = k->nvars};
    if (!(row->flags & (ROUTE_RAW_BODY | ROUTE_UPLOAD)) && c->body_len) {
        int rc = json_parse(c, row->dialect, c->body, c->body_len, &tree);
        if (rc)
            return rc;
    }
    target_query(c->arena, c->query, &query);
    k->in = arena_alloc(c->arena, row->in->size ? row->in->size : 1);
    return json_decode(c, row->dialect, row->in, tree, &query, &path, k->in);
}

static int admit(struct call *k) {
    struct server *s = k->s;
    const struct route *row = k->entry->row;
    if (atomic_load_explicit(&s->draining, memory_order_relaxed) &&
        !(row->flags & ROUTE_NO_HOST_CHECK)) {
        k->close = true;
        return fail(&k->c, ERR_BUSY, "The server is shutting down, try again.");
    }
    int rc = s->o.admit ? s->o.admit(&k->c, row, s->o.admit_arg) : 0;
    if (!rc)
        rc = check_content_type(k);
    if (!rc)
        rc = check_body_size(k);
    if (!rc && (row->flags & ROUTE_UPLOAD)) {
        rc = decode(k);
        if (!rc)
            rc = row->upload->begin(&k->c, k->in, &k->upload);
        k->upload_open = !rc;
    }
    return rc;
}

/* ------------------------------------------------------------------ running */

static enum MHD_Result run(struct call *k) {
    struct server *s = k->s;
    if (k->w)
        wire_busy(k->w);
    /* An upload was decoded before its body; a large body is left to the lane, or to call_run. */
    if (!k->decoded && k->c.body_len <= DECODE_INLINE_MAX && (k->rc = decode(k)))
        return send_reply(k);
    /* Counted before the look at `stopping`, which server_stop sets before it looks at the count:
     * no call can be suspended behind its back. */
    atomic_fetch_add(&s->dispatched, 1);
    if (atomic_load(&s->stopping)) {
        atomic_fetch_sub(&s->dispatched, 1);
        k->close = true;
        k->rc = fail(&k->c, ERR_BUSY, "The server is shutting down, try again.");
        return send_reply(k);
    }
    k->phase = CALL_HELD;
    log_request_id(k->c.request_id);
    s->o.dispatch(k, s->o.dispatch_arg);
    log_request_id(NULL);
    /* A held call may be finished already, but its next step comes on this thread all the same. */
    if (k->held)
        return MHD_YES;
    atomic_fetch_sub(&s->dispatched, 1);
    return send_reply(k);
}

struct ctx *call_ctx(struct call *k) {
    return &k->c;
}
const struct route *call_route(const struct call *k) {
    return k->entry->row;
}
const void *call_in(const struct call *k) {
    return k->in;
}
void *call_out(struct call *k) {
    return k->out;
}

bool call_undecoded(const struct call *k) {
    return !k->decoded;
}

int call_decode(struct call *k) {
    return k->decoded ? 0 : decode(k);
}

int call_run(struct call *k) {
    const struct route *row = k->entry->row;
    int rc = call_decode(k);
    if (rc)
        return rc;
    if (!(row->flags & ROUTE_UPLOAD))
        return row->fn(&k->c, k->in, k->out);
    k->upload_open = false; /* the state is finish's from here, whatever it returns */
    return row->upload->finish(&k->c, k->in, k->upload, k->out);
}

void call_hold(struct call *k) {
    if (k->held)
        return;
    k->held = true;
    MHD_suspend_connection(k->conn);
}

void call_finish(struct call *k, int rc) {
    k->rc = rc;
    if (!k->held) {
        atomic_store_explicit(&k->finished, true, memory_order_relaxed);
        return;
    }
    struct server *s = k->s;
    struct MHD_Connection *conn = k->conn;
    atomic_store_explicit(&k->finished, true, memory_order_release);
    MHD_resume_connection(conn);
    /* k belongs to its network thread again and may be gone; behind the next line the server may be
     * gone as well. */
    atomic_fetch_sub(&s->dispatched, 1);
}

/* ------------------------------------------------------------------ body */

static int body_grow(struct call *k, size_t need) {
    if (need <= k->body_alloc)
        return 0;
    size_t size = k->body_alloc ? k->body_alloc * 2 : ARENA_BODY_MAX;
    while (size < need)
        size *= 2;
    char *grown = realloc(k->body, size);
    if (!grown)
        mem_die();
    k->body = grown;
    k->body_alloc = size;
    return 0;
}

static int body_keep(struct call *k, const char *data, size_t n) {
    size_t at = k->c.body_len;
    /* The strict layer and the library agree on the length; this does not rest on it. */
    if (!k->chunked && n > k->body_length - at)
        return fail(&k->c, ERR_BAD_REQUEST, "The body is longer than its Content-Length.");
    if (k->chunked) {
        int rc = reserve_body(k, n);
        if (rc)
            return rc;
    }
    if (!k->chunked && k->body_length <= ARENA_BODY_MAX) {
        if (!k->body)
            k->body = arena_alloc(k->c.arena, (size_t)k->body_length + 1);
    } else {
        body_grow(k, at + n + 1);
    }
    memcpy(k->body + at, data, n);
    k->body[at + n] = '\0';
    k->c.body = k->body;
    k->c.body_len = at + n;
    return 0;
}

static enum MHD_Result body_data(struct call *k, const char *data, size_t n) {
    k->body_seen += n;
    if (k->phase == CALL_SWALLOW) {
        if (k->body_seen <= 2 * SWALLOW_MAX)
            return MHD_YES;
        send_by_hand(k);
        k->phase = CALL_DROP;
        return MHD_YES;
    }
    if (k->phase != CALL_BODY)
        return MHD_YES;
    if (k->body_seen > k->body_cap)
        k->rc =
            fail(&k->c, ERR_TOO_LARGE,
                 "The body is larger than the %" PRIu64 " bytes that are taken here.", k->body_cap);
    else if (k->upload_open)
        k->rc = k->entry->row->upload->chunk(&k->c, k->upload, data, n);
    else
        k->rc = body_keep(k, data, n);
    return k->rc ? fail_in_body(k) : MHD_YES;
}

/* ------------------------------------------------------------------ the library's callbacks */

static enum MHD_Result head(struct call *k, const char *method) {
    struct ctx *c = &k->c;
    k->method = method_of(method);
    read_headers(k);
    if (k->method == METHOD_COUNT && !k->refused)
        k->refused = 501; /* the strict layer knows the same methods: never seen */
    c->method = k->method < METHOD_COUNT ? method_text(k->method) : "GET";
    if (k->refused) {
        const struct strict *why = k->w ? &k->w->strict : NULL;
        metric_add(METRIC_HTTP_REFUSED, 1, why && why->reason ? why->reason : "table", NULL, NULL);
        k->close = true;
        return send_reply(k);
    }
    k->rc = route(k);
    if (k->rc == 0)
        k->rc = admit(k);
    if (k->rc)
        return fail_early(k);
    k->phase = CALL_BODY;
    if (has_body(k))
        wire_body_deadline(k->w, k->upload_open);
    return MHD_YES; /* an answer in this call would end the connection: see end() */
}

static enum MHD_Result end(struct call *k) {
    if (k->w && (k->refused = wire_refused(k->w))) {
        /* The framing of the body broke; what came before is not acted on. */
        metric_add(METRIC_HTTP_REFUSED, 1, k->w->strict.reason, NULL, NULL);
        k->close = true;
        return send_reply(k);
    }
    if (k->phase == CALL_SWALLOW)
        return send_reply(k);
    return run(k);
}

enum MHD_Result call_handle(void *server, struct MHD_Connection *conn, const char *url,
                            const char *method, const char *version, const char *data,
                            size_t *data_size, void **state) {
    (void)server;
    (void)conn;
    (void)url;
    (void)version;
    struct call *k = *state;
    if (k->phase == CALL_NEW)
        return head(k, method);
    if (*data_size) {
        size_t n = *data_size;
        *data_size = 0;
        return body_data(k, data, n);
    }
    switch (k->phase) {
    case CALL_BODY:
    case CALL_SWALLOW:
        return end(k);
    case CALL_HELD:
        if (!atomic_load_explicit(&k->finished, memory_order_acquire))
            return MHD_YES;
        return send_reply(k);
    case CALL_NEW:
    case CALL_DROP:
    case CALL_SENT:
        break;
    }
    return MHD_NO;
}

static void log_line(const struct call *k) {
    int64_t us = (clock_mono_ns() - k->start_ns) / 1000;
    bool quiet = k->entry && (k->entry->row->flags & ROUTE_NO_LOG) && k->status < 400;
    if (quiet)
        return;
    log_request_id(k->c.request_id);
    if (k->refused)
        log_info("http.refused", "%d %s from %s", k->status,
                 k->w && k->w->strict.why ? k->w->strict.why : "", k->c.remote);
    else
        log_info("http.request", "%s %s %d %zu bytes %" PRId64 ".%03" PRId64 " ms %s from %s",
                 k->c.method, k->c.path, k->status, k->sent_bytes, us / 1000, us % 1000,
                 *k->c.who.name ? k->c.who.name : "-", k->c.remote);
    log_request_id(NULL);
}

void call_unref(struct call *k) {
    if (--k->refs)
        return;
    if (k->body_alloc)
        free(k->body);
    arena_free(k->c.arena);
    free(k);
}

void call_completed(void *server, struct MHD_Connection *conn, void **state,
                    enum MHD_RequestTerminationCode how) {
    (void)conn;
    struct server *s = server;
    struct call *k = *state;
    *state = NULL;
    if (!k)
        return;
    if (k->upload_open) {
        k->upload_open = false;
        k->entry->row->upload->abort(k->upload);
    }
    if (k->phase != CALL_SENT) {
        reply_drop(k);
        if (!k->status)
            k->status = 499; /* the client went away: as others log it */
    } else if (how != MHD_REQUEST_TERMINATED_COMPLETED_OK) {
        log_debug("http.broken", "%s %s: the answer was cut off", k->c.method, k->c.path);
    }
    if (k->reserved)
        atomic_fetch_sub_explicit(&s->body_bytes, k->reserved, memory_order_relaxed);
    if (k->w)
        wire_done(k->w);
    log_line(k);
    k->conn = NULL;
    k->w = NULL;
    call_unref(k);
    atomic_fetch_sub_explicit(&s->calls, 1, memory_order_relaxed);
}
