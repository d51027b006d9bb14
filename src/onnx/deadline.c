/* SPDX-License-Identifier: Apache-2.0 */
#include "deadline.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ort_library.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/onnx/onnx.h"

/* The mark holds the deadline in milliseconds and, in its low bits, how far the watcher is: it
 * claims a run before it touches its options, and the run's end waits for a claim under way. So the
 * options are never told to stop on behalf of a run that has ended. */
enum { RUNNING = 0, CLAIMED = 1, STOPPED = 2, PHASE = 3 };

/* One per thread that ever ran a model; reused when its thread has ended. */
struct runner {
    _Alignas(64) _Atomic uint64_t mark; /* 0: no run, or one without a deadline */
    uint64_t began_as;
    ort_run_options *options;
    atomic_bool taken;
    struct runner *next;
};

static _Atomic(struct runner *) runners; /* grows only */
static _Atomic int64_t timeout_ms;
static pthread_key_t runner_key;
static pthread_once_t runner_once = PTHREAD_ONCE_INIT;
static _Thread_local struct runner *self;

static void thread_ended(void *arg) {
    struct runner *r = arg;
    atomic_store(&r->taken, false);
}

static void make_key(void) {
    if (pthread_key_create(&runner_key, thread_ended) != 0)
        abort();
}

static struct runner *runner_of_thread(void) {
    pthread_once(&runner_once, make_key);
    struct runner *r = atomic_load(&runners);
    for (; r; r = r->next) {
        bool no = false;
        if (atomic_compare_exchange_strong(&r->taken, &no, true))
            break;
    }
    if (!r) {
        r = aligned_alloc(_Alignof(struct runner), sizeof *r);
        if (!r)
            mem_die();
        *r = (struct runner){0};
        atomic_store(&r->taken, true);
        ort_ignore(ort.create_run_options(&r->options));
        r->next = atomic_load(&runners);
        while (!atomic_compare_exchange_weak(&runners, &r->next, r))
            ;
    }
    pthread_setspecific(runner_key, r);
    self = r;
    return r;
}

struct runner *runner_begin(int64_t deadline_ns) {
    struct runner *r = self ? self : runner_of_thread();
    int64_t ms = atomic_load_explicit(&timeout_ms, memory_order_relaxed);
    int64_t until = ms > 0 ? clock_mono_ms() + ms : 0, own = deadline_ns / 1000000 + 1;
    if (deadline_ns > 0 && (until == 0 || own < until))
        until = own;
    r->began_as = until > 0 && r->options ? (uint64_t)until << 2 | RUNNING : 0;
    atomic_store_explicit(&r->mark, r->began_as, memory_order_release);
    return r;
}

const ort_run_options *runner_options(const struct runner *r) {
    return r->options;
}

bool runner_end(struct runner *r) {
    uint64_t mark = r->began_as;
    if (!mark || atomic_compare_exchange_strong(&r->mark, &mark, 0))
        return false;
    while ((atomic_load(&r->mark) & PHASE) == CLAIMED)
        sched_yield();
    ort_ignore(ort.unset_terminate(r->options));
    atomic_store(&r->mark, 0);
    return true;
}

void onnx_timeout(int64_t ms) {
    atomic_store(&timeout_ms, ms);
}

void onnx_watch(void) {
    uint64_t now = (uint64_t)clock_mono_ms();
    for (struct runner *r = atomic_load(&runners); r; r = r->next) {
        uint64_t mark = atomic_load(&r->mark);
        if (!mark || (mark & PHASE) != RUNNING || mark >> 2 > now ||
            !atomic_compare_exchange_strong(&r->mark, &mark, mark | CLAIMED))
            continue;
        ort_ignore(ort.set_terminate(r->options));
        atomic_store(&r->mark, mark | STOPPED);
    }
}
