/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines, streams, drain: with short times. */
#include "fixture.h"

/* Sends one byte every 50 ms until the server has had enough. */
static struct answer drip(const char *first, const char *then, int64_t *took) {
    int fd = client_connect(port);
    client_puts(fd, first);
    int64_t from = clock_mono_ms();
    while (clock_mono_ms() - from < 5000) {
        if (!client_send(fd, then, 1))
            break;
        if (then[1])
            then++;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 50) > 0)
            break;
    }
    *took = clock_mono_ms() - from;
    struct answer a = client_read(fd, 0, 3000);
    close(fd);
    return a;
}

static void slow_head(void) {
    int64_t took;
    struct answer a = drip("GET /ping HTTP/1.1\r\nHost: x\r\nA: ", "b", &took);
    CHECK_INT(a.status, 408);
    CHECK(a.closed);
    CHECK(took >= 450 && took < 1500);
    a = drip("", "G", &took);
    CHECK(a.closed);
    CHECK(took >= 450 && took < 1500);
    /* The second request of a connection as well. */
    int fd = client_connect(port);
    client_puts(fd, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(fd, 1, 1000);
    client_puts(fd, "GET /ping HT");
    a = client_read(fd, 0, 2000);
    CHECK_INT(a.status, 408);
    CHECK(a.closed);
    close(fd);
}

static void slow_body(void) {
    int64_t took;
    struct answer a =
        drip("POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", "b", &took);
    CHECK_INT(a.status, 408);
    CHECK(a.closed);
    CHECK(took >= 750 && took < 2000);
    a = drip("POST /raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n", "b",
             &took);
    CHECK_INT(a.status, 408);
    CHECK(took >= 750 && took < 2000);
    a = drip("PUT /up/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", "b", &took);
    CHECK_INT(a.status, 408);
    CHECK(took >= 750 && took < 2000);
    /* An upload that keeps its pace outlives the deadline of a body. */
    int fd = client_connect(port);
    client_puts(fd, "PUT /up/x HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n");
    char block[1500];
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 20; i++) {
        CHECK(client_send(fd, block, sizeof(block)));
        clock_sleep_ms(80);
    }
    a = client_read(fd, 1, 2000);
    CHECK_INT(a.status, 200);
    close(fd);
    CHECK_INT(atomic_load(&uploads_open), 0);
}

