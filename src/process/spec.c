/* SPDX-License-Identifier: Apache-2.0 */
#include "spec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"

static const char magic[] = "quern-spec-2";

struct process_limits spec_limits(const struct process_limits *given) {
    struct process_limits l = *given;
    if (l.grace_ms <= 0) {
        l.grace_ms = 10000;
    }
    if (l.open_files <= 0) {
        l.open_files = 1024;
    }
    if (l.log_cap <= 0) {
        l.log_cap = 16 << 20;
    }
    if (l.log_cap < 128 << 10) { /* room for a few lines of the longest kind in each part */
        l.log_cap = 128 << 10;
    }
    return l;
}

static size_t put_strings(struct buf *b, const char *const *strings) {
    size_t n = 0;
    for (; strings && strings[n]; n++) {
        buf_put(b, strings[n], strlen(strings[n]) + 1);
    }
    return n;
}

int spec_to_memfd(const struct process_spec *spec) {
    struct buf strings = {0};
    struct buf all = {0};
    const struct process_limits l = spec_limits(&spec->limits);
    buf_put(&strings, spec->workdir, strlen(spec->workdir) + 1);
    const size_t argc = put_strings(&strings, spec->argv);
    const size_t envc = put_strings(&strings, spec->env);
    buf_printf(&all,
               "%s %zu %zu %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
               " %" PRId64 " %d\n",
               magic, argc, envc, l.timeout_ms, l.grace_ms, l.memory_bytes, l.cpu_seconds,
               l.file_bytes, l.open_files, l.log_cap, spec->tied ? (int)getpid() : 0);
    buf_put(&all, strings.data, strings.len);
    buf_free(&strings);
    int result = -E2BIG;
    if (all.len <= SPEC_MAX) {
        result = memfd_create("quern-spec", MFD_CLOEXEC);
        if (result < 0) {
            result = -errno;
        } else {
            const int fd = result;
            int e = fd_write_all(fd, all.data, all.len);
            if (e == 0 && lseek(fd, 0, SEEK_SET) != 0) {
                e = -errno;
            }
            if (e) {
                fd_close(fd);
                result = e;
            }
        }
    }
    buf_free(&all);
    return result;
}

/* The next NUL-terminated string of [*at, end), or NULL. */
static const char *next_string(char **at, const char *end) {
    char *s = *at;
    char *nul = s < end ? memchr(s, 0, (size_t)(end - s)) : NULL;
    if (!nul) {
        return NULL;
    }
    *at = nul + 1;
    return s;
}

static const char *const *strings(struct arena *a, char **at, const char *end, size_t n) {
    const char **list = ARENA_ARRAY(a, const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        list[i] = next_string(at, end);
        if (!list[i]) {
            return NULL;
        }
    }
    return list;
}

int spec_from_fd(struct arena *a, int fd, struct process_spec *out, int *tied_to,
                 const char **why) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > SPEC_MAX) {
        *why = "standard input holds no specification; the daemon starts keepers, not people";
        return -1;
    }
    char *text = arena_alloc(a, (size_t)st.st_size + 1);
    const ssize_t n = fd_read_all(fd, text, (size_t)st.st_size);
    if (n < 0) {
        *why = "the specification on standard input cannot be read";
        return -1;
    }
    char *line = memchr(text, '\n', (size_t)n);
    size_t argc = 0;
    size_t envc = 0;
    char word[16] = "";
    struct process_limits *l = &out->limits;
    if (!line ||
        sscanf(text,
               "%15s %zu %zu %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64
               " %" SCNd64 " %d",
               word, &argc, &envc, &l->timeout_ms, &l->grace_ms, &l->memory_bytes, &l->cpu_seconds,
               &l->file_bytes, &l->open_files, &l->log_cap, tied_to) != 11 ||
        strcmp(word, magic) != 0 || argc == 0 || argc > SPEC_MAX || envc > SPEC_MAX) {
        *why = "standard input holds no specification; the daemon starts keepers, not people";
        return -1;
    }
    out->tied = *tied_to > 0;
    const char *end = text + n;
    char *at = line + 1;
    out->workdir = next_string(&at, end);
    out->argv = strings(a, &at, end, argc);
    out->env = out->argv ? strings(a, &at, end, envc) : NULL;
    if (!out->workdir || !out->argv || !out->env) {
        *why = "the specification on standard input is cut short";
        return -1;
    }
    *why = NULL;
    return 0;
}
