/* SPDX-License-Identifier: Apache-2.0 */
/* The limit that ONNX Runtime sets: the daemon's own call of it, with one row of one FP32 input,
 * again and again on so many threads. Prints one JSON line: calls a second, processor time of one.
 *   bench_limit_onnx LIBRARY MODEL THREADS SECONDS */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/onnx/onnx.h"

enum { THREADS_MAX = 64 };

struct caller {
    struct onnx_session *session;
    int64_t until;
    uint64_t calls;
    int64_t cpu_ns;
    bool failed;
};

static struct tensor row(struct ctx *c, const struct tensor_spec *spec) {
    struct tensor t = {.name = spec->name, .dtype = DT_FP32, .rank = spec->rank, .count = 1};
    for (size_t i = 0; i < spec->rank; i++) {
        t.shape[i] = spec->shape[i] < 0 ? 1 : spec->shape[i];
        t.count *= (size_t)t.shape[i];
    }
    float *data = t.data = ARENA_ARRAY(c->arena, float, t.count);
    for (size_t i = 0; i < t.count; i++)
        data[i] = (float)(i + 1) * 1.1f;
    return t;
}

static void call(void *arg) {
    struct caller *me = arg;
    const struct tensor_spec *specs;
    onnx_inputs(me->session, &specs);
    while (clock_mono_ns() < me->until && !me->failed) {
        struct ctx c;
        struct tensor *out;
        size_t nout;
        ctx_begin(&c);
        struct tensor in = row(&c, specs);
        me->failed = onnx_run(&c, me->session, &in, 1, NULL, &out, &nout) < 0;
        if (me->failed)
            fprintf(stderr, "%s\n", c.err.message);
        me->calls++;
        ctx_end(&c);
    }
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    me->cpu_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv) {
    struct buf error = {0};
    struct ctx c;
    struct onnx_session *session;
    struct thread *threads[THREADS_MAX];
    struct caller callers[THREADS_MAX] = {0};
    int n = argc > 4 ? atoi(argv[3]) : 0;
    if (n < 1 || n > THREADS_MAX) {
        fprintf(stderr, "usage: bench_limit_onnx LIBRARY MODEL THREADS SECONDS\n");
        return 2;
    }
    if (onnx_open(argv[1], (const char *const[]){NULL}, &error) < 0) {
        fprintf(stderr, "%s\n", error.data);
        return 1;
    }
    ctx_begin(&c);
    if (onnx_load_file(&c, argv[2], &session) < 0) {
        fprintf(stderr, "%s\n", c.err.message);
        return 1;
    }
    int64_t began = clock_mono_ns(), until = began + (int64_t)(atof(argv[4]) * 1e9);
    uint64_t calls = 0;
    int64_t cpu_ns = 0;
    bool failed = false;
    for (int i = 0; i < n; i++) {
        callers[i] = (struct caller){.session = session, .until = until};
        threads[i] = thread_start("caller", call, &callers[i]);
    }
    for (int i = 0; i < n; i++) {
        thread_join(threads[i]);
        calls += callers[i].calls;
        cpu_ns += callers[i].cpu_ns;
        failed = failed || callers[i].failed;
    }
    double seconds = (double)(clock_mono_ns() - began) / 1e9;
    printf("{\"per_second\":%.1f,\"us\":%.3f}\n", (double)calls / seconds,
           (double)cpu_ns / (double)calls / 1e3);
    onnx_free(session);
    ctx_end(&c);
    return failed;
}
