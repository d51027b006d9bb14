/* SPDX-License-Identifier: Apache-2.0 */
#include "backup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "house.h"
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
#include "quern/db/db.h"
#include "quern/json/json_out.h"

/* What lies in the data directory but is no part of a backup: the live database, locks, leftovers,
 * work folders that the next attempt makes anew, and what the operator put there. */
static const char *const left_out[] = {
    "quern.db", "quern.db-wal", "quern.db-shm", "quern.lock",     "tmp",    "backups", "lib",
    "work",     "quern.conf",   "secret.key",   "secret.key.tmp", "exports"};

struct job {
    struct ctx *c;
    struct dir *to;
    struct json_writer *w;
};

int backup_digest(struct dir *d, const char *rel, char sha256[65], long long *size) {
    int fd = dir_openat(d, rel, O_RDONLY, 0);
    if (fd < 0) {
        return fd;
    }
    static const size_t part = 1 << 18;
    char *data = mem_alloc(part);
    unsigned char raw[32];
    struct sha256 *s = sha256_new();
    ssize_t n;
    *size = 0;
    while ((n = fd_read_all(fd, data, part)) > 0) {
        sha256_add(s, data, (size_t)n);
        *size += n;
    }
    sha256_end(s, raw);
    hex_encode(raw, 32, sha256);
    free(data);
    fd_close(fd);
    return n < 0 ? (int)n : 0;
}

static void manifest_row(struct job *j, const char *rel, long long size, const char *sha256) {
    jw_obj(j->w);
    jw_key_str(j->w, "path", rel);
    jw_key_i64(j->w, "size", size);
    jw_key_str(j->w, "sha256", sha256);
    jw_obj_end(j->w);
}

static int copy_file(struct job *j, const char *rel) {
    int from = dir_openat(house.data, rel, O_RDONLY, 0);
    if (from < 0) {
        return from == -ENOENT ? 0 : from; /* a log that was rotated away meanwhile */
    }
    int to = dir_openat(j->to, rel, O_WRONLY | O_CREAT | O_EXCL, 0600);
    static const size_t part = 1 << 18;
    char *data = mem_alloc(part);
    int rc = to < 0 ? to : 0;
    ssize_t n = 0;
    while (rc == 0 && (n = fd_read_all(from, data, part)) > 0) {
        rc = fd_write_all(to, data, (size_t)n);
    }
    free(data);
    fd_close(from);
    if (to >= 0) {
        rc = rc == 0 && fsync(to) != 0 ? -errno : rc;
        fd_close(to);
    }
    char sha[65];
    long long size = 0;
    rc = rc == 0 ? (n < 0 ? (int)n : backup_digest(j->to, rel, sha, &size)) : rc;
    if (rc == 0) {
        manifest_row(j, rel, size, sha);
    }
    return rc;
}

/* A blob's name is its digest, so it needs no reading; hard links keep it from the collector. */
static int link_blob(struct job *j, const char *rel, long long size) {
    if (linkat(dir_fd(house.data), rel, dir_fd(j->to), rel, 0) != 0) {
        return errno == ENOENT ? 0 : errno == EXDEV || errno == EPERM ? copy_file(j, rel) : -errno;
    }
    char sha[65];
    const char *p = rel + strlen("blobs/");
    size_t n = 0;
    for (; *p && n < 64; p++) {
        if (*p != '/') {
            sha[n++] = *p;
        }
    }
    sha[n] = '\0';
    manifest_row(j, rel, size, sha);
    return 0;
}

static int take(struct job *j, const char *rel);

static int take_folder(struct job *j, const char *rel) {
    char **names = NULL;
    size_t n = 0;
    struct arena *a = arena_new();
    int rc = dir_mkdirs(j->to, rel);
    if (rc == 0) {
        rc = dir_list(house.data, rel, a, &names, &n);
    }
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = take(j, arena_printf(a, "%s/%s", rel, names[i]));
    }
    arena_free(a);
    return rc;
}

static int take(struct job *j, const char *rel) {
    struct stat st;
    if (fstatat(dir_fd(house.data), rel, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (S_ISDIR(st.st_mode)) {
        return take_folder(j, rel);
    }
    if (!S_ISREG(st.st_mode)) {
        return 0; /* sockets and pipes of steps under way */
    }
    return str_starts(rel, "blobs/") ? link_blob(j, rel, (long long)st.st_size) : copy_file(j, rel);
}

static int take_all(struct job *j) {
    char **names = NULL;
    size_t n = 0;
    int rc = dir_list(house.data, NULL, j->c->arena, &names, &n);
    for (size_t i = 0; i < n && rc == 0; i++) {
        bool skip = false;
        for (size_t k = 0; k < ARRAY_LEN(left_out); k++) {
            skip = skip || str_eq(names[i], left_out[k]);
        }
        rc = skip ? 0 : take(j, names[i]);
    }
    return rc;
}

static int make(struct job *j, struct buf *manifest) {
    struct json_writer w;
    char sha[65];
    long long size = 0;
    jw_init(&w, manifest);
    j->w = &w;
    int rc = db_backup(house.db, j->c, j->to, "quern.db");
    if (rc != 0) {
        return rc;
    }
    jw_obj(&w);
    jw_key_i64(&w, "format", BACKUP_FORMAT);
    jw_key_str(&w, "quern", QUERN_VERSION);
    jw_key_i64(&w, "created_ms", j->c->now_ms);
    jw_key(&w, "files");
    jw_arr(&w);
    rc = backup_digest(j->to, "quern.db", sha, &size);
    if (rc == 0) {
        manifest_row(j, "quern.db", size, sha);
        rc = take_all(j);
    }
    jw_arr_end(&w);
    jw_obj_end(&w);
    buf_putc(manifest, '\n');
    if (rc == 0) {
        rc = dir_write_file(j->to, BACKUP_MANIFEST, manifest->data, manifest->len);
    }
    return rc == 0 ? 0
                   : fail(j->c, rc == -ENOSPC ? ERR_DISK_FULL : ERR_INTERNAL,
                          "the backup stopped: %s", strerror(-rc));
}

int backup_sweep(void) {
    int rc = dir_remove_tree(house.data, "backups");
    if (rc != 0) {
        log_warn("backup.sweep", "what an earlier backup left cannot be removed: %s",
                 strerror(-rc));
    }
    return rc;
}

int backup_make(struct ctx *c, char id[17]) {
    struct dir *all = NULL;
    struct buf manifest = {0};
    unsigned char random[8];
    id_random(random, sizeof random);
    hex_encode(random, sizeof random, id);
    struct job j = {.c = c};
    int rc = dir_open_sub(house.data, "backups", true, &all);
    if (rc == 0) {
        rc = dir_open_sub(all, id, true, &j.to);
    }
    if (rc != 0) {
        rc = fail(c, ERR_INTERNAL, "cannot make the backup's folder: %s", strerror(-rc));
    } else {
        artifact_gc_pause();
        rc = make(&j, &manifest);
        artifact_gc_resume();
    }
    if (rc != 0 && all) {
        dir_remove_tree(all, id);
    }
    buf_free(&manifest);
    if (j.to) {
        dir_close(j.to);
    }
    if (all) {
        dir_close(all);
    }
    return rc;
}
