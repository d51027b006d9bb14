/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "check.h"
#include "quern/base/clock.h"
#include "quern/base/thread.h"
#include "quern/core/err.h"
#include "quern/metric/metric.h"

#define MS ((int64_t)1000000)

/* A call that waits for the door to open, and writes down when it ran. */
struct job {
    struct gate_call call;
    int name;
    int64_t work_ms;
    atomic_int rc; /* 1: not ended yet */
};

static atomic_bool door;
static atomic_int running, most_running, ended;
static int order[4096];
static atomic_int ordered;

static void run(void *arg, int rc) {
    struct job *j = arg;
    if (rc == 0) {
        int now = atomic_fetch_add(&running, 1) + 1;
        for (int most = atomic_load(&most_running);
             now > most && !atomic_compare_exchange_weak(&most_running, &most, now);)
            ;
        order[atomic_fetch_add(&ordered, 1)] = j->name;
        while (!atomic_load(&door))
            clock_sleep_ms(1);
        clock_sleep_ms(j->work_ms);
        atomic_fetch_sub(&running, 1);
    }
    atomic_store(&j->rc, rc);
    atomic_fetch_add(&ended, 1);
}

static void job(struct job *j, int name) {
    *j = (struct job){.call = {.run = run, .arg = j}, .name = name, .rc = 1};
}

static void fresh(unsigned threads) {
    atomic_store(&door, false);
    atomic_store(&running, 0);
    atomic_store(&most_running, 0);
    atomic_store(&ended, 0);
    atomic_store(&ordered, 0);
    gates_start(threads, 30000);
}

static bool until(atomic_int *what, int n) {
    for (int i = 0; i < 5000 && atomic_load(what) < n; i++)
        clock_sleep_ms(1);
    return atomic_load(what) >= n;
}

static void test_bounds(void) {
    fresh(8);
    struct gate *g = gate_new((struct gate_limits){2, 3});
    struct job jobs[7];
    for (int i = 0; i < 7; i++)
        job(&jobs[i], i);
    for (int i = 0; i < 5; i++)
        CHECK_INT(gate_submit(g, &jobs[i].call), 0);
    CHECK_INT(gate_submit(g, &jobs[5].call), -ERR_BUSY);
    CHECK_INT(gate_submit(g, &jobs[6].call), -ERR_BUSY);
    CHECK(until(&running, 2));
    struct gate_figures f = gate_figures(g);
    CHECK_INT(f.in_flight, 2);
    CHECK_INT(f.waiting, 3);
    CHECK_INT(f.shed, 2);
    CHECK(!gate_try(g)); /* others wait */
    atomic_store(&door, true);
    CHECK(until(&ended, 5));
    CHECK_INT(atomic_load(&most_running), 2);
    gates_stop(1000);
    f = gate_figures(g);
    CHECK_INT(f.ran, 5);
    CHECK_INT(f.in_flight + f.waiting, 0);
    CHECK_INT(atomic_load(&jobs[5].rc), 1); /* refused ones are not called */
    gate_unref(g);
}

static void test_no_queue(void) {
    fresh(4);
    struct gate *g = gate_new((struct gate_limits){1, 0});
    struct job a, b;
    job(&a, 0);
    job(&b, 1);
    CHECK_INT(gate_submit(g, &a.call), 0); /* a place to run is not one to wait */
    CHECK_INT(gate_submit(g, &b.call), -ERR_BUSY);
    atomic_store(&door, true);
    CHECK(until(&ended, 1));
    for (int i = 0; i < 1000 && gate_figures(g).in_flight; i++)
        clock_sleep_ms(1);
    int64_t began = clock_mono_ns();
    CHECK(gate_try(g));
    CHECK(!gate_try(g));
    CHECK_INT(gate_submit(g, &b.call), -ERR_BUSY);
    gate_done(g, began);
    CHECK(gate_try(g));
    gate_done(g, clock_mono_ns());
    gates_stop(1000);
    gate_unref(g);
}

static void test_deadline(void) {
    fresh(4);
    struct gate *g = gate_new((struct gate_limits){1, 100});
    struct job holder, late[20], past, patient;
    job(&holder, 0);
    CHECK_INT(gate_submit(g, &holder.call), 0);
    CHECK(until(&running, 1));
    int64_t began = clock_mono_ns();
    for (int i = 0; i < 20; i++) { /* in no order */
        job(&late[i], 1 + i);
        late[i].call.deadline_ns = began + (20 + (i * 7) % 20) * MS;
        CHECK_INT(gate_submit(g, &late[i].call), 0);
    }
    job(&patient, 99);
    patient.call.deadline_ns = began + 60000 * MS;
    CHECK_INT(gate_submit(g, &patient.call), 0);
    job(&past, 0);
    past.call.deadline_ns = began - 1;
    CHECK_INT(gate_submit(g, &past.call), -ERR_DEADLINE);
    CHECK(until(&ended, 20)); /* although the only place is taken */
    int64_t took = (clock_mono_ns() - began) / MS;
    CHECK(took >= 39 && took < 2000);
    for (int i = 0; i < 20; i++)
        CHECK_INT(atomic_load(&late[i].rc), -ERR_DEADLINE);
    CHECK_INT(gate_figures(g).expired, 21);
    atomic_store(&door, true);
    CHECK(until(&ended, 22));
    CHECK_INT(atomic_load(&patient.rc), 0);
    gates_stop(1000);
    gate_unref(g);
}

