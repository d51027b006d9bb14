/* SPDX-License-Identifier: Apache-2.0 */
#include "blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pin.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/id.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/metric/metric.h"

#define WRITEBACK_STEP (8u << 20) /* start writing out early, so that the last fsync is short */
#define READ_CHUNK (256u << 10)
#define UPLOAD_KEEP_MS (24 * 3600 * 1000LL)

struct blob_writer {
    int fd;
    struct sha256 *hash;
    uint64_t size, written_back;
    char tmp[64]; /* "" for O_TMPFILE */
};

struct blob_store blob_store;

bool blob_sha_ok(const char *sha256) {
    return sha256 && strlen(sha256) == 64 && strspn(sha256, "0123456789abcdef") == 64;
}

void blob_name(const char *sha256, char out[BLOB_NAME_SIZE]) {
    memcpy(out, sha256, 2);
    out[2] = '/';
    memcpy(out + 3, sha256 + 2, 62);
    out[65] = '\0';
}

int blob_fail(struct ctx *c, const char *what, int error) {
    if (error < 0)
        error = -error;
    if (error == ENOSPC || error == EDQUOT)
        return fail(c, ERR_DISK_FULL, "The disk of the data directory is full; free some space.");
    log_error("blob.io", "%s: %s", what, strerror(error));
    return fail(c, ERR_INTERNAL, "%s failed", what);
}

