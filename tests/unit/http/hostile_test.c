/* SPDX-License-Identifier: Apache-2.0 */
/* Requests at the edge of the grammar: what two parsers could read differently, and what an
 * attacker gains by repeating, splitting, padding or announcing. */
#include "fixture.h"

#define PING "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST "POST /raw HTTP/1.1\r\nHost: x\r\n"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static struct answer ask(const char *text, int answers) {
    int fd = client_connect(port);
    client_puts(fd, text);
    struct answer a = client_read(fd, answers, 3000);
    close(fd);
    return a;
}

/* Valid, if unusual; the library must find the same end as the strict layer: the request behind is
 * answered, and once. */
static const char *const valid[] = {
    POST "Content-Length: 0000000005\r\n\r\nhello",
    POST "Content-Length: " ZEROS ZEROS "5\r\n\r\nhello",
    POST "Content-Length:5\r\n\r\nhello",
    POST "Content-Length: \t 5\r\n\r\nhello",
    POST "Content-Length: 5 \r\n\r\nhello",
    POST "Content-Length: 5 \t \r\n\r\nhello",
    POST "CONTENT-LENGTH:5\t\r\n\r\nhello",
    POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    POST "Transfer-Encoding: cHuNkEd\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    POST "Transfer-Encoding:chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked \r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    POST "Transfer-Encoding:\tchunked\t \r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked\r\n\r\n00000000000005\r\nhello\r\n000\r\n\r\n",
    POST "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    POST "Content-Length: 5\r\nX-Byte: \xff\xfe\xc3\x28\r\n\r\nhello",
    POST "Content-Length: 5\r\nX-Empty:\r\nX-Blank: \t \r\n\r\nhello",
    POST "Content-Length: 5\r\nContent_Length: 7\r\n\r\nhello",
    POST "Content-Length: 5\r\nCookie: a=b; c; =d; \"e;f\r\n\r\nhello",
    "POST /raw HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
};

static void same_end(void) {
    for (size_t i = 0; i < ARRAY_LEN(valid); i++) {
        struct buf text = {0};
        buf_puts(&text, valid[i]);
        buf_puts(&text, PING);
        struct answer a = ask(text.data, 2);
        bool good = a.status == 200 && a.answers == 2 && !a.closed && a.body &&
                    strncmp(a.body, "hello", 5) == 0 && strstr(a.body, "pong\n");
        CHECK(good);
        if (!good)
            printf("  %s\n  -> %s\n", valid[i], a.text);
        buf_free(&text);
    }
}

/* The same in two pieces, cut at every byte. */
static void cut_everywhere(void) {
    static const char *const texts[] = {
        POST "Content-Length: 5 \r\n\r\nhello" PING,
        POST "Transfer-Encoding: chunked \r\n\r\n5\r\nhello\r\n0\r\n\r\n" PING,
    };
    for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
        size_t n = strlen(texts[t]);
        for (size_t at = 1; at < n; at++) {
            int fd = client_connect(port);
            client_send(fd, texts[t], at);
            clock_sleep_ms(1);
            client_send(fd, texts[t] + at, n - at);
            /* The second answer is the last thing to come. */
            struct answer a = {.text = calloc(1, 4096)};
            client_keep(a.text);
            while (a.len < 4000 && !strstr(a.text, "pong\n")) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                ssize_t got = poll(&p, 1, 2000) > 0 ? recv(fd, a.text + a.len, 4000 - a.len, 0) : 0;
                if (got <= 0)
                    break;
                a.len += (size_t)got;
            }
            answer_count(&a);
            CHECK_INT(a.answers, 2);
            CHECK_HAS(a.text, "\r\n\r\nhello");
            CHECK_HAS(a.text, "pong\n");
            close(fd);
        }
    }
}

/* A field that decides something, twice: a proxy and the handler could each believe another one. */
static void said_twice(void) {
    static const char *const names[] = {
        "Authorization",      "Content-Type",   "Idempotency-Key", "Origin",
        "Sec-Fetch-Site",     "Sec-Fetch-Mode", "X-Quern-Project", "X-Quern-Endpoint",
        "X-MLflow-Workspace", "Range",          "If-Range",        "Content-Encoding",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char text[512];
        int before = atomic_load(&handled);
        snprintf(text, sizeof(text), "GET /ping HTTP/1.1\r\nHost: x\r\n%s: 1\r\n%s: 1\r\n\r\n" PING,
                 names[i], names[i]);
        struct answer a = ask(text, 0);
        CHECK_INT(a.status, 400);
        CHECK_INT(a.answers, 1);
        CHECK(a.closed);
        CHECK_INT(atomic_load(&handled), before);
        CHECK(a.body && strcasestr(a.body, names[i]));
        if (a.status != 400 || !a.body || !strcasestr(a.body, names[i]))
            printf("  %s -> %s\n", names[i], a.text);
        /* Once, each is taken; so are two of a kind that may be a list. */
        snprintf(text, sizeof(text),
                 "GET /ping HTTP/1.1\r\nHost: x\r\nAccept: a/b\r\nAccept: c/d\r\n%s: 1\r\n\r\n",
                 names[i]);
        a = client_text(port, text);
        CHECK_INT(a.status, 200);
    }
}

