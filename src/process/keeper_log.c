/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "quern/base/clock.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"

enum { WRITE_AT = 256 << 10 };

static void part_name(int64_t start, char out[40]) {
    if (start == 0) {
        snprintf(out, 40, "log");
    } else {
        snprintf(out, 40, "log.%" PRId64, start);
    }
}

static void close_part(struct keeper_log *l) {
    fd_close(l->fd);
    l->fd = -1;
}

/* Opens a part that starts at the present offset. */
static bool open_part(struct keeper_log *l) {
    char name[40];
    part_name(l->offset, name);
    l->fd = dir_openat(l->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (l->fd < 0) {
        l->fd = -1;
        return false;
    }
    l->part_start = l->offset;
    if (l->offset == 0) {
        return true;
    }
    if (l->parts[0] >= 0) { /* the older of the two goes */
        part_name(l->parts[0], name);
        dir_unlink(l->dir, name);
        l->kept -= l->part_bytes[0];
    }
    l->parts[0] = l->parts[1];
    l->part_bytes[0] = l->part_bytes[1];
    l->parts[1] = l->offset;
    l->part_bytes[1] = 0;
    return true;
}

void keeper_log_open(struct keeper_log *l, struct dir *dir, int64_t cap) {
    *l = (struct keeper_log){.dir = dir, .cap = cap, .fd = -1, .parts = {-1, -1}, .stamp_ms = -1};
    open_part(l);
}

/* One run of whole lines, no longer than a part. */
static void write_run(struct keeper_log *l, const char *data, size_t n) {
    const int64_t limit = l->part_start == 0 ? l->cap / 2 : l->cap / 4;
    if (l->fd >= 0 && l->offset - l->part_start + (int64_t)n > limit) {
        close_part(l);
    }
    if (l->fd < 0 && !open_part(l)) {
        l->offset += (int64_t)n;
        return;
    }
    const int e = fd_write_all(l->fd, data, n);
    if (e) {
        /* A torn line would shift every later offset: cut it off and go on in a new part. */
        if (ftruncate(l->fd, l->offset - l->part_start) != 0) {
            /* The reader then sees a line end early; nothing more can be done here. */
            errno = 0;
        }
        close_part(l);
        l->offset += (int64_t)n;
        return;
    }
    l->offset += (int64_t)n;
    l->kept += (int64_t)n;
    if (l->part_start != 0) {
        l->part_bytes[1] += (int64_t)n;
    }
}

void keeper_log_flush(struct keeper_log *l) {
    /* Runs of at most this size keep every part close to its limit. */
    const size_t run_max = (size_t)(l->cap / 8);
    const char *at = l->out.data;
    size_t left = l->out.len;
    while (left > 0) {
        size_t n = left;
        if (n > run_max) {
            const char *nl = memrchr(at, '\n', run_max);
            if (!nl) {
                nl = memchr(at, '\n', left);
            }
            n = nl ? (size_t)(nl - at) + 1 : left;
        }
        write_run(l, at, n);
        at += n;
        left -= n;
    }
    buf_clear(&l->out);
    l->stamp_ms = -1;
}

static void put_line(struct keeper_log *l, char tag, const char *text, size_t n) {
    if (l->stamp_ms < 0) { /* one look at the clock per flush */
        l->stamp_ms = clock_wall_ms();
        clock_format_ms(l->stamp_ms, l->stamp);
    }
    buf_puts(&l->out, l->stamp);
    buf_putc(&l->out, ' ');
    buf_putc(&l->out, tag);
    buf_putc(&l->out, ' ');
    buf_put(&l->out, text, n);
    buf_putc(&l->out, '\n');
    if (l->out.len >= WRITE_AT) {
        keeper_log_flush(l);
    }
}

/* Where to cut a line that is too long: not inside a UTF-8 character, if it is UTF-8 at all. */
static size_t cut_point(const char *s, size_t max) {
    size_t n = max;
    while (n > max - 4 && ((unsigned char)s[n] & 0xC0) == 0x80) {
        n--;
    }
    return ((unsigned char)s[n] & 0xC0) == 0x80 ? max : n;
}

void keeper_log_feed(struct keeper_log *l, struct log_stream *s, const char *data, size_t n) {
    while (n > 0) {
        const char *nl = memchr(data, '\n', n);
        const size_t piece = nl ? (size_t)(nl - data) : n;
        if (nl && s->line.len == 0 && piece <= LOG_LINE_MAX) {
            put_line(l, s->tag, data, piece);
        } else {
            buf_put(&s->line, data, piece);
            size_t from = 0;
            while (s->line.len - from > LOG_LINE_MAX) {
                const size_t cut = cut_point(s->line.data + from, LOG_LINE_MAX);
                put_line(l, s->tag, s->line.data + from, cut);
                from += cut;
            }
            if (nl) {
                put_line(l, s->tag, s->line.data + from, s->line.len - from);
                buf_clear(&s->line);
            } else if (from > 0) {
                memmove(s->line.data, s->line.data + from, s->line.len - from);
                s->line.len -= from;
            }
        }
        const size_t used = nl ? piece + 1 : piece;
        data += used;
        n -= used;
    }
}

void keeper_log_end(struct keeper_log *l, struct log_stream *s) {
    if (s->line.len > 0) {
        put_line(l, s->tag, s->line.data, s->line.len);
    }
    buf_free(&s->line);
}

void keeper_log_say(struct keeper_log *l, const char *fmt, ...) {
    struct buf b = {0};
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < b.len; i++) { /* a name may hold newlines: one k line stays one line */
        if ((unsigned char)b.data[i] < 0x20) {
            b.data[i] = '?';
        }
    }
    put_line(l, 'k', b.data, b.len);
    buf_free(&b);
}

void keeper_log_close(struct keeper_log *l) {
    keeper_log_flush(l);
    close_part(l);
    buf_free(&l->out);
}
