/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/metric/metric.h"

#define DECODE_INLINE_MAX                                                                          \
    (256u << 10)            /* larger bodies would hold up a network thread: 8 ms each             \
                             */
#define LOGGED_PATH_MAX 512 /* a path may have 16 KiB */

/* ------------------------------------------------------------------ running */

static enum MHD_Result run(struct call *k) {
    struct server *s = k->s;
    if (k->w)
        wire_busy(k->w);
    /* An upload was decoded before its body; a large body is left to the lane, or to call_run. */
    if (!k->decoded && k->c.body_len <= DECODE_INLINE_MAX && (k->rc = call_decode(k)))
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

int route_run(struct ctx *c, const struct route *row, const void *in, void *out) {
    bool must = c->must_ask, asked = c->asked;
    c->must_ask = (row->flags & ROUTE_OBJECT) != 0;
    c->asked = false;
    int rc = row->fn(c, in, out);
    if (rc == 0)
        rc = ctx_asked(c);
    c->must_ask = must;
    c->asked = asked;
    return rc;
}

int call_run(struct call *k) {
    const struct route *row = k->entry->row;
    struct ctx *c = &k->c;
    int rc = call_decode(k);
    if (rc)
        return rc;
    if (!(row->flags & ROUTE_UPLOAD))
        return route_run(c, row, k->in, k->out);
    k->upload_open = false; /* the state is finish's from here, whatever it returns */
    c->must_ask = (row->flags & ROUTE_OBJECT) != 0;
    c->asked = false;
    rc = row->upload->finish(c, k->in, k->upload, k->out);
    if (rc == 0)
        rc = ctx_asked(c);
    c->must_ask = false;
    return rc;
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

/* ------------------------------------------------------------------ the library's callbacks */

static enum MHD_Result head(struct call *k, const char *method) {
    struct ctx *c = &k->c;
    k->method = method_of(method);
    call_read_head(k);
    if (k->method == METHOD_COUNT && !k->refused)
        k->refused = 501; /* the strict layer knows the same methods: never seen */
    c->method = k->method < METHOD_COUNT ? method_text(k->method) : "GET";
    if (k->refused) {
        const struct strict *why = k->w ? &k->w->strict : NULL;
        metric_add(METRIC_HTTP_REFUSED, 1, why && why->reason ? why->reason : "table", NULL, NULL);
        k->close = true;
        return send_reply(k);
    }
    k->rc = call_find(k);
    if (k->rc == 0)
        k->rc = call_admit(k);
    if (k->rc)
        return body_fail_early(k);
    k->phase = CALL_BODY;
    if (call_has_body(k))
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
    if (k->decoder && (k->rc = decode_end(k)))
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
    bool quiet = k->entry && (k->entry->row->flags & ROUTE_NO_LOG) && k->status < 400;
    if (quiet)
        return;
    int64_t us = (clock_mono_ns() - k->start_ns) / 1000;
    log_request_id(k->c.request_id);
    if (k->refused)
        log_info("http.refused", "%d %s from %s", k->status,
                 k->w && k->w->strict.why ? k->w->strict.why : "", k->c.remote);
    else
        log_info("http.request", "%s %.*s%s %d %zu bytes %" PRId64 ".%03" PRId64 " ms %s from %s",
                 k->c.method, LOGGED_PATH_MAX, k->c.path,
                 strnlen(k->c.path, LOGGED_PATH_MAX + 1) > LOGGED_PATH_MAX ? "..." : "", k->status,
                 k->sent_bytes, us / 1000, us % 1000, *k->c.who.name ? k->c.who.name : "-",
                 k->c.remote);
    log_request_id(NULL);
}

void call_unref(struct call *k) {
    if (--k->refs)
        return;
    decode_close(k);
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
    if (k->w) {
        k->w->call = NULL;
        wire_done(k->w);
    }
    log_line(k);
    k->conn = NULL;
    k->w = NULL;
    call_unref(k);
    atomic_fetch_sub_explicit(&s->calls, 1, memory_order_relaxed);
}

void call_abandoned(struct server *s, struct wire *w) {
    void *state = w->call;
    call_completed(s, NULL, &state, MHD_REQUEST_TERMINATED_WITH_ERROR);
}