/* The library keeps 72 bytes for each pair of a query: it must not see them. */
static void many_pairs(void) {
    struct buf text = {0};
    buf_puts(&text, "GET /api/v1/echo/n?count=7");
    for (int i = 0; i < 4000; i++)
        buf_puts(&text, "&a=1");
    buf_puts(&text, " HTTP/1.1\r\nHost: x\r\n\r\n");
    struct answer a = client_text(port, text.data);
    CHECK_INT(a.status, 200);
    CHECK_STR(a.body, "{\"name\":\"n\",\"count\":7}\n");
    buf_clear(&text);
    buf_puts(&text, "GET /ping?");
    for (int i = 0; i < 4000; i++)
        buf_puts(&text, "&a=1");
    buf_puts(&text, " HTTP/1.1\r\nHost: x\r\n\r\n" PING);
    a = ask(text.data, 2);
    CHECK_INT(a.status, 200);
    CHECK_INT(a.answers, 2);
    buf_free(&text);
}

/* Heads of 32 KiB to the byte: one field, many fields; one byte more is too much. */
static void full_heads(void) {
    for (int more = 0; more < 2; more++)
        for (int fields = 0; fields < 99; fields += 98) {
            struct buf text = {0};
            buf_puts(&text, "GET /ping HTTP/1.1\r\nHost: x\r\n");
            for (int i = 0; i < fields; i++)
                buf_printf(&text, "A%d: b\r\n", i);
            buf_puts(&text, "B: ");
            while (text.len < 32768 - 4 + (size_t)more)
                buf_putc(&text, 'b');
            buf_puts(&text, "\r\n\r\n");
            int fd = client_connect(port);
            client_send(fd, text.data, text.len);
            struct answer a = client_read(fd, 1, 3000);
            CHECK_INT(a.status, more ? 431 : 200);
            CHECK_INT(a.closed, more);
            if (!more) {
                client_puts(fd, PING);
                a = client_read(fd, 1, 3000);
                CHECK_INT(a.status, 200);
            }
            close(fd);
            buf_free(&text);
        }
    /* Cookies, which the library would cut into pairs. */
    struct buf text = {0};
    buf_puts(&text, "GET /cookie HTTP/1.1\r\nHost: x\r\nCookie: ");
    for (int i = 0; i < 4000; i++)
        buf_puts(&text, "a=b; ");
    buf_puts(&text, "c=d\r\n\r\n" PING);
    struct answer a = ask(text.data, 2);
    CHECK_INT(a.status, 200);
    CHECK_INT(a.answers, 2);
    CHECK_HAS(a.body, "20003");
    a = ask("GET /ping HTTP/1.1\r\nHost: x\r\n$ookie: a=b\r\n\r\n" PING, 0);
    CHECK_INT(a.status, 400);
    CHECK_INT(a.answers, 1);
    buf_free(&text);
}

/* Bodies where none belongs take no share of what all bodies may hold together. */
static void unwanted_body(void) {
    struct answer a = client_text(port, "GET /ping HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                                        "Content-Type: application/json\r\n"
                                        "Content-Length: 1000000\r\n\r\n");
    CHECK_INT(a.status, 413);
    a = ask("GET /ping HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Content-Length: 2\r\n\r\n{}" PING,
            2);
    CHECK_INT(a.answers, 2);
    CHECK_INT(a.status, 200);
}

