/* SPDX-License-Identifier: Apache-2.0 */
#include "batcher.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "tensor_rows.h"

#define BATCH_BYTES_MAX ((size_t)64 << 20) /* of inputs that are joined */
#define READ_NS INT64_C(1000000)           /* until one that must stay looks again */

enum member_state {
    MEMBER_WAITS,
    MEMBER_READ,   /* somebody joins its inputs: it must stay */
    MEMBER_INSIDE, /* its inputs were copied: it may leave */
    MEMBER_DONE,
    MEMBER_AGAIN, /* its batch failed */
};

/* A batch's memory goes with the last of those that cut from it. */
struct batch {
    struct ctx c;
    struct member **members; /* NULL: has left */
    size_t n, rows;
    struct tensor *out;
    size_t nout;
    unsigned refs;
};

/* One caller, on its stack. */
struct member {
    const struct tensor *in;
    size_t nin;
    const char *const *wanted;
    size_t rows, bytes;
    bool alone; /* never with others */
    int64_t began_ns, deadline_ns;
    pthread_cond_t cond;
    enum member_state state;
    struct member *before, *after;
    struct batch *batch;
    size_t place, first; /* in the batch */
};

struct batcher {
    pthread_mutex_t lock;
    struct batch_limits limits;
    batch_fn *run;
    void *model;
    struct member *first, *last;
    struct batch_figures figures;
    bool gathering;          /* the first waits for company */
    size_t gathered, enough; /* rows that could go with it, and how many are worth waking it */
};

