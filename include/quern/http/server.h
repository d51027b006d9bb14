/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_HTTP_SERVER_H
#define QUERN_HTTP_SERVER_H
/* Server: the strict request layer in front of libmicrohttpd, the router and the sender.
 *
 * Refused with a plain answer and a closed connection, before any handler: reliability-security
 * §4.3's table whole: not exactly one Host (HTTP/1.1), more than one Content-Length or
 * Transfer-Encoding, both together, Transfer-Encoding other than "chunked" (501), header names
 * that are not tokens, values with CR/LF/NUL, obs-fold, bare LF, methods outside
 * GET HEAD POST PUT PATCH DELETE OPTIONS (501), targets not in origin form, raw targets with %00,
 * %2f, %5c, '\', "//", "/./", "/../", bad escapes, non-ASCII (400), too long (414), heads over
 * 32 KiB (431), bodies over the row's cap (413). MHD itself tolerates several of these on the wire,
 * so the listening side first passes each connection's bytes through a checking reader where the
 * library cannot show them (see src/http/strict.c).
 *
 * For each complete request the server makes a ctx and calls `dispatch` on a network thread.
 * Dispatch either finishes inline or keeps the call and finishes later from any thread with
 * call_finish. Every answer carries X-Request-Id, X-Content-Type-Options: nosniff,
 * X-Frame-Options, Referrer-Policy; JSON answers over 1 KiB are compressed with zstd or gzip
 * when the client accepts it. One log line per request. */
#include <stdbool.h>
#include <stddef.h>

#include "quern/http/route.h"

struct server;
struct call; /* one request under way */
struct buf;

struct server_options {
    const char *listen;       /* "127.0.0.1:7780" */
    int listen_fd;            /* a socket passed by systemd, or -1 */
    const char *tls_cert_pem; /* contents, NULL: plain HTTP */
    const char *tls_key_pem;
    unsigned threads, connections, per_ip;
    int64_t head_ms, body_ms, idle_ms;
    uint64_t body_cap, upload_cap;
    const struct route_list *routes; /* ends with n = 0 */
    /* Host, Origin and Sec-Fetch-Site checks and the caller's identity; runs before the body is
     * read. Fills c->who and c->project. */
    int (*admit)(struct ctx *c, const struct route *row, void *arg);
    void *admit_arg;
    /* Carries the decoded request on its lane; must lead to call_finish exactly once. */
    void (*dispatch)(struct call *k, void *arg);
    void *dispatch_arg;
    void (*thread_end)(void *arg); /* on each network thread as it ends */
};

/* Checks the rows (perm, lane, unique ids and paths, shapes) and binds. -1 and a sentence. */
int server_start(const struct server_options *o, struct server **out, struct buf *error);
void server_drain(struct server *s); /* stop accepting; new requests on kept connections get 503 */
bool server_wait_idle(struct server *s, int64_t ms);
void server_stop(struct server *s);
int server_port(const struct server *s); /* the bound one, also for port 0 */
size_t server_connections(const struct server *s);
void server_wake_streams(struct server *s); /* streams that had nothing are asked again */

/* What dispatch sees. */
struct ctx *call_ctx(struct call *k);
const struct route *call_route(const struct call *k);
const void *call_in(const struct call *k);
void *call_out(struct call *k);
int call_run(struct call *k);             /* runs handler or upload finish with in and out */
void call_finish(struct call *k, int rc); /* rc 0: send the reply; else the error in the dialect */
void call_hold(struct call *k); /* suspend: must precede handing it to another thread; a second
                                   call changes nothing */
/* Bodies over 256 KiB reach dispatch unparsed, so that it can take them off the network thread:
 * until call_decode (or call_run, which does it first) returned 0 there is no call_in or call_out.
 */
bool call_undecoded(const struct call *k);
int call_decode(struct call *k);

/* Rows to documents. */
void openapi_render(const struct route_list *routes, const char *version, struct buf *out);
void routes_markdown(const struct route_list *routes, struct buf *out);
int routes_check(const struct route_list *routes, struct buf *error);
/* Finds the row for tests and for the command line; NULL if none. */
const struct route *routes_find(const struct route_list *routes, const char *method,
                                const char *path);

#endif