static void test_order(void) {
    fresh(1);
    struct gate *a = gate_new((struct gate_limits){1, 100}),
                *b = gate_new((struct gate_limits){1, 100});
    struct job jobs[13];
    for (int i = 0; i < 13; i++)
        job(&jobs[i], i);
    CHECK_INT(gate_submit(a, &jobs[0].call), 0);
    CHECK(until(&running, 1));
    for (int i = 1; i <= 8; i++) /* many for one gate, then a few for another */
        CHECK_INT(gate_submit(a, &jobs[i].call), 0);
    for (int i = 9; i <= 11; i++)
        CHECK_INT(gate_submit(b, &jobs[i].call), 0);
    jobs[12].call.urgent = true;
    CHECK_INT(gate_submit(a, &jobs[12].call), 0);
    atomic_store(&door, true);
    CHECK(until(&ended, 13));
    gates_stop(1000);
    int last_b = 0, place_urgent = 0;
    for (int i = 0, a_before = -1, b_before = -1; i < 13; i++) {
        int *before = order[i] >= 9 && order[i] <= 11 ? &b_before : &a_before;
        if (order[i] == 12) {
            place_urgent = i;
            continue;
        }
        CHECK(order[i] > *before); /* first in, first out within a gate */
        *before = order[i];
        if (before == &b_before)
            last_b = i;
    }
    CHECK(place_urgent <= 2); /* before the eight that came earlier */
    CHECK(last_b <= 6);       /* gates take turns */
    gate_unref(a);
    gate_unref(b);
}

static void test_cancel_and_set(void) {
    fresh(8);
    struct gate *g = gate_new((struct gate_limits){1, 100});
    struct job jobs[5];
    for (int i = 0; i < 5; i++) {
        job(&jobs[i], i);
        jobs[i].call.deadline_ns = clock_mono_ns() + 60000 * MS;
        CHECK_INT(gate_submit(g, &jobs[i].call), 0);
    }
    CHECK(until(&running, 1));
    CHECK(!gate_cancel(&jobs[0].call)); /* it runs */
    CHECK(gate_cancel(&jobs[2].call));
    CHECK(!gate_cancel(&jobs[2].call));
    gate_set(g, (struct gate_limits){3, 100}); /* more may start at once */
    CHECK(until(&running, 3));
    gate_unref(g); /* those inside keep it */
    atomic_store(&door, true);
    CHECK(until(&ended, 4));
    CHECK_INT(atomic_load(&jobs[2].rc), 1);
    gates_stop(1000);
}

static void test_stop(void) {
    fresh(4);
    struct gate *g = gate_new((struct gate_limits){1, 100});
    struct job jobs[4], after;
    for (int i = 0; i < 4; i++) {
        job(&jobs[i], i);
        jobs[i].work_ms = 20;
        CHECK_INT(gate_submit(g, &jobs[i].call), 0);
    }
    atomic_store(&door, true);
    gates_stop(5000);
    CHECK_INT(atomic_load(&ended), 4);
    CHECK_INT(gate_figures(g).ran, 4); /* all of them ran */
    CHECK_INT(gates_threads(), 0);
    job(&after, 9);
    CHECK_INT(gate_submit(g, &after.call), -ERR_BUSY);
    CHECK(!gate_try(g));

    fresh(4); /* no time to drain: who waits is told so */
    atomic_store(&door, true);
    for (int i = 0; i < 4; i++) {
        job(&jobs[i], i);
        jobs[i].work_ms = 100;
        CHECK_INT(gate_submit(g, &jobs[i].call), 0);
    }
    CHECK(until(&running, 1));
    gates_stop(0);
    CHECK_INT(atomic_load(&jobs[0].rc), 0);
    for (int i = 1; i < 4; i++)
        CHECK_INT(atomic_load(&jobs[i].rc), -ERR_BUSY);
    gate_unref(g);
}

static void test_threads_end(void) {
    fresh(0);
    gates_stop(0);
    atomic_store(&ended, 0);
    gates_start(22, 50);
    struct gate *g = gate_new((struct gate_limits){16, 0});
    struct job jobs[16];
    atomic_store(&door, false);
    CHECK_INT(gates_threads(), 0); /* none before the first call */
    for (int i = 0; i < 16; i++) {
        job(&jobs[i], i);
        CHECK_INT(gate_submit(g, &jobs[i].call), 0);
    }
    CHECK(until(&running, 16));
    CHECK_INT(gates_threads(), 16);
    atomic_store(&door, true);
    CHECK(until(&ended, 16));
    for (int i = 0; i < 3000 && gates_threads(); i++)
        clock_sleep_ms(1);
    CHECK_INT(gates_threads(), 0);
    gate_unref(g);
    gates_stop(0);
}

