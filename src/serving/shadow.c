/* SPDX-License-Identifier: Apache-2.0 */
#include "shadow.h"

#include <math.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "model.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/metric/metric.h"
#include "quern/prediction/prediction.h"
#include "quern/rollout/arm_stats.h"
#include "quern/rollout/policy.h"
#include "snapshot.h"
#include "tensor_pack.h"

#define GATHER_MS 2                    /* between looks at the list while copies come */
#define SHADOW_BYTES ((size_t)4 << 20) /* of one copy */

/* One copy on its way, in one block: the inputs for the shadow and what was answered. */
struct shadow {
    struct shadow *next;
    struct gate_call call;
    struct gate *gate; /* one reference is ours; NULL: on the list */
    int64_t project;
    char endpoint[160], arm[65], id[PREDICTION_ID_SIZE];
    char *key, *inputs, *outputs; /* in the block; key NULL: none */
    bool kept;                    /* the answer's record is, so the shadow's is as well */
    char block[];
};

static bool close_to(double a, double b) {
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= 1e-6 + 1e-5 * fabs(b);
}

static bool same_element(const struct tensor *a, const struct tensor *b, size_t i) {
    if (a->dtype == DT_FP32)
        return close_to((double)((const float *)a->data)[i], (double)((const float *)b->data)[i]);
    if (a->dtype == DT_FP64)
        return close_to(((const double *)a->data)[i], ((const double *)b->data)[i]);
    if (a->dtype == DT_BYTES) {
        const struct bytes *x = (const struct bytes *)a->data + i;
        const struct bytes *y = (const struct bytes *)b->data + i;
        return x->len == y->len && memcmp(x->data, y->data, x->len) == 0;
    }
    size_t size = dtype_size(a->dtype);
    return memcmp((const char *)a->data + i * size, (const char *)b->data + i * size, size) == 0;
}

static const struct tensor *named(const struct tensor *t, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(t[i].name, name) == 0)
            return &t[i];
    return NULL;
}

enum agreement shadow_compare(const struct tensor *a, size_t na, const struct tensor *b,
                              size_t nb) {
    enum agreement found = SHADOW_AGREES;
    if (na != nb)
        return SHADOW_INCOMPARABLE;
    for (size_t i = 0; i < na; i++) {
        const struct tensor *other = named(b, nb, a[i].name);
        if (!other || other->dtype != a[i].dtype || other->rank != a[i].rank ||
            memcmp(other->shape, a[i].shape, a[i].rank * sizeof *a[i].shape) != 0)
            return SHADOW_INCOMPARABLE;
        for (size_t k = 0; found == SHADOW_AGREES && k < a[i].count; k++)
            if (!same_element(&a[i], other, k))
                found = SHADOW_DIFFERS;
    }
    return found;
}

static void count(const char *endpoint, const char *arm, const char *outcome) {
    metric_add(METRIC_SHADOWS, 1, endpoint, arm, outcome);
}

static void keep(struct ctx *c, const struct shadow *s, const struct entry *e,
                 const struct entry_arm *arm, const struct tensor *in, size_t nin,
                 const struct tensor *out, size_t nout, int64_t us) {
    const struct model *m = arm->model;
    const struct prediction_fact f = {.project = s->project,
                                      .endpoint = s->endpoint,
                                      .model = m->name,
                                      .version = m->version,
                                      .arm = s->arm,
                                      .reason = "shadow",
                                      .kind = "shadow",
                                      .key = s->key,
                                      .status = c->err.code ? err_row(c->err.code)->status : 200,
                                      .latency_us = us,
                                      .inputs = in,
                                      .outputs = out,
                                      .ninputs = nin,
                                      .noutputs = nout,
                                      .columns = m->features,
                                      .ncolumns = m->nfeatures};
    prediction_record(e->plan->spec.log, s->id, &f);
}

static void compare(struct ctx *c, const struct shadow *s, const struct entry *e,
                    const struct entry_arm *arm) {
    static const char *const outcomes[] = {"agrees", "differs", "incomparable"};
    size_t nin, nanswered, nout = 0;
    struct tensor *in = tensor_unpack(c->arena, s->inputs, &nin), *out = NULL;
    struct tensor *answered = tensor_unpack(c->arena, s->outputs, &nanswered);
    int64_t began = clock_mono_ns();
    int rc = model_run(c, arm->model, in, nin, NULL, &out, &nout);
    int64_t us = (clock_mono_ns() - began) / 1000;
    arm_stats_add(policy_stats(e->plan->policy, (unsigned)(arm - e->arms)),
                  rc < 0 ? ARM_ERROR : ARM_OK, us);
    count(s->endpoint, s->arm,
          rc < 0 ? "failed" : outcomes[shadow_compare(out, nout, answered, nanswered)]);
    if (s->kept)
        keep(c, s, e, arm, in, nin, out, rc < 0 ? 0 : nout, us);
}

