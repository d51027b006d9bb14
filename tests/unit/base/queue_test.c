/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/queue.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#include "check.h"
#include "quern/base/clock.h"
#include "quern/base/thread.h"

static void order_full_and_closed(void) {
    struct queue *q = queue_new(3);
    int a, b, c, d;
    CHECK(queue_pop(q, 0) == NULL);
    CHECK_INT(queue_push(q, &a), 0);
    CHECK_INT(queue_push(q, &b), 0);
    CHECK_INT(queue_push(q, &c), 0);
    CHECK_INT(queue_push(q, &d), -EAGAIN);
    CHECK_INT(queue_depth(q), 3);
    CHECK(queue_pop(q, 0) == &a);
    CHECK_INT(queue_push(q, &d), 0);
    queue_close(q);
    CHECK(queue_closed(q));
    CHECK_INT(queue_push(q, &a), -EPIPE);
    void *got[8] = {0};
    CHECK_INT(queue_pop_many(q, got, 8, -1), 3);
    CHECK(got[0] == &b && got[1] == &c && got[2] == &d);
    CHECK_INT(queue_pop_many(q, got, 8, -1), 0); /* closed and empty does not wait */
    CHECK(queue_pop(q, -1) == NULL);
    queue_free(q);
    queue_free(NULL);
}

static void time_out_waits(void) {
    struct queue *q = queue_new(1);
    int64_t before = clock_mono_ms();
    CHECK(queue_pop(q, 30) == NULL);
    int64_t took = clock_mono_ms() - before;
    CHECK(took >= 30);
    CHECK(took < 5000);
    queue_free(q);
}

#define PRODUCERS 4
#define EACH 5000
static _Atomic size_t refused, taken;
static _Atomic uint64_t sum;
static uintptr_t items[PRODUCERS * EACH];

struct work {
    struct queue *q;
    size_t from;
};

static void produce(void *arg) {
    struct work *w = arg;
    for (size_t i = 0; i < EACH; i++) {
        items[w->from + i] = w->from + i;
        while (queue_push(w->q, &items[w->from + i]) == -EAGAIN) {
            refused++;
            clock_sleep_ms(1);
        }
    }
}

static void consume(void *arg) {
    struct work *w = arg;
    void *got[7];
    size_t n;
    while ((n = queue_pop_many(w->q, got, 7, -1)) > 0)
        for (size_t i = 0; i < n; i++) {
            sum += *(uintptr_t *)got[i];
            taken++;
        }
}

static void many_threads_lose_nothing(void) {
    struct queue *q = queue_new(16);
    struct work w[PRODUCERS], from = {q, 0};
    struct thread *p[PRODUCERS], *c[3];
    for (size_t i = 0; i < 3; i++)
        c[i] = thread_start("consumer", consume, &from);
    for (size_t i = 0; i < PRODUCERS; i++) {
        w[i] = (struct work){q, i * EACH};
        p[i] = thread_start("producer", produce, &w[i]);
    }
    for (size_t i = 0; i < PRODUCERS; i++)
        thread_join(p[i]);
    queue_close(q);
    for (size_t i = 0; i < 3; i++)
        thread_join(c[i]);
    CHECK_INT(taken, PRODUCERS * EACH);
    CHECK(sum == (uint64_t)PRODUCERS * EACH * (PRODUCERS * EACH - 1) / 2);
    CHECK_INT(queue_depth(q), 0);
    queue_free(q);
}

static void close_later(void *arg) {
    clock_sleep_ms(20);
    queue_close(arg);
}

static void close_wakes_the_waiting(void) {
    struct queue *q = queue_new(1);
    struct thread *t = thread_start("closer", close_later, q);
    CHECK(queue_pop(q, -1) == NULL);
    thread_join(t);
    queue_free(q);
}

static char seen_name[32];
static int usr1_blocked;

static void look(void *arg) {
    (void)arg;
    strncpy(seen_name, thread_name(), sizeof seen_name - 1);
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    usr1_blocked = sigismember(&set, SIGTERM);
}

static void threads_have_names_and_no_signals(void) {
    CHECK_STR(thread_name(), "main");
    thread_join(thread_start("a-very-long-thread-name", look, NULL));
    CHECK_STR(seen_name, "a-very-long-thr");
    CHECK_INT(usr1_blocked, 1);
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    CHECK_INT(sigismember(&set, SIGTERM), 0);
    thread_join(NULL);
}

int main(void) {
    RUN(order_full_and_closed);
    RUN(time_out_waits);
    RUN(many_threads_lose_nothing);
    RUN(close_wakes_the_waiting);
    RUN(threads_have_names_and_no_signals);
    return CHECK_END();
}
