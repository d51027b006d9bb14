/* SPDX-License-Identifier: Apache-2.0 */
/* Log read: the parts that keeper_log wrote, as one text with stable offsets. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/process/process.h"

enum { STAMP_LEN = 24 };

/* The part that holds `offset`, or else the first one after it; -1 when there is none. */
static int64_t find_part(struct dir *d, struct arena *a, int64_t offset, int *fd, int64_t *size) {
    char **names = NULL;
    size_t n = 0;
    *fd = -1;
    if (dir_list(d, NULL, a, &names, &n)) {
        return -1;
    }
    int64_t at = -1;   /* largest start <= offset */
    int64_t next = -1; /* smallest start > offset */
    for (size_t i = 0; i < n; i++) {
        int64_t start = 0;
        if (strcmp(names[i], "log") != 0 &&
            !(str_starts(names[i], "log.") && str_to_i64(names[i] + 4, &start) && start > 0)) {
            continue;
        }
        if (start <= offset && start > at) {
            at = start;
        }
        if (start > offset && (next < 0 || start < next)) {
            next = start;
        }
    }
    for (int i = 0; i < 2; i++) {
        const int64_t start = i == 0 ? at : next;
        struct stat st;
        if (start < 0) {
            continue;
        }
        *fd = dir_openat(d, start == 0 ? "log" : arena_printf(a, "log.%" PRId64, start),
                         O_RDONLY | O_CLOEXEC, 0);
        if (*fd < 0) {
            *fd = -1;
            return -2; /* rotated away meanwhile: list again */
        }
        /* A part that ends here may still grow, unless a later one exists. */
        if (fstat(*fd, &st) == 0 && (start > offset || offset < start + st.st_size || next < 0)) {
            *size = st.st_size;
            return start;
        }
        fd_close(*fd);
        *fd = -1;
    }
    return -1;
}

int process_log_read(struct ctx *c, struct dir *root, const char *folder, int64_t offset,
                     size_t max, char **data, size_t *n, int64_t *next) {
    struct dir *dir = NULL;
    *data = arena_strdup(c->arena, "");
    *n = 0;
    *next = offset;
    if (offset < 0) {
        return fail_field(c, ERR_INVALID, "offset", "offset must be 0 or more");
    }
    int e = dir_open_sub(root, folder, false, &dir);
    if (e) {
        return e == -ENOENT ? 0 : fail(c, ERR_INTERNAL, "the log cannot be opened");
    }
    int fd = -1;
    int64_t size = 0;
    int64_t start = -2;
    for (int i = 0; i < 10 && start == -2; i++) {
        start = find_part(dir, c->arena, offset, &fd, &size);
    }
    dir_close(dir);
    if (fd < 0) {
        return 0;
    }
    if (start > offset) { /* a hole: told in one line with the stamp of what follows it */
        char stamp[STAMP_LEN + 1] = "1970-01-01T00:00:00.000Z";
        if (pread(fd, stamp, STAMP_LEN, 0) != STAMP_LEN) {
            stamp[0] = '1'; /* nothing there yet */
        }
        *data = arena_printf(c->arena,
                             "%s k %" PRId64 " bytes of output are not kept: the log reached its "
                             "size limit or the disk was full\n",
                             stamp, start - offset);
        *n = strlen(*data);
        *next = start;
        fd_close(fd);
        return 0;
    }
    const int64_t left = start + size - offset;
    size_t want = left < 0 ? 0 : (uint64_t)left < max ? (size_t)left : max;
    char *text = arena_alloc(c->arena, want + 1);
    ssize_t got = 0;
    size_t have = 0;
    while (have < want &&
           (got = pread(fd, text + have, want - have, offset - start + (int64_t)have)) > 0) {
        have += (size_t)got;
    }
    fd_close(fd);
    if (got < 0) {
        return fail(c, ERR_INTERNAL, "the log cannot be read: %s", strerror(errno));
    }
    const char *nl = have ? memrchr(text, '\n', have) : NULL;
    if (nl && (size_t)(nl - text) + 1 < have) {
        have = (size_t)(nl - text) + 1; /* whole lines, unless one is longer than max */
    }
    text[have] = 0;
    *data = text;
    *n = have;
    *next = offset + (int64_t)have;
    return 0;
}