static void nearest(void) {
    static const struct {
        const char *path, *near;
    } cases[] = {
        {"/ping/", "Did you mean /ping?"},
        {"/pign", "Did you mean /ping?"},
        {"/api/v1/eco/some", "Did you mean /api/v1/echo/{name}?"},
        {"/api/v1/echo/some/", "Did you mean /api/v1/echo/{name}?"},
        {"/apj/v1/ecco/some", "Did you mean /api/v1/echo/{name}?"},
        {"/pi", ""},
        {"/quite/else", ""},
        {"/ping/x/y", ""},
        {"/%70%69gn", "Did you mean /ping?"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", cases[i].path);
        struct answer a = client_text(port, text);
        CHECK_INT(a.status, 404);
        CHECK_HAS(a.body, cases[i].near);
        CHECK(*cases[i].near || !strstr(a.body, "Did you mean"));
    }
    /* The protocols' own errors stay as their clients know them. */
    struct answer a = client_text(port, "GET /api/2.0/mlflow/wrod HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(!strstr(a.body, "Did you mean"));
}

/* A line of the log stays one line, of bounded length, and names its thread. */
static void logged(void) {
    int kept = dup(STDERR_FILENO), file = memfd_create("log", MFD_CLOEXEC);
    dup2(file, STDERR_FILENO);
    log_init(LOG_INFO, LOG_JSON);
    struct buf text = {0};
    buf_puts(&text, "GET /slow/");
    for (int i = 0; i < 15000; i++)
        buf_putc(&text, 'q');
    buf_puts(&text, "%22%1b HTTP/1.1\r\nHost: x\r\n\r\n");
    client_text(port, text.data);
    client_text(port, "GET /slow/%22,%22status%22:%22 HTTP/1.1\r\nHost: x\r\nX-Request-Id: "
                      "a\",\"b\r\n\r\n");
    buf_clear(&text);
    buf_puts(&text, "GET /slow/");
    for (int i = 0; i < 15000; i++)
        buf_putc(&text, 'q');
    buf_puts(&text, " HTTP/1.1\r\nHost: x\r\n\r\n");
    client_text(port, text.data);
    clock_sleep_ms(50);
    log_init(LOG_ERROR, LOG_PLAIN);
    dup2(kept, STDERR_FILENO);
    close(kept);
    static char log[65536];
    ssize_t n = pread(file, log, sizeof(log) - 1, 0);
    close(file);
    log[n > 0 ? n : 0] = '\0';
    int lines = 0;
    for (char *p = log; *p; lines++) {
        size_t len = strcspn(p, "\n");
        CHECK(len < 1200);
        p += len + (p[len] != '\0');
    }
    CHECK_INT(lines, 3);
    CHECK_HAS(log, "\"thread\":\"http-");
    CHECK(!strstr(log, "\"thread\":\"main\""));
    CHECK_HAS(log, "GET /slow/%22,%22status%22:%22 404");
    CHECK(!strstr(log, "a\\\","));
    buf_free(&text);
}

enum { N = 32 };

/* How many of a burst of connections each of the two network threads got. */
static void burst(int *first, int *second) {
    int fds[N];
    int kept = dup(STDERR_FILENO), file = memfd_create("log", MFD_CLOEXEC);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((unsigned short)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < N; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(connect(fds[i], (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
    }
    for (int i = 0; i < 100 && server_connections(server) < N; i++)
        clock_sleep_ms(10);
    CHECK_INT(server_connections(server), N);
    dup2(file, STDERR_FILENO);
    log_init(LOG_INFO, LOG_JSON);
    for (int i = 0; i < N; i++) {
        client_puts(fds[i], "GET /cookie HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        struct answer a = {0};
        struct pollfd p = {.fd = fds[i], .events = POLLIN};
        a.len = (size_t)poll(&p, 1, 2000);
        CHECK_INT(a.len, 1);
        close(fds[i]);
    }
    for (int i = 0; i < 100 && server_connections(server); i++)
        clock_sleep_ms(10);
    log_init(LOG_ERROR, LOG_PLAIN);
    dup2(kept, STDERR_FILENO);
    close(kept);
    static char log[65536];
    ssize_t n = pread(file, log, sizeof(log) - 1, 0);
    close(file);
    log[n > 0 ? n : 0] = '\0';
    *first = *second = 0;
    for (const char *p = log; (p = strstr(p, "\"thread\":\"http-")); p += 16) {
        *first += p[15] == '0';
        *second += p[15] == '1';
    }
    CHECK_INT(*first + *second, N);
}

/* A thread that gets no processor meanwhile gets no share either, as on a busy machine. Where
 * nobody shares, hardly any burst is near to even. */
static void shared_out(void) {
    int even = 0;
    for (int i = 0; i < 20 && even < 3; i++) {
        int first = 0, second = 0;
        burst(&first, &second);
        even += abs(first - second) <= 2;
        if (i >= 8)
            printf("  %d and %d\n", first, second);
    }
    CHECK_INT(even, 3);
}

/* Readers of network threads are closed even where every request brought its own id. */
static void threads_end(void) {
    struct server_options o = fixture_options();
    int before = atomic_load(&threads_ended);
    o.threads = 1;
    fixture_start(&o);
    client_text(port, "GET /ping HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n\r\n");
    server_stop(server);
    CHECK_INT(atomic_load(&threads_ended), before + 1);
}

int main(void) {
    log_init(LOG_ERROR, LOG_PLAIN);
    struct server_options o = fixture_options();
    o.head_ms = 2000;
    o.body_ms = 2000;
    fixture_start(&o);
    RUN(same_end);
    RUN(cut_everywhere);
    RUN(said_twice);
    RUN(many_pairs);
    RUN(full_heads);
    RUN(unwanted_body);
    RUN(nearest);
    RUN(logged);
    RUN(shared_out);
    server_stop(server);
    RUN(threads_end);
    return CHECK_END();
}
