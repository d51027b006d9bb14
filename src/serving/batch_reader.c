/* SPDX-License-Identifier: Apache-2.0 */
#include "batch_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quern/base/arena.h"
#include "quern/base/fd.h"

#define BLOCK ((size_t)1 << 18)

int reader_open(struct batch_reader *r, int fd, bool csv, int64_t offset, int64_t line) {
    *r = (struct batch_reader){.fd = fd, .csv = csv, .offset = offset, .line = line};
    return lseek(fd, offset, SEEK_SET) < 0 ? -errno : 0;
}

void reader_close(struct batch_reader *r) {
    free(r->data);
    r->data = NULL;
}

/* More bytes behind those that are there; false at the end. */
static bool fill(struct batch_reader *r) {
    if (r->ended)
        return false;
    if (r->from) {
        memmove(r->data, r->data + r->from, r->len - r->from);
        r->len -= r->from;
        r->from = 0;
    }
    if (r->cap - r->len < BLOCK) {
        r->cap = r->cap ? r->cap * 2 : 2 * BLOCK;
        r->data = mem_realloc(r->data, r->cap);
    }
    ssize_t n = fd_read_all(r->fd, r->data + r->len, BLOCK);
    if (n < 0)
        r->failure = (int)n;
    r->ended = n < (ssize_t)BLOCK;
    if (n > 0)
        r->len += (size_t)n;
    return n > 0;
}

/* Where a record stands, to be gone on with when more bytes came. */
struct walk {
    size_t at; /* from the record's first byte on */
    bool quoted, begins;
};

/* Walks to the line end of a record: true with its place in w->at. */
static bool walk_csv(const char *p, size_t n, bool ended, struct walk *w) {
    for (; w->at < n; w->at++) {
        char ch = p[w->at];
        if (w->quoted) {
            if (ch != '"')
                continue;
            if (w->at + 1 == n && !ended)
                return false; /* doubled, or the end of the field: the next byte tells */
            if (w->at + 1 < n && p[w->at + 1] == '"')
                w->at++;
            else
                w->quoted = false;
            continue;
        }
        if (ch == '\n')
            return true;
        w->quoted = w->begins && ch == '"';
        w->begins = ch == ',';
    }
    return false;
}

static bool walk_line(const char *p, size_t n, struct walk *w) {
    const char *end = w->at < n ? memchr(p + w->at, '\n', n - w->at) : NULL;
    w->at = end ? (size_t)(end - p) : n;
    return end != NULL;
}

static void use(struct batch_reader *r, size_t n) {
    const char *p = r->data + r->from;
    for (size_t i = 0; i < n; i++)
        r->line += p[i] == '\n';
    r->from += n;
    r->offset += (int64_t)n;
}

static void hand_out(struct batch_reader *r, size_t len, bool line_end, struct record *out) {
    const char *p = r->data + r->from;
    *out = (struct record){.data = p, .len = len, .line = r->line};
    if (line_end && len && p[len - 1] == '\r')
        out->len--;
    use(r, len + line_end);
}

/* A quote that never ends, or a line that is too long: its first line is the bad record, of which
 * the beginning is handed out. */
static void cut(struct batch_reader *r, struct record *out) {
    size_t n = r->len - r->from;
    *out = (struct record){.data = r->head, .line = r->line, .too_long = true};
    out->len = n < sizeof r->head ? n : sizeof r->head;
    memcpy(r->head, r->data + r->from, out->len);
    const char *end = memchr(r->head, '\n', out->len);
    if (end)
        out->len = (size_t)(end - r->head);
    do {
        const char *p = r->data + r->from;
        end = memchr(p, '\n', r->len - r->from);
        use(r, end ? (size_t)(end - p) + 1 : r->len - r->from);
    } while (!end && fill(r));
}

static bool next(struct batch_reader *r, struct record *out) {
    struct walk w = {.begins = true};
    for (;;) {
        size_t n = r->len - r->from;
        const char *p = r->data + r->from;
        bool whole = n && (r->csv ? walk_csv(p, n, r->ended, &w) : walk_line(p, n, &w));
        if (whole && w.at <= RECORD_MAX) {
            hand_out(r, w.at, true, out);
            return true;
        }
        if (n > RECORD_MAX || (r->ended && w.quoted)) {
            cut(r, out);
            return true;
        }
        if (fill(r))
            continue;
        if (r->failure || r->len == r->from)
            return false;
        if (r->csv && r->ended && w.quoted)
            continue;
        hand_out(r, r->len - r->from, false, out);
        return true;
    }
}

int reader_next(struct batch_reader *r, struct record *out) {
    while (next(r, out)) {
        size_t i = 0;
        while (!r->csv && i < out->len && (out->data[i] == ' ' || out->data[i] == '\t'))
            i++;
        if (i < out->len || out->too_long)
            return 1;
    }
    return r->failure;
}
