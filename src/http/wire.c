/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"

#define FDS_MAX 131072
#define DROP_MAX (1u << 20)    /* bytes read and thrown away behind a refusal */
#define LINGER_NS 2000000000LL /* given to a refused client to read the answer */
#define DECLINE_MAX 64u        /* then a thread accepts more than its share */
#define KEEP_CAP 8192u         /* an idle connection keeps no larger buffer */
#define SEND_STALL_MS 60000u   /* a peer that takes nothing of an answer */

/* GnuTLS, as far as it is needed here; the library links it, we do not. */
#define TLS_E_AGAIN (-28)
#define TLS_E_INTERRUPTED (-52)
typedef ssize_t tls_recv_fn(void *session, void *data, size_t n);
typedef ssize_t tls_send_fn(void *session, const void *data, size_t n);
typedef int tls_fd_fn(void *session);
static tls_recv_fn *tls_recv;
static tls_send_fn *tls_send;
static tls_fd_fn *tls_fd;
static pthread_once_t tls_once = PTHREAD_ONCE_INIT;

struct wires {
    pthread_mutex_t lock; /* the list, and every descriptor in it staying open */
    struct wire *first;
    _Atomic size_t count;
    struct wires_options o;
    int listen_fd;
    unsigned threads;
};

/* Which descriptors are connections of a server. Written by the thread that accepts or closes one,
 * read by whoever calls recv. */
static _Atomic(struct wire *) table[FDS_MAX];
/* Which descriptors are listened on, by whom. */
static _Atomic(struct wires *) listening[FDS_MAX];
static _Thread_local unsigned mine; /* connections of this network thread */

ssize_t recv(int fd, void *data, size_t n, int flags);
ssize_t gnutls_record_recv(void *session, void *data, size_t n);
/* The header's accept4 takes a union of addresses that ISO C cannot define again. */
int accept_share(int fd, struct sockaddr *peer, socklen_t *size, int flags) __asm__("accept4");

static void tls_find(void) {
    /* POSIX lets an object pointer from dlsym be used as a function; ISO C has no cast for it. */
    *(void **)&tls_recv = dlsym(RTLD_NEXT, "gnutls_record_recv");
    *(void **)&tls_send = dlsym(RTLD_DEFAULT, "gnutls_record_send");
    *(void **)&tls_fd = dlsym(RTLD_DEFAULT, "gnutls_transport_get_int");
}

bool wire_installed(bool tls) {
    ssize_t (*ours)(int, void *, size_t, int) = recv;
    if (dlsym(RTLD_DEFAULT, "recv") != *(void **)&ours)
        return false;
    if (!tls)
        return true;
    tls_recv_fn *tls_ours = gnutls_record_recv;
    pthread_once(&tls_once, tls_find);
    return tls_recv && tls_send && tls_fd &&
           dlsym(RTLD_DEFAULT, "gnutls_record_recv") == *(void **)&tls_ours;
}

/* ------------------------------------------------------------------ deadlines */

static void deadline_in(struct wire *w, int64_t ms) {
    atomic_store_explicit(&w->deadline, ms ? clock_mono_ns() + ms * 1000000 : 0,
                          memory_order_relaxed);
}

/* After bytes came or a phase changed. A head's deadline is absolute: it is set by its first byte
 * and never moved by later ones. */
static void deadline_update(struct wire *w, bool was_in_head) {
    if (w->busy || w->closing)
        return;
    if (w->strict.state == STRICT_HEAD) {
        bool in_head = w->len > w->ok;
        if (in_head && !was_in_head)
            deadline_in(w, w->all->o.head_ms);
        return;
    }
    if (!w->body_since) {
        w->body_since = clock_mono_ns();
        w->body_ns = w->all->o.body_ms * 1000000;
    }
    int64_t until = w->body_since + w->body_ns;
    if (w->paced)
        until += (int64_t)(w->received / 1024) * 1000000000;
    atomic_store_explicit(&w->deadline, until, memory_order_relaxed);
}

void wire_body_deadline(struct wire *w, bool paced) {
    w->paced = paced;
    if (!w->body_since)
        w->body_since = clock_mono_ns();
    w->body_ns = w->all->o.body_ms * 1000000;
    deadline_update(w, false);
}

