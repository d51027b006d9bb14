/* SPDX-License-Identifier: Apache-2.0 */
#include "loader.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "endpoint.h"
#include "endpoint_store.h"
#include "load.h"
#include "model.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/metric/metric.h"
#include "quern/onnx/onnx.h"
#include "quern/registry/registry.h"
#include "quern/serving/serving.h"
#include "snapshot.h"

#define RECHECK_MS 30000 /* for what failed for a passing reason */
#define RECLAIM_MS 100   /* while a prediction still holds what was replaced */
#define WATCH_MS 500     /* at most, between looks at predictions under way */

/* What this process knows of an endpoint beyond its row. */
struct slot {
    int64_t project;
    char *name;
    struct model *model; /* owned through the snapshots' references, and one of ours */
    char *state, *reason;
    int64_t tried_revision, tried_version; /* what was refused; not tried again */
    int64_t born_ms;                       /* the row's: a name deleted and made anew is another */
    bool busy;                             /* a load is under way */
    bool listed;                           /* mark while rows are read */
};

static struct {
    struct serving_options o;
    struct dir *work;
    struct thread *thread, *watch;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool woken, stopping;
    atomic_bool unwatched;
    struct slot *slots; /* the loader thread's alone after start */
    size_t nslots, cap;
    bool settled;
} loader = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

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

/* ---- slots and the snapshot made of them ---- */

static struct slot *slot_of(int64_t project, const char *name) {
    for (size_t i = 0; i < loader.nslots; i++)
        if (loader.slots[i].project == project && strcmp(loader.slots[i].name, name) == 0)
            return &loader.slots[i];
    if (loader.nslots == loader.cap) {
        loader.cap = loader.cap ? loader.cap * 2 : 8;
        loader.slots = mem_realloc(loader.slots, loader.cap * sizeof *loader.slots);
    }
    struct slot *s = &loader.slots[loader.nslots++];
    *s = (struct slot){.project = project,
                       .name = mem_strdup(name),
                       .state = mem_strdup("pending"),
                       .reason = mem_strdup(""),
                       .tried_revision = -1};
    return s;
}

static void slot_say(struct slot *s, const char *state, const char *reason) {
    char *st = mem_strdup(state), *re = mem_strdup(reason);
    free(s->state);
    free(s->reason);
    s->state = st;
    s->reason = re;
}

static void slot_drop_model(struct slot *s) {
    if (s->model && --s->model->refs == 0)
        model_free(s->model);
    s->model = NULL;
}

static void publish(void) {
    static const char *const outcomes[] = {"ok", "invalid", "failed", "unavailable"};
    struct entry *entries = mem_alloc((loader.nslots + 1) * sizeof *entries);
    size_t ready = 0;
    for (size_t i = 0; i < loader.nslots; i++) {
        struct slot *s = &loader.slots[i];
        const char *version = s->model ? s->model->version_text : "";
        struct entry *e = &entries[i];
        *e = (struct entry){.project = s->project,
                            .name = s->name,
                            .model = s->model,
                            .state = s->state,
                            .reason = s->reason};
        for (int k = 0; k < OUTCOME_COUNT; k++)
            e->outcomes[k] = metric_cell(METRIC_PREDICTIONS, s->name, version, outcomes[k]);
        e->rows = metric_cell(METRIC_PREDICTION_ROWS, s->name, version, NULL);
        e->seconds = metric_cell(METRIC_PREDICTION_SECONDS, s->name, version, NULL);
        ready += s->model != NULL;
    }
    snapshot_publish(snapshot_new(entries, loader.nslots, loader.settled));
    free(entries);
    metric_set(METRIC_ENDPOINTS_READY, (double)ready, NULL, NULL, NULL);
}

static void drop_unlisted(void) {
    bool dropped = false;
    for (size_t i = 0; i < loader.nslots;) {
        struct slot *s = &loader.slots[i];
        if (s->listed) {
            i++;
            continue;
        }
        dropped = true;
        log_info("endpoint.drop", "endpoint %s is no longer served", s->name);
        slot_drop_model(s);
        free(s->name);
        free(s->state);
        free(s->reason);
        *s = loader.slots[--loader.nslots];
    }
    if (dropped)
        publish();
}

/* ---- loading ---- */

static int op_record(struct ctx *c, void *arg) {
    return endpoint_record(c, arg);
}

