/* SPDX-License-Identifier: Apache-2.0 */
#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/core/ctx.h"

#define BLOCK 512
#define PART ((size_t)1 << 17)
#define LEVEL 6

struct tar_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct tar_header) == BLOCK, "a header is one block");

static unsigned checksum(const struct tar_header *h) {
    const unsigned char *p = (const unsigned char *)h;
    unsigned sum = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        bool own = i >= offsetof(struct tar_header, sum) && i < offsetof(struct tar_header, type);
        sum += own ? ' ' : p[i];
    }
    return sum;
}

/* ---- writing ---- */

struct tar_writer {
    int fd;
    z_stream z;
    unsigned char out[PART];
    char part[PART];
};

static int deflate_all(struct ctx *c, struct tar_writer *w, const void *data, size_t n, int flush) {
    w->z.next_in = (unsigned char *)(uintptr_t)data;
    w->z.avail_in = (uInt)n;
    do {
        w->z.next_out = w->out;
        w->z.avail_out = sizeof w->out;
        if (deflate(&w->z, flush) == Z_STREAM_ERROR)
            return fail(c, ERR_INTERNAL, "the archive cannot be compressed");
        int rc = fd_write_all(w->fd, w->out, sizeof w->out - w->z.avail_out);
        if (rc < 0)
            return rc == -ENOSPC ? fail(c, ERR_DISK_FULL, "no room on disk for the archive")
                                 : fail(c, ERR_INTERNAL, "writing the archive: %s", strerror(-rc));
    } while (w->z.avail_out == 0);
    return 0;
}

int tar_begin(struct ctx *c, int fd, struct tar_writer **out) {
    struct tar_writer *w = mem_alloc(sizeof *w);
    w->fd = fd;
    if (deflateInit2(&w->z, LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(w);
        return fail(c, ERR_INTERNAL, "the archive cannot be compressed");
    }
    *out = w;
    return 0;
}

/* The name, cut at a slash into prefix and rest where it is long. */
static bool put_name(struct tar_header *h, const char *name) {
    size_t n = strlen(name), cut = 0;
    if (n > sizeof h->name) {
        cut = n - sizeof h->name - 1;
        while (cut < n && name[cut] != '/')
            cut++;
        if (cut >= n || cut > sizeof h->prefix || n - cut - 1 > sizeof h->name)
            return false;
        memcpy(h->prefix, name, cut++);
    }
    memcpy(h->name, name + cut, n - cut);
    return true;
}

static int put_header(struct ctx *c, struct tar_writer *w, const char *name, int64_t size) {
    struct tar_header h = {.type = '0'};
    char number[32];
    if (!put_name(&h, name))
        return fail(c, ERR_UNPROCESSABLE, "the file name '%.200s' is too long for an archive",
                    name);
    if (size >> 33)
        return fail(c, ERR_UNPROCESSABLE, "the file '%.200s' is too large for an archive", name);
    memcpy(h.mode, "0000644", 8);
    memcpy(h.uid, "0000000", 8);
    memcpy(h.gid, "0000000", 8);
    snprintf(number, sizeof number, "%011llo", (unsigned long long)size);
    memcpy(h.size, number, sizeof h.size);
    memcpy(h.mtime, "00000000000", 12);
    memcpy(h.magic, "ustar", 6);
    memcpy(h.version, "00", 2);
    snprintf(number, sizeof number, "%06o", checksum(&h));
    memcpy(h.sum, number, 7);
    h.sum[7] = ' ';
    return deflate_all(c, w, &h, sizeof h, Z_NO_FLUSH);
}

static int put_padding(struct ctx *c, struct tar_writer *w, int64_t size) {
    static const char zeros[BLOCK];
    size_t over = (size_t)(size % BLOCK);
    return over ? deflate_all(c, w, zeros, BLOCK - over, Z_NO_FLUSH) : 0;
}

int tar_put(struct ctx *c, struct tar_writer *w, const char *name, const void *data, size_t n) {
    int rc = put_header(c, w, name, (int64_t)n);
    if (rc == 0 && n)
        rc = deflate_all(c, w, data, n, Z_NO_FLUSH);
    return rc == 0 ? put_padding(c, w, (int64_t)n) : rc;
}

int tar_put_fd(struct ctx *c, struct tar_writer *w, const char *name, int fd, int64_t size) {
    int rc = put_header(c, w, name, size);
    for (int64_t left = size; rc == 0 && left > 0;) {
        ssize_t n = fd_read_all(fd, w->part, left < (int64_t)PART ? (size_t)left : PART);
        if (n <= 0)
            return fail(c, ERR_INTERNAL, "the file '%.200s' ends before its size", name);
        rc = deflate_all(c, w, w->part, (size_t)n, Z_NO_FLUSH);
        left -= n;
    }
    return rc == 0 ? put_padding(c, w, size) : rc;
}

int tar_end(struct ctx *c, struct tar_writer *w) {
    static const char zeros[2 * BLOCK];
    int rc = deflate_all(c, w, zeros, sizeof zeros, Z_FINISH);
    tar_drop(w);
    return rc;
}

void tar_drop(struct tar_writer *w) {
    deflateEnd(&w->z);
    free(w);
}

/* ---- reading ---- */

struct tar_reader {
    gzFile file;
    int64_t left;    /* of the current file */
    int64_t padding; /* behind it */
};

static int no_archive(struct ctx *c, const char *why) {
    return fail(c, ERR_INVALID, "it is no bundle: %s", why);
}

int tar_open(struct ctx *c, const char *path, struct tar_reader **out) {
    gzFile file = gzopen(path, "rbe");
    if (!file)
        return fail(c, ERR_NOT_FOUND, "%s cannot be read: %s", path, strerror(errno));
    *out = mem_alloc(sizeof **out);
    (*out)->file = file;
    return 0;
}

void tar_close(struct tar_reader *r) {
    gzclose(r->file);
    free(r);
}

static bool take(struct tar_reader *r, void *out, size_t n) {
    return gzread(r->file, out, (unsigned)n) == (int)n;
}

/* A file's bytes, and only its padding may stand between it and the next. */
static int skip(struct ctx *c, struct tar_reader *r) {
    char block[BLOCK];
    while (r->left > 0)
        if (tar_read(c, r, block, sizeof block) <= 0)
            return -ERR_INVALID;
    if (r->padding && !take(r, block, (size_t)r->padding))
        return no_archive(c, "it ends within a file");
    for (int64_t i = 0; i < r->padding; i++)
        if (block[i])
            return no_archive(c, "something stands between its files");
    r->padding = 0;
    return 0;
}

static bool octal(const char *s, size_t n, int64_t *out) {
    *out = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        if (s[i] < '0' || s[i] > '7')
            return false;
        *out = *out * 8 + (s[i] - '0');
    }
    return s[n - 1] == '\0' || s[n - 1] == ' ';
}

