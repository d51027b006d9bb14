/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"

/* A body on its way in: kept, streamed to an upload, or read and forgotten. */

#define SWALLOW_MAX (1u << 20)     /* read of a refused body so that the connection lives on */
#define WHOLE_BODY_MAX (8u << 20)  /* up to here the heap's block is made in one piece */
#define ARENA_BODY_MAX (64u << 10) /* larger bodies grow on the heap as they come */

bool call_has_body(const struct call *k) {
    return k->chunked || k->body_length > 0;
}

int body_reserve(struct call *k, size_t more) {
    size_t before = atomic_fetch_add_explicit(&k->s->body_bytes, more, memory_order_relaxed);
    k->reserved += more;
    if (before + more > k->s->body_bytes_max)
        return fail(&k->c, ERR_BUSY, "Too many request bodies are under way, try again.");
    return 0;
}

/* The call has failed (k->rc) before its body was read. An answer in the library's first call ends
 * the connection, so a request without a body is answered in the second, and a small body is read
 * and forgotten. A client that asked with Expect is told at once; one that sends a large body
 * unasked is told by hand, because closing on it while it sends could lose the answer. */
enum MHD_Result body_fail_early(struct call *k) {
    bool small = k->chunked || k->body_length <= SWALLOW_MAX;
    if (small && !k->expects) {
        k->phase = CALL_SWALLOW;
        if (call_has_body(k))
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

static int body_grow(struct call *k, size_t need) {
    if (need <= k->body_alloc)
        return 0;
    size_t size = k->body_alloc ? k->body_alloc * 2 : ARENA_BODY_MAX;
    /* Pages that a client says it will fill cost nothing until it does. */
    if (!k->body_alloc && !k->decoder && !k->chunked && k->body_length < WHOLE_BODY_MAX)
        size = (size_t)k->body_length + 1;
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
        int rc = body_reserve(k, n);
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

int body_append(struct call *k, const char *data, size_t n) {
    size_t at = k->c.body_len;
    if (n > k->body_cap - at)
        return fail(&k->c, ERR_TOO_LARGE,
                    "The body, unpacked, is larger than the %" PRIu64 " bytes that are taken here.",
                    k->body_cap);
    int rc = body_reserve(k, n);
    if (rc)
        return rc;
    body_grow(k, at + n + 1);
    memcpy(k->body + at, data, n);
    k->body[at + n] = '\0';
    k->c.body = k->body;
    k->c.body_len = at + n;
    return 0;
}

enum MHD_Result body_data(struct call *k, const char *data, size_t n) {
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
    else if (k->decoder)
        k->rc = decode_data(k, data, n);
    else
        k->rc = body_keep(k, data, n);
    return k->rc ? fail_in_body(k) : MHD_YES;
}