struct batcher *batcher_new(const struct batch_limits *limits, batch_fn *run, void *model) {
    struct batcher *b = mem_alloc(sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    b->limits = *limits;
    if (b->limits.max_rows == 0)
        b->limits.max_rows = 1;
    if (b->limits.instances == 0)
        b->limits.instances = 1;
    b->run = run;
    b->model = model;
    return b;
}

void batcher_free(struct batcher *b) {
    if (!b)
        return;
    pthread_mutex_destroy(&b->lock);
    free(b);
}

/* ---- the queue, under the lock ---- */

static void append(struct batcher *b, struct member *m) {
    m->after = NULL;
    m->before = b->last;
    *(b->last ? &b->last->after : &b->first) = m;
    b->last = m;
    b->figures.waiting++;
}

static void prepend(struct batcher *b, struct member *m) {
    b->gathering = false;
    m->before = NULL;
    m->after = b->first;
    *(b->first ? &b->first->before : &b->last) = m;
    b->first = m;
    b->figures.waiting++;
}

static void take_out(struct batcher *b, struct member *m) {
    if (b->first == m)
        b->gathering = false;
    *(m->before ? &m->before->after : &b->first) = m->after;
    *(m->after ? &m->after->before : &b->last) = m->before;
    b->figures.waiting--;
}

static void wake_first(struct batcher *b) {
    if (b->first)
        pthread_cond_signal(&b->first->cond);
}

static bool same_wanted(const char *const *a, const char *const *b) {
    if (a == b || !a || !b)
        return a == b;
    size_t i = 0;
    while (a[i] && b[i] && strcmp(a[i], b[i]) == 0)
        i++;
    return a[i] == b[i]; /* both ended */
}

static bool fits_with(const struct member *a, const struct member *b) {
    return !a->alone && !b->alone && a->nin == b->nin && same_wanted(a->wanted, b->wanted) &&
           tensor_rows_alike(a->in, b->in, a->nin);
}

/* How many that could go with the first go with it now; 0: it waits for more until *until. */
static size_t plan(struct batcher *b, int64_t now, int64_t *until) {
    struct member *first = b->first;
    size_t n = 0, rows = 0, bytes = 0, preferred = 0, next_preferred = 0;
    bool stopped = first->alone;
    if (b->figures.unfit)
        return 1;
    for (struct member *m = first; m; m = m->after) {
        if (m != first && !fits_with(first, m)) {
            stopped = true; /* whoever is of another kind does not wait for our company */
            continue;
        }
        if (n > 0 && (m->rows > b->limits.max_rows - rows || m->bytes > BATCH_BYTES_MAX - bytes)) {
            stopped = true;
            break;
        }
        n++;
        rows += m->rows;
        bytes += m->bytes;
        for (size_t i = next_preferred; i < b->limits.npreferred; i++)
            if (rows >= b->limits.preferred[i]) {
                preferred = rows == b->limits.preferred[i] ? n : preferred;
                next_preferred = i + 1;
            }
    }
    *until = first->began_ns + b->limits.max_delay_us * 1000;
    if (*until <= now)
        return n;
    if (preferred)
        return preferred;
    if (stopped || rows >= b->limits.max_rows)
        return n;
    b->gathering = true;
    b->gathered = rows;
    b->enough = next_preferred < b->limits.npreferred ? b->limits.preferred[next_preferred]
                                                      : b->limits.max_rows;
    return 0;
}

/* A newcomer wakes the first only when that is worth a look. */
static void arrive(struct batcher *b, struct member *m) {
    append(b, m);
    if (m == b->first || !b->gathering)
        return;
    bool joins = fits_with(b->first, m);
    b->gathered += joins ? m->rows : 0;
    if (!joins || b->gathered >= b->enough)
        wake_first(b);
}

/* ---- runs ---- */

static bool rows_in_front(const struct tensor *out, size_t nout, size_t rows) {
    for (size_t i = 0; i < nout; i++)
        if (out[i].rank == 0 || out[i].shape[0] != (int64_t)rows)
            return false;
    return true;
}

static void run_ended(struct batcher *b) {
    b->figures.running--;
    b->figures.runs++;
    wake_first(b);
}

static int run_alone(struct batcher *b, struct ctx *c, struct member *m, struct tensor **out,
                     size_t *nout) {
    b->figures.running++;
    take_out(b, m);
    wake_first(b); /* another instance may be free */
    pthread_mutex_unlock(&b->lock);
    int rc = b->run(c, b->model, m->in, m->nin, m->wanted, out, nout);
    bool fit = rc < 0 || m->rows == 0 || rows_in_front(*out, *nout, m->rows);
    pthread_mutex_lock(&b->lock);
    b->figures.unfit |= !fit;
    b->figures.requests += rc == 0;
    b->figures.rows += rc == 0 ? m->rows : 0;
    run_ended(b);
    return rc;
}

static struct batch *gather(struct batcher *b, size_t n) {
    struct batch *batch = mem_alloc(sizeof *batch);
    ctx_begin(&batch->c);
    batch->members = ARENA_ARRAY(batch->c.arena, struct member *, n);
    const struct member *first = b->first;
    for (struct member *m = b->first, *next; batch->n < n; m = next) {
        next = m->after;
        if (m != first && !fits_with(first, m))
            continue;
        m->state = MEMBER_READ;
        m->batch = batch;
        m->place = batch->n;
        m->first = batch->rows;
        batch->members[batch->n++] = m;
        batch->rows += m->rows;
        bool open = batch->n > 1 && batch->c.deadline_ns == 0;
        batch->c.deadline_ns = open || m->deadline_ns == 0             ? 0
                               : m->deadline_ns > batch->c.deadline_ns ? m->deadline_ns
                                                                       : batch->c.deadline_ns;
        take_out(b, m);
    }
    batch->refs = (unsigned)batch->n;
    return batch;
}

static void join(struct batch *batch, struct tensor **in) {
    const struct tensor **parts = ARENA_ARRAY(batch->c.arena, const struct tensor *, batch->n);
    for (size_t i = 0; i < batch->n; i++)
        parts[i] = batch->members[i]->in;
    *in = tensor_join(batch->c.arena, parts, batch->n, batch->members[0]->nin);
}

/* Runs the first n that go together; the caller is the first of them. */
static void run_batch(struct batcher *b, struct ctx *c, size_t n) {
    struct tensor *in;
    struct member *me = b->first;
    struct batch *batch = gather(b, n);
    batch->c.project = c->project;
    batch->c.request_id = c->request_id;
    b->figures.running++;
    wake_first(b);
    pthread_mutex_unlock(&b->lock);
    join(batch, &in);
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < batch->n; i++)
        batch->members[i]->state = MEMBER_INSIDE;
    pthread_mutex_unlock(&b->lock);
    int rc = b->run(&batch->c, b->model, in, me->nin, me->wanted, &batch->out, &batch->nout);
    bool fit = rc < 0 || rows_in_front(batch->out, batch->nout, batch->rows);
    pthread_mutex_lock(&b->lock);
    bool good = rc == 0 && fit;
    b->figures.unfit |= !fit;
    for (size_t i = 0; i < batch->n; i++) {
        struct member *m = batch->members[i];
        b->figures.requests += good;
        b->figures.batched += good;
        if (!m)
            continue;
        m->state = good ? MEMBER_DONE : MEMBER_AGAIN;
        b->figures.retried += !good;
        pthread_cond_signal(&m->cond);
    }
    b->figures.rows += good ? batch->rows : 0;
    run_ended(b);
}

