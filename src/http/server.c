/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "call.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/fd.h"
#include "quern/base/id.h"
#include "quern/base/log.h"
#include "quern/base/thread.h"
#include "quern/metric/metric.h"

#define TICK_MS 125 /* deadlines; streams are asked again every second tick */
/* The library's memory per connection: a head of STRICT_HEAD_MAX with its fields, the head of the
 * answer, I/O buffers. It clears all of it for each request, so more costs speed. */
#define POOL_BYTES (STRICT_HEAD_MAX + (8u << 10))
#define BODY_BYTES_LEAST (64u << 20)

/* ------------------------------------------------------------------ network threads */

static void thread_gone(void *arg) {
    struct net_thread *t = arg;
    if (t->s->o.thread_end)
        t->s->o.thread_end(t->s->o.dispatch_arg);
    ZSTD_freeCCtx(t->zstd);
    free(t);
}

struct net_thread *net_thread(struct server *s) {
    struct net_thread *t = pthread_getspecific(s->thread_key);
    if (t)
        return t;
    t = mem_alloc(sizeof(*t));
    t->s = s;
    id_random(t->id, sizeof(t->id));
    pthread_setspecific(s->thread_key, t);
    char name[16];
    snprintf(name, sizeof(name), "http-%u", atomic_fetch_add(&s->named, 1) % 100000);
    thread_adopt(name);
    return t;
}

/* ------------------------------------------------------------------ connections */

static void connection_changed(void *arg, struct MHD_Connection *conn, void **context,
                               enum MHD_ConnectionNotificationCode what) {
    struct server *s = arg;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct wire *w = *context;
        if (w && w->call)
            call_abandoned(s, w);
        wire_close(w);
        *context = NULL;
        return;
    }
    net_thread(s); /* from its first connection on it has a name, and an end that is told */
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *peer =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    void *tls = NULL;
    if (s->tls) {
        const union MHD_ConnectionInfo *session =
            MHD_get_connection_info(conn, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        tls = session ? session->tls_session : NULL;
    }
    if (fd)
        *context = wire_open(s->wires, fd->connect_fd, tls, peer ? peer->client_addr : NULL);
}

/* The library must not decode anything: paths and queries are decoded once, by target.c. */
static size_t no_unescape(void *arg, struct MHD_Connection *conn, char *text) {
    (void)arg;
    (void)conn;
    return strlen(text);
}

__attribute__((format(printf, 2, 0))) static void library_log(void *arg, const char *fmt,
                                                              va_list ap) {
    (void)arg;
    char line[512];
    vsnprintf(line, sizeof(line), fmt, ap);
    line[strcspn(line, "\r\n")] = '\0';
    log_debug("http.library", "%s", line);
}

/* The library's own would write to stderr past the log. */
static void library_panic(void *arg, const char *file, unsigned line, const char *why) {
    (void)arg;
    log_error("http.library", "fatal in %s:%u: %s", file, line, why ? why : "no reason given");
    abort();
}

static void reaper_run(void *arg) {
    struct server *s = arg;
    bool odd = false;
    pthread_mutex_lock(&s->lock);
    while (!atomic_load(&s->stopping)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += TICK_MS * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000L;
        }
        pthread_cond_timedwait(&s->stop, &s->lock, &until);
        pthread_mutex_unlock(&s->lock);
        wires_reap(s->wires);
        metric_set(METRIC_HTTP_CONNECTIONS, (double)wires_count(s->wires), NULL, NULL, NULL);
        odd = !odd;
        if (odd)
            server_wake_streams(s);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ------------------------------------------------------------------ listening */

/* "host:port", "[v6]:port". */
static int split_listen(const char *listen, char *host, size_t hsize, const char **port) {
    const char *colon = strrchr(listen, ':');
    if (!colon || !colon[1])
        return -1;
    const char *from = listen, *to = colon;
    if (*from == '[' && to > from && to[-1] == ']') {
        from++;
        to--;
    }
    if ((size_t)(to - from) >= hsize)
        return -1;
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';
    *port = colon + 1;
    return 0;
}

static int listen_on(const char *listen_text, struct buf *error) {
    char host[256];
    const char *port;
    if (split_listen(listen_text, host, sizeof(host), &port)) {
        buf_printf(error, "--listen must be host:port, as 127.0.0.1:7780 or [::1]:7780, not %s.",
                   listen_text);
        return -1;
    }
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(*host ? host : NULL, port, &hints, &found);
    if (rc) {
        buf_printf(error, "cannot listen on %s: %s.", listen_text, gai_strerror(rc));
        return -1;
    }
    int fd = -1, saved = 0;
    for (struct addrinfo *ai = found; ai && fd < 0; ai = ai->ai_next) {
        fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0) {
            saved = errno;
            continue;
        }
        int on = 1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, 512)) {
            saved = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0)
        buf_printf(error, "cannot listen on %s: %s.", listen_text, strerror(saved));
    return fd;
}

static int bound_port(int fd) {
    struct sockaddr_storage a;
    socklen_t n = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &n))
        return 0;
    if (a.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&a)->sin_port);
    if (a.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
    return 0;
}

/* ------------------------------------------------------------------ start and stop */

