/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include "quern/base/arena.h"

/* Streams: answers that are pulled while the connection lives. A stream that has nothing is parked
 * (its connection suspended) until a wake or the reaper's tick asks it again. */

#define STREAM_BLOCK 16384u

void stream_close(struct call *k) {
    struct reply *r = &k->c.reply;
    if (r->kind != REPLY_STREAM || k->stream_closed)
        return;
    k->stream_closed = true;
    if (r->stream && r->stream->close)
        r->stream->close(r->stream_state);
}

/* Under the server's lock. */
static void park(struct server *s, struct call *k) {
    k->parked = true;
    k->parked_prev = NULL;
    k->parked_next = s->parked;
    if (s->parked)
        s->parked->parked_prev = k;
    s->parked = k;
    MHD_suspend_connection(k->conn);
}

static ssize_t stream_next(void *arg, uint64_t at, char *out, size_t max) {
    (void)at;
    struct call *k = arg;
    struct server *s = k->s;
    for (;;) {
        if (atomic_load(&s->draining) || (k->w && wire_gone(k->w)))
            return MHD_CONTENT_READER_END_OF_STREAM;
        unsigned wakes = atomic_load(&s->wakes);
        ssize_t n = k->c.reply.stream->next(k->c.reply.stream_state, out, max);
        if (n > 0) {
            k->sent_bytes += (size_t)n;
            return n;
        }
        if (n == -1)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (n < -1)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        pthread_mutex_lock(&s->lock);
        bool missed = atomic_load(&s->wakes) != wakes || atomic_load(&s->draining);
        if (!missed)
            park(s, k);
        pthread_mutex_unlock(&s->lock);
        if (!missed)
            return 0;
    }
}

static void stream_free(void *arg) {
    struct call *k = arg;
    stream_close(k);
    call_unref(k);
}

struct MHD_Response *stream_response(struct call *k) {
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
                                                               stream_next, k, stream_free);
    if (!r)
        return NULL;
    k->refs++;
    /* A stream does not hold up a drain: it is ended by it. */
    return r;
}

void server_wake_streams(struct server *s) {
    pthread_mutex_lock(&s->lock);
    atomic_fetch_add(&s->wakes, 1);
    struct call *k = s->parked;
    s->parked = NULL;
    while (k) {
        struct call *next = k->parked_next;
        k->parked = false;
        k->parked_next = k->parked_prev = NULL;
        MHD_resume_connection(k->conn);
        k = next;
    }
    pthread_mutex_unlock(&s->lock);
}
