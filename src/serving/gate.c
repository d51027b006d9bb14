/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/thread.h"
#include "quern/core/err.h"
#include "quern/metric/metric.h"

struct line {
    struct gate_call *first, *last;
};

struct gate {
    unsigned refs;
    struct gate_limits limits;
    struct gate_figures figures;
    struct metric_cell *queue_seconds;
    struct line lines[2]; /* urgent ones, the others */
    struct gate *next;    /* whose turn comes after */
    bool listed;
    struct gate *before, *after; /* of all gates */
};

struct worker {
    struct thread *thread;
    struct worker *next;
};

/* One lock: what it guards takes nanoseconds, what the calls do takes a thousand times that. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t work, clock, empty;
    unsigned most, threads, idle;
    unsigned coming; /* threads that were made and have not looked for a call yet */
    size_t ready;    /* calls that may start at once, could a thread be had */
    size_t waiting;
    int64_t idle_ns;
    bool open, stopping;
    struct gate *turn, *last_turn; /* gates with a call that may start */
    struct gate *all;
    struct expiry expiry;
    struct thread *watcher;
    struct worker *ended; /* to be joined */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

/* False when the time has come. */
static bool wait_until(pthread_cond_t *cond, int64_t ns) {
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    return pthread_cond_timedwait(cond, &pool.lock, &t) == 0;
}

/* ---- gates, under the lock ---- */

/* A quarter of the threads is out of any one gate's reach: a slow endpoint does not stop the rest.
 */
static unsigned places(const struct gate *g) {
    unsigned most = pool.most - pool.most / 4;
    return g->limits.concurrency < most ? g->limits.concurrency : most;
}

static size_t startable(const struct gate *g) {
    unsigned most = places(g);
    if (g->figures.in_flight >= most)
        return 0;
    unsigned room = most - g->figures.in_flight;
    return room < g->figures.waiting ? room : g->figures.waiting;
}

/* To be called around every change of what a gate holds, with its startable calls before. */
static void moved(struct gate *g, size_t before) {
    size_t now = startable(g);
    pool.ready = pool.ready - before + now;
    if (now == 0 || g->listed)
        return;
    g->listed = true;
    g->next = NULL;
    if (pool.turn)
        pool.last_turn->next = g;
    else
        pool.turn = g;
    pool.last_turn = g;
}

static void drop(struct gate *g, unsigned refs) {
    g->refs -= refs;
    if (g->refs > 0 || g->listed)
        return;
    *(g->before ? &g->before->after : &pool.all) = g->after;
    if (g->after)
        g->after->before = g->before;
    free(g);
}

static void enter(struct gate *g, struct gate_call *call) {
    size_t before = startable(g);
    struct line *l = &g->lines[call->urgent ? 0 : 1];
    call->gate = g;
    call->after = NULL;
    call->before = l->last;
    *(l->last ? &l->last->after : &l->first) = call;
    l->last = call;
    call->expiry = (struct expiry_item){.deadline_ns = call->deadline_ns};
    if (call->deadline_ns) {
        expiry_add(&pool.expiry, &call->expiry);
        if (expiry_first(&pool.expiry) == &call->expiry)
            pthread_cond_signal(&pool.clock);
    }
    g->figures.waiting++;
    pool.waiting++;
    g->refs++;
    moved(g, before);
}

/* Out of its line; the gate's reference is the caller's now. */
static void leave(struct gate_call *call) {
    struct gate *g = call->gate;
    struct line *l = &g->lines[call->urgent ? 0 : 1];
    *(call->before ? &call->before->after : &l->first) = call->after;
    *(call->after ? &call->after->before : &l->last) = call->before;
    expiry_remove(&pool.expiry, &call->expiry);
    g->figures.waiting--;
    pool.waiting--;
    call->gate = NULL;
    if (pool.waiting == 0)
        pthread_cond_broadcast(&pool.empty);
}

/* The next call whose turn it is, counted as running; NULL when none may start. */
static struct gate_call *next_call(struct gate **of) {
    while (pool.turn) {
        struct gate *g = pool.turn;
        pool.turn = g->next;
        g->listed = false;
        size_t before = startable(g);
        if (before == 0) { /* its calls have left, or other runs have taken its places */
            drop(g, 0);
            continue;
        }
        struct gate_call *call = g->lines[0].first ? g->lines[0].first : g->lines[1].first;
        leave(call);
        g->figures.in_flight++;
        moved(g, before);
        *of = g;
        return call;
    }
    return NULL;
}

static void ran(struct gate *g, int64_t ns) {
    size_t before = startable(g);
    g->figures.in_flight--;
    g->figures.ran++;
    g->figures.service_ns += g->figures.service_ns ? (ns - g->figures.service_ns) / 8 : ns;
    moved(g, before);
    drop(g, 1);
}

/* ---- threads ---- */

static void work(void *arg);

