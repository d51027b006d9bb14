/* SPDX-License-Identifier: Apache-2.0 */
#include "batcher.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "tensor_rows.h"

#define MS ((int64_t)1000000)

/* A model that adds up each row of "x" and gives "s" back with '!' behind; NaN is an error. It
 * writes down what it ran on, and waits until it is allowed to end. */
static struct {
    atomic_int allowed; /* runs that may end */
    atomic_int inside, most_inside, runs;
    atomic_int rows[4096];
    atomic_bool lying; /* its answer has one row too many */
    int64_t cost_us;
} model;

static const struct tensor *by_name(const struct tensor *t, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(t[i].name, name) == 0)
            return &t[i];
    return NULL;
}

static int model_run(struct ctx *c, void *arg, const struct tensor *in, size_t nin,
                     const char *const *wanted, struct tensor **out, size_t *nout) {
    const struct tensor *x = by_name(in, nin, "x"), *s = by_name(in, nin, "s");
    (void)arg;
    int inside = atomic_fetch_add(&model.inside, 1) + 1;
    for (int most = atomic_load(&model.most_inside);
         inside > most && !atomic_compare_exchange_weak(&model.most_inside, &most, inside);)
        ;
    size_t rows = (size_t)x->shape[0], width = x->count / (rows ? rows : 1);
    int run = atomic_fetch_add(&model.runs, 1);
    if (run < 4096)
        atomic_store(&model.rows[run], (int)rows);
    while (run >= atomic_load(&model.allowed))
        clock_sleep_ms(1);
    if (model.cost_us)
        clock_sleep_ms(model.cost_us / 1000);
    struct tensor *t = ARENA_ARRAY(c->arena, struct tensor, 2);
    size_t give = rows + (model.lying ? 1 : 0);
    t[0] = (struct tensor){.name = "sum", .dtype = DT_FP32, .rank = 1, .shape = {(int64_t)give}};
    t[0].count = give;
    float *sums = ARENA_ARRAY(c->arena, float, give ? give : 1);
    t[0].data = sums;
    int rc = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i++)
            sums[r] += ((const float *)x->data)[r * width + i];
    for (size_t r = 0; r < rows && rc == 0; r++)
        if (sums[r] != sums[r])
            rc = fail(c, ERR_UNPROCESSABLE, "row of %zu is not a number", rows);
    *nout = 1;
    if (s && !(wanted && strcmp(wanted[0], "sum") == 0)) {
        static const char *const labels[] = {"yes", NULL};
        t[1] = (struct tensor){
            .name = "echo", .dtype = DT_BYTES, .rank = 2, .shape = {(int64_t)rows, 1}};
        t[1].count = rows;
        t[1].classes = labels;
        struct bytes *items = ARENA_ARRAY(c->arena, struct bytes, rows ? rows : 1);
        for (size_t r = 0; r < rows; r++) {
            struct bytes from = ((const struct bytes *)s->data)[r];
            items[r].data = arena_printf(c->arena, "%.*s!", (int)from.len, from.data);
            items[r].len = from.len + 1;
        }
        t[1].data = items;
        *nout = 2;
    }
    *out = t;
    atomic_fetch_sub(&model.inside, 1);
    return rc;
}

static void fresh(bool shut) {
    atomic_store(&model.allowed, shut ? 0 : INT_MAX);
    atomic_store(&model.runs, 0);
    atomic_store(&model.most_inside, 0);
    model.lying = false;
    model.cost_us = 0;
}

/* One request on a thread of its own. */
struct request {
    struct batcher *b;
    struct thread *thread;
    size_t rows, width;
    float value;
    bool strings;
    const char *const *wanted;
    int64_t timeout_ms;
    int64_t lasted_ms;
    int rc;
    bool right; /* the answer is what was asked for */
    char message[160];
};

