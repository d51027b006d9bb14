/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "path_open.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/str.h"

struct dir {
    int fd;
    char *path;
};

/* Only "a", "a/b", ...: no way to say the same file twice, no way out. */
static bool plain_name(const char *rel) {
    const char *start = rel;
    for (const char *p = rel;; p++) {
        if (*p && *p != '/')
            continue;
        size_t n = (size_t)(p - start);
        if (n == 0 || (n == 1 && start[0] == '.') || (n == 2 && start[0] == '.' && start[1] == '.'))
            return false;
        if (!*p)
            return true;
        start = p + 1;
    }
}

int path_walk(int fd, const char *rel, int flags, mode_t mode) {
    int at = fd;
    for (const char *slash; (slash = strchr(rel, '/')); rel = slash + 1) {
        char name[NAME_MAX + 1];
        size_t n = (size_t)(slash - rel);
        int next = -ENAMETOOLONG;
        if (n < sizeof name) {
            memcpy(name, rel, n);
            name[n] = '\0';
            next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (next < 0)
                next = -errno;
        }
        if (at != fd)
            fd_close(at);
        if (next < 0)
            return next;
        at = next;
    }
    int got = openat(at, rel, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    int e = errno;
    if (at != fd)
        fd_close(at);
    if (got < 0)
        return -e;
    struct stat st;
    if ((flags & O_PATH) && fstat(got, &st) == 0 && S_ISLNK(st.st_mode)) {
        fd_close(got);
        return -ELOOP;
    }
    return got;
}

static int openat2_beneath(int fd, const char *rel, int flags, mode_t mode) {
    struct open_how how = {
        .flags = (uint64_t)(uint32_t)(flags | O_CLOEXEC),
        .mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    for (int tries = 0;; tries++) {
        long got = syscall(SYS_openat2, fd, rel, &how, sizeof how);
        if (got >= 0)
            return (int)got;
        if (errno != EINTR && !(errno == EAGAIN && tries < 16))
            return -errno;
    }
}

/* Old kernels and some seccomp filters lack openat2; ask once. */
static bool have_openat2(void) {
    static _Atomic int known; /* 0 unknown, 1 yes, 2 no */
    int k = atomic_load_explicit(&known, memory_order_relaxed);
    if (k == 0) {
        struct open_how how = {.flags = O_PATH | O_CLOEXEC};
        long fd = syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how);
        k = fd >= 0 ? 1 : 2;
        if (fd >= 0)
            fd_close((int)fd);
        atomic_store_explicit(&known, k, memory_order_relaxed);
    }
    return k == 1;
}

int path_open_beneath(int fd, const char *rel, int flags, mode_t mode) {
    if (!plain_name(rel))
        return -EINVAL;
    return have_openat2() ? openat2_beneath(fd, rel, flags, mode) : path_walk(fd, rel, flags, mode);
}

int path_open_parent(int fd, const char *rel, const char **leaf) {
    if (!plain_name(rel))
        return -EINVAL;
    const char *slash = strrchr(rel, '/');
    if (!slash) {
        *leaf = rel;
        int got = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return got < 0 ? -errno : got;
    }
    *leaf = slash + 1;
    char *up = mem_strdup(rel);
    up[slash - rel] = '\0';
    int got = path_open_beneath(fd, up, O_RDONLY | O_DIRECTORY, 0);
    free(up);
    return got;
}

static int dir_wrap(int fd, char *path, struct dir **out) {
    struct dir *d = mem_alloc(sizeof *d);
    d->fd = fd;
    d->path = path;
    *out = d;
    return 0;
}

static int make_whole_path(const char *path) {
    char *copy = mem_strdup(path);
    int r = 0;
    for (char *p = copy + 1; r == 0; p++) {
        if (*p && *p != '/')
            continue;
        char kept = *p;
        *p = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            r = -errno;
        *p = kept;
        if (!kept)
            break;
    }
    free(copy);
    return r;
}

int dir_open(const char *path, bool create, struct dir **out) {
    if (!*path)
        return -EINVAL;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && create) {
        int r = make_whole_path(path);
        if (r < 0)
            return r;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        return -errno;
    char *whole = realpath(path, NULL);
    if (!whole) {
        int e = errno;
        fd_close(fd);
        return -e;
    }
    return dir_wrap(fd, whole, out);
}

int dir_open_sub(struct dir *parent, const char *rel, bool create, struct dir **out) {
    if (create) {
        int r = dir_mkdirs(parent, rel);
        if (r < 0)
            return r;
    }
    int fd = path_open_beneath(parent->fd, rel, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    struct buf path = {0};
    buf_puts(&path, parent->path);
    if (!str_ends(parent->path, "/"))
        buf_putc(&path, '/');
    buf_puts(&path, rel);
    return dir_wrap(fd, path.data, out);
}

void dir_close(struct dir *d) {
    if (!d)
        return;
    fd_close(d->fd);
    free(d->path);
    free(d);
}

int dir_fd(const struct dir *d) {
    return d->fd;
}

const char *dir_path(const struct dir *d) {
    return d->path;
}

int dir_openat(struct dir *d, const char *rel, int flags, mode_t mode) {
    return path_open_beneath(d->fd, rel, flags, mode);
}

int dir_mkdirs(struct dir *d, const char *rel) {
    if (!plain_name(rel))
        return -EINVAL;
    int at = d->fd, r = 0;
    char *copy = mem_strdup(rel), *name = copy;
    while (name) {
        char *slash = strchr(name, '/');
        if (slash)
            *slash = '\0';
        if (mkdirat(at, name, 0700) == 0) {
            if (fsync(at) < 0)
                r = -errno;
        } else if (errno != EEXIST) {
            r = -errno;
        }
        int next = r < 0 ? r : openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0 && r == 0)
            r = -errno;
        if (at != d->fd)
            fd_close(at);
        if (r < 0)
            break;
        at = next;
        name = slash ? slash + 1 : NULL;
    }
    if (r == 0 && at != d->fd)
        fd_close(at);
    free(copy);
    return r;
}

bool dir_exists(struct dir *d, const char *rel) {
    int fd = path_open_beneath(d->fd, rel, O_PATH, 0);
    fd_close(fd < 0 ? -1 : fd);
    return fd >= 0;
}

int dir_sync(struct dir *d, const char *rel_dir_or_null) {
    int fd = d->fd;
    if (rel_dir_or_null)
        fd = path_open_beneath(d->fd, rel_dir_or_null, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    int r = fsync(fd) < 0 ? -errno : 0;
    if (fd != d->fd)
        fd_close(fd);
    return r;
}