static int64_t stored_size(const char *sha256) {
    char name[BLOB_NAME_SIZE];
    struct stat st;
    blob_name(sha256, name);
    if (fstatat(dir_fd(blob_store.blobs), name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(st.st_mode))
        return -1;
    return st.st_size;
}

bool blob_exists(const char *sha256) {
    return stored_size(sha256) >= 0;
}

static void random_name(char out[64]) {
    memcpy(out, "up-", 3);
    id_base62(out + 3, 22);
}

int blob_discard(const char *sha256, char trash[64]) {
    char name[BLOB_NAME_SIZE];
    blob_name(sha256, name);
    random_name(trash);
    if (renameat(dir_fd(blob_store.blobs), name, dir_fd(blob_store.tmp), trash) == 0)
        return 0;
    return errno == ENOENT ? 0 : -errno;
}

int artifacts_open(struct db *db, struct dir *data, uint64_t upload_cap, int64_t gc_grace_ms,
                   struct buf *error) {
    blob_store = (struct blob_store){.db = db,
                                     .upload_cap = upload_cap,
                                     .gc_grace_ms = gc_grace_ms,
                                     .upload_keep_ms = UPLOAD_KEEP_MS};
    struct arena *a = arena_new();
    char **left = NULL;
    size_t n = 0;
    int rc = dir_open_sub(data, "blobs", true, &blob_store.blobs);
    if (rc == 0)
        rc = dir_open_sub(data, "tmp", true, &blob_store.tmp);
    if (rc == 0)
        rc = dir_open_sub(data, "uploads", true, &blob_store.uploads);
    if (rc == 0)
        rc = dir_sync(data, NULL);
    if (rc == 0)
        rc = dir_list(blob_store.tmp, NULL, a, &left, &n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = dir_remove_tree(blob_store.tmp, left[i]);
    if (rc == 0 && n > 0)
        log_info("blob.leftovers", "removed %zu unfinished uploads of an earlier process", n);
    arena_free(a);
    if (rc != 0) {
        buf_printf(error, "cannot open the artifact store: %s", strerror(-rc));
        artifacts_close();
        return -1;
    }
    pin_open();
    return 0;
}

void artifacts_close(void) {
    if (blob_store.blobs)
        dir_close(blob_store.blobs);
    if (blob_store.tmp)
        dir_close(blob_store.tmp);
    if (blob_store.uploads)
        dir_close(blob_store.uploads);
    blob_store.blobs = blob_store.tmp = blob_store.uploads = NULL;
    pin_close();
}

/* Of at most `most` bytes; *size of them were there. 0 or -errno. */
static int hash_file(int fd, int64_t most, int64_t *size, char hex[65]) {
    char *chunk = mem_alloc(READ_CHUNK);
    unsigned char digest[32];
    struct sha256 *h = sha256_new();
    int error = 0;
    *size = 0;
    while (!error && *size < most) {
        int64_t left = most - *size;
        ssize_t n = pread(fd, chunk, left < (int64_t)READ_CHUNK ? (size_t)left : READ_CHUNK, *size);
        if (n == 0)
            break;
        if (n > 0) {
            sha256_add(h, chunk, (size_t)n);
            *size += n;
        } else if (errno != EINTR) {
            error = errno;
        }
    }
    free(chunk);
    sha256_end(h, digest);
    hex_encode(digest, sizeof(digest), hex);
    return -error;
}

static int open_tmp(struct blob_writer *w) {
    int tmp = dir_fd(blob_store.tmp);
    if (!blob_store.named_tmp) {
        w->fd = openat(tmp, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (w->fd >= 0)
            return 0;
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
            return -errno;
    }
    random_name(w->tmp);
    w->fd = openat(tmp, w->tmp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    return w->fd >= 0 ? 0 : -errno;
}

int blob_begin(struct ctx *c, struct blob_writer **out) {
    struct blob_writer *w = mem_alloc(sizeof(*w));
    int rc = open_tmp(w);
    if (rc != 0) {
        free(w);
        return blob_fail(c, "Opening a temporary file", rc);
    }
    w->hash = sha256_new();
    *out = w;
    return 0;
}

int blob_add(struct ctx *c, struct blob_writer *w, const void *data, size_t n) {
    if (n > blob_store.upload_cap - w->size)
        return fail(c, ERR_TOO_LARGE, "An artifact may have at most %llu bytes.",
                    (unsigned long long)blob_store.upload_cap);
    int rc = fd_write_all(w->fd, data, n);
    if (rc != 0)
        return blob_fail(c, "Writing an artifact", rc);
    sha256_add(w->hash, data, n);
    w->size += n;
    if (w->size - w->written_back >= WRITEBACK_STEP) {
        sync_file_range(w->fd, (off64_t)w->written_back, (off64_t)(w->size - w->written_back),
                        SYNC_FILE_RANGE_WRITE);
        w->written_back = w->size;
    }
    return 0;
}

static void writer_free(struct blob_writer *w) {
    if (w->hash)
        sha256_drop(w->hash);
    if (w->tmp[0])
        unlinkat(dir_fd(blob_store.tmp), w->tmp, 0);
    fd_close(w->fd);
    free(w);
}

void blob_abort(struct blob_writer *w) {
    if (w)
        writer_free(w);
}

/* The folder's own entry must be on disk before a commit relies on a file in it. */
static int shard_ready(const char *sha256) {
    unsigned char shard = 0;
    char name[3] = {sha256[0], sha256[1], '\0'};
    hex_decode(name, 2, &shard);
    if (__atomic_load_n(&blob_store.shard_synced[shard], __ATOMIC_ACQUIRE))
        return 0;
    if (mkdirat(dir_fd(blob_store.blobs), name, 0700) != 0 && errno != EEXIST)
        return -errno;
    if (fsync(dir_fd(blob_store.blobs)) != 0)
        return -errno;
    __atomic_store_n(&blob_store.shard_synced[shard], 1, __ATOMIC_RELEASE);
    return 0;
}

static int link_tmpfile(const struct blob_writer *w, int to, const char *name) {
    char self[48];
    snprintf(self, sizeof(self), "/proc/self/fd/%d", w->fd);
    return linkat(AT_FDCWD, self, to, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

/* `replace`: something of another size lies under the name, so what is there is damaged. */
static int put_in_place(struct blob_writer *w, const char *name, bool replace) {
    int blobs = dir_fd(blob_store.blobs), tmp = dir_fd(blob_store.tmp);
    if (!w->tmp[0] && !replace) {
        int rc = link_tmpfile(w, blobs, name);
        return rc == -EEXIST ? 0 : rc;
    }
    if (!w->tmp[0]) {
        random_name(w->tmp);
        int rc = link_tmpfile(w, tmp, w->tmp);
        if (rc != 0) {
            w->tmp[0] = '\0';
            return rc;
        }
    }
    if (renameat(tmp, w->tmp, blobs, name) != 0)
        return -errno;
    w->tmp[0] = '\0';
    return 0;
}

/* Small content is read again before a duplicate relies on it, so that a new upload mends it. */
static bool sound(struct ctx *c, const struct blob_writer *w, const char *name,
                  const char *sha256) {
    if (w->size > BLOB_VERIFY_SMALL)
        return true;
    int fd = dir_openat(blob_store.blobs, name, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    int rc = blob_match(c, fd, sha256);
    fd_close(fd);
    if (rc < 0)
        err_clear(c);
    return rc == 1;
}

static int settle(struct ctx *c, struct blob_writer *w, const char *sha256) {
    char name[BLOB_NAME_SIZE], shard[3] = {sha256[0], sha256[1], '\0'};
    blob_name(sha256, name);
    int64_t have = stored_size(sha256);
    if (have == (int64_t)w->size && sound(c, w, name, sha256)) {
        /* Its age counts from the newest upload, or the collection might take it at once. */
        utimensat(dir_fd(blob_store.blobs), name, NULL, AT_SYMLINK_NOFOLLOW);
        metric_add(METRIC_BLOB_DEDUP, 1, NULL, NULL, NULL);
    } else {
        if (have >= 0)
            log_error("blob.damaged", "the content of %s was damaged and is replaced", sha256);
        if (fsync(w->fd) != 0)
            return -errno;
        int rc = shard_ready(sha256);
        if (rc == 0)
            rc = put_in_place(w, name, have >= 0);
        if (rc != 0)
            return rc;
    }
    /* Also for a duplicate: the one who linked it may not have got this far yet. */
    return dir_sync(blob_store.blobs, shard);
}

int blob_end(struct ctx *c, struct blob_writer *w, char sha256[65], int64_t *size) {
    unsigned char digest[32];
    sha256_end(w->hash, digest);
    w->hash = NULL;
    hex_encode(digest, sizeof(digest), sha256);
    metric_add(METRIC_BLOB_BYTES, (double)w->size, NULL, NULL, NULL);
    pin_take(sha256);
    int rc = settle(c, w, sha256);
    if (size)
        *size = (int64_t)w->size;
    writer_free(w);
    if (rc == 0)
        return 0;
    pin_drop(sha256);
    return blob_fail(c, "Storing an artifact", rc);
}

int blob_adopt(struct ctx *c, int fd, int64_t size, char sha256[65]) {
    struct blob_writer w = {.fd = fd, .size = (uint64_t)size};
    int64_t hashed = 0;
    int rc = hash_file(fd, size, &hashed, sha256);
    if (rc == 0 && hashed != size)
        rc = -ENODATA;
    if (rc != 0)
        return blob_fail(c, "Reading an artifact", rc);
    metric_add(METRIC_BLOB_BYTES, (double)size, NULL, NULL, NULL);
    pin_take(sha256);
    rc = settle(c, &w, sha256);
    if (rc == 0)
        return 0;
    pin_drop(sha256);
    return blob_fail(c, "Storing an artifact", rc);
}

int blob_put(struct ctx *c, const void *data, size_t n, char sha256[65]) {
    struct blob_writer *w;
    int rc = blob_begin(c, &w);
    if (rc == 0 && (rc = blob_add(c, w, data, n)) != 0)
        blob_abort(w);
    return rc == 0 ? blob_end(c, w, sha256, NULL) : rc;
}

void blob_unpin(const char *sha256) {
    pin_drop(sha256);
}

int blob_open(struct ctx *c, const char *sha256, int *fd, int64_t *size) {
    char name[BLOB_NAME_SIZE];
    struct stat st;
    if (!blob_sha_ok(sha256))
        return fail(c, ERR_INVALID, "A digest is 64 lower-case hexadecimal digits.");
    blob_name(sha256, name);
    int got = dir_openat(blob_store.blobs, name, O_RDONLY | O_CLOEXEC, 0);
    if (got == -ENOENT)
        return fail(c, ERR_NOT_FOUND, "No content with digest %s is stored.", sha256);
    if (got < 0)
        return blob_fail(c, "Opening an artifact", got);
    if (fstat(got, &st) != 0 || !S_ISREG(st.st_mode)) {
        fd_close(got);
        return blob_fail(c, "Opening an artifact", EINVAL);
    }
    *fd = got;
    if (size)
        *size = st.st_size;
    return 0;
}

int blob_match(struct ctx *c, int fd, const char *sha256) {
    char hex[65];
    int64_t size;
    int rc = hash_file(fd, INT64_MAX, &size, hex);
    return rc ? blob_fail(c, "Reading an artifact", rc) : strcmp(hex, sha256) == 0;
}

static int damaged(struct ctx *c, const char *sha256) {
    log_error("blob.damaged", "the content of %s does not match its digest", sha256);
    return fail(c, ERR_INTERNAL, "The stored content %s is damaged.", sha256);
}

int blob_verify(struct ctx *c, const char *sha256) {
    int fd, rc = blob_open(c, sha256, &fd, NULL);
    if (rc != 0)
        return rc;
    rc = blob_match(c, fd, sha256);
    fd_close(fd);
    return rc < 0 ? rc : rc ? 0 : damaged(c, sha256);
}

int blob_read(struct ctx *c, const char *sha256, size_t cap, char **data, size_t *n) {
    int fd, rc;
    int64_t size;
    char hex[65];
    if ((rc = blob_open(c, sha256, &fd, &size)) != 0)
        return rc;
    if (size < 0 || (uint64_t)size > cap) {
        fd_close(fd);
        return fail(c, ERR_TOO_LARGE, "The content has %lld bytes; at most %zu can be read here.",
                    (long long)size, cap);
    }
    char *text = arena_alloc(c->arena, (size_t)size + 1);
    ssize_t got = fd_read_all(fd, text, (size_t)size);
    fd_close(fd);
    if (got < 0)
        return blob_fail(c, "Reading an artifact", (int)got);
    sha256_hex(text, (size_t)got, hex);
    if (got != size || strcmp(hex, sha256) != 0)
        return damaged(c, sha256);
    *data = text;
    *n = (size_t)got;
    return 0;
}
