/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/thread.h"

#define LOOK_MS 50

static _Atomic(resolver *) instead;
static atomic_int running;

/* Shared by the asker and the thread; whoever lets go last frees it. */
struct question {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool done, left;
    char *host;
    struct addresses found;
    const char *why;
    int rc;
};

void resolve_by(resolver *fn) {
    atomic_store(&instead, fn);
}

static void question_free(struct question *q) {
    pthread_cond_destroy(&q->answered);
    pthread_mutex_destroy(&q->lock);
    free(q->host);
    free(q);
}

static void add(struct addresses *out, const struct sockaddr *a, socklen_t n) {
    if (out->n == ADDRESSES_MAX) {
        out->more = true;
        return;
    }
    if (n <= sizeof out->items[0])
        memcpy(&out->items[out->n++], a, n);
}

static int ask(const char *host, struct addresses *out, const char **why) {
    resolver *other = atomic_load(&instead);
    if (other)
        return other(host, out, why);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, NULL, &hints, &list);
    if (rc != 0) {
        *why = gai_strerror(rc);
        return -1;
    }
    for (const struct addrinfo *i = list; i; i = i->ai_next)
        if (i->ai_family == AF_INET || i->ai_family == AF_INET6)
            add(out, i->ai_addr, i->ai_addrlen);
    freeaddrinfo(list);
    *why = "it has no address";
    return out->n ? 0 : -1;
}

static void *answer(void *arg) {
    struct question *q = arg;
    thread_adopt("resolver");
    struct addresses found = {.n = 0};
    const char *why = NULL;
    int rc = ask(q->host, &found, &why);
    pthread_mutex_lock(&q->lock);
    q->found = found;
    q->why = why;
    q->rc = rc;
    q->done = true;
    bool left = q->left;
    pthread_cond_signal(&q->answered);
    pthread_mutex_unlock(&q->lock);
    if (left)
        question_free(q);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static bool literal(const char *host, struct addresses *out) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        add(out, (const struct sockaddr *)&v4, sizeof v4);
    else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        add(out, (const struct sockaddr *)&v6, sizeof v6);
    return out->n > 0;
}

static bool start(struct question *q) {
    pthread_attr_t detached;
    pthread_t thread;
    sigset_t all, before;
    if (atomic_fetch_add(&running, 1) >= LEFT_BEHIND_MAX) {
        atomic_fetch_sub(&running, 1);
        return false;
    }
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, &detached, answer, q);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    if (rc != 0)
        atomic_fetch_sub(&running, 1);
    return rc == 0;
}

/* By the monotonic clock: a wall clock that is set back would make it long. */
static void wait_a_little(struct question *q) {
    struct timespec at = clock_mono_in(LOOK_MS);
    pthread_cond_timedwait(&q->answered, &q->lock, &at);
}

int resolve(const char *host, int64_t within_ms, const atomic_bool *cancel, struct addresses *out,
            const char **why) {
    memset(out, 0, sizeof *out);
    if (literal(host, out))
        return 0;
    int64_t end = clock_mono_ms() + within_ms;
    struct question *q = mem_alloc(sizeof *q);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->answered, &monotonic);
    pthread_condattr_destroy(&monotonic);
    q->host = mem_strdup(host);
    /* Others' names that are not answered hold the threads; some of them will end. */
    while (!start(q)) {
        if (clock_mono_ms() >= end || (cancel && atomic_load(cancel))) {
            question_free(q);
            *why = "too many names are being looked up";
            return -1;
        }
        clock_sleep_ms(LOOK_MS);
    }
    pthread_mutex_lock(&q->lock);
    while (!q->done && clock_mono_ms() < end && !(cancel && atomic_load(cancel)))
        wait_a_little(q);
    if (!q->done) {
        q->left = true;
        pthread_mutex_unlock(&q->lock);
        *why = "no answer in time";
        return -1;
    }
    *out = q->found;
    *why = q->why;
    int rc = q->rc;
    pthread_mutex_unlock(&q->lock);
    question_free(q);
    return rc;
}
