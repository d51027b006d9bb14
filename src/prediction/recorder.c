/* SPDX-License-Identifier: Apache-2.0 */
/* The one thread that turns captures into segments. Each endpoint has a stream: lines not yet on
 * the disk, and the segment that they go to. */
#include "recorder.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "capture.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "retention.h"
#include "segment.h"
#include "segment_store.h"
#include "stream.h"

#define TICK_MS 100
#define FLUSH_MS 250 /* so that a crash takes less than a second */

static struct {
    struct db *db;
    struct thread *thread;
    int64_t flushed_ns, swept_ms, sweep_ms;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    uint64_t asked, answered; /* flushes */
    bool stop, running;
} r = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void drain(void) {
    for (struct capture *k = ring_take(), *next; k; k = next) {
        next = k->next;
        streams_take(k);
    }
}

static void flush_all(void) {
    streams_flush();
    r.flushed_ns = clock_mono_ns();
}

static void sweep(void) {
    streams_forget_idle();
    retention_sweep(r.db, clock_wall_ms(), streams_write_to);
    r.swept_ms = clock_mono_ms();
}

static void wait_tick(void) {
    struct timespec at = clock_mono_in(TICK_MS);
    if (!r.stop && r.asked == r.answered)
        pthread_cond_timedwait(&r.wake, &r.lock, &at);
}

static void run(void *arg) {
    (void)arg;
    pthread_mutex_lock(&r.lock);
    for (bool last = false; !last;) {
        wait_tick();
        uint64_t asked = r.asked;
        bool want = asked != r.answered;
        last = r.stop;
        pthread_mutex_unlock(&r.lock);
        drain();
        if (want || last || clock_mono_ns() - r.flushed_ns >= FLUSH_MS * INT64_C(1000000))
            flush_all();
        if (!last && clock_mono_ms() - r.swept_ms >= r.sweep_ms)
            sweep();
        pthread_mutex_lock(&r.lock);
        if (want || last) {
            r.answered = asked;
            pthread_cond_broadcast(&r.done);
        }
    }
    r.running = false;
    pthread_cond_broadcast(&r.done);
    pthread_mutex_unlock(&r.lock);
    db_thread_end(r.db);
}

/* ---- start, stop, flush ---- */

static int seal_op(struct ctx *c, void *arg) {
    (void)arg;
    return segment_store_seal_all(c);
}

/* What a crash left: bytes behind those that count, and files without a row. */
static int recover(struct ctx *c) {
    struct segment *all;
    int64_t last = 0;
    size_t n;
    int rc = db_read_begin(r.db, c);
    if (rc < 0)
        return rc;
    rc = segment_store_list(c, NULL, 0, 0, &all, &n);
    if (rc == 0)
        rc = segment_store_last_id(c, &last);
    db_read_end(c);
    if (rc < 0)
        return rc;
    streams_begin(r.db, last + 1);
    int64_t *ids = ARENA_ARRAY(c->arena, int64_t, n ? n : 1);
    for (size_t i = 0; i < n; i++) {
        int cut = all[i].sealed ? 0 : segment_cut(&all[i]);
        if (cut < 0)
            log_warn("prediction.segment", "segment %" PRId64 " of endpoint '%s': %s", all[i].id,
                     all[i].endpoint, strerror(-cut));
        ids[i] = all[i].id;
    }
    retention_sort(ids, n);
    size_t gone = segment_sweep_files(c, ids, n);
    if (gone)
        log_info("prediction.segment", "removed %zu files that no row tells of", gone);
    return db_write(r.db, c, seal_op, NULL);
}

int recorder_start(struct db *db, int64_t sweep_ms, struct buf *error) {
    struct ctx c;
    pthread_condattr_t attr;
    r.db = db;
    ctx_begin(&c);
    int rc = recover(&c);
    if (rc < 0)
        buf_printf(error, "the predictions' index: %s",
                   c.err.message ? c.err.message : "unreadable");
    ctx_end(&c);
    if (rc < 0)
        return -1;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r.wake, &attr);
    pthread_cond_init(&r.done, &attr);
    pthread_condattr_destroy(&attr);
    r.sweep_ms = sweep_ms;
    r.swept_ms = clock_mono_ms();
    r.asked = r.answered = 0;
    r.stop = false;
    r.running = true;
    r.thread = thread_start("predictions", run, NULL);
    return 0;
}

void recorder_stop(void) {
    if (!r.thread)
        return;
    pthread_mutex_lock(&r.lock);
    r.stop = true;
    pthread_cond_signal(&r.wake);
    pthread_mutex_unlock(&r.lock);
    thread_join(r.thread);
    r.thread = NULL;
    streams_end();
    pthread_cond_destroy(&r.wake);
    pthread_cond_destroy(&r.done);
}

int prediction_flush(struct ctx *c, int64_t ms) {
    struct timespec at = clock_mono_in(ms);
    pthread_mutex_lock(&r.lock);
    bool running = r.running;
    uint64_t mine = ++r.asked;
    int late = 0;
    if (running)
        pthread_cond_signal(&r.wake);
    while (r.running && r.answered < mine && late != ETIMEDOUT)
        late = pthread_cond_timedwait(&r.done, &r.lock, &at);
    bool done = r.answered >= mine;
    pthread_mutex_unlock(&r.lock);
    return done || !running ? 0
                            : fail(c, ERR_BUSY, "predictions are still being written; ask again");
}
