/* SPDX-License-Identifier: Apache-2.0 */
#include "housekeeping.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/genai/genai.h"
#include "quern/lane/lane.h"
#include "quern/tracking/tracking.h"
#include "quern/trash/trash.h"
#include "quern/webhook/webhook.h"

#define SWEEP_MS 60000
#define EVENT_KEEP_MS (30 * 24 * 3600 * 1000LL)
#define PER_WRITE 500   /* rows, so that the writer is not held up */
#define MOST_WRITES 200 /* of one kind in one sweep; the next one goes on */

struct housekeeping {
    struct lanes *lanes;
    struct thread *thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int64_t gc_every_ms;
    bool stop;
};

/* Outlive the thread: jobs may still end while the lanes stop. */
static struct db *db;
static atomic_bool sweeping, collecting;

static int idempotency_op(struct ctx *c, int64_t most) {
    return replay_expire(c, most);
}
static int event_op(struct ctx *c, int64_t most) {
    return event_expire(c, c->now_ms - EVENT_KEEP_MS, most);
}

static const struct kind {
    const char *what;
    int (*expire)(struct ctx *c, int64_t most);
} kinds[] = {
    {"idempotency keys", idempotency_op},
    {"run tokens", access_run_tokens_expire},
    {"events", event_op},
    {"rows of metric points, which now lie in blocks", run_metrics_pack},
    {"webhook deliveries", webhook_expire},
    {"things in the trash and rows they left", trash_expire},
    {"records of deleted evaluation datasets", evaluation_expire},
};

struct batch {
    const struct kind *kind;
    int gone;
};

static int expire_op(struct ctx *c, void *arg) {
    struct batch *b = arg;
    b->gone = b->kind->expire(c, PER_WRITE);
    return b->gone < 0 ? b->gone : 0;
}

static void sweep(struct ctx *c, void *arg) {
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct batch b = {.kind = &kinds[i], .gone = PER_WRITE};
        long long all = 0;
        int rc = 0;
        for (int n = 0; rc == 0 && b.gone > 0 && n < MOST_WRITES; n++) {
            rc = db_write(db, c, expire_op, &b);
            all += rc == 0 ? b.gone : 0;
        }
        if (rc != 0) {
            log_warn("housekeeping", "cannot delete old %s: %s", b.kind->what,
                     c->err.message ? c->err.message : "the writer is busy");
        } else if (all > 0) {
            log_info("housekeeping", "deleted %lld old %s", all, b.kind->what);
        }
        err_clear(c);
    }
    int64_t gone = 0;
    int rc = artifact_uploads_sweep(c, &gone);
    if (rc != 0) {
        log_warn("housekeeping", "cannot give up old uploads: %s",
                 c->err.message ? c->err.message : "the writer is busy");
    } else if (gone > 0) {
        log_info("housekeeping", "gave up %lld uploads in parts", (long long)gone);
    }
    atomic_store(&sweeping, false);
}

/* ------------------------------------------------------------------ runs of an experiment */

static pthread_mutex_t marking_lock = PTHREAD_MUTEX_INITIALIZER;
static struct lanes *marking_lanes; /* NULL: no further work is begun */
static bool marking, mark_again;

static int mark_op(struct ctx *c, void *arg) {
    int *n = arg;
    *n = experiment_sweep(c, PER_WRITE);
    return *n < 0 ? *n : 0;
}

static bool may_mark(void) {
    pthread_mutex_lock(&marking_lock);
    bool may = marking_lanes != NULL;
    pthread_mutex_unlock(&marking_lock);
    return may;
}

static bool marks_wanted(void) {
    pthread_mutex_lock(&marking_lock);
    bool wanted = mark_again;
    marking = mark_again;
    mark_again = false;
    pthread_mutex_unlock(&marking_lock);
    return wanted;
}

static void mark(struct ctx *c, void *arg) {
    (void)arg;
    do {
        int n = 1, rc = 0;
        while (rc == 0 && n > 0 && may_mark())
            rc = db_write(db, c, mark_op, &n);
        if (rc != 0)
            log_warn("housekeeping", "cannot mark the runs of an experiment: %s",
                     c->err.message ? c->err.message : "the writer is busy");
        err_clear(c);
    } while (marks_wanted());
}

