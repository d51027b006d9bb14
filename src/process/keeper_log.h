/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PROCESS_KEEPER_LOG_H
#define QUERN_PROCESS_KEEPER_LOG_H
/* Keeper log: two byte streams become stamped lines in bounded files.
 *
 * The log is one long text with offsets from 0. Its first cap/2 bytes stay in `log`; what follows
 * goes to parts of cap/4 named `log.<offset>`, of which the two newest are kept. So at most cap
 * bytes lie on disk, an offset means the same for ever, and a hole between parts is what was
 * dropped. A line longer than LOG_LINE_MAX is cut into several. When the disk refuses, bytes are
 * dropped the same way and the reading goes on, so that the command never blocks on its output. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/base/buf.h"

struct dir;

enum { LOG_LINE_MAX = 16 << 10 };

struct log_stream {
    char tag; /* o, e */
    struct buf line;
};

struct keeper_log {
    struct dir *dir;
    int64_t cap;
    int fd;
    int64_t part_start; /* offset of the open part */
    int64_t offset;     /* of the next byte in the whole log */
    int64_t kept;       /* bytes on disk */
    int64_t parts[2];   /* starts of the tail parts that lie on disk, -1: none */
    int64_t part_bytes[2];
    struct buf out; /* stamped lines not yet written */
    int64_t stamp_ms;
    char stamp[32];
};

void keeper_log_open(struct keeper_log *l, struct dir *dir, int64_t cap);
void keeper_log_feed(struct keeper_log *l, struct log_stream *s, const char *data, size_t n);
void keeper_log_end(struct keeper_log *l, struct log_stream *s); /* the last line without newline */
void keeper_log_say(struct keeper_log *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void keeper_log_flush(struct keeper_log *l);
void keeper_log_close(struct keeper_log *l);

#endif