static bool answer_is_right(const struct request *q, const struct tensor *out, size_t nout) {
    bool right = nout == (q->strings && !q->wanted ? 2u : 1u) && strcmp(out[0].name, "sum") == 0 &&
                 out[0].count == q->rows;
    for (size_t r = 0; right && r < q->rows; r++)
        right = ((const float *)out[0].data)[r] == (float)q->width * (q->value + (float)r);
    if (right && nout == 2) {
        right = out[1].count == q->rows && out[1].classes && strcmp(out[1].classes[0], "yes") == 0;
        for (size_t r = 0; right && r < q->rows; r++) {
            char want[64];
            struct bytes got = ((const struct bytes *)out[1].data)[r];
            snprintf(want, sizeof want, "%g+%zu!", (double)q->value, r);
            right = got.len == strlen(want) && memcmp(got.data, want, got.len) == 0;
        }
    }
    return right;
}

static void request_run(void *arg) {
    struct request *q = arg;
    struct ctx c;
    ctx_begin(&c);
    int64_t began = clock_mono_ns();
    c.deadline_ns = q->timeout_ms ? began + q->timeout_ms * MS : 0;
    struct tensor in[2] = {
        {.name = "x",
         .dtype = DT_FP32,
         .rank = 2,
         .shape = {(int64_t)q->rows, (int64_t)q->width},
         .count = q->rows * q->width},
        {.name = "s", .dtype = DT_BYTES, .rank = 1, .shape = {(int64_t)q->rows}, .count = q->rows}};
    float *x = ARENA_ARRAY(c.arena, float, in[0].count);
    struct bytes *s = ARENA_ARRAY(c.arena, struct bytes, q->rows);
    for (size_t r = 0; r < q->rows; r++) {
        for (size_t i = 0; i < q->width; i++)
            x[r * q->width + i] = q->value + (float)r;
        s[r].data = arena_printf(c.arena, "%g+%zu", (double)q->value, r);
        s[r].len = strlen(s[r].data);
    }
    in[0].data = x;
    in[1].data = s;
    struct tensor *out = NULL;
    size_t nout = 0;
    q->rc = batch_run(q->b, &c, in, q->strings ? 2 : 1, q->wanted, &out, &nout);
    q->lasted_ms = (clock_mono_ns() - began) / MS;
    q->right = q->rc == 0 && answer_is_right(q, out, nout);
    snprintf(q->message, sizeof q->message, "%s", c.err.message ? c.err.message : "");
    ctx_end(&c);
}

static void start(struct request *q, struct batcher *b, size_t rows, float value) {
    *q = (struct request){.b = b, .rows = rows, .width = 3, .value = value};
}
static void go(struct request *q) {
    q->thread = thread_start("request", request_run, q);
}
static void wait_for(struct batcher *b, unsigned running, unsigned waiting) {
    for (int i = 0; i < 5000; i++) {
        struct batch_figures f = batch_figures(b);
        if (f.running == running && f.waiting == waiting)
            return;
        clock_sleep_ms(1);
    }
    CHECK_INT(batch_figures(b).waiting, waiting); /* the requests did not come */
}

static const struct batch_limits plain = {.max_rows = 16, .instances = 1};

static void test_forms_while_busy(void) {
    fresh(true);
    struct batcher *b = batcher_new(&plain, model_run, NULL);
    struct request q[7];
    for (size_t i = 0; i < 7; i++)
        start(&q[i], b, 1 + i % 3, (float)(10 * i));
    go(&q[0]);
    wait_for(b, 1, 0); /* delay 0: the first does not wait for company */
    for (unsigned i = 1; i < 7; i++) {
        go(&q[i]);
        wait_for(b, 1, i);
    }
    atomic_store(&model.allowed, INT_MAX);
    for (size_t i = 0; i < 7; i++) {
        thread_join(q[i].thread);
        CHECK_INT(q[i].rc, 0);
        CHECK(q[i].right);
    }
    CHECK_INT(atomic_load(&model.runs), 2);
    CHECK_INT(atomic_load(&model.rows[0]), 1);
    CHECK_INT(atomic_load(&model.rows[1]), 2 + 3 + 1 + 2 + 3 + 1);
    struct batch_figures f = batch_figures(b);
    CHECK_INT(f.requests, 7);
    CHECK_INT(f.batched, 6);
    CHECK_INT(f.rows, 13);
    CHECK_INT(f.waiting + f.running, 0);
    batcher_free(b);
}