static void run(void *arg, int rc) {
    struct shadow *s = arg;
    struct ctx c;
    ctx_begin(&c);
    c.project = s->project;
    const struct entry *e = snapshot_find(snapshot_enter(), s->project, s->endpoint);
    const struct entry_arm *arm = NULL;
    for (size_t i = 0; e && i < e->narms; i++)
        if (strcmp(e->arms[i].name, s->arm) == 0 && e->arms[i].model)
            arm = &e->arms[i];
    if (rc == 0 && arm && e->plan)
        compare(&c, s, e, arm);
    else
        count(s->endpoint, s->arm, "dropped");
    snapshot_leave();
    ctx_end(&c);
    if (s->gate)
        gate_unref(s->gate);
    free(s);
}

/* ---- the list and its thread ---- */

static struct {
    _Atomic(struct shadow *) first; /* the newest */
    atomic_uint waiting;
    atomic_bool asleep, stopping;
    sem_t wake;
    struct thread *thread;
} shadows;

static void push(struct shadow *s) {
    s->next = atomic_load_explicit(&shadows.first, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&shadows.first, &s->next, s))
        ;
    if (atomic_load(&shadows.asleep) && atomic_exchange(&shadows.asleep, false))
        sem_post(&shadows.wake);
}

static struct shadow *take_all(void) {
    struct shadow *newest = atomic_exchange(&shadows.first, NULL), *oldest = NULL;
    while (newest) { /* in the order of their coming */
        struct shadow *s = newest;
        newest = s->next;
        s->next = oldest;
        oldest = s;
    }
    return oldest;
}

/* Sleeps when the list is empty; whoever puts something there afterwards wakes it, once. */
static void wait_for_shadows(void) {
    atomic_store(&shadows.asleep, true);
    if (atomic_load(&shadows.first) || atomic_load(&shadows.stopping)) {
        if (atomic_exchange(&shadows.asleep, false))
            return;
        /* Somebody is about to post. */
    }
    while (sem_wait(&shadows.wake) < 0)
        ;
}

static void run_shadows(void *arg) {
    (void)arg;
    /* What nobody else wants of the processors: a shadow's run must not push an answer aside. */
    (void)sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0});
    while (!atomic_load(&shadows.stopping)) {
        struct shadow *s = take_all();
        if (!s) {
            wait_for_shadows();
            continue;
        }
        while (s) {
            struct shadow *next = s->next;
            run(s, atomic_load(&shadows.stopping) ? -ERR_BUSY : 0);
            atomic_fetch_sub(&shadows.waiting, 1);
            s = next;
        }
        clock_sleep_ms(GATHER_MS);
    }
    for (struct shadow *s = take_all(), *next; s; s = next) {
        next = s->next;
        run(s, -ERR_BUSY);
    }
}

int shadows_start(void) {
    atomic_store(&shadows.stopping, false);
    atomic_store(&shadows.waiting, 0);
    sem_init(&shadows.wake, 0, 0);
    shadows.thread = thread_start("shadow", run_shadows, NULL);
    return shadows.thread ? 0 : -1;
}

void shadows_stop(void) {
    if (!shadows.thread)
        return;
    atomic_store(&shadows.stopping, true);
    sem_post(&shadows.wake);
    thread_join(shadows.thread);
    shadows.thread = NULL;
    sem_destroy(&shadows.wake);
}

/* ---- sending ---- */

static bool room_for(const struct entry *e, const struct entry_arm *arm) {
    if (arm->model->blocks)
        return gate_figures(e->shadow_gate).waiting < SHADOW_QUEUE;
    return atomic_load_explicit(&shadows.waiting, memory_order_relaxed) < SHADOW_WAITING;
}

static int hand_over(struct shadow *s, const struct entry *e, const struct entry_arm *arm) {
    if (!arm->model->blocks) {
        atomic_fetch_add(&shadows.waiting, 1);
        push(s);
        return 0;
    }
    s->gate = e->shadow_gate;
    gate_ref(s->gate);
    int rc = gate_submit(s->gate, &s->call);
    if (rc < 0)
        gate_unref(s->gate);
    return rc;
}

void shadow_send(struct ctx *c, const struct entry *e, const struct entry_arm *arm,
                 struct request *q, const struct answer *a) {
    struct tensor *in = NULL;
    size_t nin = 0;
    if (!arm->model || !room_for(e, arm) || q->bind(c, q, arm->model, &in, &nin) < 0) {
        err_clear(c); /* inputs that this model does not take are its own affair */
        count(e->name, arm->name, "dropped");
        return;
    }
    size_t key = a->key ? strlen(a->key) + 1 : 0;
    size_t ins = tensor_packed(in, nin), outs = tensor_packed(a->outputs, a->n);
    if (ins + outs > SHADOW_BYTES) {
        count(e->name, arm->name, "dropped");
        return;
    }
    struct shadow *s = mem_alloc(sizeof *s + key + ins + outs);
    s->call = (struct gate_call){.run = run, .arg = s};
    s->project = c->project;
    s->kept = a->kept;
    s->inputs = s->block;
    s->outputs = s->block + ins;
    if (key)
        s->key = memcpy(s->block + ins + outs, a->key, key);
    str_copy(s->endpoint, sizeof s->endpoint, e->name);
    str_copy(s->arm, sizeof s->arm, arm->name);
    str_copy(s->id, sizeof s->id, a->id);
    tensor_pack(in, nin, s->inputs);
    tensor_pack(a->outputs, a->n, s->outputs);
    if (hand_over(s, e, arm) < 0) {
        count(e->name, arm->name, "dropped");
        free(s);
    }
}