/* The server's own slowness is not the client's fault. */
static void slow_handler(void) {
    atomic_store(&slow_ms, 2000);
    int fd = client_connect(port);
    client_puts(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
                    "POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
    clock_sleep_ms(2100);
    client_puts(fd, "llo");
    struct answer a = client_read(fd, 2, 3000);
    CHECK_INT(a.status, 200);
    CHECK_INT(a.answers, 2);
    CHECK_HAS(a.text, "hello");
    close(fd);
    atomic_store(&slow_ms, 20);
}

static void idle(void) {
    int fd = client_connect(port);
    client_puts(fd, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
    int64_t from = clock_mono_ms();
    struct answer a = client_read(fd, 0, 4000);
    CHECK_INT(a.status, 200);
    CHECK(a.closed);
    int64_t took = clock_mono_ms() - from;
    CHECK(took >= 950 && took < 2000);
    close(fd);
    /* Nothing at all counts as a slow head. */
    fd = client_connect(port);
    a = client_read(fd, 0, 3000);
    CHECK(a.closed);
    close(fd);
}

static void streams(void) {
    atomic_store(&feed_made, 2);
    int fd = client_connect(port);
    client_puts(fd, "GET /feed HTTP/1.1\r\nHost: x\r\n\r\n");
    struct answer a = client_read(fd, 0, 300);
    CHECK_HAS(a.text, "text/event-stream");
    CHECK_HAS(a.text, "data: 0\n\n");
    CHECK_HAS(a.text, "data: 1\n\n");
    CHECK(!a.closed);
    /* Longer than every deadline of a request, and woken at once. */
    clock_sleep_ms(1500);
    atomic_store(&feed_made, 3);
    int64_t from = clock_mono_ms();
    server_wake_streams(server);
    a = client_read(fd, 0, 100);
    CHECK_HAS(a.text, "data: 2\n\n");
    CHECK(clock_mono_ms() - from < 200);
    /* Without a wake the tick finds it. */
    atomic_store(&feed_made, 4);
    a = client_read(fd, 0, 500);
    CHECK_HAS(a.text, "data: 3\n\n");
    /* A client that leaves is noticed by the tick. */
    CHECK_INT(atomic_load(&feeds_open), 1);
    close(fd);
    for (int i = 0; i < 100 && atomic_load(&feeds_open); i++)
        clock_sleep_ms(20);
    CHECK_INT(atomic_load(&feeds_open), 0);
    /* The end ends the chunks properly. */
    fd = client_connect(port);
    client_puts(fd, "GET /feed HTTP/1.1\r\nHost: x\r\n\r\n");
    clock_sleep_ms(100);
    atomic_store(&feed_made, -1);
    server_wake_streams(server);
    a = client_read(fd, 0, 500);
    CHECK_HAS(a.text, "\r\n0\r\n\r\n");
    close(fd);
    client_text(port, "HEAD /feed HTTP/1.1\r\nHost: x\r\n\r\n");
    clock_sleep_ms(100);
    CHECK_INT(atomic_load(&feeds_open), 0);
}

/* Clients that leave: while another thread works for them, and in the middle of a long answer. */
static void leaving(void) {
    atomic_store(&slow_ms, 150);
    int before = atomic_load(&handled);
    for (int i = 0; i < 20; i++) {
        int fd = client_connect(port);
        client_puts(fd, i % 2 ? "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
                              : "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
        clock_sleep_ms(5);
        close(fd);
    }
    for (int i = 0; i < 20; i++) {
        int fd = client_connect(port), small = 2048;
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        client_puts(fd, "GET /file HTTP/1.1\r\nHost: x\r\n\r\n");
        char byte;
        (void)!recv(fd, &byte, 1, 0);
        close(fd);
    }
    CHECK(server_wait_idle(server, 3000));
    CHECK_INT(atomic_load(&handled), before + 40);
    for (int i = 0; i < 100 && server_connections(server); i++)
        clock_sleep_ms(20);
    CHECK_INT(server_connections(server), 0);
    atomic_store(&slow_ms, 20);
}

/* Bodies under way are bounded over all connections: 64 MiB, here of a MiB each. */
static void bodies_under_way(void) {
    enum { N = 70 };
    int fds[N], busy = 0;
    for (int i = 0; i < N; i++) {
        fds[i] = client_connect(port);
        client_puts(fds[i], "POST /api/v1/echo/n HTTP/1.1\r\nHost: x\r\nContent-Type: "
                            "application/json\r\nExpect: 100-continue\r\n"
                            "Content-Length: 1048576\r\n\r\n");
    }
    for (int i = 0; i < N; i++) {
        char got[64] = "";
        (void)!recv(fds[i], got, sizeof(got) - 1, 0);
        busy += strncmp(got, "HTTP/1.1 503", 12) == 0;
    }
    CHECK_INT(busy, N - 64);
    for (int i = 0; i < N; i++)
        close(fds[i]);
    CHECK(server_wait_idle(server, 3000));
    struct answer a = client_text(port, "POST /api/v1/echo/n HTTP/1.1\r\nHost: x\r\nContent-Type: "
                                        "application/json\r\nContent-Length: 2\r\n\r\n{}");
    CHECK_INT(a.status, 200);
}

/* Running requests end, kept connections are told, streams close, nothing new comes in. */
static void drain(void) {
    atomic_store(&feed_made, 1);
    atomic_store(&slow_ms, 700);
    int kept = client_connect(port), busy = client_connect(port), stream = client_connect(port);
    client_puts(kept, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(kept, 1, 1000);
    client_puts(busy, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    client_puts(stream, "GET /feed HTTP/1.1\r\nHost: x\r\n\r\n");
    clock_sleep_ms(100);
    server_drain(server);
    CHECK(!server_wait_idle(server, 100));
    client_puts(kept, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
    struct answer a = client_read(kept, 0, 1000);
    CHECK_INT(a.status, 503);
    CHECK_STR(answer_header(&a, "Retry-After"), "1");
    CHECK(a.closed);
    a = client_read(busy, 1, 2000);
    CHECK_INT(a.status, 200);
    a = client_read(stream, 0, 1000);
    CHECK_HAS(a.text, "\r\n0\r\n\r\n");
    CHECK(server_wait_idle(server, 1000));
    close(kept);
    close(busy);
    close(stream);
    server_stop(server);
    CHECK_INT(atomic_load(&feeds_open), 0);
    CHECK_INT(atomic_load(&threads_ended), 2);
}

/* Stopped at once, with a request on another thread and a stream open. */
static void hard_stop(void) {
    struct server_options o = fixture_options();
    fixture_start(&o);
    atomic_store(&slow_ms, 300);
    atomic_store(&feed_made, 1);
    int busy = client_connect(port), stream = client_connect(port), idle_one = client_connect(port);
    client_puts(busy, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    client_puts(stream, "GET /feed HTTP/1.1\r\nHost: x\r\n\r\n");
    client_puts(idle_one, "GET /pi");
    clock_sleep_ms(100);
    server_stop(server);
    CHECK_INT(atomic_load(&feeds_open), 0);
    struct answer a = client_read(idle_one, 0, 500);
    CHECK(a.closed);
    close(busy);
    close(stream);
    close(idle_one);
}

int main(void) {
    log_init(LOG_ERROR, LOG_PLAIN);
    struct server_options o = fixture_options();
    o.head_ms = 500;
    o.body_ms = 800;
    o.idle_ms = 1000;
    fixture_start(&o);
    RUN(slow_head);
    RUN(slow_body);
    RUN(slow_handler);
    RUN(idle);
    RUN(streams);
    RUN(leaving);
    RUN(bodies_under_way);
    RUN(drain);
    RUN(hard_stop);
    return CHECK_END();
}
