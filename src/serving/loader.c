/* SPDX-License-Identifier: Apache-2.0 */
#include "loader.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arm.h"
#include "endpoint.h"
#include "endpoint_store.h"
#include "graph_spec.h"
#include "load.h"
#include "model.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/onnx/onnx.h"
#include "quern/registry/registry.h"
#include "quern/rollout/live.h"
#include "quern/rollout/rollout.h"
#include "quern/serving/serving.h"
#include "slot.h"
#include "snapshot.h"
#include "tryout.h"
#include "want.h"

#define RECHECK_MS 30000 /* for what failed for a passing reason */
#define AGAIN_MS 10000   /* at the earliest */
#define OVER_MS 1000     /* while models that were used just now take too much */
#define RECLAIM_MS 100   /* while a prediction still holds what was replaced */
#define WATCH_MS 50      /* at most, between looks at predictions under way */
#define RECENT_MS                                                                                  \
    (INT64_C(24) * 3600000) /* used within: loaded at the start, not when asked for                \
                             */

static struct {
    struct serving_options o;
    struct dir *work;
    struct thread *thread, *watch;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool woken, stopping;
    atomic_bool unwatched;
    bool settled;
    bool over;     /* models take more than they may: some were used just now */
    uint64_t came; /* how often an arm came to a model */
} loader = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

/* The rows as they are read for one round. */
struct rows {
    struct endpoint *endpoints;
    size_t n;
    struct arm *arms;
    size_t narms;
};

void loader_wake(void *unused) {
    (void)unused;
    pthread_mutex_lock(&loader.lock);
    loader.woken = true;
    pthread_cond_signal(&loader.wake);
    pthread_mutex_unlock(&loader.lock);
}

static bool stopping(void) {
    pthread_mutex_lock(&loader.lock);
    bool yes = loader.stopping;
    pthread_mutex_unlock(&loader.lock);
    return yes;
}

static void publish(void) {
    slots_publish(loader.settled);
    wants_look(); /* whoever waits for a model looks again */
}

/* ---- what came of a load ---- */

static int op_record(struct ctx *c, void *arg) {
    return arm_record(c, arg);
}

/* `m` is what serves now; NULL: what served before. */
static int record(struct ctx *c, const struct arm *a, const char *state, const char *reason,
                  const struct model *m, const struct load *l) {
    struct arm_load o = {.project = a->project,
                         .endpoint = a->endpoint,
                         .arm = a->name,
                         .revision = a->revision,
                         .state = state,
                         .reason = reason};
    if (m && m->version) {
        o.model = m->name;
        o.version = m->version;
        o.sha256 = m->sha256;
        o.bytes = m->bytes;
        o.vetted = l && l->model == NULL && *l->vetted ? l->vetted : a->vetted;
        o.load_ms = l ? l->took_ms : a->load_ms;
    }
    int rc = db_write(lanes_db(loader.o.lanes), c, op_record, &o);
    if (rc < 0) {
        log_error("endpoint.record", "endpoint %s: %s", a->endpoint,
                  c->err.message ? c->err.message : "not recorded");
        err_clear(c);
    }
    return rc;
}

static bool serves(const struct slot *s, const struct arm *a, const char *name, int64_t version) {
    return s->model && s->model->version == version && strcmp(s->model->name, name) == 0 &&
           strcmp(s->model->made_of, a->runtime) == 0;
}

/* Another arm came to something: graphs that wait for such are made anew, those that were given up
 * only when it is a model. */
static void retry_graphs(bool model) {
    struct bound *b;
    for (size_t at = 0; (b = bound_next(&at));)
        for (size_t i = 0; i < b->n; i++) {
            struct slot *s = b->slots[i];
            if (!s->waits || (!model && strcmp(s->state, "failed") == 0))
                continue;
            s->waits = false;
            s->tried_revision = -1;
        }
}

/* Published before the row says ready: who reads that may predict at once. */
static void put_in_place(struct slot *s, struct model *m, const char *reason) {
    slot_model(s, m);
    if (s->wanted) /* for a request that waits: it must find the model still there */
        atomic_store(&s->live->used_ms, clock_wall_ms());
    s->idle = s->wanted = false;
    s->tried_revision = -1;
    slot_say(s, "ready", reason);
    slots_evict(loader.o.memory, clock_wall_ms(), s, &loader.over);
    publish();
    loader.came++;
    retry_graphs(true);
}