static int record(struct ctx *c, const struct endpoint *e, const char *state, const char *reason,
                  const struct model *m) {
    struct endpoint_outcome o = {.project = e->project,
                                 .name = e->name,
                                 .revision = e->revision,
                                 .state = state,
                                 .reason = reason};
    if (m) {
        o.model = m->name;
        o.version = m->version;
        o.sha256 = m->sha256;
    }
    int rc = db_write(lanes_db(loader.o.lanes), c, op_record, &o);
    if (rc < 0) {
        log_error("endpoint.record", "endpoint %s: %s", e->name,
                  c->err.message ? c->err.message : "not recorded");
        err_clear(c);
    }
    return rc;
}

static bool serves(const struct slot *s, const char *name, int64_t version) {
    return s->model && s->model->version == version && strcmp(s->model->name, name) == 0;
}

static void put_in_place(struct slot *s, struct model *m, const char *reason) {
    slot_drop_model(s); /* snapshots still hold theirs */
    s->model = m;
    m->refs++;
    slot_say(s, "ready", reason);
    publish(); /* before the row says ready: who reads that may predict at once */
}

/* Says why the target's model does not serve; `fallback` may take its place. */
static void refuse(struct ctx *c, const struct endpoint *e, struct slot *s, const char *what,
                   const char *why, struct model *fallback) {
    if (fallback && !s->model)
        put_in_place(s, fallback, why);
    bool serving = s->model != NULL;
    const char *reason = serving ? arena_printf(c->arena, "%s: %s; version %s still serves", what,
                                                why, s->model->version_text)
                                 : arena_printf(c->arena, "%s: %s", what, why);
    if (strcmp(s->reason, reason) != 0 || e->done != e->revision)
        log_warn("endpoint.refused", "endpoint %s: %s", e->name, reason);
    slot_say(s, serving ? "ready" : "failed", reason);
    publish();
    record(c, e, s->state, reason, s->model);
}

static const char *what_failed(struct load *l) {
    return l->resolved ? arena_printf(l->c.arena, "version %" PRId64 " of '%s' was not loaded",
                                      l->info.version, l->info.name)
                       : "the target cannot be resolved";
}

static const struct endpoint *row_of(const struct load *l, const struct endpoint *rows, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (rows[i].project == l->e.project && strcmp(rows[i].name, l->e.name) == 0)
            return rows[i].created_ms == l->e.created_ms ? &rows[i] : NULL;
    return NULL;
}

/* What a load came to, unless its endpoint was deleted or bound to something else meanwhile. */
static void finish(struct load *l, const struct endpoint *rows, size_t n) {
    const struct endpoint *row = row_of(l, rows, n);
    if (!row)
        return;
    struct slot *s = slot_of(row->project, row->name);
    s->busy = false;
    if (strcmp(row->target, l->e.target) != 0)
        return;
    struct model *m = l->model;
    if (l->code) {
        if (!s->model)
            l->model = NULL; /* taken */
        if (l->code == ERR_BUSY || l->code == ERR_DISK_FULL || l->code == ERR_INTERNAL)
            s->tried_revision = -1; /* a passing reason: tried again at the next check */
        refuse(&l->c, &l->e, s, what_failed(l), l->why, m);
        return;
    }
    l->model = NULL;
    put_in_place(s, m, "");
    record(&l->c, &l->e, "ready", "", m);
    log_info("endpoint.ready",
             "endpoint %s serves %s version %" PRId64 ", loaded in %" PRId64 " ms", l->e.name,
             m->name, m->version, clock_mono_ms() - l->began_ms);
}

static void submit(struct load *l, struct slot *s) {
    l->alone = !s->model;
    s->busy = true;
    s->tried_revision = l->e.revision;
    s->tried_version = l->resolved ? l->info.version : 0;
    if (!s->model) {
        slot_say(s, "loading", "");
        publish();
    }
    record(&l->c, &l->e, "loading", "", NULL);
    load_submit(l);
}

/* A name that was deleted and made anew starts from nothing. */
static void renew(struct slot *s, const struct endpoint *e) {
    if (s->born_ms == e->created_ms)
        return;
    s->born_ms = e->created_ms;
    s->busy = false; /* what is under way belongs to the one before */
    s->tried_revision = -1;
    slot_drop_model(s);
    slot_say(s, "pending", "");
    publish();
}

