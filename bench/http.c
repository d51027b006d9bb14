/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000, SLOW_US = 50000 };

struct connection {
    int fd;
    unsigned number;
    uint64_t n;
    char *out;
    size_t out_len, out_sent;
    char *in;
    size_t in_len, in_cap;
    int64_t began;
    bool busy;
};

struct load {
    const struct load_options *o;
    struct connection *connections;
    int epoll;
    uint64_t sent, errors, open;
    uint32_t *samples;
    size_t samples_n, samples_cap;
    int64_t stop_at;
    /* With a rate: */
    int timer;
    int64_t began;
    uint64_t due_n;           /* requests that were sent when due or later */
    struct connection **idle; /* those that wait for one to become due */
    unsigned nidle;
};

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *need(void *p) {
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return p;
}

int loopback_connect(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

size_t load_post(char *out, size_t cap, const char *path, const char *body, size_t len) {
    int n = snprintf(out, cap,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     path, len);
    if (n < 0 || (size_t)n + len > cap)
        return 0;
    memcpy(out + n, body, len);
    return (size_t)n + len;
}

/* Value of a header in a NUL-terminated head, or NULL. */
static const char *header(const char *head, const char *name) {
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
            const char *v = line + 3 + n;
            return v + strspn(v, " ");
        }
    return NULL;
}

/* End of a chunked body that begins at `at`, or 0 while it is not all there. */
static size_t chunked_end(const struct connection *c, size_t at) {
    for (;;) {
        char *line = memmem(c->in + at, c->in_len - at, "\r\n", 2);
        if (!line)
            return 0;
        size_t size = strtoul(c->in + at, NULL, 16);
        size_t next = (size_t)(line - c->in) + 2 + size + 2;
        if (next > c->in_len)
            return 0;
        if (size == 0)
            return next;
        at = next;
    }
}

/* Length of the first whole answer in the buffer, 0 while it is not all there. */
static size_t answer_end(struct connection *c, int *status, size_t *body, size_t *body_len) {
    char *gap = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!gap)
        return 0;
    char kept = gap[2];
    gap[2] = '\0';
    *status = c->in_len > 12 ? atoi(c->in + 9) : 0;
    const char *length = header(c->in, "Content-Length");
    bool chunked = !length && header(c->in, "Transfer-Encoding");
    size_t n = length ? strtoul(length, NULL, 10) : 0;
    gap[2] = kept;
    *body = (size_t)(gap - c->in) + 4;
    size_t end = chunked ? chunked_end(c, *body) : *body + n;
    if (end == 0 || end > c->in_len)
        return 0;
    *body_len = end - *body;
    return end;
}

static void drop(struct load *l, struct connection *c) {
    if (c->fd < 0)
        return;
    close(c->fd);
    c->fd = -1;
    c->busy = false;
    l->open--;
}

static void flush(struct load *l, struct connection *c) {
    while (c->out_sent < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
            epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &e);
            return;
        }
        if (n < 0) {
            l->errors++;
            drop(l, c);
            return;
        }
        c->out_sent += (size_t)n;
    }
}

static int64_t due_at(const struct load *l) {
    return l->began + (int64_t)((double)l->due_n * 1e9 / l->o->rate);
}

static void arm(struct load *l, int64_t at) {
    struct itimerspec t = {.it_value = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000}};
    timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void begin(struct load *l, struct connection *c) {
    int64_t now = now_ns();
    bool over = (l->stop_at && now >= l->stop_at) || (l->o->count && l->sent >= l->o->count);
    if (l->o->rate > 0 && !over) {
        int64_t due = due_at(l);
        if (due > now) {
            l->idle[l->nidle++] = c;
            arm(l, due);
            return;
        }
        l->due_n++;
        now = due;
    }
    c->out_len = over ? 0 : l->o->request(l->o->arg, c->number, c->n++, c->out, l->o->request_cap);
    c->out_sent = 0;
    if (c->out_len == 0) {
        drop(l, c);
        return;
    }
    l->sent++;
    c->busy = true;
    c->began = now;
    flush(l, c);
}

/* Sends what has become due; at the end lets the idle connections go. */
static void pump(struct load *l) {
    uint64_t ticks;
    ssize_t unused = read(l->timer, &ticks, sizeof ticks);
    (void)unused;
    bool over = now_ns() >= l->stop_at;
    while (l->nidle > 0 && (over || due_at(l) <= now_ns()))
        begin(l, l->idle[--l->nidle]);
    if (l->nidle > 0)
        arm(l, due_at(l));
}

