/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

static void get(void) {
    struct answer a = client_text(port, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.status, 200);
    CHECK_STR(a.body, "pong\n");
    CHECK(!a.closed);
    CHECK_STR(answer_header(&a, "X-Content-Type-Options"), "nosniff");
    CHECK_STR(answer_header(&a, "X-Frame-Options"), "SAMEORIGIN");
    CHECK_STR(answer_header(&a, "Referrer-Policy"), "no-referrer");
    CHECK_INT(strlen(answer_header(&a, "X-Request-Id")), 32);
    a = client_text(port, "GET /ping HTTP/1.1\r\nHost: x\r\nX-Request-Id: my-id.7\r\n\r\n");
    CHECK_STR(answer_header(&a, "X-Request-Id"), "my-id.7");
    a = client_text(port, "GET /ping HTTP/1.1\r\nHost: x\r\nX-Request-Id: a b\r\n\r\n");
    CHECK_INT(strlen(answer_header(&a, "X-Request-Id")), 32);
    a = client_text(port, "GET /ping HTTP/1.0\r\n\r\n");
    CHECK_INT(a.status, 200);
    CHECK(a.closed);
}

static void head(void) {
    struct answer a = client_text(port, "HEAD /big HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.status, 200);
    CHECK_STR(answer_header(&a, "Content-Length"), "100000");
    CHECK_STR(a.body, "");
    a = client_text(port, "HEAD /file HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_STR(answer_header(&a, "Content-Length"), "307200");
    CHECK_STR(a.body, "");
    a = client_text(port, "HEAD /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.status, 404);
    CHECK_STR(a.body, "");
}

static void suspended(void) {
    struct answer a = client_text(port, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.status, 200);
    CHECK_STR(a.body, "pong\n");
    a = client_text(port, "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    CHECK_STR(a.body, "hello");
}

static void routing(void) {
    struct answer a =
        client_text(port, "GET /api/v1/echo/a%20b?count=3 HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.status, 200);
    CHECK_STR(a.body, "{\"name\":\"a b\",\"count\":3}\n");
    a = client_text(port, "GET /api/v1/echo/special HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_STR(a.body, "pong\n");
    a = client_text(port, "POST /api/v1/echo/run%3A7:cancel HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_STR(a.body, "{\"name\":\"run:7\"}\n");
    a = client_text(port, "GET /ping/ HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.status, 404);
    CHECK_STR(answer_header(&a, "Content-Type"), "text/plain; charset=utf-8");
    a = client_text(port, "GET /api/v1/nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.status, 404);
    CHECK_STR(answer_header(&a, "Content-Type"), "application/problem+json");
    a = client_text(port, "GET /api/2.0/mlflow/nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.status, 404);
    CHECK_HAS(a.body, "\"error_code\":\"ENDPOINT_NOT_FOUND\"");
    a = client_text(port, "GET /ajax-api/3.0/mlflow/nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_HAS(a.body, "\"error_code\":\"ENDPOINT_NOT_FOUND\"");
    a = client_text(port, "GET /v2/nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_HAS(a.body, "{\"error\":");
    a = client_text(port, "DELETE /ping HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.status, 405);
    CHECK_STR(answer_header(&a, "Allow"), "GET, HEAD, POST, OPTIONS");
    CHECK(!a.closed);
    a = client_text(port, "OPTIONS /ping HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.status, 204);
    CHECK_STR(answer_header(&a, "Allow"), "GET, HEAD, POST, OPTIONS");
    a = client_text(port, "GET /broken HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.status, 500);
    CHECK(!strstr(a.text, "secret"));
}

static struct answer post(const char *path, const char *type, const char *body) {
    char text[4096];
    snprintf(text, sizeof(text),
             "POST %s HTTP/1.1\r\nHost: x\r\n%s%s%sContent-Length: %zu\r\n\r\n%s", path,
             type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", strlen(body),
             body);
    return client_text(port, text);
}

static void bodies(void) {
    struct answer a = post("/api/v1/echo/n", "application/json", "{\"word\":\"w\"}");
    CHECK_STR(a.body, "{\"name\":\"n\",\"word\":\"w\"}\n");
    a = post("/api/v1/echo/n", "application/x-www-form-urlencoded", "word=w");
    CHECK_INT(a.status, 415);
    a = post("/api/v1/echo/n", "application/json", "{\"word\":");
    CHECK_INT(a.status, 400);
    CHECK(!a.closed);
    a = post("/api/2.0/mlflow/word", "application/json; charset=utf-8", "{\"word\":\"w\"}");
    CHECK_STR(a.body, "{\"word\":\"w\"}\n");
    a = post("/ajax-api/2.0/mlflow/word", "application/json", "{\"word\":\"w\"}");
    CHECK_STR(a.body, "{\"word\":\"w\"}\n");
    a = post("/api/2.0/mlflow/word", NULL, "{\"word\":\"w\"}");
    CHECK_INT(a.status, 400);
    CHECK_HAS(a.body, "\"Bad Request. Content-Type header is missing.\"");
    CHECK_HAS(a.body, "INVALID_PARAMETER_VALUE");
    a = post("/api/2.0/mlflow/word", "text/plain", "{\"word\":\"w\"}");
    CHECK_HAS(a.body, "Bad Request. Content-Type must be one of ['application/json'].");
    a = post("/api/2.0/mlflow/word", "application/json", "{}");
    CHECK_HAS(a.body, "Missing value for required parameter 'word'");
    a = client_text(port,
                    "POST /api/v1/echo/n HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
                    "\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"word\"\r\n5\r\n:\"w\"}\r\n"
                    "0\r\n\r\n");
    CHECK_STR(a.body, "{\"name\":\"n\",\"word\":\"w\"}\n");
    a = client_text(port, "DELETE /api/v1/echo/n HTTP/1.1\r\nHost: x\r\nContent-Type: "
                          "application/json\r\nContent-Length: 12\r\n\r\n{\"word\":\"w\"}");
    CHECK_STR(a.body, "{\"name\":\"n\",\"word\":\"w\"}\n");
}

/* Refused before the body: the connection lives on when the body is small. */
static void early(void) {
    int fd = client_connect(port);
    client_puts(fd, "POST /private HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd"
                    "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
    struct answer a = client_read(fd, 2, 2000);
    CHECK_INT(a.status, 401);
    CHECK(*answer_header(&a, "WWW-Authenticate"));
    CHECK_INT(a.answers, 2);
    CHECK(!a.closed);
    close(fd);
    /* Announced too large: 413 before a byte of the body was sent. */
    static const char *const methods[] = {"POST /raw", "PATCH /api/v1/echo/n",
                                          "DELETE /api/v1/echo/n", "PUT /up/x"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                 "Content-Length: 99999999\r\n\r\n",
                 methods[i]);
        a = client_text(port, text);
        CHECK_INT(a.status, 413);
        CHECK(a.closed);
        CHECK_INT(a.answers, 1);
    }
    a = client_text(port, "POST /raw HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                          "Content-Length: 300000\r\n\r\n");
    CHECK_INT(a.status, 413);
    CHECK(!strstr(a.text, "100 Continue"));
    fd = client_connect(port);
    client_puts(fd, "POST /raw HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                    "Content-Length: 5\r\n\r\n");
    a = client_read(fd, 0, 300);
    CHECK_HAS(a.text, "HTTP/1.1 100 Continue\r\n\r\n");
    client_puts(fd, "hello");
    a = client_read(fd, 1, 2000);
    CHECK_STR(a.body, "hello");
    close(fd);
    /* Chunked beyond the cap: told in the middle, nothing of it answered twice. */
    fd = client_connect(port);
    client_puts(fd, "POST /raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    char *block = mem_alloc(0x20000 + 2);
    for (int i = 0; i < 40; i++) {
        if (!client_puts(fd, "20000\r\n") || !client_send(fd, block, 0x20000) ||
            !client_puts(fd, "\r\n"))
            break;
    }
    a = client_read(fd, 0, 3000);
    CHECK_INT(a.status, 413);
    CHECK_INT(a.answers, 1);
    CHECK(a.closed);
    close(fd);
    free(block);
}

static void pipelined(void) {
    int fd = client_connect(port);
    client_puts(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
                    "POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                    "POST /raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nxyz\r\n0\r\n\r\n"
                    "GET /api/v1/echo/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    struct answer a = client_read(fd, 0, 3000);
    CHECK_INT(a.answers, 4);
    CHECK(a.closed);
    const char *one = strstr(a.text, "pong\n"), *two = strstr(a.text, "abc"),
               *three = strstr(a.text, "xyz"), *four = strstr(a.text, "last");
    CHECK(one && two && three && four && one < two && two < three && three < four);
    close(fd);
    /* A byte at a time. */
    fd = client_connect(port);
    const char *slow = "POST /raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3\r\nxyz\r\n0\r\n\r\nGET /ping HTTP/1.1\r\nHost: x\r\n\r\n";
    for (const char *p = slow; *p; p++) {
        client_send(fd, p, 1);
        if (p - slow < 60)
            clock_sleep_ms(1);
    }
    a = client_read(fd, 2, 2000);
    CHECK_INT(a.answers, 2);
    CHECK_HAS(a.text, "xyz");
    CHECK_HAS(a.text, "pong");
    close(fd);
    /* Many requests in one write, more than the library's buffer holds. */
    fd = client_connect(port);
    struct buf many = {0};
    for (int i = 0; i < 3000; i++)
        buf_printf(&many,
                   "POST /raw HTTP/1.1\r\nHost: x\r\nX-N: %d\r\nContent-Length: 9\r\n\r\n[%07d]", i,
                   i);
    client_send(fd, many.data, many.len);
    a = client_read(fd, 3000, 20000);
    CHECK_INT(a.answers, 3000);
    CHECK_HAS(a.text, "[0000000]");
    CHECK_HAS(a.text, "[0002999]");
    close(fd);
    buf_free(&many);
}

int main(void) {
    log_init(LOG_ERROR, LOG_PLAIN);
    struct server_options o = fixture_options();
    fixture_start(&o);
    RUN(get);
    RUN(head);
    RUN(suspended);
    RUN(routing);
    RUN(bodies);
    RUN(early);
    RUN(pipelined);
    server_stop(server);
    CHECK_INT(atomic_load(&threads_ended), 2);
    return CHECK_END();
}