/* Says why the target's model does not serve; `fallback` may take its place. */
static void refuse(struct load *l, struct slot *s, const char *what, const char *why,
                   struct model *fallback) {
    struct ctx *c = &l->c;
    const struct arm *a = &l->a;
    int64_t tried = s->tried_revision;
    if (fallback && !s->model)
        put_in_place(s, fallback, why);
    s->tried_revision = tried;
    s->idle = s->wanted = false;
    bool serving = s->model != NULL;
    const char *reason = serving ? arena_printf(c->arena, "%s: %s; version %s still serves", what,
                                                why, s->model->version_text)
                                 : arena_printf(c->arena, "%s: %s", what, why);
    if (strcmp(s->reason, reason) != 0 || a->done != a->revision)
        log_warn("endpoint.refused", "endpoint %s, arm %s: %s", a->endpoint, a->name, reason);
    slot_say(s, serving ? "ready" : "failed", reason);
    publish();
    record(c, a, s->state, reason, s->model, NULL);
}

static const char *what_failed(struct load *l) {
    if (l->resolved && l->info.version == 0)
        return "the graph was not made";
    return l->resolved ? arena_printf(l->c.arena, "version %" PRId64 " of '%s' was not loaded",
                                      l->info.version, l->info.name)
                       : "the target cannot be resolved";
}

static const struct arm *row_of(const struct load *l, const struct rows *r) {
    for (size_t i = 0; i < r->narms; i++)
        if (r->arms[i].project == l->a.project && strcmp(r->arms[i].name, l->a.name) == 0 &&
            strcmp(r->arms[i].endpoint, l->a.endpoint) == 0)
            return r->arms[i].born_ms == l->a.born_ms ? &r->arms[i] : NULL;
    return NULL;
}

/* What a load came to, unless its arm was taken away or bound to something else meanwhile. */
static void finish(struct load *l, const struct rows *r) {
    const struct arm *row = row_of(l, r);
    struct bound *b = row ? bound_find(row->project, row->endpoint) : NULL;
    if (!b)
        return;
    struct slot *s = slot_of(b, row->name);
    s->busy = false;
    if (s->parked) /* asked for while it was loading */
        return;
    if (strcmp(row->target, l->a.target) != 0 || strcmp(row->runtime, l->a.runtime) != 0)
        return;
    struct model *m = l->model;
    s->waits = l->code && l->info.version == 0 && (l->code == ERR_BUSY || l->code == ERR_NOT_READY);
    if (s->waits && l->seen != loader.came) { /* perhaps what it looked for */
        s->waits = false;
        s->tried_revision = -1;
        return;
    }
    if (s->waits && l->code == ERR_BUSY) { /* what it asks is on its way */
        slot_say(s, s->model ? "ready" : "loading", l->why);
        publish();
        return;
    }
    if (l->code) {
        if (!s->model)
            l->model = NULL; /* taken */
        if (l->code == ERR_BUSY || l->code == ERR_DISK_FULL || l->code == ERR_INTERNAL) {
            s->tried_revision = -1; /* a passing reason: tried again at the next check */
            s->again_ms = clock_mono_ms() + AGAIN_MS;
            s->again_revision = l->a.revision;
        }
        refuse(l, s, what_failed(l), l->why, m);
        retry_graphs(false);
        return;
    }
    l->model = NULL;
    put_in_place(s, m, "");
    record(&l->c, &l->a, "ready", "", m, l);
    log_info("endpoint.ready", "endpoint %s, arm %s serves %s version %s, loaded in %" PRId64 " ms",
             l->a.endpoint, l->a.name, m->name, m->version_text, clock_mono_ms() - l->began_ms);
}

/* ---- bringing arms in line with their rows ---- */

static void submit(struct load *l, struct slot *s) {
    l->alone = !s->model;
    l->seen = loader.came;
    s->busy = true;
    s->tried_revision = l->a.revision;
    s->tried_version = l->resolved ? l->info.version : 0;
    bool back = s->idle; /* its row says ready, and stays so */
    if (!s->model && !back) {
        slot_say(s, "loading", "");
        publish();
    }
    if (!back)
        record(&l->c, &l->a, "loading", "", NULL, NULL);
    load_submit(l);
}

static void settle(struct load *l, struct slot *s) {
    const struct arm *a = &l->a;
    if (a->done == a->revision && strcmp(a->state, "ready") == 0 && !*a->reason)
        return;
    s->tried_revision = -1;
    slot_say(s, "ready", "");
    publish();
    record(&l->c, a, "ready", "", s->model, NULL);
}