static void test_never_mixes(void) {
    fresh(true);
    static const char *const only_sum[] = {"sum", NULL};
    struct batcher *b = batcher_new(&plain, model_run, NULL);
    struct request q[9];
    for (size_t i = 0; i < 9; i++) {
        start(&q[i], b, 2, (float)(100 * i));
        q[i].width = i % 2 ? 4 : 3;
        q[i].strings = i >= 5;
        q[i].wanted = i == 8 ? only_sum : NULL;
        go(&q[i]);
        wait_for(b, 1, (unsigned)i);
    }
    atomic_store(&model.allowed, INT_MAX);
    for (size_t i = 0; i < 9; i++) {
        thread_join(q[i].thread);
        CHECK_INT(q[i].rc, 0);
        CHECK(q[i].right);
    }
    /* 0 | 2 4 | 1 3 | 5 7 | 6 | 8 */
    CHECK_INT(atomic_load(&model.runs), 6);
    batcher_free(b);
}

static void test_bounds_of_rows(void) {
    fresh(true);
    struct batcher *b = batcher_new(&plain, model_run, NULL);
    struct request q[6];
    static const size_t rows[6] = {1, 10, 6, 1, 16, 40}; /* 1 | 10 6 | 1 | 16 | 40 */
    for (size_t i = 0; i < 6; i++) {
        start(&q[i], b, rows[i], (float)i);
        go(&q[i]);
        wait_for(b, 1, (unsigned)i);
    }
    atomic_store(&model.allowed, INT_MAX);
    for (size_t i = 0; i < 6; i++) {
        thread_join(q[i].thread);
        CHECK(q[i].right);
    }
    CHECK_INT(atomic_load(&model.runs), 5);
    CHECK_INT(atomic_load(&model.rows[1]), 16);
    CHECK_INT(atomic_load(&model.rows[2]), 1);
    CHECK_INT(atomic_load(&model.rows[3]), 16);
    CHECK_INT(atomic_load(&model.rows[4]), 40);
    batcher_free(b);
}

static void test_delay(void) {
    fresh(false);
    struct batch_limits limits = {.max_rows = 4, .instances = 1, .max_delay_us = 150 * 1000};
    struct batcher *b = batcher_new(&limits, model_run, NULL);
    struct request q[5];
    for (size_t i = 0; i < 5; i++)
        start(&q[i], b, 1, (float)i);
    go(&q[0]);
    thread_join(q[0].thread); /* alone: the delay runs out */
    CHECK(q[0].right);
    CHECK(q[0].lasted_ms >= 149);
    CHECK_INT(atomic_load(&model.runs), 1);
    for (size_t i = 0; i < 4; i++)
        go(&q[i]);
    for (size_t i = 0; i < 4; i++)
        thread_join(q[i].thread); /* full: nobody waits for it */
    for (size_t i = 0; i < 4; i++) {
        CHECK(q[i].right);
        CHECK(q[i].lasted_ms < 145);
    }
    CHECK_INT(atomic_load(&model.runs), 2);
    CHECK_INT(atomic_load(&model.rows[1]), 4);
    batcher_free(b);
}

static void test_preferred(void) {
    fresh(false);
    struct batch_limits limits = {.max_rows = 16,
                                  .instances = 1,
                                  .max_delay_us = 300 * 1000,
                                  .preferred = {2, 4},
                                  .npreferred = 2};
    struct batcher *b = batcher_new(&limits, model_run, NULL);
    struct request q[7];
    start(&q[0], b, 1, 0);
    start(&q[1], b, 1, 1);
    go(&q[0]);
    wait_for(b, 0, 1);
    go(&q[1]); /* two are preferred: sent without the delay */
    thread_join(q[0].thread);
    thread_join(q[1].thread);
    CHECK_INT(atomic_load(&model.runs), 1);
    CHECK_INT(atomic_load(&model.rows[0]), 2);
    CHECK(q[0].lasted_ms < 290);
    /* Five wait while the model is busy: exactly the largest preferred number is sent, the fifth
     * waits for company until its delay is over. */
    fresh(true);
    limits.max_delay_us = 400 * 1000;
    batcher_free(b);
    b = batcher_new(&limits, model_run, NULL);
    start(&q[6], b, 16, 0);
    go(&q[6]);
    wait_for(b, 1, 0);
    for (unsigned i = 0; i < 5; i++) {
        start(&q[i], b, 1, (float)i);
        go(&q[i]);
        wait_for(b, 1, i + 1);
    }
    atomic_store(&model.allowed, INT_MAX);
    for (size_t i = 0; i < 5; i++)
        thread_join(q[i].thread);
    thread_join(q[6].thread);
    CHECK_INT(atomic_load(&model.rows[1]), 4);
    CHECK_INT(atomic_load(&model.rows[2]), 1);
    CHECK(q[0].lasted_ms < 390);
    CHECK(q[4].lasted_ms >= 399);
    batcher_free(b);
}

