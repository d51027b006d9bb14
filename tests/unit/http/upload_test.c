/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

static void settle(void) {
    for (int i = 0; i < 100 && atomic_load(&uploads_open); i++)
        clock_sleep_ms(20);
}

static struct answer put(const char *name, size_t n, bool chunked) {
    int fd = client_connect(port);
    char head[256];
    char *data = mem_alloc(n + 1);
    for (size_t i = 0; i < n; i++)
        data[i] = (char)(i * 7);
    if (chunked)
        snprintf(head, sizeof(head),
                 "PUT /up/%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", name);
    else
        snprintf(head, sizeof(head),
                 "PUT /up/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", name, n);
    client_puts(fd, head);
    if (chunked) {
        size_t step = 1;
        for (size_t at = 0; at < n;) {
            size_t part = n - at < step ? n - at : step;
            snprintf(head, sizeof(head), "%zx\r\n", part);
            client_puts(fd, head);
            client_send(fd, data + at, part);
            client_puts(fd, "\r\n");
            at += part;
            step = step * 3 % 300007;
        }
        client_puts(fd, "0\r\n\r\n");
    } else {
        client_send(fd, data, n);
    }
    struct answer a = client_read(fd, 1, 10000);
    close(fd);
    free(data);
    return a;
}

static void whole(void) {
    static const size_t sizes[] = {0, 1, 1000, 65536, 131072, 1000003, 5000000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint64_t sum = 0;
        for (size_t k = 0; k < sizes[i]; k++)
            sum += (unsigned char)(k * 7);
        char want[64];
        snprintf(want, sizeof(want), "%zu %llu", sizes[i], (unsigned long long)sum);
        struct answer a = put("a/b.bin", sizes[i], false);
        CHECK_INT(a.status, 200);
        CHECK_STR(a.body, want);
        a = put("a/b.bin", sizes[i], true);
        CHECK_INT(a.status, 200);
        CHECK_STR(a.body, want);
    }
    CHECK_INT(atomic_load(&uploads_finished), 2 * (int)ARRAY_LEN(sizes));
    CHECK_INT(atomic_load(&uploads_aborted), 0);
    CHECK_INT(atomic_load(&uploads_open), 0);
}

static void refused(void) {
    struct answer a = put("refused", 5000000, false);
    CHECK_INT(a.status, 403);
    CHECK(a.closed);
    a = put("refused", 5000, false);
    CHECK_INT(a.status, 403);
    CHECK(!a.closed);
    a = put("x", 65 << 20, true);
    CHECK_INT(a.status, 413);
    CHECK_INT(a.answers, 1);
    settle();
    CHECK_INT(atomic_load(&uploads_open), 0);
}

static void cut_off(void) {
    int aborted = atomic_load(&uploads_aborted);
    int fd = client_connect(port);
    client_puts(fd, "PUT /up/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nbad bytes");
    struct answer a = client_read(fd, 1, 3000);
    CHECK_INT(a.status, 400);
    CHECK_HAS(a.body, "bad bytes");
    close(fd);
    CHECK_INT(atomic_load(&uploads_aborted), aborted + 1);
    /* The client leaves in the middle. */
    fd = client_connect(port);
    client_puts(fd, "PUT /up/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\npart of it");
    clock_sleep_ms(50);
    CHECK_INT(atomic_load(&uploads_open), 1);
    close(fd);
    settle();
    CHECK_INT(atomic_load(&uploads_open), 0);
    CHECK_INT(atomic_load(&uploads_aborted), aborted + 2);
    /* A chunked upload whose framing breaks is not finished. */
    int finished = atomic_load(&uploads_finished);
    fd = client_connect(port);
    client_puts(fd, "PUT /up/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n");
    clock_sleep_ms(50);
    CHECK_INT(atomic_load(&uploads_open), 1);
    client_puts(fd, "Q\r\n");
    a = client_read(fd, 0, 3000);
    CHECK_INT(a.status, 400);
    CHECK(a.closed);
    close(fd);
    settle();
    CHECK_INT(atomic_load(&uploads_finished), finished);
    CHECK_INT(atomic_load(&uploads_aborted), aborted + 3);
    /* One that ends without its last chunk neither. */
    fd = client_connect(port);
    client_puts(fd,
                "PUT /up/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    shutdown(fd, SHUT_WR);
    a = client_read(fd, 0, 3000);
    CHECK(a.status != 200);
    CHECK(a.closed);
    close(fd);
    settle();
    CHECK_INT(atomic_load(&uploads_finished), finished);
    CHECK_INT(atomic_load(&uploads_open), 0);
}

int main(void) {
    log_init(LOG_ERROR, LOG_PLAIN);
    struct server_options o = fixture_options();
    fixture_start(&o);
    atomic_store(&slow_ms, 1);
    RUN(whole);
    RUN(refused);
    RUN(cut_off);
    server_stop(server);
    return CHECK_END();
}