static void sample(struct load *l, int64_t ns) {
    if (l->samples_n == l->samples_cap) {
        l->samples_cap = l->samples_cap ? l->samples_cap * 2 : 1 << 16;
        l->samples = need(realloc(l->samples, l->samples_cap * sizeof *l->samples));
    }
    int64_t us = ns / 1000;
    l->samples[l->samples_n++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static void receive(struct load *l, struct connection *c) {
    for (;;) {
        if (c->in_cap - c->in_len < 4096) {
            c->in_cap = c->in_cap ? c->in_cap * 2 : 16384;
            c->in = need(realloc(c->in, c->in_cap));
        }
        ssize_t n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len - 1, 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0) {
            if (l->errors++ == 0)
                fprintf(stderr, "connection ended: %s\n", n < 0 ? strerror(errno) : "closed");
            drop(l, c);
            return;
        }
        c->in_len += (size_t)n;
        c->in[c->in_len] = '\0';
        int status = 0;
        size_t body = 0, body_len = 0, end = answer_end(c, &status, &body, &body_len);
        if (end == 0)
            continue;
        sample(l, now_ns() - c->began);
        if (status != 200 && l->errors++ == 0)
            fprintf(stderr, "first refusal: %.*s\n", (int)(end > 600 ? 600 : end), c->in);
        else if (status == 200 && l->o->answer)
            l->o->answer(l->o->arg, c->number, c->in + body, body_len);
        c->in_len = 0;
        c->busy = false;
        begin(l, c);
        return;
    }
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

int load_run(const struct load_options *o, struct load_result *out) {
    struct load l = {.o = o, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    l.connections = need(calloc(o->clients, sizeof *l.connections));
    for (unsigned i = 0; i < o->clients; i++) {
        struct connection *c = &l.connections[i];
        c->number = i;
        c->out = need(malloc(o->request_cap));
        c->fd = loopback_connect(o->port);
        if (c->fd < 0) {
            fprintf(stderr, "no connection to 127.0.0.1:%u: %s\n", o->port, strerror(errno));
            return -1;
        }
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(l.epoll, EPOLL_CTL_ADD, c->fd, &e);
        l.open++;
    }
    if (o->rate > 0) {
        prctl(PR_SET_TIMERSLACK, 1UL);
        l.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        l.idle = need(calloc(o->clients, sizeof *l.idle));
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
        epoll_ctl(l.epoll, EPOLL_CTL_ADD, l.timer, &e);
    }
    int64_t began = l.began = now_ns();
    l.stop_at = o->seconds > 0 ? began + (int64_t)(o->seconds * 1e9) : 0;
    for (unsigned i = 0; i < o->clients; i++)
        begin(&l, &l.connections[i]);
    struct epoll_event events[256];
    while (l.open > 0) {
        int n = epoll_wait(l.epoll, events, 256, PATIENCE_MS);
        if (n == 0) {
            fprintf(stderr, "no answer within 30 s\n");
            return -1;
        }
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                pump(&l);
                continue;
            }
            if (c->fd >= 0 && (events[i].events & EPOLLOUT)) {
                struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
                epoll_ctl(l.epoll, EPOLL_CTL_MOD, c->fd, &e);
                flush(&l, c);
            }
            if (c->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                receive(&l, c);
        }
    }
    *out = (struct load_result){
        .requests = l.samples_n, .errors = l.errors, .seconds = (double)(now_ns() - began) / 1e9};
    if (l.samples_n) {
        qsort(l.samples, l.samples_n, sizeof *l.samples, compare);
        out->p50_us = l.samples[l.samples_n / 2];
        out->p99_us = l.samples[(size_t)((double)l.samples_n * 0.99)];
        out->max_us = l.samples[l.samples_n - 1];
        for (size_t i = l.samples_n; i > 0 && l.samples[i - 1] > SLOW_US; i--)
            out->slow++;
    }
    for (unsigned i = 0; i < o->clients; i++) {
        free(l.connections[i].out);
        free(l.connections[i].in);
    }
    free(l.connections);
    free(l.samples);
    free(l.idle);
    if (o->rate > 0)
        close(l.timer);
    close(l.epoll);
    return 0;
}