void wire_busy(struct wire *w) {
    w->busy = true;
    atomic_store_explicit(&w->deadline, 0, memory_order_relaxed);
}

void wire_done(struct wire *w) {
    w->busy = false;
    w->paced = false;
    w->received = 0;
    w->body_since = 0;
    if (w->closing)
        return;
    if (strict_in_body(&w->strict))
        deadline_update(w, false);
    else
        deadline_in(w, w->len > w->ok ? w->all->o.head_ms : w->all->o.idle_ms);
}

/* A connection past its deadline stops receiving: its network thread wakes, sees the end of input
 * and the mark, and answers 408 where a request was under way. What is still there a little later
 * is cut off. */
void wires_reap(struct wires *all) {
    int64_t now = clock_mono_ns();
    pthread_mutex_lock(&all->lock);
    for (struct wire *w = all->first; w; w = w->next) {
        int64_t until = atomic_load_explicit(&w->deadline, memory_order_relaxed);
        if (until == 0 || now < until)
            continue;
        /* Not when the network thread has just moved it: the request made it in time. */
        if (!atomic_compare_exchange_strong(&w->deadline, &until, now + LINGER_NS))
            continue;
        if (atomic_exchange(&w->expired, 1) == 0)
            shutdown(w->fd, SHUT_RD);
        else
            shutdown(w->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&all->lock);
}

/* ------------------------------------------------------------------ records */

struct wires *wires_new(const struct wires_options *o) {
    struct wires *w = mem_alloc(sizeof(*w));
    pthread_mutex_init(&w->lock, NULL);
    w->o = *o;
    w->listen_fd = -1;
    return w;
}

void wires_listen(struct wires *w, int fd, unsigned threads) {
    if (fd < 0 || fd >= FDS_MAX)
        return;
    w->listen_fd = fd;
    w->threads = threads;
    atomic_store(&listening[fd], w);
}

void wires_free(struct wires *w) {
    if (!w)
        return;
    if (w->listen_fd >= 0)
        atomic_store(&listening[w->listen_fd], NULL);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

size_t wires_count(const struct wires *w) {
    return atomic_load_explicit(&w->count, memory_order_relaxed);
}

static void remote_text(struct wire *w, const struct sockaddr *peer) {
    if (peer && peer->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)peer;
        inet_ntop(AF_INET, &in->sin_addr, w->remote, sizeof(w->remote));
    } else if (peer && peer->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)peer;
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr))
            inet_ntop(AF_INET, &in->sin6_addr.s6_addr[12], w->remote, sizeof(w->remote));
        else
            inet_ntop(AF_INET6, &in->sin6_addr, w->remote, sizeof(w->remote));
    }
}

struct wire *wire_open(struct wires *all, int fd, void *tls, const struct sockaddr *peer) {
    if (fd < 0 || fd >= FDS_MAX)
        return NULL;
    struct wire *w = mem_alloc(sizeof(*w));
    w->fd = fd;
    w->tls = tls;
    w->all = all;
    remote_text(w, peer);
    deadline_in(w, all->o.head_ms);
    unsigned stall = SEND_STALL_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall, sizeof(stall));
    pthread_mutex_lock(&all->lock);
    w->next = all->first;
    if (w->next)
        w->next->prev = w;
    all->first = w;
    pthread_mutex_unlock(&all->lock);
    atomic_fetch_add_explicit(&all->count, 1, memory_order_relaxed);
    mine++;
    atomic_store_explicit(&table[fd], w, memory_order_release);
    return w;
}

void wire_close(struct wire *w) {
    if (!w)
        return;
    struct wires *all = w->all;
    atomic_store_explicit(&table[w->fd], NULL, memory_order_release);
    pthread_mutex_lock(&all->lock);
    if (w->prev)
        w->prev->next = w->next;
    else
        all->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    pthread_mutex_unlock(&all->lock);
    atomic_fetch_sub_explicit(&all->count, 1, memory_order_relaxed);
    mine -= mine > 0; /* at the very end another thread may close them */
    free(w->in);
    free(w);
}

int wire_request(struct wire *w) {
    w->handled++;
    return wire_refused(w);
}

int wire_refused(const struct wire *w) {
    return w->strict.refuse && w->handled >= w->strict.heads ? w->strict.refuse : 0;
}