static void test_one_gate_takes_not_all(void) {
    fresh(8);
    struct gate *greedy = gate_new((struct gate_limits){100, 100}),
                *other = gate_new((struct gate_limits){1, 0});
    struct job jobs[20], one;
    for (int i = 0; i < 20; i++) {
        job(&jobs[i], i);
        CHECK_INT(gate_submit(greedy, &jobs[i].call), 0);
    }
    CHECK(until(&running, 6));
    clock_sleep_ms(20);
    CHECK_INT(atomic_load(&running), 6);
    job(&one, 99);
    CHECK_INT(gate_submit(other, &one.call), 0);
    CHECK(until(&running, 7));
    atomic_store(&door, true);
    CHECK(until(&ended, 21));
    gates_stop(1000);
    gate_unref(greedy);
    gate_unref(other);
}

static void test_retry_after(void) {
    fresh(4);
    struct gate *g = gate_new((struct gate_limits){1, 100});
    CHECK_INT(gate_retry_after(g), 1); /* nothing known */
    CHECK(gate_try(g));
    gate_done(g, clock_mono_ns() - 2000 * MS); /* a run of two seconds */
    struct job jobs[5];
    for (int i = 0; i < 5; i++) {
        job(&jobs[i], i);
        CHECK_INT(gate_submit(g, &jobs[i].call), 0);
    }
    CHECK_INT(gate_retry_after(g), 10);
    atomic_store(&door, true);
    gates_stop(5000);
    gate_unref(g);
}

/* Threads that submit, cancel and make gates at once; every call ends exactly once. */
#define SUBMITTERS 4
#define EACH 500
static struct {
    struct job jobs[EACH];
    struct gate *gates[4];
    unsigned refused, cancelled;
} submitters[SUBMITTERS];
static struct gate *shared[2];

static void submit_many(void *arg) {
    size_t me = *(size_t *)arg;
    for (int i = 0; i < EACH; i++) {
        struct job *j = &submitters[me].jobs[i];
        job(j, i);
        if (i % 3 == 0)
            j->call.deadline_ns = clock_mono_ns() + (i % 5) * MS / 4;
        j->call.urgent = i % 7 == 0;
        int rc;
        if (i % 10 == 9) {
            struct gate *own = gate_new((struct gate_limits){1, 1});
            rc = gate_submit(own, &j->call);
            gate_unref(own);
        } else {
            rc = gate_submit(shared[i % 2], &j->call);
        }
        submitters[me].refused += rc < 0;
        if (rc == 0 && i % 11 == 0)
            submitters[me].cancelled += gate_cancel(&j->call);
    }
}

static void test_all_at_once(void) {
    fresh(6);
    atomic_store(&door, true);
    shared[0] = gate_new((struct gate_limits){2, 50});
    shared[1] = gate_new((struct gate_limits){3, 50});
    struct metric_cell *cell = metric_cell(METRIC_PREDICTION_SECONDS, "gate", "1", NULL);
    gate_metric(shared[0], cell);
    struct thread *threads[SUBMITTERS];
    size_t me[SUBMITTERS];
    for (size_t i = 0; i < SUBMITTERS; i++) {
        me[i] = i;
        threads[i] = thread_start("submit", submit_many, &me[i]);
    }
    for (size_t i = 0; i < SUBMITTERS; i++)
        thread_join(threads[i]);
    gates_stop(10000);
    unsigned refused = 0, cancelled = 0, pending = 0;
    for (size_t i = 0; i < SUBMITTERS; i++) {
        refused += submitters[i].refused;
        cancelled += submitters[i].cancelled;
        for (size_t k = 0; k < EACH; k++)
            pending += atomic_load(&submitters[i].jobs[k].rc) == 1;
    }
    CHECK_INT(pending, refused + cancelled);
    CHECK_INT(atomic_load(&ended) + (int)refused + (int)cancelled, SUBMITTERS * EACH);
    for (int i = 0; i < 2; i++) {
        struct gate_figures f = gate_figures(shared[i]);
        CHECK_INT(f.in_flight + f.waiting, 0);
        gate_unref(shared[i]);
    }
}

int main(void) {
    RUN(test_bounds);
    RUN(test_no_queue);
    RUN(test_deadline);
    RUN(test_order);
    RUN(test_cancel_and_set);
    RUN(test_stop);
    RUN(test_threads_end);
    RUN(test_one_gate_takes_not_all);
    RUN(test_retry_after);
    RUN(test_all_at_once);
    return CHECK_END();
}
