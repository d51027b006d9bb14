/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "batch_reader.h"
#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"

static int file_of(const char *data, size_t n) {
    int fd = memfd_create("rows", MFD_CLOEXEC);
    CHECK(fd >= 0 && fd_write_all(fd, data, n) == 0);
    return fd;
}

/* Records between bars, each with its line: "1:a|3:b"; "!" before one that is too long. */
static void expect(const char *text, bool csv, const char *want) {
    struct batch_reader r;
    struct record got;
    struct buf seen = {0};
    int rc, fd = file_of(text, strlen(text));
    CHECK_INT(reader_open(&r, fd, csv, 0, 1), 0);
    while ((rc = reader_next(&r, &got)) > 0)
        buf_printf(&seen, "%s%s%lld:%.*s", seen.len ? "|" : "", got.too_long ? "!" : "",
                   (long long)got.line, (int)got.len, got.data);
    CHECK_INT(rc, 0);
    CHECK_STR(seen.data ? seen.data : "", want);
    CHECK_INT(r.offset, (int64_t)strlen(text));
    reader_close(&r);
    buf_free(&seen);
    close(fd);
}

static void records(void) {
    expect("", true, "");
    expect("\n\r\n\n", true, "");
    expect("a,b\n1,2\r\n\n3,4", true, "1:a,b|2:1,2|4:3,4");
    expect("\"x\ny\",1\nz\n", true, "1:\"x\ny\",1|3:z");
    expect("\"x\"\"\n\",1\nz", true, "1:\"x\"\"\n\",1|3:z");
    expect("a\"b,1\nz\n", true, "1:a\"b,1|2:z"); /* a quote within a field opens nothing */
    expect("1,\"two\nz\ny\n", true, "!1:1,\"two|2:z|3:y"); /* its own line, no more */
    expect("{\"a\": \"\n\"}\n  \n{}", false, "1:{\"a\": \"|2:\"}|4:{}");
}

/* Wherever reading stops, another reader goes on and finds the same records. */
static void resumed(void) {
    struct buf text = {0};
    for (int i = 0; i < 2000; i++)
        buf_printf(&text, i % 7 ? "%d,plain\n" : "%d,\"quoted\n%d\"\r\n\n", i, i * i);
    int fd = file_of(text.data, text.len);
    struct batch_reader whole, part;
    struct record a, b;
    CHECK_INT(reader_open(&whole, fd, true, 0, 1), 0);
    int64_t offset = 0, line = 1;
    int count = 0;
    while (reader_next(&whole, &a) > 0) {
        char *copy = mem_strdup("");
        copy = mem_realloc(copy, a.len + 1);
        memcpy(copy, a.data, a.len);
        if (count++ % 50 == 0) {
            off_t at = lseek(fd, 0, SEEK_CUR);
            CHECK_INT(reader_open(&part, fd, true, offset, line), 0);
            CHECK_INT(reader_next(&part, &b), 1);
            CHECK(a.len == b.len && memcmp(copy, b.data, a.len) == 0 && a.line == b.line);
            CHECK_INT(part.offset, whole.offset);
            reader_close(&part);
            CHECK(lseek(fd, at, SEEK_SET) == at);
        }
        offset = whole.offset;
        line = whole.line;
        free(copy);
    }
    CHECK_INT(count, 2000);
    reader_close(&whole);
    buf_free(&text);
    close(fd);
}

static void long_ones(void) {
    size_t n = RECORD_MAX + 5000;
    struct buf text = {0};
    struct batch_reader r;
    struct record got;
    buf_puts(&text, "a\n");
    for (size_t i = 0; i < n; i++)
        buf_putc(&text, 'x');
    buf_puts(&text, "\nb\n");
    int fd = file_of(text.data, text.len);
    CHECK_INT(reader_open(&r, fd, true, 0, 1), 0);
    CHECK_INT(reader_next(&r, &got), 1);
    CHECK_INT(reader_next(&r, &got), 1);
    CHECK(got.too_long && got.line == 2 && got.len == 1024);
    CHECK_INT(reader_next(&r, &got), 1);
    CHECK(!got.too_long && got.line == 3 && got.len == 1 && got.data[0] == 'b');
    CHECK_INT(reader_next(&r, &got), 0);
    reader_close(&r);
    buf_free(&text);
    close(fd);
}

int main(void) {
    RUN(records);
    RUN(resumed);
    RUN(long_ones);
    return CHECK_END();
}
