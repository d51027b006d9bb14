/* SPDX-License-Identifier: Apache-2.0 */
/* What batching gains: threads that each ask for one row again and again, of a model whose run has
 * a fixed cost and one per row, one run at a time; with the batcher, and with a lock in its place.
 *
 *     bench_batcher [threads] [fixed us] [per-row us] [seconds]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "batcher.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"

#define SAMPLES 200000

static int64_t fixed_ns, row_ns;
static atomic_bool over;

static int model(struct ctx *c, void *arg, const struct tensor *in, size_t nin,
                 const char *const *wanted, struct tensor **out, size_t *nout) {
    (void)arg;
    (void)nin;
    (void)wanted;
    int64_t until = clock_mono_ns() + fixed_ns + row_ns * in->shape[0];
    struct tensor *t = ARENA_NEW(c->arena, struct tensor);
    *t = (struct tensor){.name = "y", .dtype = DT_FP32, .rank = 1, .shape = {in->shape[0]}};
    t->count = (size_t)in->shape[0];
    t->data = ARENA_ARRAY(c->arena, float, t->count);
    while (clock_mono_ns() < until)
        ;
    *out = t;
    *nout = 1;
    return 0;
}

struct asker {
    struct batcher *b; /* NULL: the lock */
    size_t n;
    int64_t *took;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void ask(void *arg) {
    struct asker *a = arg;
    while (!atomic_load(&over) && a->n < SAMPLES) {
        struct ctx c;
        struct tensor *out;
        size_t nout;
        float x[8] = {1};
        struct tensor in = {
            .name = "x", .dtype = DT_FP32, .rank = 2, .shape = {1, 8}, .count = 8, .data = x};
        ctx_begin(&c);
        int64_t began = clock_mono_ns();
        if (a->b) {
            batch_run(a->b, &c, &in, 1, NULL, &out, &nout);
        } else {
            pthread_mutex_lock(&lock);
            model(&c, NULL, &in, 1, NULL, &out, &nout);
            pthread_mutex_unlock(&lock);
        }
        a->took[a->n++] = clock_mono_ns() - began;
        ctx_end(&c);
    }
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void measure(const char *name, struct batcher *b, size_t threads, double seconds) {
    struct asker *askers = mem_alloc(threads * sizeof *askers);
    struct thread **ids = mem_alloc(threads * sizeof(struct thread *));
    int64_t *all = mem_alloc(threads * SAMPLES * sizeof *all);
    size_t n = 0;
    atomic_store(&over, false);
    for (size_t i = 0; i < threads; i++) {
        askers[i] = (struct asker){.b = b, .took = mem_alloc(SAMPLES * sizeof(int64_t))};
        ids[i] = thread_start("ask", ask, &askers[i]);
    }
    clock_sleep_ms((int64_t)(seconds * 1000));
    atomic_store(&over, true);
    for (size_t i = 0; i < threads; i++) {
        thread_join(ids[i]);
        for (size_t k = 0; k < askers[i].n; k++)
            all[n++] = askers[i].took[k];
        free(askers[i].took);
    }
    qsort(all, n, sizeof *all, by_value);
    printf("%-14s %9.0f rows/s   p50 %6.0f us   p99 %6.0f us", name, (double)n / seconds,
           n ? (double)all[n / 2] / 1e3 : 0, n ? (double)all[n * 99 / 100] / 1e3 : 0);
    if (b) {
        struct batch_figures f = batch_figures(b);
        printf("   %.1f rows a run", (double)f.rows / (double)(f.runs ? f.runs : 1));
    }
    printf("\n");
    free(all);
    free(ids);
    free(askers);
}

int main(int argc, char **argv) {
    size_t threads = argc > 1 ? (size_t)atoi(argv[1]) : 16;
    fixed_ns = (argc > 2 ? atoi(argv[2]) : 500) * 1000;
    row_ns = (argc > 3 ? atoi(argv[3]) : 20) * 1000;
    double seconds = argc > 4 ? atof(argv[4]) : 2;
    struct batch_limits at_once = {.max_rows = 64, .instances = 1};
    struct batch_limits patient = at_once;
    patient.max_delay_us = 500;
    struct batcher *b = batcher_new(&at_once, model, NULL), *p = batcher_new(&patient, model, NULL);
    measure("one by one", NULL, threads, seconds);
    measure("delay 0", b, threads, seconds);
    measure("delay 500 us", p, threads, seconds);
    batcher_free(b);
    batcher_free(p);
    return 0;
}