static int end_of_archive(struct ctx *c, struct tar_reader *r) {
    char block[BLOCK], zeros[BLOCK] = {0};
    char more;
    if (!take(r, block, sizeof block) || memcmp(block, zeros, sizeof block) != 0)
        return no_archive(c, "its end is missing");
    return gzread(r->file, &more, 1) == 0 ? 0 : no_archive(c, "something stands behind its end");
}

int tar_next(struct ctx *c, struct tar_reader *r, const char **name, int64_t *size) {
    struct tar_header h, zeros;
    int64_t sum;
    char digits[8];
    int rc = skip(c, r);
    if (rc < 0)
        return rc;
    if (!take(r, &h, sizeof h))
        return no_archive(c, "it is not a gzip-compressed tar archive, or is cut off");
    memset(&zeros, 0, sizeof zeros);
    if (memcmp(&h, &zeros, sizeof h) == 0)
        return end_of_archive(c, r);
    memcpy(digits, h.sum, 6);
    digits[6] = '\0';
    if (memcmp(h.magic, "ustar", 6) != 0 || h.type != '0' || !octal(digits, 7, &sum) ||
        sum != (int64_t)checksum(&h) || !octal(h.size, sizeof h.size, size))
        return no_archive(c, "it holds something else than plain files, or a broken header");
    *name = *h.prefix ? arena_printf(c->arena, "%.*s/%.*s", (int)sizeof h.prefix, h.prefix,
                                     (int)sizeof h.name, h.name)
                      : arena_strndup(c->arena, h.name, strnlen(h.name, sizeof h.name));
    r->left = *size;
    r->padding = *size % BLOCK ? BLOCK - *size % BLOCK : 0;
    return 1;
}

int64_t tar_read(struct ctx *c, struct tar_reader *r, void *out, size_t n) {
    if ((int64_t)n > r->left)
        n = (size_t)r->left;
    if (n && !take(r, out, n))
        return no_archive(c, "it ends within a file");
    r->left -= (int64_t)n;
    return (int64_t)n;
}
