/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/id.h"
#include "quern/base/map.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"
#include "upload.h"

#define CHUNK (1u << 20)
#define WRITEBACK_STEP (8 << 20)

struct upload_file {
    char id[UPLOAD_ID_LEN + 1];
    unsigned refs, writing; /* who holds it; who is just writing or acknowledging */
    bool closed;
    bool sealed; /* the file is no longer "data": an earlier completion has begun with it */
    bool synced; /* the folder and the file's entry in it are on disk */
    int fd;      /* of "data", -1 until a part goes there */
    int64_t parts, part_size;
    uint64_t size, coming;                     /* bytes acknowledged; of parts under way */
    int64_t *sizes;                            /* of each part that is acknowledged, else 0 */
    unsigned char taken[UPLOAD_PARTS_MAX + 1]; /* the part's bytes in place are somebody's */
};

struct part_writer {
    struct upload_file *f;
    struct sha256 *hash;
    int64_t number, at, size, length, written_back;
    uint64_t reserved; /* its share of f->coming */
    int fd;
    char file[48]; /* "" in place */
};

/* Everything of upload_file but its files. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;
static struct map *under_way;

static const char *in_folder(char out[80], const char *id, const char *name) {
    snprintf(out, 80, "%s/%s", id, name);
    return out;
}

static int load(struct ctx *c, struct upload_file *f) {
    struct upload_row row;
    struct upload_parts parts = {0};
    bool found = false;
    int rc = db_read_begin(blob_store.db, c);
    if (rc != 0)
        return rc;
    rc = upload_store_get(c, f->id, &row, &found);
    if (rc == 0 && (!found || *row.sha256))
        rc = fail(c, ERR_NOT_FOUND, "There is no open upload with id %s.", f->id);
    if (rc == 0)
        rc = upload_store_parts(c, f->id, &parts);
    db_read_end(c);
    if (rc != 0)
        return rc;
    char name[80];
    f->parts = row.parts;
    f->part_size = row.part_size;
    f->sealed = dir_exists(blob_store.uploads, in_folder(name, f->id, "whole"));
    f->sizes = mem_alloc((UPLOAD_PARTS_MAX + 1) * sizeof *f->sizes);
    for (size_t i = 0; i < parts.n; i++) {
        f->taken[parts.items[i].number] = 1;
        f->sizes[parts.items[i].number] = parts.items[i].size;
        f->size += (uint64_t)parts.items[i].size;
    }
    return 0;
}

struct upload_file *upload_file_get(struct ctx *c, const char *id) {
    pthread_mutex_lock(&lock);
    if (!under_way)
        under_way = map_new();
    struct upload_file *f = map_get(under_way, id);
    if (!f) {
        f = mem_alloc(sizeof *f);
        f->fd = -1;
        str_copy(f->id, sizeof f->id, id);
        if (load(c, f) != 0) {
            free(f);
            f = NULL;
        } else {
            map_set(under_way, f->id, f);
        }
    }
    if (f)
        f->refs++;
    pthread_mutex_unlock(&lock);
    return f;
}

const char *upload_file_id(const struct upload_file *f) {
    return f->id;
}

void upload_file_put(struct upload_file *f) {
    pthread_mutex_lock(&lock);
    if (--f->refs == 0) {
        map_remove(under_way, f->id);
        if (map_count(under_way) == 0) {
            map_free(under_way, NULL);
            under_way = NULL;
        }
        fd_close(f->fd);
        free(f->sizes);
        free(f);
    }
    pthread_mutex_unlock(&lock);
}

/* Under the lock: room for n further bytes of a part. What it had before does not count, since it
 * goes; what other parts are just sending does, or all of them together could fill the disk. */
static bool reserve(struct upload_file *f, int64_t number, uint64_t n, uint64_t *reserved) {
    uint64_t others = f->size - (uint64_t)f->sizes[number] + f->coming;
    if (others > blob_store.upload_cap || n > blob_store.upload_cap - others)
        return false;
    f->coming += n;
    *reserved += n;
    return true;
}

static int too_large(struct ctx *c) {
    return fail(c, ERR_TOO_LARGE, "An artifact may have at most %llu bytes.",
                (unsigned long long)blob_store.upload_cap);
}

/* Between the two the file is not closed. What is sealed may be a blob already: nothing is written
 * into it, whoever has it open. */
static int write_begin(struct ctx *c, struct part_writer *w, uint64_t n) {
    struct upload_file *f = w->f;
    uint64_t all = (uint64_t)w->size + n;
    pthread_mutex_lock(&lock);
    bool closed = f->closed || (f->sealed && !w->file[0]);
    bool fits =
        closed || all <= w->reserved || reserve(f, w->number, all - w->reserved, &w->reserved);
    f->writing += !closed && fits;
    pthread_mutex_unlock(&lock);
    return closed  ? fail(c, ERR_CONFLICT, "The upload is completed or aborted already.")
           : !fits ? too_large(c)
                   : 0;
}