void housekeeping_mark(void *arg) {
    (void)arg;
    pthread_mutex_lock(&marking_lock);
    if (marking)
        mark_again = true;
    else if (marking_lanes)
        marking = lane_work(marking_lanes, mark, NULL) == 0;
    pthread_mutex_unlock(&marking_lock);
}

static void marking_begins(struct lanes *lanes) {
    pthread_mutex_lock(&marking_lock);
    marking_lanes = lanes;
    pthread_mutex_unlock(&marking_lock);
}

struct collected {
    int64_t blobs, bytes;
};

static int audit_op(struct ctx *c, void *arg) {
    const struct collected *k = arg;
    return audit_append(c, "artifact.gc", "artifact:*",
                        arena_printf(c->arena, "{\"blobs\":%lld,\"bytes\":%lld}",
                                     (long long)k->blobs, (long long)k->bytes));
}

static void collect(struct ctx *c, void *arg) {
    struct collected k = {0};
    (void)arg;
    int rc = artifact_gc(c, &k.blobs, &k.bytes);
    if (rc == -ERR_CONFLICT) { /* somebody has asked for one */
        rc = 0;
    }
    if (k.blobs > 0) {
        err_clear(c);
        int told = db_write(db, c, audit_op, &k);
        rc = rc ? rc : told;
    }
    if (rc != 0) {
        log_warn("housekeeping", "the collection of blobs failed: %s",
                 c->err.message ? c->err.message : "the writer is busy");
    }
    atomic_store(&collecting, false);
}

/* One at a time; a full queue of work leaves it to the next turn. */
static void begin(struct housekeeping *h, atomic_bool *running,
                  void (*job)(struct ctx *c, void *arg)) {
    if (atomic_exchange(running, true)) {
        return;
    }
    if (lane_work(h->lanes, job, NULL) != 0) {
        atomic_store(running, false);
    }
}

static void wait_until(struct housekeeping *h, int64_t mono_ms) {
    struct timespec at = {.tv_sec = mono_ms / 1000, .tv_nsec = (mono_ms % 1000) * 1000000};
    while (!h->stop && clock_mono_ms() < mono_ms) {
        pthread_cond_timedwait(&h->wake, &h->lock, &at);
    }
}

static void run(void *arg) {
    struct housekeeping *h = arg;
    int64_t sweep_at = clock_mono_ms();
    int64_t gc_at = h->gc_every_ms > 0 ? sweep_at + h->gc_every_ms : INT64_MAX;
    pthread_mutex_lock(&h->lock);
    while (!h->stop) {
        int64_t now = clock_mono_ms();
        if (now >= sweep_at) {
            begin(h, &sweeping, sweep);
            housekeeping_mark(NULL); /* what a kill left undone */
            sweep_at = now + SWEEP_MS;
        }
        if (now >= gc_at) {
            begin(h, &collecting, collect);
            gc_at = now + h->gc_every_ms;
        }
        wait_until(h, sweep_at < gc_at ? sweep_at : gc_at);
    }
    pthread_mutex_unlock(&h->lock);
}

struct housekeeping *housekeeping_start(struct lanes *lanes, int64_t gc_every_ms) {
    struct housekeeping *h = mem_alloc(sizeof *h);
    pthread_condattr_t monotonic;
    /* Far enough for everybody, and no sum with it overflows. */
    *h = (struct housekeeping){
        .lanes = lanes, .gc_every_ms = gc_every_ms < INT64_MAX / 4 ? gc_every_ms : INT64_MAX / 4};
    db = lanes_db(lanes);
    marking_begins(lanes);
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&h->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    h->thread = thread_start("housekeeping", run, h);
    return h;
}

void housekeeping_stop(struct housekeeping *h) {
    if (!h) {
        return;
    }
    marking_begins(NULL);
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
    thread_join(h->thread);
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
