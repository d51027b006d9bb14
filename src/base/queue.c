/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    void **ring;
    size_t cap, head, n;
    bool closed;
};

struct queue *queue_new(size_t capacity) {
    struct queue *q = mem_alloc(sizeof *q);
    size_t bytes;
    q->cap = capacity ? capacity : 1;
    if (__builtin_mul_overflow(q->cap, sizeof(void *), &bytes))
        mem_die();
    q->ring = mem_alloc(bytes);
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->filled, &attr);
    pthread_condattr_destroy(&attr);
    return q;
}

void queue_free(struct queue *q) {
    if (!q)
        return;
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->lock);
    free(q->ring);
    free(q);
}

int queue_push(struct queue *q, void *item) {
    int r = 0;
    pthread_mutex_lock(&q->lock);
    if (q->closed)
        r = -EPIPE;
    else if (q->n == q->cap)
        r = -EAGAIN;
    else {
        q->ring[(q->head + q->n) % q->cap] = item;
        q->n++;
        pthread_cond_signal(&q->filled);
    }
    pthread_mutex_unlock(&q->lock);
    return r;
}

/* Called and left with the lock held. */
static void wait_filled(struct queue *q, int64_t timeout_ms) {
    if (timeout_ms < 0) {
        while (q->n == 0 && !q->closed)
            pthread_cond_wait(&q->filled, &q->lock);
        return;
    }
    struct timespec until = clock_mono_in(timeout_ms);
    while (q->n == 0 && !q->closed)
        if (pthread_cond_timedwait(&q->filled, &q->lock, &until) == ETIMEDOUT)
            return;
}

size_t queue_pop_many(struct queue *q, void **items, size_t max, int64_t timeout_ms) {
    size_t n = 0;
    pthread_mutex_lock(&q->lock);
    wait_filled(q, timeout_ms);
    for (; n < max && q->n > 0; n++) {
        items[n] = q->ring[q->head];
        q->ring[q->head] = NULL;
        q->head = (q->head + 1) % q->cap;
        q->n--;
    }
    pthread_mutex_unlock(&q->lock);
    return n;
}

void *queue_pop(struct queue *q, int64_t timeout_ms) {
    void *item = NULL;
    return queue_pop_many(q, &item, 1, timeout_ms) ? item : NULL;
}

void queue_close(struct queue *q) {
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

bool queue_closed(struct queue *q) {
    pthread_mutex_lock(&q->lock);
    bool closed = q->closed;
    pthread_mutex_unlock(&q->lock);
    return closed;
}

size_t queue_depth(struct queue *q) {
    pthread_mutex_lock(&q->lock);
    size_t n = q->n;
    pthread_mutex_unlock(&q->lock);
    return n;
}
