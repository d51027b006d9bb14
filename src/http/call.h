/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_HTTP_CALL_H
#define QUERN_HTTP_CALL_H
/* Call: one request from its head to the last byte of its answer. All of it happens on the network
 * thread of its connection, except between call_hold and call_finish. */
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/http/server.h"
#include "router.h"
#include "wire.h"

enum call_phase {
    CALL_NEW,     /* the head was parsed by the library */
    CALL_BODY,    /* body bytes are gathered or streamed */
    CALL_SWALLOW, /* failed already: the rest of a small body is read so that the connection lives
                   */
    CALL_DROP,    /* answered by hand: what comes is dropped until the connection ends */
    CALL_HELD,    /* with another thread, or finished by it and waiting to be sent */
    CALL_SENT,
};

struct call {
    struct ctx c;
    struct server *s;
    struct MHD_Connection *conn;
    struct wire *w;
    struct entry *entry;
    enum call_phase phase;
    enum method method;
    struct pair vars[ROUTE_VARS_MAX];
    size_t nvars;
    void *in, *out;
    bool decoded;
    int rc;
    bool held;
    atomic_bool finished;
    bool close; /* end the connection behind the answer */
    bool chunked, expects;
    int refused;          /* status from the strict layer, 0: none */
    uint64_t body_length; /* announced; 0 for chunked */
    uint64_t body_cap, body_seen;
    size_t reserved; /* of the server's in-flight bytes */
    char *body;
    size_t body_alloc;       /* heap bytes behind c.body, 0: arena */
    struct decoder *decoder; /* of a body that comes compressed, or NULL */
    void *upload;
    bool upload_open;
    int64_t start_ns;
    int status; /* sent */
    size_t sent_bytes;
    unsigned allow; /* for 405 and OPTIONS */
    int refs;       /* the request, and its stream if any */
    /* Streams. */
    bool stream_closed;
    struct call *parked_next, *parked_prev;
    bool parked;
};

struct server {
    struct server_options o;
    struct MHD_Daemon *daemon;
    struct router *router;
    struct wires *wires;
    struct thread *reaper;
    int listen_fd;
    int port;
    bool tls;
    bool quiesced;
    bool own_listen;
    atomic_bool draining, stopping;
    pthread_mutex_t lock; /* parked streams, and the reaper's sleep */
    pthread_cond_t stop;
    struct call *parked;
    atomic_uint wakes;        /* counts calls of server_wake_streams */
    atomic_size_t calls;      /* requests under way, streams left out */
    atomic_size_t dispatched; /* with their lane, suspended or not */
    atomic_size_t body_bytes;
    size_t body_bytes_max;
    pthread_key_t thread_key;
    atomic_uint named; /* network threads so far */
};

/* Per network thread. */
struct net_thread {
    struct server *s;
    void *zstd;     /* ZSTD_CCtx, made on first use */
    uint64_t id[2]; /* request ids: a random start, then steps */
};
struct net_thread *net_thread(struct server *s);

/* Callbacks of the library. */
void *call_target(void *server, const char *target, struct MHD_Connection *conn);
enum MHD_Result call_handle(void *server, struct MHD_Connection *conn, const char *url,
                            const char *method, const char *version, const char *data,
                            size_t *data_size, void **state);
void call_completed(void *server, struct MHD_Connection *conn, void **state,
                    enum MHD_RequestTerminationCode how);
void call_unref(struct call *k);
/* The library has forgotten the wire's call without completing it. */
void call_abandoned(struct server *s, struct wire *w);

/* begin.c */
void call_read_head(struct call *k);

/* admit.c: 0, 1 when the reply is complete (OPTIONS), or the failure. */
int call_find(struct call *k);
int call_admit(struct call *k);
enum dialect call_dialect(const struct call *k);

/* body.c */
bool call_has_body(const struct call *k);
int body_reserve(struct call *k, size_t more);   /* of the server's bytes under way */
enum MHD_Result body_fail_early(struct call *k); /* k->rc is set, the body was not read */
enum MHD_Result body_data(struct call *k, const char *data, size_t n);
int body_append(struct call *k, const char *data, size_t n); /* unpacked bytes, within the cap */

/* decode.c: Content-Encoding of requests. Bodies that the row takes as they are have no decoder. */
int decode_open(struct call *k); /* ERR_MEDIA_TYPE for an encoding that is not served */
int decode_data(struct call *k, const char *data, size_t n);
int decode_end(struct call *k); /* ERR_BAD_REQUEST for a stream that was cut off */
void decode_close(struct call *k);

/* send.c: the answer of a finished call. */
enum MHD_Result send_reply(struct call *k);
/* The same by hand, for a connection in the middle of a body. */
void send_by_hand(struct call *k);
/* Closes what the reply owns and will not be sent: descriptor, stream. */
void reply_drop(struct call *k);
unsigned status_slot(int status);

#define ENCODE_LEAST 1024u /* shorter texts are sent as they are */
/* encode.c: compresses text; false when it is not worth it or not wanted. *out is malloc'ed. */
bool encode_body(struct call *k, const char *content_type, const char *data, size_t n, char **out,
                 size_t *out_n, const char **encoding);

/* range.c: 0 whole, 1 the part in *from and *count, -1 unsatisfiable. */
int range_parse(const char *header, int64_t size, int64_t *from, int64_t *count);
bool etag_matches(const char *if_none_match, const char *etag);

/* stream.c */
struct MHD_Response *stream_response(struct call *k);
void stream_close(struct call *k);

#endif
