/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/lane/lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "etag.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/queue.h"
#include "quern/base/str.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/http/server.h"
#include "replay.h"

/* A search holds up every other call on its network thread, so it may not go on for ever. */
#define READ_BUDGET_NS INT64_C(30000000000)

struct lanes {
    struct lane_options o;
    struct queue *work;
    struct thread **workers;
    struct replay_running *running;
};

/* What waits for a worker: a request, or a job. */
struct work {
    struct call *k;
    void (*job)(struct ctx *c, void *arg);
    void *arg;
};

/* A request on its way through a lane, in its own arena. */
struct trip {
    struct lanes *lanes;
    struct call *k;
    struct reply before; /* as admission left it: a write that runs twice starts from it twice */
    struct reply_header *last; /* of before's headers */
    struct replay replay;
};

static struct trip *trip_new(struct lanes *l, struct call *k) {
    struct ctx *c = call_ctx(k);
    struct trip *t = ARENA_NEW(c->arena, struct trip);
    t->lanes = l;
    t->k = k;
    t->before = c->reply;
    for (struct reply_header *h = c->reply.headers; h; h = h->next)
        t->last = h;
    return t;
}

static int audit(struct lanes *l, struct call *k) {
    const struct route *row = call_route(k);
    if (!(row->flags & ROUTE_AUDIT) || !l->o.audit)
        return 0;
    return l->o.audit(call_ctx(k), row, "ok");
}

/* ------------------------------------------------------------------ READ */

static void run_read(struct lanes *l, struct call *k) {
    struct ctx *c = call_ctx(k);
    if (c->deadline_ns == 0)
        c->deadline_ns = clock_mono_ns() + READ_BUDGET_NS;
    int rc = db_read_begin(l->o.db, c);
    if (!rc) {
        rc = call_run(k);
        if (!rc)
            etag_answer(k);
        db_read_end(c);
    }
    call_finish(k, rc);
}

/* ------------------------------------------------------------------ WRITE */

static void start_over(struct trip *t) {
    struct ctx *c = call_ctx(t->k);
    const struct route *row = call_route(t->k);
    err_clear(c);
    c->reply = t->before;
    if (t->last)
        t->last->next = NULL;
    if (row->out)
        memset(call_out(t->k), 0, row->out->size);
}

static int write_op(struct ctx *c, void *arg) {
    (void)c;
    struct trip *t = arg;
    start_over(t);
    int rc = replay_find(t->k, &t->replay);
    if (rc)
        return rc < 0 ? rc : 0;
    rc = etag_check(t->k, t->lanes->o.routes);
    if (!rc)
        rc = call_run(t->k);
    if (!rc)
        rc = audit(t->lanes, t->k);
    if (!rc)
        rc = replay_keep(t->k, &t->replay);
    return rc;
}

static void write_done(struct ctx *c, void *arg, int rc) {
    (void)c;
    struct trip *t = arg;
    call_finish(t->k, rc);
}

static void run_write(struct lanes *l, struct call *k) {
    struct ctx *c = call_ctx(k);
    struct trip *t = trip_new(l, k);
    int rc = replay_read(k, &t->replay);
    if (rc) {
        call_finish(k, rc);
        return;
    }
    call_hold(k);
    rc = db_submit(l->o.db, c, write_op, t, write_done);
    if (rc) {
        fail(c, ERR_BUSY, "Too many writes are waiting, try again.");
        call_finish(k, rc);
    }
}

/* ------------------------------------------------------------------ WORK */

static int after_work(struct ctx *c, void *arg) {
    (void)c;
    struct trip *t = arg;
    int rc = audit(t->lanes, t->k);
    return rc ? rc : replay_keep(t->k, &t->replay);
}

static int run_once(struct trip *t) {
    struct lanes *l = t->lanes;
    struct ctx *c = call_ctx(t->k);
    int rc;
    if (t->replay.key) {
        rc = db_read_begin(l->o.db, c);
        if (rc)
            return rc;
        rc = replay_find(t->k, &t->replay);
        db_read_end(c);
        if (rc)
            return rc < 0 ? rc : 0;
    }
    rc = str_eq(c->method, "GET") ? 0 : etag_check(t->k, NULL);
    rc = rc ? rc : call_run(t->k);
    bool writes = (call_route(t->k)->flags & ROUTE_AUDIT) && l->o.audit;
    if (!rc && (writes || t->replay.key))
        rc = db_write(l->o.db, c, after_work, t);
    return rc;
}