/* Under the lock; gives the lock up while it frees. */
static void batch_leave(struct batcher *b, struct member *m) {
    struct batch *batch = m->batch;
    m->batch = NULL;
    batch->members[m->place] = NULL;
    if (--batch->refs > 0)
        return;
    pthread_mutex_unlock(&b->lock);
    ctx_end(&batch->c);
    free(batch);
    pthread_mutex_lock(&b->lock);
}

/* ---- the caller ---- */

static int expire(struct batcher *b, struct ctx *c, struct member *m) {
    if (m->state == MEMBER_WAITS) {
        take_out(b, m);
        wake_first(b);
    } else {
        batch_leave(b, m);
    }
    b->figures.expired++;
    return fail(c, ERR_DEADLINE, "the deadline passed while the request waited for its batch");
}

static void doze(struct batcher *b, struct member *m, int64_t until) {
    struct timespec t = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    if (until)
        pthread_cond_timedwait(&m->cond, &b->lock, &t);
    else
        pthread_cond_wait(&m->cond, &b->lock);
}

/* Until the member has been answered; under the lock. */
static int serve(struct batcher *b, struct ctx *c, struct member *m, struct tensor **out,
                 size_t *nout) {
    for (;;) {
        int64_t now = clock_mono_ns(), until = 0;
        bool late = m->deadline_ns && m->deadline_ns <= now;
        if (m->state == MEMBER_AGAIN) {
            batch_leave(b, m);
            m->state = MEMBER_WAITS;
            m->alone = true;
            prepend(b, m);
        }
        if (m->state == MEMBER_DONE || (late && m->state != MEMBER_READ))
            return m->state == MEMBER_DONE ? 0 : expire(b, c, m);
        if (m->state == MEMBER_WAITS && m == b->first && b->figures.running < b->limits.instances) {
            size_t n = plan(b, now, &until);
            if (n == 1)
                return run_alone(b, c, m, out, nout);
            if (n > 1) {
                run_batch(b, c, n);
                continue;
            }
        }
        if (m->deadline_ns && (!until || m->deadline_ns < until)) /* late: its inputs are read */
            until = late ? now + READ_NS : m->deadline_ns;
        doze(b, m, until);
    }
}

int batch_run(struct batcher *b, struct ctx *c, const struct tensor *in, size_t nin,
              const char *const *wanted, struct tensor **out, size_t *nout) {
    int64_t rows = tensor_rows(in, nin);
    struct member m = {.in = in,
                       .nin = nin,
                       .wanted = wanted,
                       .rows = rows > 0 ? (size_t)rows : 0,
                       .bytes = tensor_bytes(in, nin),
                       .began_ns = clock_mono_ns(),
                       .deadline_ns = c->deadline_ns};
    m.alone = rows <= 0 || m.rows >= b->limits.max_rows || m.bytes > BATCH_BYTES_MAX;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&m.cond, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_lock(&b->lock);
    m.alone |= b->figures.unfit;
    arrive(b, &m);
    int rc = serve(b, c, &m, out, nout);
    struct batch *batch = m.batch;
    if (rc == 0 && batch) {
        pthread_mutex_unlock(&b->lock);
        *out = tensor_cut(c->arena, batch->out, batch->nout, m.first, m.rows);
        *nout = batch->nout;
        pthread_mutex_lock(&b->lock);
        batch_leave(b, &m);
    }
    pthread_mutex_unlock(&b->lock);
    pthread_cond_destroy(&m.cond);
    return rc;
}

const char *batch_refusal(struct ctx *c, const struct tensor_spec *in, size_t nin,
                          const struct tensor_spec *out, size_t nout) {
    if (nin == 0)
        return "it has no inputs";
    for (size_t i = 0; i < nin; i++)
        if (in[i].rank == 0 || in[i].shape[0] >= 0)
            return arena_printf(c->arena, "input '%s' has no open first axis", in[i].name);
    for (size_t i = 0; i < nout; i++)
        if (out[i].rank == 0 || out[i].shape[0] >= 0)
            return arena_printf(c->arena, "output '%s' has no open first axis", out[i].name);
    return NULL;
}

struct batch_figures batch_figures(struct batcher *b) {
    pthread_mutex_lock(&b->lock);
    struct batch_figures f = b->figures;
    pthread_mutex_unlock(&b->lock);
    return f;
}