/* True when the load was handed on. */
static bool reconcile_load(struct load *l, struct slot *s) {
    struct ctx *c = &l->c;
    const struct arm *a = &l->a;
    bool graph = strcmp(a->target, GRAPH_TARGET) == 0;
    if (graph)
        l->info = (struct model_version_info){.name = "graph"}; /* version 0: none of its own */
    int rc = graph ? 0 : db_read_begin(lanes_db(loader.o.lanes), c);
    if (rc == 0 && !graph) {
        rc = model_resolve(c, a->target, &l->info);
        db_read_end(c);
    }
    bool tried = s->tried_revision == a->revision;
    if (rc < 0) {
        l->code = c->err.code;
        l->why = c->err.message ? c->err.message : "unknown reason";
        err_clear(c);
        if (tried && s->tried_version == 0)
            return false;
        if (!s->model && a->version) {
            submit(l, s);
            return true;
        }
        s->tried_revision = l->code == ERR_BUSY ? -1 : a->revision;
        s->tried_version = 0;
        refuse(l, s, what_failed(l), l->why, NULL);
        return false;
    }
    l->resolved = true;
    bool same = a->version == l->info.version && strcmp(a->model, l->info.name) == 0;
    if (serves(s, a, l->info.name, l->info.version) || (s->idle && same && !s->wanted)) {
        settle(l, s);
        return false;
    }
    if (tried && s->tried_version == l->info.version)
        return false;
    if (s->idle && !same)
        s->idle = false; /* what is in its place was not tried yet */
    submit(l, s);
    return true;
}

static void reconcile_one(const struct arm *a) {
    struct slot *s = slot_of(bound_of(a->project, a->endpoint), a->name);
    if (s->busy || s->parked)
        return; /* looked at again when that load has ended */
    if (s->again_ms > clock_mono_ms() && s->again_revision == a->revision)
        return;
    struct load *l = load_new(a);
    if (!reconcile_load(l, s))
        load_free(l);
}

/* What was counted and learnt before a restart. */
static void load_rollout(struct ctx *c, const struct endpoint *e, const struct plan *p) {
    int rc = db_read_begin(lanes_db(loader.o.lanes), c);
    if (rc == 0) {
        rc = rollout_load(c, e->project, e->name, p->policy);
        db_read_end(c);
    }
    if (rc == 0)
        return;
    log_error("rollout.load", "endpoint %s: %s", e->name,
              c->err.message ? c->err.message : "its counts cannot be read");
    err_clear(c);
}

/* A name that was deleted and made anew starts from nothing; a new spec is compiled. */
static bool take_endpoint(struct ctx *c, const struct endpoint *e) {
    struct bound *b = bound_of(e->project, e->name);
    bool changed = false;
    b->listed = true;
    if (b->born_ms != e->created_ms) {
        for (size_t i = 0; i < b->n; i++)
            slot_forget(b->slots[i]); /* a load under way belongs to the one before */
        bound_plan(b, NULL);
        live_unref(b->live);
        b->live = live_new();
        live_born_set(b->live, e->created_ms);
        b->born_ms = e->created_ms;
        changed = true;
    }
    if (b->plan && b->plan->revision == e->revision)
        return changed;
    struct plan *p = NULL;
    bool first = !b->plan;
    if (plan_make(c, e, b->live, &p) < 0) {
        log_error("endpoint.spec", "endpoint %s: %s", e->name,
                  c->err.message ? c->err.message : "its spec cannot be read");
        err_clear(c);
        return changed;
    }
    if (first)
        load_rollout(c, e, p);
    bound_plan(b, p);
    for (size_t i = 0; i < b->n; i++)
        b->slots[i]->parked = false;
    return true;
}

static bool take_arm(const struct arm *a) {
    struct slot *s = slot_of(bound_of(a->project, a->endpoint), a->name);
    bool changed = !s->known || s->place != a->place || s->number != a->number;
    s->listed = s->known = true;
    s->number = a->number;
    s->place = a->place;
    s->pinned = a->pinned;
    if (atomic_load(&s->live->used_ms) < a->used_ms)
        atomic_store(&s->live->used_ms, a->used_ms);
    s->stored_used_ms = a->used_ms > s->stored_used_ms ? a->used_ms : s->stored_used_ms;
    return changed;
}

