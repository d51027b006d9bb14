/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CORE_REPLY_H
#define QUERN_CORE_REPLY_H
/* Reply: how the answer leaves. A handler that says nothing is answered with status 200 and its
 * output struct written by the row's output shape. The functions below replace that. All memory
 * passed in must live in the context's arena or be constant. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ctx;

/* A stream is pulled: `next` fills at most max bytes and returns how many, 0 for "nothing now"
 * (it will be asked again after a wake or within 250 ms), -1 for the end, -2 to break off. It runs
 * on a network thread and must not block. `close` frees the state, exactly once. */
struct stream_ops {
    ssize_t (*next)(void *state, char *out, size_t max);
    void (*close)(void *state);
};

enum reply_kind { REPLY_SHAPE, REPLY_BYTES, REPLY_FILE, REPLY_STREAM };

struct reply_header {
    const char *name;
    const char *value;
    struct reply_header *next;
};

struct reply {
    enum reply_kind kind;
    int status; /* 0 means 200 */
    const char *content_type;
    const char *etag; /* quoted form, answers If-None-Match with 304 */
    struct reply_header *headers;
    const char *bytes;
    size_t len;
    int fd; /* REPLY_FILE: owned by the reply, closed by whoever sends it */
    int64_t file_size;
    bool ranges; /* honour a single-range Range header */
    const struct stream_ops *stream;
    void *stream_state;
};

void reply_status(struct ctx *c, int status);
void reply_header(struct ctx *c, const char *name, const char *value);
void reply_etag(struct ctx *c, const char *quoted);
void reply_bytes(struct ctx *c, const char *content_type, const char *bytes, size_t len);
void reply_text(struct ctx *c, const char *content_type, const char *text);
void reply_file(struct ctx *c, const char *content_type, int fd, int64_t size);
/* Content-Disposition: attachment with RFC 5987 name, nosniff and CSP sandbox: user bytes. */
void reply_attachment(struct ctx *c, const char *filename);
void reply_stream(struct ctx *c, const char *content_type, const struct stream_ops *ops,
                  void *state);

#endif