static int daemon_start(struct server *s) {
    const struct server_options *o = &s->o;
    struct MHD_OptionItem ops[20];
    size_t n = 0;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     MHD_USE_TURBO | MHD_USE_ERROR_LOG;
#define OPT(name, number, pointer)                                                                 \
    ops[n++] = (struct MHD_OptionItem){(name), (intptr_t)(number), (void *)(pointer)}
    OPT(MHD_OPTION_LISTEN_SOCKET, s->listen_fd, NULL);
    if (o->threads > 1)
        OPT(MHD_OPTION_THREAD_POOL_SIZE, o->threads, NULL);
    if (o->connections)
        OPT(MHD_OPTION_CONNECTION_LIMIT, o->connections, NULL);
    if (o->per_ip)
        OPT(MHD_OPTION_PER_IP_CONNECTION_LIMIT, o->per_ip, NULL);
    OPT(MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_BYTES, NULL);
    OPT(MHD_OPTION_CONNECTION_MEMORY_INCREMENT, 16384, NULL);
    if (s->tls) {
        flags |= MHD_USE_TLS;
        OPT(MHD_OPTION_HTTPS_MEM_CERT, 0, o->tls_cert_pem);
        OPT(MHD_OPTION_HTTPS_MEM_KEY, 0, o->tls_key_pem);
        OPT(MHD_OPTION_HTTPS_PRIORITIES, 0, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2");
    }
    OPT(MHD_OPTION_END, 0, NULL);
#undef OPT
    MHD_set_panic_func(library_panic, NULL);
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, call_handle, s, MHD_OPTION_EXTERNAL_LOGGER, library_log, s,
        MHD_OPTION_URI_LOG_CALLBACK, call_target, s, MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, s,
        MHD_OPTION_NOTIFY_COMPLETED, call_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
        connection_changed, s, MHD_OPTION_ARRAY, ops, MHD_OPTION_END);
    return s->daemon ? 0 : -1;
}

static void server_release(struct server *s) {
    if (s->own_listen)
        fd_close(s->listen_fd);
    router_free(s->router);
    wires_free(s->wires);
    pthread_key_delete(s->thread_key);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->stop);
    free(s);
}

int server_start(const struct server_options *o, struct server **out, struct buf *error) {
    if (routes_check(o->routes, error))
        return -1;
    if (!wire_installed(o->tls_cert_pem != NULL)) {
        buf_puts(error, "this build does not stand between the network and libmicrohttpd, so "
                        "malformed requests could not be refused: it was linked in a way that "
                        "hides the program's recv (see docs/adr/0003).");
        return -1;
    }
    int fd = o->listen_fd >= 0 ? o->listen_fd : listen_on(o->listen, error);
    if (fd < 0)
        return -1;
    /* A socket passed in may block, and several threads accept from it. */
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    struct server *s = mem_alloc(sizeof(*s));
    s->o = *o;
    s->listen_fd = fd;
    s->own_listen = true;
    s->tls = o->tls_cert_pem != NULL;
    s->port = bound_port(fd);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->stop, NULL);
    pthread_key_create(&s->thread_key, thread_gone);
    s->body_bytes_max = BODY_BYTES_LEAST;
    if (s->o.body_cap * 2 > s->body_bytes_max)
        s->body_bytes_max = (size_t)s->o.body_cap * 2;
    s->router = router_new(o->routes);
    const struct wires_options times = {
        .head_ms = o->head_ms, .body_ms = o->body_ms, .idle_ms = o->idle_ms};
    s->wires = wires_new(&times);
    wires_listen(s->wires, fd, o->threads);
    if (daemon_start(s)) {
        s->own_listen = false; /* the library has closed it */
        buf_puts(error, s->tls ? "the HTTP server did not start; certificate and key must be PEM "
                                 "texts that belong together."
                               : "the HTTP server did not start: no threads, memory or descriptors "
                                 "left.");
        server_release(s);
        return -1;
    }
    s->reaper = thread_start("http-reaper", reaper_run, s);
    *out = s;
    return 0;
}

void server_drain(struct server *s) {
    if (atomic_exchange(&s->draining, true))
        return;
    s->quiesced = MHD_quiesce_daemon(s->daemon) != MHD_INVALID_SOCKET;
    server_wake_streams(s);
}

bool server_wait_idle(struct server *s, int64_t ms) {
    int64_t until = clock_mono_ms() + ms;
    while (atomic_load(&s->calls) > 0) {
        if (clock_mono_ms() >= until)
            return false;
        clock_sleep_ms(5);
    }
    return true;
}

/* Suspended requests must be resumed before the library may be stopped. Their lanes finish each of
 * them, so this waits; it says so when that takes long. */
static void wait_dispatched(struct server *s) {
    for (int64_t waited = 0; atomic_load(&s->dispatched) > 0; waited += 5) {
        if (waited && waited % 5000 == 0)
            log_warn("http.stop", "still waiting for %zu requests", atomic_load(&s->dispatched));
        clock_sleep_ms(5);
    }
}

void server_stop(struct server *s) {
    if (!s)
        return;
    server_drain(s);
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->stopping, true);
    pthread_cond_broadcast(&s->stop);
    pthread_mutex_unlock(&s->lock);
    thread_join(s->reaper);
    wait_dispatched(s);
    server_wake_streams(s); /* draining is set: whoever is parked ends now and none parks again */
    MHD_stop_daemon(s->daemon);
    server_release(s);
}

int server_port(const struct server *s) {
    return s->port;
}

size_t server_connections(const struct server *s) {
    return wires_count(s->wires);
}
