/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <zlib.h>
#include <zstd.h>

#include "fixture.h"

static struct answer get(const char *path, const char *headers) {
    char text[1024];
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, headers);
    int fd = client_connect(port);
    client_puts(fd, text);
    struct answer a = client_read(fd, 1, 3000);
    close(fd);
    return a;
}

static bool bytes_right(const struct answer *a, size_t from, size_t n) {
    if (!a->body || (size_t)(a->text + a->len - a->body) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (a->body[i] != file_byte(from + i))
            return false;
    return true;
}

static void ranges(void) {
    struct answer a = get("/file", "");
    CHECK_INT(a.status, 200);
    CHECK_STR(answer_header(&a, "Accept-Ranges"), "bytes");
    CHECK(bytes_right(&a, 0, FILE_SIZE));
    static const struct {
        const char *range;
        int status;
        size_t from, n;
        const char *content_range;
    } cases[] = {
        {"bytes=0-9", 206, 0, 10, "bytes 0-9/307200"},
        {"bytes=1000-1000", 206, 1000, 1, "bytes 1000-1000/307200"},
        {"bytes=307000-", 206, 307000, 200, "bytes 307000-307199/307200"},
        {"bytes=-100", 206, 307100, 100, "bytes 307100-307199/307200"},
        {"bytes=-999999", 206, 0, FILE_SIZE, "bytes 0-307199/307200"},
        {"bytes=307199-999999", 206, 307199, 1, "bytes 307199-307199/307200"},
        {"bytes=307200-", 416, 0, 0, "bytes */307200"},
        {"bytes=-0", 416, 0, 0, "bytes */307200"},
        {"bytes=999999999999-", 416, 0, 0, "bytes */307200"},
        {"bytes=0-1,5-6", 200, 0, FILE_SIZE, ""},
        {"bytes=9-5", 200, 0, FILE_SIZE, ""},
        {"bytes=a-b", 200, 0, FILE_SIZE, ""},
        {"bytes=0-99999999999999999999", 200, 0, FILE_SIZE, ""},
        {"lines=0-1", 200, 0, FILE_SIZE, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char header[128];
        snprintf(header, sizeof(header), "Range: %s\r\n", cases[i].range);
        a = get("/file", header);
        CHECK_INT(a.status, cases[i].status);
        CHECK_STR(answer_header(&a, "Content-Range"), cases[i].content_range);
        if (cases[i].n)
            CHECK(bytes_right(&a, cases[i].from, cases[i].n));
    }
    a = get("/file", "Range: bytes=0-9\r\nIf-Range: \"file-1\"\r\n");
    CHECK_INT(a.status, 206);
    a = get("/file", "Range: bytes=0-9\r\nIf-Range: \"other\"\r\n");
    CHECK_INT(a.status, 200);
    a = get("/file", "Range: bytes=0-9\r\nIf-Range: W/\"file-1\"\r\n");
    CHECK_INT(a.status, 200);
}

/* Range is defined for GET alone. */
static void ranges_of_head(void) {
    struct answer a =
        client_text(port, "HEAD /file HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\n\r\n");
    CHECK_INT(a.status, 200);
    CHECK_STR(answer_header(&a, "Content-Length"), "307200");
    CHECK_STR(answer_header(&a, "Content-Range"), "");
    a = client_text(port, "HEAD /file HTTP/1.1\r\nHost: x\r\nRange: bytes=307200-\r\n\r\n");
    CHECK_INT(a.status, 200);
}

static void etags(void) {
    struct answer a = get("/file", "If-None-Match: \"file-1\"\r\n");
    CHECK_INT(a.status, 304);
    CHECK_STR(answer_header(&a, "ETag"), "\"file-1\"");
    CHECK_STR(a.body, "");
    a = get("/file", "If-None-Match: \"a\", W/\"file-1\" , \"b\"\r\n");
    CHECK_INT(a.status, 304);
    a = get("/file", "If-None-Match: *\r\n");
    CHECK_INT(a.status, 304);
    a = get("/file", "If-None-Match: \"file-11\"\r\n");
    CHECK_INT(a.status, 200);
    CHECK_STR(answer_header(&a, "Cache-Control"), "no-cache");
    a = get("/file", "If-None-Match: \"x,y\", \"file-1\"\r\n");
    CHECK_INT(a.status, 304);
    a = get("/file", "If-None-Match: \"x\", *\r\n");
    CHECK_INT(a.status, 200);
    a = get("/file", "If-None-Match: *x\r\n");
    CHECK_INT(a.status, 200);
    a = get("/file", "If-None-Match: \"file-1\r\n");
    CHECK_INT(a.status, 200);
    a = get("/file", "If-None-Match: \"a,\"file-1\"\r\n");
    CHECK_INT(a.status, 200);
    /* A 304 varies as its 200 does. */
    a = get("/big", "If-None-Match: \"big-1\"\r\n");
    CHECK_INT(a.status, 304);
    CHECK_STR(answer_header(&a, "Vary"), "Accept-Encoding");
}

static void check_big(const char *text, size_t n) {
    CHECK_INT(n, 100000);
    CHECK(n == 100000 && text[0] == '"' && text[99999] == '"');
    for (size_t i = 1; i < n - 1; i++)
        if (text[i] != 'a') {
            CHECK_INT(text[i], 'a');
            break;
        }
}

static void compression(void) {
    static char out[200000];
    struct answer a = get("/big", "");
    CHECK_STR(answer_header(&a, "Content-Encoding"), "");
    check_big(a.body, (size_t)(a.text + a.len - a.body));
    a = get("/big", "Accept-Encoding: gzip, deflate\r\n");
    CHECK_STR(answer_header(&a, "Content-Encoding"), "gzip");
    CHECK_STR(answer_header(&a, "Vary"), "Accept-Encoding");
    CHECK_STR(answer_header(&a, "ETag"), "W/\"big-1\"");
    z_stream z = {.next_in = (Bytef *)a.body,
                  .avail_in = (uInt)(a.text + a.len - a.body),
                  .next_out = (Bytef *)out,
                  .avail_out = sizeof(out)};
    inflateInit2(&z, 31);
    CHECK_INT(inflate(&z, Z_FINISH), Z_STREAM_END);
    check_big(out, z.total_out);
    inflateEnd(&z);
    a = get("/big", "Accept-Encoding: gzip, zstd\r\n");
    CHECK_STR(answer_header(&a, "Content-Encoding"), "zstd");
    size_t n = ZSTD_decompress(out, sizeof(out), a.body, (size_t)(a.text + a.len - a.body));
    check_big(out, n);
    a = get("/big", "Accept-Encoding: zstd;q=0, gzip;q=0.5\r\n");
    CHECK_STR(answer_header(&a, "Content-Encoding"), "gzip");
    a = get("/big", "Accept-Encoding: gzip;q=0\r\n");
    CHECK_STR(answer_header(&a, "Content-Encoding"), "");
    a = get("/big", "Accept-Encoding: zstd\r\nIf-None-Match: W/\"big-1\"\r\n");
    CHECK_INT(a.status, 304);
    a = get("/ping", "Accept-Encoding: gzip\r\n");
    CHECK_STR(answer_header(&a, "Content-Encoding"), "");
    a = get("/file", "Accept-Encoding: gzip\r\n");
    CHECK_STR(answer_header(&a, "Content-Encoding"), "");
}

static size_t open_files(void) {
    size_t n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Every answer above closed its descriptor: whole, part, 304, 416, HEAD. */
static void nothing_left_open(void) {
    clock_sleep_ms(100);
    size_t before = open_files();
    for (int i = 0; i < 20; i++) {
        get("/file", "Range: bytes=999999999-\r\n");
        get("/file", "If-None-Match: *\r\n");
        get("/file", "Range: bytes=5-6\r\n");
        client_text(port, "HEAD /file HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    clock_sleep_ms(100);
    CHECK_INT(open_files(), before);
}

int main(void) {
    log_init(LOG_ERROR, LOG_PLAIN);
    struct server_options o = fixture_options();
    fixture_start(&o);
    RUN(ranges);
    RUN(ranges_of_head);
    RUN(etags);
    RUN(compression);
    RUN(nothing_left_open);
    server_stop(server);
    return CHECK_END();
}