/* Brings the set of slots in line with the rows; true when it changed. */
static bool take_rows(struct ctx *c, const struct rows *r) {
    struct bound *b;
    bool changed = false;
    for (size_t at = 0; (b = bound_next(&at));) {
        b->listed = false;
        for (size_t i = 0; i < b->n; i++)
            b->slots[i]->listed = false;
    }
    for (size_t i = 0; i < r->n; i++)
        changed = take_endpoint(c, &r->endpoints[i]) || changed;
    for (size_t i = 0; i < r->narms; i++)
        changed = take_arm(&r->arms[i]) || changed;
    return slots_drop_unlisted() || changed;
}

static int read_rows(struct ctx *c, struct rows *r) {
    int rc = db_read_begin(lanes_db(loader.o.lanes), c);
    if (rc < 0)
        return rc;
    rc = endpoint_list_all(c, &r->endpoints, &r->n);
    if (rc == 0)
        rc = arm_list_all(c, &r->arms, &r->narms);
    db_read_end(c);
    return rc;
}

static void take_wants(void) {
    bool parked = false;
    for (struct want *w; (w = want_take()); free(w)) {
        struct bound *b = bound_find(w->project, w->endpoint);
        for (size_t i = 0; b && i < b->n; i++) {
            struct slot *s = b->slots[i];
            if (!w->park) {
                s->wanted = s->idle || s->parked;
                s->idle = s->wanted;
                s->parked = false;
            } else { /* what a load under way comes to is dropped */
                slot_model(s, NULL);
                s->tried_revision = -1;
                s->idle = s->wanted = false;
                parked = s->parked = true;
                slot_say(s, "pending", "taken out of memory on request; load it to have it back");
            }
        }
    }
    if (parked)
        publish();
}

static bool any_busy(void) {
    struct bound *b;
    for (size_t at = 0; (b = bound_next(&at));)
        for (size_t i = 0; i < b->n; i++)
            if (b->slots[i]->busy)
                return true;
    return false;
}

static void reconcile(void) {
    struct ctx c;
    struct rows r = {0};
    ctx_begin(&c);
    int rc = read_rows(&c, &r);
    if (rc < 0) {
        log_error("endpoint.list", "%s", c.err.message ? c.err.message : "cannot be read");
        ctx_end(&c);
        return;
    }
    if (take_rows(&c, &r))
        publish();
    take_wants();
    bool ended = false;
    for (struct load *l; (l = load_take()) != NULL; load_free(l)) {
        finish(l, &r);
        ended = true;
    }
    for (size_t i = 0; !ended && i < r.narms && !stopping(); i++)
        reconcile_one(&r.arms[i]);
    ctx_end(&c);
    if (ended)
        loader_wake(NULL); /* the rows that were read do not know of it yet */
    if (!loader.settled && !ended && !any_busy() && !stopping()) {
        loader.settled = true;
        publish();
    }
}

/* ---- when it was used ---- */

static int op_used(struct ctx *c, void *arg) {
    (void)arg;
    struct bound *b;
    int rc = 0;
    for (size_t at = 0; rc == 0 && (b = bound_next(&at));)
        for (size_t i = 0; rc == 0 && i < b->n; i++) {
            const struct slot *s = b->slots[i];
            int64_t used = atomic_load(&s->live->used_ms);
            if (used > s->stored_used_ms)
                rc = arm_store_used(
                    c, &(struct arm){.project = b->project, .endpoint = b->name, .name = s->name},
                    used);
        }
    return rc;
}

/* The writer walks the slots while this thread waits for it. */
static void store_used(void) {
    struct bound *b;
    struct ctx c;
    bool any = false;
    for (size_t at = 0; (b = bound_next(&at));)
        for (size_t i = 0; i < b->n; i++)
            any = any || atomic_load(&b->slots[i]->live->used_ms) > b->slots[i]->stored_used_ms;
    if (!any)
        return;
    ctx_begin(&c);
    if (db_write(lanes_db(loader.o.lanes), &c, op_used, NULL) == 0)
        for (size_t at = 0; (b = bound_next(&at));)
            for (size_t i = 0; i < b->n; i++)
                b->slots[i]->stored_used_ms = atomic_load(&b->slots[i]->live->used_ms);
    ctx_end(&c);
}

/* ---- the thread ---- */

/* True for work, false when `ms` have passed or the daemon stops. */
static bool wait_ms(int64_t ms) {
    struct timespec until = clock_mono_in(ms);
    pthread_mutex_lock(&loader.lock);
    while (!loader.woken && !loader.stopping)
        if (pthread_cond_clockwait(&loader.wake, &loader.lock, CLOCK_MONOTONIC, &until) != 0)
            break;
    bool woken = loader.woken;
    loader.woken = false;
    pthread_mutex_unlock(&loader.lock);
    return woken;
}