static void test_one_bad_input(void) {
    fresh(true);
    struct batcher *b = batcher_new(&plain, model_run, NULL);
    struct request q[6];
    for (size_t i = 0; i < 6; i++) {
        start(&q[i], b, 2, i == 3 ? NAN : (float)i);
        q[i].strings = true;
        go(&q[i]);
        wait_for(b, 1, (unsigned)i);
    }
    atomic_store(&model.allowed, INT_MAX);
    for (size_t i = 0; i < 6; i++) {
        thread_join(q[i].thread);
        CHECK_INT(q[i].rc, i == 3 ? -ERR_UNPROCESSABLE : 0);
        CHECK(i == 3 || q[i].right);
    }
    CHECK_STR(q[3].message, "row of 2 is not a number"); /* its own failure, not the batch's */
    struct batch_figures f = batch_figures(b);
    CHECK_INT(f.retried, 5);
    CHECK_INT(f.requests, 5);
    CHECK_INT(atomic_load(&model.most_inside), 1);
    CHECK(!f.unfit);
    batcher_free(b);
}

static void test_deadlines(void) {
    fresh(true);
    struct batcher *b = batcher_new(&plain, model_run, NULL);
    struct request q[5];
    start(&q[0], b, 1, 0);
    go(&q[0]);
    wait_for(b, 1, 0);
    for (unsigned i = 1; i < 4; i++) {
        start(&q[i], b, 1, (float)i);
        q[i].timeout_ms = i == 2 ? 60000 : 30;
        go(&q[i]);
        wait_for(b, 1, i);
    }
    thread_join(q[1].thread); /* while the model is still busy */
    thread_join(q[3].thread);
    CHECK_INT(q[1].rc, -ERR_DEADLINE);
    CHECK_INT(q[3].rc, -ERR_DEADLINE);
    CHECK(q[1].lasted_ms >= 29 && q[1].lasted_ms < 3000);
    CHECK_INT(batch_figures(b).waiting, 1);
    atomic_store(&model.allowed, INT_MAX);
    thread_join(q[0].thread);
    thread_join(q[2].thread);
    CHECK(q[2].right);

    fresh(true); /* a batch under way does not hold those that cannot wait for it */
    start(&q[0], b, 16, 0);
    go(&q[0]);
    wait_for(b, 1, 0);
    for (unsigned i = 1; i < 4; i++) {
        start(&q[i], b, 1, (float)i);
        q[i].strings = true;
        q[i].timeout_ms = i == 2 ? 300 : 0;
        go(&q[i]);
        wait_for(b, 1, i);
    }
    atomic_store(&model.allowed, 1);
    wait_for(b, 1, 0);
    thread_join(q[2].thread); /* while the batch that it is in runs */
    CHECK_INT(q[2].rc, -ERR_DEADLINE);
    CHECK(q[2].lasted_ms >= 299);
    CHECK_INT(batch_figures(b).running, 1);
    atomic_store(&model.allowed, INT_MAX);
    for (size_t i = 0; i < 4; i++)
        if (i != 2)
            thread_join(q[i].thread);
    CHECK(q[0].right && q[1].right && q[3].right);
    batcher_free(b);
}

