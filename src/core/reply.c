/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/core/reply.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

/* Lets go of what an earlier call had put in. */
static void replace(struct ctx *c, enum reply_kind kind, const char *content_type) {
    struct reply *r = &c->reply;
    if (r->kind == REPLY_FILE)
        fd_close(r->fd);
    if (r->kind == REPLY_STREAM && r->stream && r->stream->close)
        r->stream->close(r->stream_state);
    r->fd = -1;
    r->stream = NULL;
    r->stream_state = NULL;
    r->bytes = NULL;
    r->len = 0;
    r->kind = kind;
    r->content_type = content_type;
}

void reply_status(struct ctx *c, int status) {
    c->reply.status = status;
}

/* A line break in a value would start a header of the caller's choice. */
static const char *one_line(struct ctx *c, const char *value) {
    size_t n = strcspn(value, "\r\n");
    if (!value[n])
        return value;
    char *copy = arena_strdup(c->arena, value);
    for (char *p = copy; *p; p++)
        if (*p == '\r' || *p == '\n')
            *p = ' ';
    return copy;
}

void reply_header(struct ctx *c, const char *name, const char *value) {
    struct reply_header *h = ARENA_NEW(c->arena, struct reply_header);
    h->name = name;
    h->value = one_line(c, value);
    struct reply_header **end = &c->reply.headers;
    while (*end)
        end = &(*end)->next;
    *end = h;
}

void reply_etag(struct ctx *c, const char *quoted) {
    c->reply.etag = quoted;
}

void reply_bytes(struct ctx *c, const char *content_type, const char *bytes, size_t len) {
    replace(c, REPLY_BYTES, content_type);
    c->reply.bytes = bytes;
    c->reply.len = len;
}

void reply_text(struct ctx *c, const char *content_type, const char *text) {
    reply_bytes(c, content_type, text, strlen(text));
}

void reply_file(struct ctx *c, const char *content_type, int fd, int64_t size) {
    replace(c, REPLY_FILE, content_type);
    c->reply.fd = fd;
    c->reply.file_size = size;
}

void reply_attachment(struct ctx *c, const char *filename) {
    char *plain = arena_strdup(c->arena, filename);
    for (char *p = plain; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f || strchr("\"\\/%", *p))
            *p = '_';
    reply_header(c, "Content-Disposition",
                 arena_printf(c->arena, "attachment; filename=\"%s\"; filename*=UTF-8''%s", plain,
                              url_encode(c->arena, filename, false)));
    reply_header(c, "X-Content-Type-Options", "nosniff");
    reply_header(c, "Content-Security-Policy", "sandbox; default-src 'none'");
}

void reply_stream(struct ctx *c, const char *content_type, const struct stream_ops *ops,
                  void *state) {
    replace(c, REPLY_STREAM, content_type);
    c->reply.stream = ops;
    c->reply.stream_state = state;
}
