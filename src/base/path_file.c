/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "path_open.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/id.h"
#include "quern/base/path.h"
#include "quern/base/str.h"

/* Descriptors held at once by dir_remove_tree; deeper folders are lifted to the top first. */
#define TREE_DEPTH 32

int dir_rename(struct dir *d, const char *from, const char *to) {
    const char *from_leaf, *to_leaf;
    int from_fd = path_open_parent(dir_fd(d), from, &from_leaf);
    if (from_fd < 0)
        return from_fd;
    int to_fd = path_open_parent(dir_fd(d), to, &to_leaf);
    int r = to_fd < 0 ? to_fd : 0;
    if (r == 0 && renameat(from_fd, from_leaf, to_fd, to_leaf) < 0)
        r = -errno;
    if (r == 0 && fsync(to_fd) < 0)
        r = -errno;
    fd_close(from_fd);
    fd_close(to_fd < 0 ? -1 : to_fd);
    return r;
}

int dir_unlink(struct dir *d, const char *rel) {
    const char *leaf;
    int fd = path_open_parent(dir_fd(d), rel, &leaf);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    int r = unlinkat(fd, leaf, 0) < 0 && errno != ENOENT ? -errno : 0;
    fd_close(fd);
    return r;
}

static int open_folder(int at, const char *name) {
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(at, name, flags);
    if (fd < 0 && errno == EACCES) {
        /* A child may have taken its folder's permissions away. */
        if (fchmodat(at, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
            fd = openat(at, name, flags);
        else
            errno = EACCES;
    }
    return fd < 0 ? -errno : fd;
}

static int remove_entry(int at, const char *name, int top, int depth);

/* Takes fd over. */
static int empty_folder(int fd, int top, int depth) {
    DIR *list = fdopendir(fd);
    if (!list) {
        int e = errno;
        fd_close(fd);
        return -e;
    }
    if (top < 0)
        top = fd;
    int r = 0;
    bool again = true;
    /* Entries may appear (lifted folders) or be skipped while reading: go on until a pass is
     * clean. */
    while (r == 0 && again) {
        again = false;
        rewinddir(list);
        struct dirent *e;
        while (r == 0 && (errno = 0, e = readdir(list))) {
            if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
                continue;
            again = true;
            r = remove_entry(fd, e->d_name, top, depth);
        }
        if (r == 0 && errno)
            r = -errno;
    }
    closedir(list);
    return r;
}

static int remove_entry(int at, const char *name, int top, int depth) {
    if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM && errno != EACCES)
        return -errno;
    int why = errno;
    struct stat st;
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISDIR(st.st_mode)) {
        /* The folder itself may be read-only. */
        if (fchmod(at, 0700) == 0 && unlinkat(at, name, 0) == 0)
            return 0;
        return -why;
    }
    if (depth >= TREE_DEPTH) {
        char lifted[40] = ".lifted-";
        id_base62(lifted + 8, 20);
        return renameat(at, name, top, lifted) < 0 ? -errno : 0;
    }
    int fd = open_folder(at, name);
    if (fd < 0)
        return fd;
    int r = empty_folder(fd, top, depth + 1);
    if (r < 0)
        return r;
    if (unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno == EACCES && fchmod(at, 0700) == 0 && unlinkat(at, name, AT_REMOVEDIR) == 0)
        return 0;
    return -errno;
}

int dir_remove_tree(struct dir *d, const char *rel) {
    const char *leaf;
    int fd = path_open_parent(dir_fd(d), rel, &leaf);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    int r = remove_entry(fd, leaf, -1, 0);
    fd_close(fd);
    return r;
}

int dir_write_file(struct dir *d, const char *rel, const void *data, size_t n) {
    struct buf tmp = {0};
    buf_printf(&tmp, "%s.tmp", rel);
    int fd = path_open_beneath(dir_fd(d), tmp.data, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int r = fd < 0 ? fd : fd_write_all(fd, data, n);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    fd_close(fd < 0 ? -1 : fd);
    if (r == 0)
        r = dir_rename(d, tmp.data, rel);
    if (r < 0 && fd >= 0)
        dir_unlink(d, tmp.data);
    buf_free(&tmp);
    return r;
}

int dir_read_file(struct dir *d, const char *rel, struct arena *a, size_t cap, char **data,
                  size_t *n) {
    /* O_NONBLOCK: a FIFO in the place of a file must not hang the reader. */
    int fd = path_open_beneath(dir_fd(d), rel, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0)
        return fd;
    struct stat st;
    int r = fstat(fd, &st) < 0 ? -errno : 0;
    if (r == 0 && !S_ISREG(st.st_mode))
        r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    if (r == 0 && (uint64_t)st.st_size > cap)
        r = -EFBIG;
    struct buf b = {0};
    while (r == 0) {
        /* One byte more than expected tells the end, and a file that grows meanwhile. */
        size_t left = (size_t)st.st_size > b.len ? (size_t)st.st_size - b.len : 0;
        size_t want = left + 1 > 65536 ? left + 1 : 65536;
        buf_reserve(&b, want);
        ssize_t got = fd_read_all(fd, b.data + b.len, want);
        if (got < 0) {
            r = (int)got;
            break;
        }
        b.len += (size_t)got;
        if (b.len > cap)
            r = -EFBIG;
        if ((size_t)got < want)
            break;
    }
    if (r == 0) {
        char *copy = arena_alloc(a, b.len + 1);
        memcpy(copy, b.data, b.len);
        *data = copy;
        *n = b.len;
    }
    buf_free(&b);
    fd_close(fd);
    return r;
}

static int by_bytes(const void *x, const void *y) {
    return strcmp(*(char *const *)x, *(char *const *)y);
}

int dir_list(struct dir *d, const char *rel_or_null, struct arena *a, char ***names, size_t *n) {
    int fd = rel_or_null
                 ? path_open_beneath(dir_fd(d), rel_or_null, O_RDONLY | O_DIRECTORY, 0)
                 : openat(dir_fd(d), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* own position */
    if (fd < 0)
        return rel_or_null ? fd : -errno;
    DIR *list = fdopendir(fd);
    if (!list) {
        int e = errno;
        fd_close(fd);
        return -e;
    }
    char **all = NULL;
    size_t count = 0, cap = 0;
    struct dirent *e;
    while ((errno = 0, e = readdir(list))) {
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
            continue;
        if (count == cap) {
            cap = cap ? cap * 2 : 32;
            all = mem_realloc(all, cap * sizeof *all);
        }
        all[count++] = arena_strdup(a, e->d_name);
    }
    int r = errno ? -errno : 0;
    closedir(list);
    if (r == 0) {
        if (count)
            qsort(all, count, sizeof *all, by_bytes);
        *names = arena_alloc_n(a, count + 1, sizeof *all);
        if (count)
            memcpy(*names, all, count * sizeof *all);
        *n = count;
    }
    free(all);
    return r;
}