/* As many threads as calls could start and nobody is there for. */
static void demand(void) {
    if (pool.ready > 0 && pool.idle > 0)
        pthread_cond_signal(&pool.work);
    if (pool.ready <= (size_t)pool.idle + pool.coming || pool.threads >= pool.most)
        return;
    struct worker *w = mem_alloc(sizeof *w);
    pool.threads++;
    pool.coming++;
    w->thread = thread_start("serving", work, w); /* it waits for the lock that we hold */
}

static void run_one(struct gate *g, struct gate_call *call) {
    int64_t now = clock_mono_ns();
    int64_t waited = now - call->began_ns;
    bool late = call->deadline_ns && call->deadline_ns <= now;
    void (*run)(void *, int) = call->run;
    void *arg = call->arg;
    struct metric_cell *queue_seconds = g->queue_seconds;
    demand(); /* for those behind it */
    if (late) {
        size_t before = startable(g);
        g->figures.in_flight--;
        g->figures.expired++;
        moved(g, before);
    }
    pthread_mutex_unlock(&pool.lock);
    if (!late && queue_seconds)
        metric_cell_observe(queue_seconds, (double)waited / 1e9);
    run(arg, late ? -ERR_DEADLINE : 0);
    int64_t took = clock_mono_ns() - now;
    pthread_mutex_lock(&pool.lock);
    if (late)
        drop(g, 1);
    else
        ran(g, took);
}

static void work(void *arg) {
    struct worker *w = arg;
    pthread_mutex_lock(&pool.lock);
    pool.coming--;
    for (bool idled = false;;) {
        struct gate *g = NULL;
        struct gate_call *call = next_call(&g);
        if (call) {
            idled = false;
            run_one(g, call);
            continue;
        }
        if (pool.stopping || idled)
            break;
        int64_t until = clock_mono_ns() + pool.idle_ns;
        pool.idle++;
        while (!pool.stopping && !pool.ready && !idled)
            idled = !wait_until(&pool.work, until);
        pool.idle--;
    }
    pool.threads--;
    w->next = pool.ended;
    pool.ended = w;
    pthread_cond_signal(&pool.clock);
    pthread_mutex_unlock(&pool.lock);
}

/* Without the lock, since a thread that ends may still hold it. */
static void join_ended(void) {
    struct worker *w = pool.ended;
    pool.ended = NULL;
    pthread_mutex_unlock(&pool.lock);
    while (w) {
        struct worker *next = w->next;
        thread_join(w->thread);
        free(w);
        w = next;
    }
    pthread_mutex_lock(&pool.lock);
}

/* Ends one waiting call without running it. */
static void refuse(struct gate_call *call, int rc) {
    struct gate *g = call->gate;
    size_t before = startable(g);
    leave(call);
    *(rc == -ERR_DEADLINE ? &g->figures.expired : &g->figures.shed) += 1;
    moved(g, before);
    pthread_mutex_unlock(&pool.lock);
    call->run(call->arg, rc);
    pthread_mutex_lock(&pool.lock);
    drop(g, 1);
}

static struct gate_call *call_of(struct expiry_item *item) {
    return (struct gate_call *)(void *)((char *)item - offsetof(struct gate_call, expiry));
}

/* Deadlines of those that wait, and the ends of threads. */
static void watch(void *arg) {
    (void)arg;
    pthread_mutex_lock(&pool.lock);
    while (!pool.stopping || pool.threads > 0 || pool.ended) {
        if (pool.ended) {
            join_ended();
            continue;
        }
        struct expiry_item *first = expiry_first(&pool.expiry);
        if (!first)
            pthread_cond_wait(&pool.clock, &pool.lock);
        else if (first->deadline_ns > clock_mono_ns())
            wait_until(&pool.clock, first->deadline_ns);
        else
            refuse(call_of(first), -ERR_DEADLINE);
    }
    pthread_mutex_unlock(&pool.lock);
}

void gates_start(unsigned most, int64_t idle_ms) {
    cond_init(&pool.work);
    cond_init(&pool.clock);
    cond_init(&pool.empty);
    pthread_mutex_lock(&pool.lock);
    pool.most = most ? most : 1;
    pool.idle_ns = idle_ms * 1000000;
    pool.stopping = false;
    pool.open = true;
    pool.watcher = thread_start("serving-clock", watch, NULL);
    pthread_mutex_unlock(&pool.lock);
}

