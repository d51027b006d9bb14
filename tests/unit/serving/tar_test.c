/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "tar.h"

static char place[] = "/tmp/quern-tar-XXXXXX";

static void write_one(struct ctx *c, const char *const *names, size_t n, int *rc) {
    struct tar_writer *w;
    int fd = open(place, O_RDWR | O_TRUNC | O_CLOEXEC);
    *rc = tar_begin(c, fd, &w);
    for (size_t i = 0; *rc == 0 && i < n; i++)
        *rc = tar_put(c, w, names[i], names[i], strlen(names[i]));
    if (*rc == 0)
        *rc = tar_end(c, w);
    else
        tar_drop(w);
    close(fd);
}

/* Names of every length that fits come back, with their content; others are refused. */
static void names(void) {
    for (size_t n = 1; n < 280; n += n < 90 ? 13 : 1) {
        struct ctx c;
        struct tar_reader *r;
        const char *found;
        char name[300], content[300];
        int64_t size;
        int rc;
        ctx_begin(&c);
        for (size_t i = 0; i < n; i++)
            name[i] = i % 40 == 39 && i + 1 < n ? '/' : 'a';
        name[n] = '\0';
        const char *list[] = {name, "second"};
        write_one(&c, list, 2, &rc);
        if (rc < 0) {
            CHECK(n > 200);
            ctx_end(&c);
            continue;
        }
        CHECK_INT(tar_open(&c, place, &r), 0);
        CHECK_INT(tar_next(&c, r, &found, &size), 1);
        CHECK_STR(found, name);
        CHECK_INT(size, (int64_t)n);
        CHECK_INT(tar_read(&c, r, content, sizeof content), (int64_t)n);
        CHECK(memcmp(content, name, n) == 0);
        CHECK_INT(tar_next(&c, r, &found, &size), 1); /* its content is skipped */
        CHECK_STR(found, "second");
        CHECK_INT(tar_next(&c, r, &found, &size), 0);
        tar_close(r);
        ctx_end(&c);
    }
}

/* The same files give the same bytes. */
static void same(void) {
    struct ctx c;
    struct stat st;
    char first[4096], again[4096];
    const char *list[] = {"manifest.json", "model/model.onnx"};
    int rc;
    ctx_begin(&c);
    for (int i = 0; i < 2; i++) {
        write_one(&c, list, 2, &rc);
        CHECK_INT(rc, 0);
        int fd = open(place, O_RDONLY | O_CLOEXEC);
        CHECK(fstat(fd, &st) == 0 && st.st_size < (off_t)sizeof first);
        CHECK_INT(read(fd, i ? again : first, (size_t)st.st_size), st.st_size);
        close(fd);
    }
    CHECK(memcmp(first, again, (size_t)st.st_size) == 0);
    ctx_end(&c);
}

int main(void) {
    int fd = mkstemp(place);
    CHECK(fd >= 0);
    close(fd);
    RUN(names);
    RUN(same);
    unlink(place);
    return CHECK_END();
}