static void test_unfit_model(void) {
    fresh(true);
    struct batcher *b = batcher_new(&plain, model_run, NULL);
    struct request q[5];
    start(&q[0], b, 1, 5);
    go(&q[0]);
    wait_for(b, 1, 0);
    for (unsigned i = 1; i < 5; i++) {
        start(&q[i], b, 1, (float)i);
        go(&q[i]);
        wait_for(b, 1, i);
    }
    model.lying = true; /* the run that is inside answers so already */
    atomic_store(&model.allowed, INT_MAX);
    for (size_t i = 0; i < 5; i++) {
        thread_join(q[i].thread);
        CHECK_INT(q[i].rc, 0); /* what the model says to a request of its own is its business */
    }
    CHECK(batch_figures(b).unfit);
    CHECK_INT(batch_figures(b).batched, 0);
    for (int i = 0, n = atomic_load(&model.runs); i < n; i++)
        CHECK_INT(atomic_load(&model.rows[i]), 1);
    batcher_free(b);
}

static void test_refusal(void) {
    struct ctx c;
    ctx_begin(&c);
    struct tensor_spec open = {.name = "x", .dtype = DT_FP32, .rank = 2, .shape = {-1, 4}};
    struct tensor_spec one = {.name = "y", .dtype = DT_FP32, .rank = 2, .shape = {1, 4}};
    struct tensor_spec scalar = {.name = "z", .dtype = DT_FP32};
    CHECK(batch_refusal(&c, &open, 1, &open, 1) == NULL);
    CHECK_STR(batch_refusal(&c, &one, 1, &open, 1), "input 'y' has no open first axis");
    CHECK_STR(batch_refusal(&c, &open, 1, &scalar, 1), "output 'z' has no open first axis");
    CHECK_STR(batch_refusal(&c, NULL, 0, &open, 1), "it has no inputs");
    ctx_end(&c);
}

/* Many threads, every kind of request, two instances: every answer is its own. */
static struct batcher *crowd;
static atomic_int wrong, answered, gave_up;
static void crowd_run(void *arg) {
    size_t me = *(size_t *)arg;
    for (size_t i = 0; i < 60; i++) {
        struct request q;
        start(&q, crowd, 1 + (me + i) % 5, (float)(me * 1000 + i));
        q.width = 1 + (i / 20 + me) % 2;
        q.strings = (i + me) % 4 == 0;
        q.timeout_ms = i % 9 == 0 ? 1 : 0;
        bool bad = i % 13 == 5;
        if (bad)
            q.value = NAN;
        request_run(&q);
        if (q.timeout_ms && q.rc == -ERR_DEADLINE)
            atomic_fetch_add(&gave_up, 1);
        else if (bad ? q.rc != -ERR_UNPROCESSABLE : !q.right)
            atomic_fetch_add(&wrong, 1);
        else
            atomic_fetch_add(&answered, 1);
    }
}

static void test_crowd(void) {
    fresh(false);
    model.cost_us = 1000;
    struct batch_limits limits = {
        .max_rows = 12, .instances = 2, .max_delay_us = 500, .preferred = {4, 8}, .npreferred = 2};
    crowd = batcher_new(&limits, model_run, NULL);
    struct thread *threads[16];
    size_t me[16];
    for (size_t i = 0; i < 16; i++) {
        me[i] = i;
        threads[i] = thread_start("crowd", crowd_run, &me[i]);
    }
    for (size_t i = 0; i < 16; i++)
        thread_join(threads[i]);
    CHECK_INT(atomic_load(&wrong), 0);
    CHECK_INT(atomic_load(&answered) + atomic_load(&gave_up), 16 * 60);
    CHECK(atomic_load(&model.most_inside) <= 2);
    struct batch_figures f = batch_figures(crowd);
    CHECK_INT(f.waiting + f.running, 0);
    CHECK(f.batched > 0);
    CHECK_INT(f.expired, atomic_load(&gave_up));
    batcher_free(crowd);
}

int main(void) {
    RUN(test_forms_while_busy);
    RUN(test_never_mixes);
    RUN(test_bounds_of_rows);
    RUN(test_delay);
    RUN(test_preferred);
    RUN(test_one_bad_input);
    RUN(test_deadlines);
    RUN(test_unfit_model);
    RUN(test_refusal);
    RUN(test_crowd);
    return CHECK_END();
}