void gates_stop(int64_t drain_ms) {
    int64_t until = clock_mono_ns() + drain_ms * 1000000;
    pthread_mutex_lock(&pool.lock);
    bool was_open = pool.open;
    pool.open = false;
    while (was_open && pool.waiting > 0 && wait_until(&pool.empty, until))
        ;
    for (struct gate *g = pool.all; was_open && pool.waiting > 0 && g;) {
        struct gate_call *call = g->lines[0].first ? g->lines[0].first : g->lines[1].first;
        if (call)
            refuse(call, -ERR_BUSY);
        g = call ? pool.all : g->after; /* the lock was given up: it may be gone */
    }
    pool.stopping = was_open;
    pthread_cond_broadcast(&pool.work);
    pthread_cond_broadcast(&pool.clock);
    pthread_mutex_unlock(&pool.lock);
    if (!was_open)
        return;
    thread_join(pool.watcher);
    pthread_mutex_lock(&pool.lock);
    struct gate *none;
    next_call(&none); /* gates that only the ring still held */
    expiry_free(&pool.expiry);
    pthread_mutex_unlock(&pool.lock);
    pthread_cond_destroy(&pool.work);
    pthread_cond_destroy(&pool.clock);
    pthread_cond_destroy(&pool.empty);
}

unsigned gates_threads(void) {
    pthread_mutex_lock(&pool.lock);
    unsigned n = pool.threads;
    pthread_mutex_unlock(&pool.lock);
    return n;
}

/* ---- gates ---- */

struct gate *gate_new(struct gate_limits limits) {
    struct gate *g = mem_alloc(sizeof *g);
    g->refs = 1;
    g->limits = limits;
    if (g->limits.concurrency == 0)
        g->limits.concurrency = 1;
    pthread_mutex_lock(&pool.lock);
    g->after = pool.all;
    if (g->after)
        g->after->before = g;
    pool.all = g;
    pthread_mutex_unlock(&pool.lock);
    return g;
}

void gate_set(struct gate *g, struct gate_limits limits) {
    pthread_mutex_lock(&pool.lock);
    size_t before = startable(g);
    g->limits = limits;
    if (g->limits.concurrency == 0)
        g->limits.concurrency = 1;
    moved(g, before);
    demand();
    pthread_mutex_unlock(&pool.lock);
}

void gate_metric(struct gate *g, struct metric_cell *queue_seconds) {
    pthread_mutex_lock(&pool.lock);
    g->queue_seconds = queue_seconds;
    pthread_mutex_unlock(&pool.lock);
}

void gate_ref(struct gate *g) {
    pthread_mutex_lock(&pool.lock);
    g->refs++;
    pthread_mutex_unlock(&pool.lock);
}

void gate_unref(struct gate *g) {
    if (!g)
        return;
    pthread_mutex_lock(&pool.lock);
    drop(g, 1);
    pthread_mutex_unlock(&pool.lock);
}

struct gate_figures gate_figures(struct gate *g) {
    pthread_mutex_lock(&pool.lock);
    struct gate_figures f = g->figures;
    pthread_mutex_unlock(&pool.lock);
    return f;
}

int gate_retry_after(struct gate *g) {
    pthread_mutex_lock(&pool.lock);
    double inside = (double)g->figures.waiting + g->figures.in_flight;
    unsigned at_once = places(g) ? places(g) : 1;
    double seconds = inside * (double)g->figures.service_ns / 1e9 / at_once;
    pthread_mutex_unlock(&pool.lock);
    return seconds < 1 ? 1 : seconds > 60 ? 60 : (int)seconds;
}

/* ---- calls ---- */

/* Places are counted, not threads: while others use those up, what could run waits as well. */
static bool full(const struct gate *g) {
    return (uint64_t)g->figures.in_flight + g->figures.waiting >=
           (uint64_t)g->limits.concurrency + g->limits.queue;
}

int gate_submit(struct gate *g, struct gate_call *call) {
    int rc = 0;
    call->began_ns = clock_mono_ns();
    pthread_mutex_lock(&pool.lock);
    if (call->deadline_ns && call->deadline_ns <= call->began_ns) {
        g->figures.expired++;
        rc = -ERR_DEADLINE;
    } else if (!pool.open || full(g)) {
        g->figures.shed++;
        rc = -ERR_BUSY;
    } else {
        enter(g, call);
        demand();
    }
    pthread_mutex_unlock(&pool.lock);
    return rc;
}

bool gate_cancel(struct gate_call *call) {
    pthread_mutex_lock(&pool.lock);
    struct gate *g = call->gate;
    if (g) {
        size_t before = startable(g);
        leave(call);
        moved(g, before);
        drop(g, 1);
    }
    pthread_mutex_unlock(&pool.lock);
    return g != NULL;
}

bool gate_try(struct gate *g) {
    pthread_mutex_lock(&pool.lock);
    bool yes = pool.open && g->figures.waiting == 0 && g->figures.in_flight < g->limits.concurrency;
    if (yes) {
        g->figures.in_flight++;
        g->refs++;
    }
    pthread_mutex_unlock(&pool.lock);
    return yes;
}

void gate_done(struct gate *g, int64_t began_ns) {
    int64_t took = clock_mono_ns() - began_ns;
    pthread_mutex_lock(&pool.lock);
    ran(g, took);
    demand();
    pthread_mutex_unlock(&pool.lock);
}