static void wait_for_work(void) {
    int64_t rest = loader.over ? OVER_MS : RECHECK_MS;
    int64_t until = clock_mono_ms() + rest;
    while (!stopping() && clock_mono_ms() < until)
        if (wait_ms(snapshot_reclaim() ? RECLAIM_MS : rest))
            return;
    store_used();
    if (slots_evict(loader.o.memory, clock_wall_ms(), NULL, &loader.over))
        publish();
}

/* Its own thread: what it watches may be what everybody else waits for. */
static void watch_run(void *arg) {
    (void)arg;
    int64_t every = loader.o.timeout_ms / 8;
    every = every < 10 ? 10 : every > WATCH_MS ? WATCH_MS : every;
    while (!atomic_load(&loader.unwatched)) {
        onnx_watch();
        clock_sleep_ms(every);
    }
}

static void loader_run(void *arg) {
    (void)arg;
    while (!stopping()) {
        reconcile();
        wait_for_work();
    }
    db_thread_end(lanes_db(loader.o.lanes));
}

static int op_reset(struct ctx *c, void *arg) {
    (void)arg;
    int rc = endpoint_store_reset(c);
    return rc < 0 ? rc : arm_store_reset(c);
}

static int by_last_use(const void *a, const void *b) {
    const struct arm *x = a, *y = b;
    if (x->pinned != y->pinned)
        return x->pinned ? -1 : 1;
    return x->used_ms > y->used_ms ? -1 : x->used_ms < y->used_ms;
}

/* After a start the arms that were used lately are loaded as far as memory goes; the others wait
 * until they are asked for. One that was never seen to load is tried at once. */
static void begin_idle(struct ctx *c, const struct rows *r) {
    struct arm *arms = arena_dup(c->arena, r->arms, r->narms * sizeof *arms);
    int64_t bytes = 0;
    if (r->narms)
        qsort(arms, r->narms, sizeof *arms, by_last_use);
    for (size_t i = 0; i < r->narms; i++) {
        const struct arm *a = &arms[i];
        bool recent = a->pinned || a->used_ms > c->now_ms - RECENT_MS;
        bool fits = a->pinned || bytes + a->bytes <= loader.o.memory;
        if (recent && fits)
            bytes += a->bytes;
        else if (*a->vetted && strcmp(a->state, "failed") != 0)
            slot_of(bound_of(a->project, a->endpoint), a->name)->idle = true;
    }
}

int loader_start(const struct serving_options *o, struct buf *error) {
    loader.o = *o;
    loader.stopping = loader.settled = false;
    dir_remove_tree(o->data, "serving"); /* what a killed daemon left half-unpacked */
    int made = dir_open_sub(o->data, "serving", true, &loader.work);
    if (made < 0) {
        buf_printf(error, "the data directory's serving folder cannot be made: %s",
                   strerror(-made));
        return -1;
    }
    struct ctx c;
    struct rows r = {0};
    ctx_begin(&c);
    c.now_ms = clock_wall_ms();
    int rc = db_write(lanes_db(o->lanes), &c, op_reset, NULL);
    if (rc == 0)
        rc = read_rows(&c, &r);
    if (rc == 0) {
        take_rows(&c, &r);
        begin_idle(&c, &r);
    } else {
        buf_printf(error, "endpoints cannot be read: %s", c.err.message ? c.err.message : "?");
    }
    ctx_end(&c);
    if (rc < 0) {
        dir_close(loader.work);
        return -1;
    }
    loader.settled = r.narms == 0;
    publish(); /* known from the first request on: not ready is not unknown */
    onnx_timeout(o->timeout_ms);
    loads_start(&loader.o, loader.work, loader_wake);
    tryout_use(&loader.o, loader.work);
    loader.thread = thread_start("serving", loader_run, NULL);
    atomic_store(&loader.unwatched, false);
    if (o->timeout_ms > 0)
        loader.watch = thread_start("watch", watch_run, NULL);
    return 0;
}

void loader_stop(void) {
    if (!loader.thread)
        return;
    pthread_mutex_lock(&loader.lock);
    loader.stopping = true;
    pthread_cond_signal(&loader.wake);
    pthread_mutex_unlock(&loader.lock);
    thread_join(loader.thread);
    loader.thread = NULL;
    loads_stop();
    store_used();
    snapshot_publish(NULL);
    atomic_store(&loader.unwatched, true);
    thread_join(loader.watch);
    loader.watch = NULL;
    slots_drop_all();
    tryout_use(NULL, NULL);
    dir_close(loader.work);
}
