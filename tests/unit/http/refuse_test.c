/* SPDX-License-Identifier: Apache-2.0 */
/* Malformed requests over real sockets: the status, the closed connection, no second answer to what
 * stands behind, and no handler called. Each is sent three ways: in one piece, byte by byte, and
 * behind a valid request in the same packet. */
#include "fixture.h"

#define POST "POST /raw HTTP/1.1\r\nHost: x\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

struct bad {
    const char *name;
    const char *text;
    size_t n; /* for texts with NULs */
    int status;
};
#define BAD(name, status, text)                                                                    \
    { name, text, sizeof(text) - 1, status }

static const struct bad corpus[] = {
    /* framing: what smuggling is made of */
    BAD("two lengths", 400, POST "Content-Length: 5\r\nContent-Length: 10\r\n\r\nhello"),
    BAD("two equal lengths", 400, POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    BAD("length list", 400, POST "Content-Length: 5, 5\r\n\r\nhello"),
    BAD("length with plus", 400, POST "Content-Length: +5\r\n\r\nhello"),
    BAD("length negative", 400, POST "Content-Length: -1\r\n\r\nhello"),
    BAD("length hex", 400, POST "Content-Length: 0x5\r\n\r\nhello"),
    BAD("length empty", 400, POST "Content-Length:\r\n\r\nhello"),
    BAD("length with blank inside", 400, POST "Content-Length: 5 5\r\n\r\nhello"),
    BAD("length 2^64", 413, POST "Content-Length: 18446744073709551616\r\n\r\nhello"),
    BAD("length 2^63", 413, POST "Content-Length: 9223372036854775808\r\n\r\nhello"),
    BAD("length and chunked", 400,
        POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD("chunked and length", 400,
        POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    BAD("xchunked", 501, POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    BAD("gzip, chunked", 501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    BAD("chunked, chunked", 501, POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    BAD("identity", 501, POST "Transfer-Encoding: identity\r\n\r\n"),
    BAD("two encodings", 400,
        POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    BAD("two chunked", 400,
        POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD("blank before colon", 400,
        POST "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\nhello"),
    BAD("tab before colon", 400, POST "Content-Length\t: 5\r\n\r\nhello"),
    BAD("chunked in 1.0", 400,
        "POST /raw HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    BAD("vertical tab in encoding", 400,
        POST "Transfer-Encoding: \x0b"
             "chunked\r\n\r\n0\r\n\r\n"),
    /* lines */
    BAD("bare LF everywhere", 400, "GET /ping HTTP/1.1\nHost: x\n\n"),
    BAD("bare LF after the request line", 400, "GET /ping HTTP/1.1\nHost: x\r\n\r\n"),
    BAD("bare LF after a field", 400, "GET /ping HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"),
    BAD("bare LF at the end", 400, "GET /ping HTTP/1.1\r\nHost: x\r\n\n"),
    BAD("bare CR in a value", 400, "GET /ping HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n"),
    BAD("bare CR in a name", 400, "GET /ping HTTP/1.1\r\nHost: x\r\nA\rB: c\r\n\r\n"),
    BAD("CR CR LF", 400, "GET /ping HTTP/1.1\r\nHost: x\r\r\n\r\n"),
    BAD("NUL in a value", 400, "GET /ping HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"),
    BAD("NUL in a name", 400, "GET /ping HTTP/1.1\r\nHost: x\r\nA\0: b\r\n\r\n"),
    BAD("NUL in the target", 400, "GET /ping\0x HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("NUL in the method", 400, "G\0T /ping HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("folded by a blank", 400, "GET /ping HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"),
    BAD("folded by a tab", 400, "GET /ping HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n"),
    BAD("blank before the first field", 400, "GET /ping HTTP/1.1\r\n Host: x\r\n\r\n"),
    BAD("control character", 400, "GET /ping HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n"),
    BAD("DEL in a value", 400, "GET /ping HTTP/1.1\r\nHost: x\r\nA: \x7f\r\n\r\n"),
    BAD("field without a colon", 400, "GET /ping HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n"),
    BAD("field without a name", 400, "GET /ping HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n"),
    BAD("parenthesis in a name", 400, "GET /ping HTTP/1.1\r\nHost: x\r\nA(b): c\r\n\r\n"),
    BAD("slash in a name", 400, "GET /ping HTTP/1.1\r\nHost: x\r\nA/b: c\r\n\r\n"),
    BAD("byte over 127 in a name", 400, "GET /ping HTTP/1.1\r\nHost: x\r\n\xc3\xa9: c\r\n\r\n"),
    BAD("empty line first", 400, "\r\nGET /ping HTTP/1.1\r\nHost: x\r\n\r\n"),
    /* hosts and other singular fields */
    BAD("no host", 400, "GET /ping HTTP/1.1\r\n\r\n"),
    BAD("two hosts", 400, "GET /ping HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    BAD("two hosts in 1.0", 400, "GET /ping HTTP/1.0\r\nHost: x\r\nhost: x\r\n\r\n"),
    BAD("empty host", 400, "GET /ping HTTP/1.1\r\nHost:\r\n\r\n"),
    BAD("host with a slash", 400, "GET /ping HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    BAD("host with user", 400, "GET /ping HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    BAD("host list", 400, "GET /ping HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    BAD("two authorizations", 400,
        "GET /ping HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n"),
    BAD("two content types", 400,
        POST "Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 0\r\n\r\n"),
    BAD("unknown expectation", 417, POST "Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello"),
    /* request lines */
    BAD("lower-case method", 501, "gEt /ping HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("TRACE", 501, "TRACE /ping HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("CONNECT", 501, "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("unknown method", 501, "BREW /ping HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("method no token", 400, "GE(T /ping HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("HTTP/9.9", 505, "GET /ping HTTP/9.9\r\nHost: x\r\n\r\n"),
    BAD("HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    BAD("HTTP/1.2", 505, "GET /ping HTTP/1.2\r\nHost: x\r\n\r\n"),
    BAD("http in lower case", 400, "GET /ping http/1.1\r\nHost: x\r\n\r\n"),
    BAD("HTTP/1.10", 400, "GET /ping HTTP/1.10\r\nHost: x\r\n\r\n"),
    BAD("no version", 400, "GET /ping\r\nHost: x\r\n\r\n"),
    BAD("two blanks", 400, "GET  /ping HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("tab for a blank", 400, "GET\t/ping HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("blank in the target", 400, "GET /pi ng HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("blank behind the version", 400, "GET /ping HTTP/1.1 \r\nHost: x\r\n\r\n"),
    BAD("TLS hello", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    /* targets */
    BAD("absolute form", 400, "GET http://evil/ping HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("asterisk form", 400, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("no leading slash", 400, "GET ping HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("dot segments", 400, "GET /a/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("dot segment at the end", 400, "GET /ping/.. HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("single dot segment", 400, "GET /./ping HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("encoded dot segments", 400, "GET /a/%2e%2e/%2e%2e%2fetc%00x HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("half encoded dot segment", 400, "GET /a/.%2E/x HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("escaped NUL", 400, "GET /ping%00 HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("escaped NUL in the query", 400, "GET /ping?a=%00 HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("escaped slash", 400, "GET /a%2fb HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("escaped slash, upper case", 400, "GET /a%2Fb HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("escaped backslash", 400, "GET /a%5cb HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("escaped line end", 400, "GET /a%0d%0ab HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("backslash", 400, "GET /a\\b HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("double slash", 400, "GET //ping HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("bad escape", 400, "GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("cut escape", 400, "GET /a%4 HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("bad escape in the query", 400, "GET /ping?a=%g0 HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("fragment", 400, "GET /ping#a HTTP/1.1\r\nHost: x\r\n\r\n"),
    BAD("byte over 127", 400, "GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n"),
    /* chunks */
    BAD("chunk size 0x5", 400, CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"),
    BAD("chunk size Z", 400, CHUNKED "Z\r\nhello\r\n0\r\n\r\n"),
    BAD("chunk size empty", 400, CHUNKED "\r\nhello\r\n0\r\n\r\n"),
    BAD("chunk size with a blank", 400, CHUNKED "5 \r\nhello\r\n0\r\n\r\n"),
    BAD("chunk size negative", 400, CHUNKED "-5\r\nhello\r\n0\r\n\r\n"),
    BAD("chunk size too long", 413, CHUNKED "10000000000000000\r\nhello\r\n0\r\n\r\n"),
    BAD("chunk extension", 400, CHUNKED "5;a=b\r\nhello\r\n0\r\n\r\n"),
    BAD("chunk size line ends in LF", 400, CHUNKED "5\nhello\r\n0\r\n\r\n"),
    BAD("chunk data ends in LF", 400, CHUNKED "5\r\nhello\n0\r\n\r\n"),
    BAD("chunk longer than told", 400, CHUNKED "4\r\nhello\r\n0\r\n\r\n"),
    BAD("last chunk ends in LF", 400, CHUNKED "5\r\nhello\r\n0\n\r\n"),
    BAD("end ends in LF", 400, CHUNKED "5\r\nhello\r\n0\r\n\n"),
    BAD("trailer", 400, CHUNKED "5\r\nhello\r\n0\r\nContent-Length: 7\r\n\r\n"),
    BAD("second chunk broken", 400, CHUNKED "5\r\nhello\r\n5\r\nworldX\r\n0\r\n\r\n"),
};

#define SMUGGLED "GET /ping?smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

static void expect(const struct bad *b, const char *how, const struct answer *a, int answers,
                   int status) {
    bool good = status == b->status && a->answers == answers && a->closed;
    CHECK(good);
    if (!good)
        printf("  %s, %s: status %d (want %d), %d answers (want %d), closed %d\n", b->name, how,
               status, b->status, a->answers, answers, a->closed);
}

static void in_one_piece(void) {
    for (size_t i = 0; i < ARRAY_LEN(corpus); i++) {
        const struct bad *b = &corpus[i];
        int before = atomic_load(&handled);
        int fd = client_connect(port);
        struct buf text = {0};
        buf_put(&text, b->text, b->n);
        buf_puts(&text, SMUGGLED);
        client_send(fd, text.data, text.len);
        struct answer a = client_read(fd, 0, 3000);
        expect(b, "in one piece", &a, 1, a.status);
        CHECK_STR(answer_header(&a, "Connection"), "close");
        CHECK_INT(atomic_load(&handled), before);
        close(fd);
        buf_free(&text);
    }
}

static void byte_by_byte(void) {
    for (size_t i = 0; i < ARRAY_LEN(corpus); i++) {
        const struct bad *b = &corpus[i];
        int before = atomic_load(&handled);
        int fd = client_connect(port);
        for (size_t k = 0; k < b->n; k++)
            if (!client_send(fd, b->text + k, 1))
                break;
        struct answer a = client_read(fd, 0, 3000);
        expect(b, "byte by byte", &a, 1, a.status);
        CHECK_INT(atomic_load(&handled), before);
        close(fd);
    }
}

static void behind_a_valid_one(void) {
    for (size_t i = 0; i < ARRAY_LEN(corpus); i++) {
        const struct bad *b = &corpus[i];
        int before = atomic_load(&handled);
        int fd = client_connect(port);
        struct buf text = {0};
        /* The valid one takes its time on another thread. */
        buf_puts(&text, "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirst");
        buf_put(&text, b->text, b->n);
        buf_puts(&text, SMUGGLED);
        client_send(fd, text.data, text.len);
        struct answer a = client_read(fd, 0, 3000);
        CHECK_INT(a.status, 200);
        const char *second = a.body ? strstr(a.body, "HTTP/1.1 ") : NULL;
        expect(b, "behind a valid one", &a, 2, second ? atoi(second + 9) : 0);
        CHECK_INT(atomic_load(&handled), before + 1);
        close(fd);
        buf_free(&text);
    }
}

static void long_ones(void) {
    struct buf text = {0};
    static const struct {
        const char *before;
        size_t n;
        const char *after;
        int status;
    } cases[] = {
        {"GET /", 40000, " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
        {"GET /", 20000, " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
        {"GET /", 200000, "", 414},
        {"GET /ping HTTP/1.1\r\nHost: x\r\nA: ", 40000, "\r\n\r\n", 431},
        {"GET /ping HTTP/1.1\r\nHost: x\r\nA: ", 2000000, "", 431},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_clear(&text);
        buf_puts(&text, cases[i].before);
        for (size_t k = 0; k < cases[i].n; k++)
            buf_putc(&text, 'a');
        buf_puts(&text, cases[i].after);
        buf_puts(&text, SMUGGLED);
        int fd = client_connect(port);
        client_send(fd, text.data, text.len);
        struct answer a = client_read(fd, 0, 3000);
        CHECK_INT(a.status, cases[i].status);
        CHECK_INT(a.answers, 1);
        CHECK(a.closed);
        close(fd);
    }
    buf_clear(&text);
    buf_puts(&text, "GET /ping HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 200; i++)
        buf_printf(&text, "A%d: b\r\n", i);
    buf_puts(&text, "\r\n");
    struct answer a = client_ask(port, text.data, text.len);
    CHECK_INT(a.status, 431);
    /* At the limit things work: 99 fields, and a target of 16 KiB. */
    buf_clear(&text);
    buf_puts(&text, "GET /ping?");
    for (int i = 0; i < 16000; i++)
        buf_putc(&text, 'q');
    buf_puts(&text, " HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 99; i++)
        buf_printf(&text, "A%d: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n", i);
    buf_puts(&text, "\r\n");
    a = client_ask(port, text.data, text.len);
    CHECK_INT(a.status, 200);
    /* One byte below 32 KiB, with as many fields as may be. */
    buf_clear(&text);
    buf_puts(&text, "GET /ping HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 98; i++)
        buf_printf(&text, "A%d: b\r\n", i);
    buf_puts(&text, "B: ");
    while (text.len < 32768 - 5)
        buf_putc(&text, 'b');
    buf_puts(&text, "\r\n\r\n");
    a = client_ask(port, text.data, text.len);
    CHECK_INT(a.status, 200);
    buf_free(&text);
}

static void counted(void) {
    CHECK(metric_value(METRIC_HTTP_REFUSED, "line_end", NULL, NULL) > 10);
    CHECK(metric_value(METRIC_HTTP_REFUSED, "chunk", NULL, NULL) > 10);
}

int main(void) {
    log_init(LOG_ERROR, LOG_PLAIN);
    struct server_options o = fixture_options();
    fixture_start(&o);
    atomic_store(&slow_ms, 5);
    printf("%zu malformed requests\n", ARRAY_LEN(corpus));
    RUN(in_one_piece);
    RUN(byte_by_byte);
    RUN(behind_a_valid_one);
    RUN(long_ones);
    RUN(counted);
    server_stop(server);
    return CHECK_END();
}