static void write_end(struct upload_file *f) {
    pthread_mutex_lock(&lock);
    if (--f->writing == 0)
        pthread_cond_broadcast(&idle);
    pthread_mutex_unlock(&lock);
}

int upload_file_close(struct ctx *c, struct upload_file *f) {
    pthread_mutex_lock(&lock);
    bool closed = f->closed;
    f->closed = true;
    while (!closed && f->writing > 0)
        pthread_cond_wait(&idle, &lock);
    pthread_mutex_unlock(&lock);
    return closed ? fail(c, ERR_BUSY, "The upload is being completed or aborted.") : 0;
}

void upload_file_open(struct upload_file *f) {
    pthread_mutex_lock(&lock);
    f->closed = false;
    pthread_mutex_unlock(&lock);
}

/* Under the lock: whether the part goes in place, which nobody else may then touch. Never where
 * the whole would be over the cap: the place could be beyond what a file may have. */
static bool claim(struct upload_file *f, int64_t number, int64_t length) {
    bool last = number == f->parts && f->parts > 1;
    if (length <= 0 || f->taken[number] || f->sealed ||
        (last ? f->part_size == 0 || length > f->part_size
              : f->part_size != 0 && length != f->part_size))
        return false;
    int64_t each = last ? f->part_size : length;
    if (number > 1 &&
        (uint64_t)each > (blob_store.upload_cap - (uint64_t)length) / (uint64_t)(number - 1))
        return false;
    if (f->part_size == 0)
        f->part_size = length;
    f->taken[number] = 1;
    return true;
}

static void give_back(struct part_writer *w) {
    char name[80];
    if (w->file[0]) {
        dir_unlink(blob_store.uploads, in_folder(name, w->f->id, w->file));
        fd_close(w->fd);
        return;
    }
    pthread_mutex_lock(&lock);
    w->f->taken[w->number] = 0;
    pthread_mutex_unlock(&lock);
}

static void part_free(struct part_writer *w) {
    if (w->hash)
        sha256_drop(w->hash);
    pthread_mutex_lock(&lock);
    w->f->coming -= w->reserved;
    pthread_mutex_unlock(&lock);
    upload_file_put(w->f);
    free(w);
}

static int open_for(struct part_writer *w, bool in_place) {
    char name[80];
    struct upload_file *f = w->f;
    int rc = dir_mkdirs(blob_store.uploads, f->id);
    if (rc != 0)
        return rc;
    if (!in_place) {
        snprintf(w->file, sizeof w->file, "part-%d-", (int)w->number);
        id_base62(w->file + strlen(w->file), 16);
        w->fd = dir_openat(blob_store.uploads, in_folder(name, f->id, w->file),
                           O_RDWR | O_CREAT | O_EXCL, 0600);
        return w->fd < 0 ? w->fd : 0;
    }
    pthread_mutex_lock(&lock);
    if (f->fd < 0)
        f->fd =
            dir_openat(blob_store.uploads, in_folder(name, f->id, "data"), O_RDWR | O_CREAT, 0600);
    rc = f->fd < 0 ? f->fd : 0;
    f->fd = f->fd < 0 ? -1 : f->fd;
    w->fd = f->fd;
    w->at = (w->number - 1) * f->part_size;
    pthread_mutex_unlock(&lock);
    return rc;
}

int part_begin(struct ctx *c, const struct upload_row *u, int64_t number, int64_t length,
               struct part_writer **out) {
    struct upload_file *f = upload_file_get(c, u->id);
    if (!f)
        return -c->err.code;
    uint64_t reserved = 0;
    pthread_mutex_lock(&lock);
    bool closed = f->closed;
    bool fits = !closed && reserve(f, number, length > 0 ? (uint64_t)length : 0, &reserved);
    bool in_place = !closed && fits && claim(f, number, length);
    pthread_mutex_unlock(&lock);
    if (closed || !fits) {
        upload_file_put(f);
        return closed ? fail(c, ERR_CONFLICT, "The upload is completed or aborted already.")
                      : too_large(c);
    }
    struct part_writer *w = mem_alloc(sizeof *w);
    *w = (struct part_writer){
        .f = f, .number = number, .length = length, .reserved = reserved, .fd = -1};
    int rc = open_for(w, in_place);
    if (rc != 0) {
        if (in_place)
            give_back(w);
        part_free(w);
        return blob_fail(c, "Opening a part", rc);
    }
    w->hash = sha256_new();
    *out = w;
    return 0;
}