static void run_slowly(struct lanes *l, struct call *k) {
    struct trip *t = trip_new(l, k);
    int rc = replay_read(k, &t->replay);
    if (!rc && !replay_enter(l->running, k, &t->replay)) {
        rc = fail_field(call_ctx(k), ERR_CONFLICT, "Idempotency-Key",
                        "A request with this Idempotency-Key is under way.");
        call_finish(k, rc);
        return;
    }
    if (!rc) {
        rc = run_once(t);
        replay_leave(l->running, k, &t->replay);
    }
    call_finish(k, rc);
}

/* A call that a worker took: one of the WORK lane, or one of any lane whose body is large. */
static void run_worked(struct lanes *l, struct call *k) {
    int rc = call_decode(k);
    if (rc) {
        call_finish(k, rc);
        return;
    }
    if (call_route(k)->lane == LANE_WORK)
        run_slowly(l, k);
    else
        lane_dispatch(k, l);
}

static int push(struct lanes *l, const struct work *w) {
    struct work *copy = mem_alloc(sizeof(*copy));
    *copy = *w;
    if (queue_push(l->work, copy) == 0)
        return 0;
    free(copy);
    return -ERR_BUSY;
}

static void run_work(struct lanes *l, struct call *k) {
    call_hold(k);
    int rc = push(l, &(struct work){.k = k});
    if (rc) {
        fail(call_ctx(k), ERR_BUSY, "Too many jobs are waiting, try again.");
        call_finish(k, rc);
    }
}

static void worker(void *arg) {
    struct lanes *l = arg;
    struct work *w;
    while ((w = queue_pop(l->work, -1))) {
        if (w->k) {
            log_request_id(call_ctx(w->k)->request_id);
            run_worked(l, w->k);
            log_request_id(NULL);
        } else {
            struct ctx c;
            ctx_begin(&c);
            w->job(&c, w->arg);
            if (c.err.code)
                log_warn("work.failed", "%s", c.err.message);
            ctx_end(&c);
        }
        free(w);
    }
    db_thread_end(l->o.db);
}

/* ------------------------------------------------------------------ CALL */

static void run_call(struct call *k) {
    const struct route *row = call_route(k);
    int rc = row->divert ? row->divert(k) : 0;
    if (rc == 0)
        call_finish(k, call_run(k));
    else if (rc < 0)
        call_finish(k, rc);
}

/* ------------------------------------------------------------------ all lanes */

void lane_dispatch(struct call *k, void *lanes) {
    struct lanes *l = lanes;
    if (call_undecoded(k)) {
        run_work(l, k);
        return;
    }
    switch (call_route(k)->lane) {
    case LANE_READ:
        run_read(l, k);
        return;
    case LANE_WRITE:
        run_write(l, k);
        return;
    case LANE_WORK:
        run_work(l, k);
        return;
    case LANE_CALL:
        run_call(k);
        return;
    case LANE_UNSET:
        break;
    }
    call_finish(k, fail(call_ctx(k), ERR_INTERNAL, "route without a lane"));
}

void lane_thread_end(void *lanes) {
    struct lanes *l = lanes;
    db_thread_end(l->o.db);
}

int lane_work(struct lanes *l, void (*job)(struct ctx *c, void *arg), void *arg) {
    return push(l, &(struct work){.job = job, .arg = arg});
}

struct db *lanes_db(struct lanes *l) {
    return l->o.db;
}

struct lanes *lanes_start(const struct lane_options *o) {
    struct lanes *l = mem_alloc(sizeof(*l));
    l->o = *o;
    if (l->o.workers == 0)
        l->o.workers = 1;
    l->work = queue_new(o->work_queue ? o->work_queue : 1);
    l->running = replay_running_new();
    l->workers = mem_alloc(l->o.workers * sizeof(struct thread *));
    for (unsigned i = 0; i < l->o.workers; i++) {
        char name[32];
        snprintf(name, sizeof(name), "worker-%u", i);
        l->workers[i] = thread_start(name, worker, l);
    }
    return l;
}

void lanes_stop(struct lanes *l) {
    if (!l)
        return;
    queue_close(l->work);
    for (unsigned i = 0; i < l->o.workers; i++)
        thread_join(l->workers[i]);
    free(l->workers);
    queue_free(l->work);
    replay_running_free(l->running);
    free(l);
}