/* ------------------------------------------------------------------ bytes */

/* Bytes from the network: the number, 0 at the end, -1 with errno. */
static ssize_t raw_recv(struct wire *w, void *data, size_t n, int flags) {
    if (!w->tls)
        return recvfrom(w->fd, data, n, flags, NULL, NULL);
    ssize_t got = tls_recv(w->tls, data, n);
    if (got >= 0)
        return got;
    if (got != TLS_E_AGAIN && got != TLS_E_INTERRUPTED && atomic_load(&w->expired))
        return 0; /* the reaper's shutdown looks like a premature end to TLS */
    errno = got == TLS_E_AGAIN ? EAGAIN : got == TLS_E_INTERRUPTED ? EINTR : ECONNRESET;
    return -1;
}

bool wire_gone(const struct wire *w) {
    char byte;
    return !w->tls && recvfrom(w->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL) == 0;
}

/* Reads and forgets, so that closing does not reset the connection before the answer is read. */
static void drop_input(struct wire *w) {
    char scratch[4096];
    while (w->dropped < DROP_MAX) {
        ssize_t got = raw_recv(w, scratch, sizeof(scratch), MSG_DONTWAIT);
        if (got <= 0)
            return;
        w->dropped += (uint64_t)got;
    }
}

void wire_answer(struct wire *w, const char *bytes, size_t n) {
    if (w->closing)
        return;
    w->closing = true;
    if (w->tls)
        (void)!tls_send(w->tls, bytes, n);
    else
        (void)!send(w->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(w->fd, SHUT_WR);
    drop_input(w);
    atomic_store(&w->expired, 1);
    atomic_store(&w->deadline, clock_mono_ns() + LINGER_NS);
}

static void hold(struct wire *w, const char *data, size_t n) {
    if (n > w->cap - w->len) {
        w->cap = w->len + n > 2048 ? (w->len + n) * 2 : 4096;
        w->in = mem_realloc(w->in, w->cap);
    }
    memcpy(w->in + w->len, data, n);
    w->len += n;
}

/* Moves checked bytes to the library's buffer. */
static size_t release(struct wire *w, char *out, size_t n) {
    size_t have = w->ok - w->off;
    size_t take = have < n ? have : n;
    memcpy(out, w->in + w->off, take);
    w->off += take;
    if (w->off < w->ok)
        return take;
    if (w->off == w->len) {
        w->off = w->ok = w->len = 0;
        if (w->cap > KEEP_CAP) {
            free(w->in);
            w->in = NULL;
            w->cap = 0;
        }
    } else if (w->off) {
        memmove(w->in, w->in + w->off, w->len - w->off);
        w->len -= w->off;
        w->off = w->ok = 0;
    }
    return take;
}

/* Replaces what was not believed by its stand-in. */
static void stand_in(struct wire *w) {
    size_t n;
    const char *text = strict_stand_in(&w->strict, &n);
    w->len = w->ok;
    hold(w, text, n);
    w->ok = w->len;
    w->strict.state = STRICT_REFUSED;
    drop_input(w);
}

/* Checks r bytes that were read to `data`; returns how many of them may stay there. */
static size_t check(struct wire *w, char *data, size_t r) {
    bool was_in_head = w->len > w->ok;
    bool was_body = strict_in_body(&w->strict);
    size_t stay = 0;
    if (w->len == 0) {
        stay = strict_feed(&w->strict, data, r);
        if (stay < r)
            hold(w, data + stay, r - stay);
    } else {
        hold(w, data, r);
        w->ok += strict_feed(&w->strict, w->in + w->ok, w->len - w->ok);
    }
    if (was_body)
        w->received += r;
    if (w->strict.refuse)
        stand_in(w);
    else
        deadline_update(w, was_in_head);
    return stay;
}

/* The end of input: by the peer, or by the reaper. True when a stand-in is to be released. */
static bool input_ended(struct wire *w) {
    static const char late[] =
        "HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\n"
        "content-length: 34\r\nconnection: close\r\n\r\nThe body did not arrive in time.\r\n";
    if (!atomic_load(&w->expired) || w->closing)
        return false;
    if (w->strict.state == STRICT_HEAD && w->len > w->ok) {
        strict_refuse(&w->strict, 408, "deadline", "The request head did not arrive in time.");
        stand_in(w);
        return true;
    }
    if (strict_in_body(&w->strict) && !w->busy)
        wire_answer(w, late, sizeof(late) - 1);
    return false;
}

static ssize_t checked_recv(struct wire *w, char *out, size_t n, int flags) {
    size_t got = 0;
    for (;;) {
        if (w->ok > w->off)
            got += release(w, out + got, n - got);
        if (got == n)
            return (ssize_t)n;
        if (w->strict.state == STRICT_REFUSED && !w->closing) {
            errno = EAGAIN; /* the answer to the stand-in is still to be sent: no end of input */
            return got ? (ssize_t)got : -1;
        }
        size_t room = n - got;
        ssize_t r = raw_recv(w, out + got, room, flags);
        if (r == 0 && input_ended(w))
            continue;
        if (r <= 0)
            return got ? (ssize_t)got : r;
        if (w->closing) {
            /* Answered by hand. The library goes on reading body bytes and dropping them. */
            w->dropped += (uint64_t)r;
            if (w->dropped > DROP_MAX)
                return 0;
            return r;
        }
        size_t stay = check(w, out + got, (size_t)r);
        got += stay;
        /* A short read has emptied the socket; the next edge will call again. Not so when the
         * reaper has shut it: that edge was this one. */
        if ((size_t)r < room && !w->tls && w->ok == w->off && !atomic_load(&w->expired)) {
            errno = EAGAIN;
            return got ? (ssize_t)got : -1;
        }
    }
}

/* Network threads wait on one listening socket, and the first to wake takes ten connections at a
 * time: a burst would end up with one of them. A thread that has more than its share says that
 * there is nothing, so that another comes; not for long, since the others may be at work. */
int accept_share(int fd, struct sockaddr *peer, socklen_t *size, int flags) {
    static _Thread_local unsigned declined;
    struct wires *w =
        fd >= 0 && fd < FDS_MAX ? atomic_load_explicit(&listening[fd], memory_order_acquire) : NULL;
    if (w && w->threads > 1 && mine > wires_count(w) / w->threads && declined < DECLINE_MAX) {
        declined++;
        sched_yield();
        errno = EAGAIN;
        return -1;
    }
    declined = 0;
    return (int)syscall(SYS_accept4, fd, peer, size, flags);
}

ssize_t recv(int fd, void *data, size_t n, int flags) {
    struct wire *w =
        fd >= 0 && fd < FDS_MAX ? atomic_load_explicit(&table[fd], memory_order_acquire) : NULL;
    if (!w || w->tls || n == 0)
        return recvfrom(fd, data, n, flags, NULL, NULL);
    return checked_recv(w, data, n, flags);
}

/* When its list of events comes back full, libmicrohttpd 0.9.75 waits again, without a time-out,
 * before it looks at one of them: with 128 connections ready at once none is ever served. So the
 * list never comes back full (tests/fault/event_burst.py). */
int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout) {
    return epoll_pwait(epfd, events, max > 1 ? max - 1 : max, timeout, NULL);
}

/* When libmicrohttpd 0.9.75 is told to take no more connections, the caller and each network thread
 * take the listening socket out of that thread's set, and whoever comes second aborts the process.
 * Out is out (tests/unit/http/drain_test.c). */
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event) {
    int rc = (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
    if (rc && errno == ENOENT && op == EPOLL_CTL_DEL && fd >= 0 && fd < FDS_MAX &&
        atomic_load_explicit(&listening[fd], memory_order_acquire))
        return 0;
    return rc;
}

ssize_t gnutls_record_recv(void *session, void *data, size_t n) {
    pthread_once(&tls_once, tls_find);
    int fd = tls_fd ? tls_fd(session) : -1;
    struct wire *w =
        fd >= 0 && fd < FDS_MAX ? atomic_load_explicit(&table[fd], memory_order_acquire) : NULL;
    if (!w || !w->tls || n == 0)
        return tls_recv ? tls_recv(session, data, n) : TLS_E_AGAIN;
    ssize_t got = checked_recv(w, data, n, 0);
    if (got >= 0)
        return got;
    return errno == EAGAIN ? TLS_E_AGAIN : errno == EINTR ? TLS_E_INTERRUPTED : -10;
}
