/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TESTS_CLIENT_H
#define QUERN_TESTS_CLIENT_H
/* A raw client: bytes out, bytes in, with time-outs, and nothing that would repair a request. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "quern/base/clock.h"

struct answer {
    char *text; /* everything received, NUL-terminated */
    size_t len;
    int status;  /* of the first answer, 0 when there was none */
    int answers; /* status lines seen */
    bool closed; /* the server ended the connection */
    char *body;  /* behind the first head */
};

__attribute__((unused)) static int client_connect(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((unsigned short)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
        perror("connect");
        exit(1);
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

__attribute__((unused)) static bool client_send(int fd, const char *data, size_t n) {
    while (n) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        n -= (size_t)sent;
    }
    return true;
}

__attribute__((unused)) static bool client_puts(int fd, const char *text) {
    return client_send(fd, text, strlen(text));
}

static void answer_count(struct answer *a) {
    a->answers = 0;
    for (const char *p = a->text; (p = strstr(p, "HTTP/1.")); p += 7)
        a->answers += p[7] == '1' && p[8] == ' ' && p[9] >= '2' && p[9] <= '5' && p[10] >= '0' &&
                      p[10] <= '9';
    const char *first = a->text;
    while (strncmp(first, "HTTP/1.1 100 ", 13) == 0) {
        first = strstr(first, "\r\n\r\n");
        if (!first)
            return;
        first += 4;
    }
    a->status = a->answers && strlen(first) > 12 ? atoi(first + 9) : 0;
    char *end = strstr(first, "\r\n\r\n");
    a->body = end ? end + 4 : NULL;
}

/* Texts live to the end of the program, so that tests may keep pointers into them. */
static char **client_kept;
static size_t client_nkept;
static void client_free(void) {
    for (size_t i = 0; i < client_nkept; i++)
        free(client_kept[i]);
    free(client_kept);
}
static void client_keep(char *text) {
    if (!client_nkept)
        atexit(client_free);
    client_kept = realloc(client_kept, (client_nkept + 1) * sizeof(char *));
    client_kept[client_nkept++] = text;
}

/* Reads until the server closes, `answers` status lines and their quiet time came, or ms passed. */
__attribute__((unused)) static struct answer client_read(int fd, int answers, int ms) {
    struct answer a = {.text = calloc(1, 1)};
    int64_t until = clock_mono_ms() + ms;
    for (;;) {
        int64_t left = until - clock_mono_ms();
        if (left <= 0)
            break;
        /* When what was asked for is there, a little longer for what should not come. */
        if (answers && a.answers >= answers && left > 60)
            left = 60;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, (int)left) == 0)
            break;
        char chunk[65536];
        ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
        if (n <= 0) {
            a.closed = true;
            break;
        }
        a.text = realloc(a.text, a.len + (size_t)n + 1);
        memcpy(a.text + a.len, chunk, (size_t)n);
        a.len += (size_t)n;
        a.text[a.len] = '\0';
        answer_count(&a);
    }
    answer_count(&a);
    client_keep(a.text);
    return a;
}

__attribute__((unused)) static struct answer client_ask(int port, const char *request, size_t n) {
    int fd = client_connect(port);
    client_send(fd, request, n);
    struct answer a = client_read(fd, 1, 3000);
    close(fd);
    return a;
}

__attribute__((unused)) static struct answer client_text(int port, const char *request) {
    return client_ask(port, request, strlen(request));
}

/* A header of the first answer, without its name; in a static buffer; "" when absent. */
__attribute__((unused)) static const char *answer_header(const struct answer *a, const char *name) {
    static char value[4096];
    value[0] = '\0';
    size_t n = strlen(name);
    for (const char *p = strstr(a->text, "\r\n"); p; p = strstr(p + 2, "\r\n")) {
        if (p + 2 >= (a->body ? a->body - 2 : a->text + a->len))
            break;
        if (strncasecmp(p + 2, name, n) == 0 && p[2 + n] == ':') {
            const char *v = p + 3 + n;
            while (*v == ' ')
                v++;
            size_t len = strcspn(v, "\r\n");
            snprintf(value, sizeof(value), "%.*s", (int)len, v);
            break;
        }
    }
    return value;
}

#endif
