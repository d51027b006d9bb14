/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed bodies: what is unpacked, what is refused, and how early. */
#include <zlib.h>
#include <zstd.h>

#include "fixture.h"

static char packed[1 << 20];

/* window 31 gzip, 15 zlib, -15 bare deflate, 0 zstd */
static size_t pack(int window, const char *data, size_t n) {
    if (!window)
        return ZSTD_compress(packed, sizeof(packed), data, n, 3);
    z_stream z = {0};
    deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)data;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)packed;
    z.avail_out = sizeof(packed);
    CHECK_INT(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t got = z.total_out;
    deflateEnd(&z);
    return got;
}

static struct answer post(const char *path, const char *head, const char *body, size_t n) {
    struct buf text = {0};
    buf_printf(&text, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n", path, n,
               head);
    buf_put(&text, body, n);
    struct answer a = client_ask(port, text.data, text.len);
    buf_free(&text);
    return a;
}

static size_t body_size(const struct answer *a) {
    return a->body ? (size_t)(a->text + a->len - a->body) : 0;
}

static const struct {
    int window;
    const char *head;
} kinds[] = {{31, "Content-Encoding: gzip\r\n"},
             {31, "Content-Encoding: X-GZip\r\n"},
             {15, "Content-Encoding: deflate\r\n"},
             {-15, "Content-Encoding: deflate\r\n"},
             {0, "Content-Encoding: zstd\r\n"}};

static void unpacked(void) {
    static char text[150000];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + (i * i / 7) % 26);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct answer a = post("/packed", kinds[i].head, packed, pack(kinds[i].window, "hi", 2));
        CHECK_INT(a.status, 200);
        CHECK_STR(a.body, "hi");
        a = post("/packed", kinds[i].head, packed, pack(kinds[i].window, text, sizeof(text)));
        CHECK_INT(a.status, 200);
        CHECK_INT(body_size(&a), sizeof(text));
        CHECK(body_size(&a) == sizeof(text) && memcmp(a.body, text, sizeof(text)) == 0);
        /* A stream of nothing is an empty body. */
        a = post("/packed", kinds[i].head, packed, pack(kinds[i].window, "", 0));
        CHECK_INT(a.status, 200);
        CHECK_INT(body_size(&a), 0);
    }
    struct answer a = post("/packed", "Content-Encoding: identity\r\n", "plain", 5);
    CHECK_STR(a.body, "plain");
    /* gzip streams follow each other. */
    size_t n = pack(31, "one", 3);
    memcpy(packed + n, packed, n);
    a = post("/packed", kinds[0].head, packed, 2 * n);
    CHECK_STR(a.body, "oneone");
}

/* What is unpacked fills whole steps of the unpacker, and the stream ends with the last of them. */
static void whole_steps(void) {
    static const char text[3 * 65536];
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        for (size_t size = 65536 - 1; size <= sizeof(text); size += size % 65536 ? 1 : 65536) {
            struct answer a =
                post("/packed", kinds[i].head, packed, pack(kinds[i].window, text, size));
            CHECK_INT(a.status, 200);
            CHECK_INT(body_size(&a), size);
        }
}

/* Byte by byte, in chunks: the state between two pieces is kept. */
static void in_pieces(void) {
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t n = pack(kinds[i].window, "piece by piece by piece", 23);
        int fd = client_connect(port);
        char head[256];
        snprintf(head, sizeof(head),
                 "POST /packed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n%s\r\n",
                 kinds[i].head);
        client_puts(fd, head);
        for (size_t at = 0; at < n; at++) {
            client_puts(fd, "1\r\n");
            client_send(fd, packed + at, 1);
            client_puts(fd, "\r\n");
        }
        client_puts(fd, "0\r\n\r\n");
        struct answer a = client_read(fd, 1, 3000);
        CHECK_INT(a.status, 200);
        CHECK_HAS(a.text, "piece by piece by piece");
        close(fd);
    }
}

static void other_rows(void) {
    /* Rows that take JSON unpack as well, rows that take bytes as they are do not. */
    const char json[] = "{\"word\":\"w\"}";
    struct answer a =
        post("/api/v1/echo/n", "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
             packed, pack(31, json, strlen(json)));
    CHECK_INT(a.status, 200);
    CHECK_HAS(a.text, "\"word\":\"w\"");
    size_t n = pack(31, json, strlen(json));
    a = post("/raw", "Content-Encoding: gzip\r\n", packed, n);
    CHECK_INT(a.status, 200);
    CHECK_INT(body_size(&a), n);
}

static void refused(void) {
    struct answer a = post("/packed", "Content-Encoding: br\r\n", "abc", 3);
    CHECK_INT(a.status, 415);
    CHECK_STR(answer_header(&a, "Accept-Encoding"), "gzip, deflate, zstd");
    CHECK_HAS(a.text, "'br'");
    a = post("/packed", "Content-Encoding: gzip, gzip\r\n", "abc", 3);
    CHECK_INT(a.status, 415);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        a = post("/packed", kinds[i].head, "no such stream", 14);
        CHECK_INT(a.status, 400);
        size_t n = pack(kinds[i].window, "0123456789", 10);
        a = post("/packed", kinds[i].head, packed, n - 1);
        CHECK_INT(a.status, 400);
        if (kinds[i].window == 31)
            continue;
        memcpy(packed + n, "tail", 4);
        a = post("/packed", kinds[i].head, packed, n + 4);
        CHECK_INT(a.status, 400);
    }
}

/* Fifty million zeros in a few kilobytes: over the row's cap after its first 200 000. */
static void bombs(void) {
    static char zeros[50 << 20];
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t n = pack(kinds[i].window, zeros, sizeof(zeros));
        CHECK(n < 100000);
        int before = atomic_load(&handled);
        struct answer a = post("/packed", kinds[i].head, packed, n);
        CHECK_INT(a.status, 413);
        CHECK_HAS(a.text, "unpacked");
        CHECK_INT(atomic_load(&handled), before);
    }
}

static void answers(void) {
    static char text[5000];
    memset(text, 'z', sizeof(text));
    static char out[10000];
    struct answer a = post("/packed", "Accept-Encoding: deflate\r\n", text, sizeof(text));
    CHECK_STR(answer_header(&a, "Content-Encoding"), "deflate");
    uLongf n = sizeof(out);
    CHECK_INT(uncompress((Bytef *)out, &n, (Bytef *)a.body, body_size(&a)), Z_OK);
    CHECK(n == sizeof(text) && memcmp(out, text, n) == 0);
    a = post("/raw", "Accept-Encoding: deflate\r\n", text, sizeof(text));
    CHECK_STR(answer_header(&a, "Content-Encoding"), "");
}

int main(void) {
    log_init(LOG_ERROR, LOG_PLAIN);
    struct server_options o = fixture_options();
    fixture_start(&o);
    RUN(unpacked);
    RUN(whole_steps);
    RUN(in_pieces);
    RUN(other_rows);
    RUN(refused);
    RUN(bombs);
    RUN(answers);
    server_stop(server);
    return CHECK_END();
}