static int write_at(int fd, const char *data, size_t n, int64_t at) {
    while (n > 0) {
        ssize_t got = pwrite(fd, data, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        data += got;
        at += got;
        n -= (size_t)got;
    }
    return 0;
}

int part_add(struct ctx *c, struct part_writer *w, const void *data, size_t n) {
    if (!w->file[0] && n > (uint64_t)(w->length - w->size))
        return too_large(c);
    int rc = write_begin(c, w, n);
    if (rc != 0)
        return rc;
    rc = write_at(w->fd, data, n, w->at + w->size);
    write_end(w->f);
    if (rc != 0)
        return blob_fail(c, "Writing a part", rc);
    sha256_add(w->hash, data, n);
    w->size += (int64_t)n;
    if (w->size - w->written_back >= WRITEBACK_STEP) {
        sync_file_range(w->fd, w->at + w->written_back, w->size - w->written_back,
                        SYNC_FILE_RANGE_WRITE);
        w->written_back = w->size;
    }
    return 0;
}

static int sync_part(struct part_writer *w) {
    struct upload_file *f = w->f;
    int rc = fdatasync(w->fd) != 0 ? -errno : 0;
    pthread_mutex_lock(&lock);
    bool synced = f->synced && !w->file[0];
    pthread_mutex_unlock(&lock);
    if (rc == 0 && !synced && (rc = dir_sync(blob_store.uploads, f->id)) == 0 &&
        (rc = dir_sync(blob_store.uploads, NULL)) == 0 && !w->file[0]) {
        pthread_mutex_lock(&lock);
        f->synced = true;
        pthread_mutex_unlock(&lock);
    }
    return rc;
}

struct acknowledgement {
    const struct part_writer *w;
    const char *sha256, *older;
    int64_t part_size;
};

static int acknowledge(struct ctx *c, void *arg) {
    struct acknowledgement *a = arg;
    struct upload_row row;
    bool found = false;
    int rc = upload_store_get(c, a->w->f->id, &row, &found);
    if (rc == 0 && (!found || *row.sha256))
        rc = fail(c, ERR_NOT_FOUND, "There is no open upload with id %s.", a->w->f->id);
    return rc ? rc
              : upload_store_put_part(c, row.id,
                                      &(struct upload_part){.number = a->w->number,
                                                            .size = a->w->size,
                                                            .sha256 = a->sha256,
                                                            .file = a->w->file},
                                      a->w->file[0] ? 0 : a->part_size, &a->older);
}

int part_end(struct ctx *c, struct part_writer *w, char sha256[65]) {
    struct upload_file *f = w->f;
    struct acknowledgement a = {.w = w, .sha256 = sha256};
    unsigned char digest[32];
    char name[80];
    sha256_end(w->hash, digest);
    w->hash = NULL;
    hex_encode(digest, sizeof digest, sha256);
    int rc = write_begin(c, w, 0);
    bool open = rc == 0;
    if (open && (rc = sync_part(w)) != 0)
        rc = blob_fail(c, "Storing a part", rc);
    pthread_mutex_lock(&lock);
    a.part_size = f->part_size;
    pthread_mutex_unlock(&lock);
    if (rc == 0)
        rc = db_write(blob_store.db, c, acknowledge, &a);
    if (rc == 0 && a.older)
        dir_unlink(blob_store.uploads, in_folder(name, f->id, a.older));
    if (rc == 0) {
        pthread_mutex_lock(&lock);
        f->taken[w->number] = 1;
        f->size += (uint64_t)w->size - (uint64_t)f->sizes[w->number];
        f->sizes[w->number] = w->size;
        f->coming -= w->reserved; /* at once, or the bytes would count twice for a moment */
        w->reserved = 0;
        pthread_mutex_unlock(&lock);
        if (w->file[0])
            fd_close(w->fd);
    } else {
        give_back(w);
    }
    if (open)
        write_end(f);
    part_free(w);
    return rc;
}

void part_abort(struct part_writer *w) {
    if (!w)
        return;
    give_back(w);
    part_free(w);
}

/* ------------------------------------------------------------------ the whole */

static int copy(int from, int64_t from_at, int to, int64_t to_at, int64_t n) {
    char *chunk = mem_alloc(CHUNK);
    int rc = 0;
    while (rc == 0 && n > 0) {
        ssize_t got = pread(from, chunk, n < (int64_t)CHUNK ? (size_t)n : CHUNK, (off_t)from_at);
        if (got < 0 && errno == EINTR)
            continue;
        rc = got <= 0 ? (got < 0 ? -errno : -ENODATA) : write_at(to, chunk, (size_t)got, to_at);
        from_at += got;
        to_at += got;
        n -= got;
    }
    free(chunk);
    return rc;
}

/* Brings strays to their place; -ENOTSUP when the parts do not lie as they would have to. */
static int arrange(const struct upload_file *f, const struct upload_parts *parts, int fd,
                   int64_t *size) {
    struct stat st;
    char name[80];
    int64_t s = f->part_size;
    if (s <= 0 || fstat(fd, &st) != 0 || st.st_nlink > 1) /* a blob already: not to be written */
        return -ENOTSUP;
    *size = 0;
    for (size_t i = 0; i < parts->n; i++) {
        const struct upload_part *p = &parts->items[i];
        bool last = i + 1 == parts->n;
        if (last ? p->size > s || (p->size == 0 && i > 0) : p->size != s)
            return -ENOTSUP;
        *size += p->size;
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < parts->n; i++) {
        const struct upload_part *p = &parts->items[i];
        if (!*p->file)
            continue;
        int from = dir_openat(blob_store.uploads, in_folder(name, f->id, p->file), O_RDONLY, 0);
        rc = from < 0 ? from : copy(from, 0, fd, (p->number - 1) * s, p->size);
        fd_close(from < 0 ? -1 : from);
    }
    if (rc == 0 && ftruncate(fd, (off_t)*size) != 0)
        rc = -errno;
    return rc;
}

static int append(struct ctx *c, const struct upload_file *f, int whole,
                  const struct upload_part *p, struct blob_writer *w) {
    char name[80], *chunk = mem_alloc(CHUNK);
    int64_t at = *p->file ? 0 : (p->number - 1) * f->part_size, end = at + p->size;
    int fd = *p->file ? dir_openat(blob_store.uploads, in_folder(name, f->id, p->file), O_RDONLY, 0)
                      : whole;
    int rc = fd < 0 ? blob_fail(c, "Opening a part", fd) : 0;
    while (rc == 0 && at < end) {
        ssize_t got =
            pread(fd, chunk, end - at < (int64_t)CHUNK ? (size_t)(end - at) : CHUNK, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        rc = got <= 0 ? blob_fail(c, "Reading a part", got < 0 ? errno : ENODATA)
                      : blob_add(c, w, chunk, (size_t)got);
        at += got;
    }
    if (*p->file)
        fd_close(fd < 0 ? -1 : fd);
    free(chunk);
    return rc;
}

static int put_together(struct ctx *c, const struct upload_file *f, int whole,
                        const struct upload_parts *parts, char sha256[65], int64_t *size) {
    struct blob_writer *w;
    int rc = blob_begin(c, &w);
    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < parts->n; i++)
        rc = append(c, f, whole, &parts->items[i], w);
    if (rc != 0) {
        blob_abort(w);
        return rc;
    }
    return blob_end(c, w, sha256, size);
}

int upload_file_whole(struct ctx *c, struct upload_file *f, const struct upload_parts *parts,
                      char sha256[65], int64_t *size) {
    char data[80], whole[80];
    uint64_t total = 0;
    for (size_t i = 0; i < parts->n; i++)
        total += (uint64_t)parts->items[i].size;
    if (total > blob_store.upload_cap)
        return too_large(c);
    in_folder(data, f->id, "data");
    in_folder(whole, f->id, "whole");
    int rc = 0;
    if (dir_exists(blob_store.uploads, data) && !dir_exists(blob_store.uploads, whole))
        rc = dir_rename(blob_store.uploads, data, whole);
    if (rc != 0)
        return blob_fail(c, "Putting parts together", rc);
    pthread_mutex_lock(&lock);
    f->sealed = true;
    pthread_mutex_unlock(&lock);
    int fd = dir_openat(blob_store.uploads, whole, O_RDWR, 0);
    rc = fd < 0 ? -ENOTSUP : arrange(f, parts, fd, size);
    if (rc == 0)
        rc = blob_adopt(c, fd, *size, sha256);
    else if (rc == -ENOTSUP)
        rc = put_together(c, f, fd, parts, sha256, size);
    else
        rc = blob_fail(c, "Putting parts together", rc);
    fd_close(fd < 0 ? -1 : fd);
    return rc;
}

void upload_file_remove(const char *id) {
    dir_remove_tree(blob_store.uploads, id);
}

int upload_file_sweep(struct ctx *c, bool (*known)(struct ctx *c, const char *id)) {
    char **names = NULL;
    size_t n = 0;
    int rc = dir_list(blob_store.uploads, NULL, c->arena, &names, &n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (known(c, names[i]))
            continue;
        pthread_mutex_lock(&lock);
        bool used = under_way && map_has(under_way, names[i]);
        pthread_mutex_unlock(&lock);
        if (!used)
            upload_file_remove(names[i]);
    }
    return rc;
}
