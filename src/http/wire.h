/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_HTTP_WIRE_H
#define QUERN_HTTP_WIRE_H
/* Wire: one record per connection between the socket and libmicrohttpd.
 *
 * The program defines recv (and gnutls_record_recv, for TLS), so the dynamic linker gives them to
 * the library as well. For a descriptor that has a wire the bytes go through strict.c first; for
 * every other descriptor they are the system's own. A wire belongs to the one network thread that
 * owns its connection; only the deadline and the descriptor are shared, with the reaper. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strict.h"

struct sockaddr;
struct wires; /* all connections of one server */

struct wire {
    int fd;
    void *call; /* struct call from its target to its completion, NULL between requests */
    void *tls;  /* gnutls_session_t, NULL for plain HTTP */
    struct strict strict;
    char *in; /* [off, ok) checked, to be released; [ok, len) not a whole token yet */
    size_t off, ok, len, cap;
    unsigned handled;         /* requests whose handler was called */
    bool busy;                /* a request is with its handler or its answer under way */
    bool closing;             /* answered by hand: what still comes is dropped */
    uint64_t dropped;         /* bytes thrown away behind a refusal */
    uint64_t received;        /* of the body under way */
    int64_t body_since;       /* monotonic ns */
    int64_t body_ns;          /* deadline of a body */
    bool paced;               /* an upload: the deadline moves with the bytes, 1 KiB/s */
    _Atomic int64_t deadline; /* monotonic ns, 0: none */
    _Atomic int expired;
    char remote[48];
    struct wires *all;
    struct wire *prev, *next;
};

struct wires_options {
    int64_t head_ms, body_ms, idle_ms;
};

/* Whether this program's recv is the one that libraries get; false must stop the start. */
bool wire_installed(bool tls);

struct wires *wires_new(const struct wires_options *o);
/* From here on connections of this socket are shared out evenly among so many network threads. */
void wires_listen(struct wires *w, int fd, unsigned threads);
void wires_free(struct wires *w); /* after the last connection was closed */
void wires_reap(struct wires *w); /* called every 100 ms or so: enforces deadlines */
size_t wires_count(const struct wires *w);

/* NULL when the descriptor is beyond the table: the request is then refused. */
struct wire *wire_open(struct wires *w, int fd, void *tls, const struct sockaddr *peer);
void wire_close(struct wire *w);

/* A handler begins. Returns the status with which the request must be refused, or 0. */
int wire_request(struct wire *w);
/* Again at the end of the body: framing may have gone wrong in the meantime. */
int wire_refused(const struct wire *w);
void wire_body_deadline(struct wire *w, bool paced); /* the body of this request is awaited */
void wire_busy(struct wire *w);       /* the body is whole: no deadline while we work */
void wire_done(struct wire *w);       /* the answer left: idle, or already in the next head */
bool wire_gone(const struct wire *w); /* the peer has closed */

/* Answers by hand where the library cannot (in the middle of a body), then drops what comes. */
void wire_answer(struct wire *w, const char *bytes, size_t n);

#endif