/* True when the load was handed on. */
static bool reconcile_load(struct load *l, struct slot *s) {
    struct ctx *c = &l->c;
    const struct endpoint *e = &l->e;
    int rc = db_read_begin(lanes_db(loader.o.lanes), c);
    if (rc == 0) {
        rc = model_resolve(c, e->target, &l->info);
        db_read_end(c);
    }
    bool tried = s->tried_revision == e->revision;
    if (rc < 0) {
        l->code = c->err.code;
        l->why = c->err.message ? c->err.message : "unknown reason";
        err_clear(c);
        if (tried && s->tried_version == 0)
            return false;
        if (!s->model && e->version) {
            submit(l, s);
            return true;
        }
        s->tried_revision = l->code == ERR_BUSY ? -1 : e->revision;
        s->tried_version = 0;
        refuse(c, e, s, what_failed(l), l->why, NULL);
        return false;
    }
    l->resolved = true;
    if (serves(s, l->info.name, l->info.version)) {
        if (e->done != e->revision || strcmp(e->state, "ready") != 0 || *e->reason) {
            s->tried_revision = -1;
            slot_say(s, "ready", "");
            publish();
            record(c, e, "ready", "", s->model);
        }
        return false;
    }
    if (tried && s->tried_version == l->info.version)
        return false;
    submit(l, s);
    return true;
}

static void reconcile_one(const struct endpoint *e) {
    struct slot *s = slot_of(e->project, e->name);
    renew(s, e);
    if (s->busy)
        return; /* looked at again when that load has ended */
    struct load *l = load_new(e);
    if (!reconcile_load(l, s))
        load_free(l);
}

static int read_rows(struct ctx *c, struct endpoint **rows, size_t *n) {
    int rc = db_read_begin(lanes_db(loader.o.lanes), c);
    if (rc < 0)
        return rc;
    rc = endpoint_list_all(c, rows, n);
    db_read_end(c);
    return rc;
}

static void reconcile(void) {
    struct ctx c;
    struct endpoint *rows = NULL;
    size_t n = 0;
    ctx_begin(&c);
    int rc = read_rows(&c, &rows, &n);
    if (rc < 0) {
        log_error("endpoint.list", "%s", c.err.message ? c.err.message : "cannot be read");
        ctx_end(&c);
        return;
    }
    for (size_t i = 0; i < loader.nslots; i++)
        loader.slots[i].listed = false;
    for (size_t i = 0; i < n; i++)
        slot_of(rows[i].project, rows[i].name)->listed = true;
    drop_unlisted();
    bool ended = false;
    for (struct load *l; (l = load_take()) != NULL; load_free(l)) {
        finish(l, rows, n);
        ended = true;
    }
    for (size_t i = 0; !ended && i < n && !stopping(); i++)
        reconcile_one(&rows[i]);
    bool busy = ended;
    for (size_t i = 0; i < loader.nslots; i++)
        busy = busy || loader.slots[i].busy;
    ctx_end(&c);
    if (ended)
        loader_wake(NULL); /* the rows that were read do not know of it yet */
    if (!loader.settled && !busy && !stopping()) {
        loader.settled = true;
        publish();
    }
}

/* True for work, false when `ms` have passed or the daemon stops. */
static bool wait_ms(int64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
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
    int64_t until = clock_mono_ms() + RECHECK_MS;
    while (!stopping() && clock_mono_ms() < until)
        if (wait_ms(snapshot_reclaim() ? RECLAIM_MS : RECHECK_MS))
            return;
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
    return endpoint_store_reset(c);
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
    struct endpoint *rows = NULL;
    size_t n = 0;
    ctx_begin(&c);
    int rc = db_write(lanes_db(o->lanes), &c, op_reset, NULL);
    if (rc == 0)
        rc = read_rows(&c, &rows, &n);
    if (rc < 0)
        buf_printf(error, "endpoints cannot be read: %s", c.err.message ? c.err.message : "?");
    for (size_t i = 0; rc == 0 && i < n; i++)
        slot_of(rows[i].project, rows[i].name)->born_ms = rows[i].created_ms;
    ctx_end(&c);
    if (rc < 0) {
        dir_close(loader.work);
        return -1;
    }
    loader.settled = n == 0;
    publish(); /* known from the first request on: not ready is not unknown */
    onnx_timeout(o->timeout_ms);
    loads_start(&loader.o, loader.work, loader_wake);
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
    snapshot_publish(NULL);
    atomic_store(&loader.unwatched, true);
    thread_join(loader.watch);
    loader.watch = NULL;
    for (size_t i = 0; i < loader.nslots; i++) {
        slot_drop_model(&loader.slots[i]);
        free(loader.slots[i].name);
        free(loader.slots[i].state);
        free(loader.slots[i].reason);
    }
    free(loader.slots);
    loader.slots = NULL;
    loader.nslots = loader.cap = 0;
    dir_close(loader.work);
}
