/* SPDX-License-Identifier: Apache-2.0 */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/failpoint.h"
#include "quern/base/fd.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "segment_store.h"

#define HEAD 40 /* skippable magic, size, then 32 bytes of ours */
#define SKIPPABLE 0x184D2A51u
#define LEVEL 3

static struct dir *files;

void segment_files(struct dir *data) {
    files = data;
}

static void name_of(const struct segment *s, char out[320]) {
    snprintf(out, 320, "predictions/%" PRId64 "/%.200s/%" PRId64 ".zst", s->project, s->endpoint,
             s->id);
}

static void put32(unsigned char *p, uint32_t v) {
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> 8 * i);
}

static void put64(unsigned char *p, uint64_t v) {
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t get32(const unsigned char *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const unsigned char *p) {
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static void put_head(unsigned char *h, const struct frame *f) {
    put32(h, SKIPPABLE);
    put32(h + 4, HEAD - 8);
    put32(h + 8, f->packed);
    put32(h + 12, f->raw);
    put32(h + 16, f->records);
    put32(h + 20, 1); /* version of this form */
    put64(h + 24, (uint64_t)f->from_ms);
    put64(h + 32, (uint64_t)f->to_ms);
}

static bool get_head(const unsigned char *h, struct frame *f) {
    *f = (struct frame){.at = f->at,
                        .packed = get32(h + 8),
                        .raw = get32(h + 12),
                        .records = get32(h + 16),
                        .from_ms = (int64_t)get64(h + 24),
                        .to_ms = (int64_t)get64(h + 32)};
    return get32(h) == SKIPPABLE && get32(h + 4) == HEAD - 8 && get32(h + 20) == 1 &&
           f->packed > 0 && f->raw <= FRAME_MOST;
}

/* HEAD bytes of room, then the packed lines; the length, or 0. */
static size_t pack(const char *lines, size_t n, char **out) {
    size_t cap = ZSTD_compressBound(n);
    ZSTD_CCtx *z = ZSTD_createCCtx();
    if (!z)
        mem_die();
    *out = mem_alloc(HEAD + cap);
    ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    size_t got = ZSTD_compress2(z, *out + HEAD, cap, lines, n);
    ZSTD_freeCCtx(z);
    return ZSTD_isError(got) || got > UINT32_MAX ? 0 : got;
}

static int write_at(int fd, const char *data, size_t n, int64_t at) {
    while (n > 0) {
        ssize_t w = pwrite(fd, data, n, (off_t)at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return w < 0 ? -errno : -EIO;
        data += w;
        n -= (size_t)w;
        at += w;
    }
    return 0;
}

static int open_new(const struct segment *s) {
    char dir[320], name[320];
    name_of(s, name);
    str_copy(dir, sizeof dir, name);
    *strrchr(dir, '/') = '\0';
    int rc = dir_mkdirs(files, dir);
    if (rc < 0)
        return rc;
    int fd = dir_openat(files, name, O_RDWR | O_CREAT, 0600);
    if (fd >= 0 && s->bytes == 0)
        rc = dir_sync(files, dir);
    if (rc < 0 && fd >= 0) {
        fd_close(fd);
        return rc;
    }
    return fd;
}

int segment_append(struct segment *s, char digest[65], const struct frame *f, const char *lines) {
    char *packed = NULL;
    struct frame head = *f;
    size_t n = pack(lines, f->raw, &packed);
    int fd = n ? open_new(s) : -EINVAL;
    int rc = fd < 0 ? fd : 0;
    if (rc == 0) {
        head.packed = (uint32_t)n;
        put_head((unsigned char *)packed, &head);
        rc = write_at(fd, packed, HEAD + n, s->bytes);
    }
    FAILPOINT("prediction.frame.written");
    if (rc == 0 && fdatasync(fd) != 0)
        rc = -errno;
    FAILPOINT("prediction.frame.synced");
    if (rc == 0) {
        unsigned char sum[32];
        struct sha256 *h = sha256_new();
        sha256_add(h, digest, strlen(digest));
        sha256_add(h, packed, HEAD + n);
        sha256_end(h, sum);
        hex_encode(sum, sizeof sum, digest);
        s->bytes += (int64_t)(HEAD + n);
        s->raw_bytes += f->raw;
        s->digest = digest;
    }
    if (fd >= 0)
        fd_close(fd);
    free(packed);
    return rc;
}

int segment_cut(const struct segment *s) {
    char name[320];
    name_of(s, name);
    int fd = dir_openat(files, name, O_RDWR, 0);
    if (fd < 0)
        return fd;
    off_t size = lseek(fd, 0, SEEK_END);
    int rc = size < 0 ? -errno : size < (off_t)s->bytes ? -EIO : 0;
    if (rc == 0 && size > (off_t)s->bytes && ftruncate(fd, (off_t)s->bytes) != 0)
        rc = -errno;
    fd_close(fd);
    return rc;
}

int segment_remove(const struct segment *s) {
    char name[320];
    name_of(s, name);
    return dir_unlink(files, name);
}

static bool among(int64_t id, const int64_t *ids, size_t n) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (ids[mid] < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && ids[lo] == id;
}

static size_t sweep_one(struct ctx *c, const char *dir, const int64_t *ids, size_t n) {
    char **names;
    size_t count, gone = 0;
    if (dir_list(files, dir, c->arena, &names, &count) < 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        char *end = NULL;
        int64_t id = strtoll(names[i], &end, 10);
        if (end == names[i] || strcmp(end, ".zst") != 0 || among(id, ids, n))
            continue;
        gone += dir_unlink(files, arena_printf(c->arena, "%s/%s", dir, names[i])) == 0;
    }
    return gone;
}

size_t segment_sweep_files(struct ctx *c, const int64_t *ids, size_t n) {
    char **projects, **endpoints;
    size_t np, ne, gone = 0;
    if (dir_list(files, "predictions", c->arena, &projects, &np) < 0)
        return 0;
    for (size_t i = 0; i < np; i++) {
        const char *p = arena_printf(c->arena, "predictions/%s", projects[i]);
        if (dir_list(files, p, c->arena, &endpoints, &ne) < 0)
            continue;
        for (size_t k = 0; k < ne; k++)
            gone += sweep_one(c, arena_printf(c->arena, "%s/%s", p, endpoints[k]), ids, n);
    }
    return gone;
}

static int damaged(struct ctx *c, const struct segment *s) {
    return fail(c, ERR_UNPROCESSABLE, "segment %" PRId64 " of the predictions is damaged", s->id);
}

int segment_open(struct ctx *c, const struct segment *s, int *fd, struct frame **frames,
                 size_t *n) {
    char name[320];
    unsigned char head[HEAD];
    size_t cap = 0;
    name_of(s, name);
    *frames = NULL;
    *n = 0;
    *fd = dir_openat(files, name, O_RDONLY, 0);
    if (*fd < 0)
        return fail(c, *fd == -ENOENT ? ERR_NOT_FOUND : ERR_INTERNAL,
                    "segment %" PRId64 " of the predictions cannot be opened", s->id);
    for (int64_t at = 0; at < s->bytes;) {
        struct frame f = {.at = at};
        if (pread(*fd, head, HEAD, (off_t)at) != HEAD || !get_head(head, &f) ||
            at + HEAD + f.packed > s->bytes) {
            return damaged(c, s);
        }
        *frames = arena_room(c->arena, *frames, *n, &cap, sizeof f);
        (*frames)[(*n)++] = f;
        at += HEAD + f.packed;
    }
    return 0;
}

int frame_read(struct ctx *c, int fd, const struct frame *f, struct buf *lines) {
    char *packed = mem_alloc(f->packed);
    size_t have = 0;
    while (have < f->packed) {
        ssize_t r = pread(fd, packed + have, f->packed - have, (off_t)f->at + HEAD + (off_t)have);
        if (r <= 0)
            break;
        have += (size_t)r;
    }
    buf_clear(lines);
    buf_reserve(lines, f->raw);
    size_t got = have == f->packed ? ZSTD_decompress(lines->data, f->raw, packed, have) : 0;
    free(packed);
    if (ZSTD_isError(got) || got != f->raw)
        return fail(c, ERR_UNPROCESSABLE, "a frame of %u predictions is damaged", f->records);
    lines->len = got;
    lines->data[got] = '\0';
    return 0;
}
