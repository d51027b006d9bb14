/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attempt.h"
#include "delivery_store.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/map.h"
#include "quern/base/str.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/metric/metric.h"
#include "quern/net/net.h"
#include "quern/webhook/webhook.h"
#include "send.h"
#include "topic.h"

#define WORKERS_MAX 64
#define EVENTS_PER_WRITE 200
#define ORIGIN_MAX 160
#define IDLE_MS 60000
#define AGAIN_MS 1000 /* after the database refused */
#define GAUGE_MS 5000

static char quick_mark, slow_mark; /* how the last answer of a receiver came */

struct worker {
    struct thread *thread;
    int64_t delivery;        /* 0: idle */
    char origin[ORIGIN_MAX]; /* whom it calls */
    const char *shown;       /* what the receiver had shown when it was handed over */
    int64_t since_ms;
};

static struct {
    struct webhook_options o;
    struct db *db;
    struct thread *thread;
    struct worker workers[WORKERS_MAX];
    unsigned n, turn;
    struct map *shown; /* origin -> quick_mark or slow_mark; absent: nothing yet */
    bool woken, stop, running;
    int64_t gauge_at;
} d;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER; /* for the workers */
static pthread_cond_t wake;                            /* for the dispatcher, monotonic */

void dispatch_wake(void *unused) {
    (void)unused;
    pthread_mutex_lock(&lock);
    d.woken = true;
    if (d.running)
        pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
}

static void on_event(const char *type, const char *subject, int64_t seq, void *arg) {
    (void)subject;
    (void)seq;
    if (topic_of(type))
        dispatch_wake(arg);
}

static bool stopping(void) {
    pthread_mutex_lock(&lock);
    bool stop = d.stop;
    pthread_mutex_unlock(&lock);
    return stop;
}

static void work_on(void *arg) {
    struct worker *w = arg;
    struct net_client *client = net_client_new();
    pthread_mutex_lock(&lock);
    while (!d.stop) {
        if (!w->delivery) {
            pthread_cond_wait(&work, &lock);
            continue;
        }
        int64_t id = w->delivery;
        pthread_mutex_unlock(&lock);
        struct ctx c;
        ctx_begin(&c);
        enum shown shown = attempt(&c, d.db, client, id, d.o.timeout_ms, stopping);
        ctx_end(&c);
        pthread_mutex_lock(&lock);
        if (shown != SHOWN_NOTHING)
            map_set(d.shown, w->origin, shown == SHOWN_QUICK ? &quick_mark : &slow_mark);
        w->delivery = 0;
        d.woken = true;
        pthread_cond_signal(&wake);
    }
    pthread_mutex_unlock(&lock);
    net_client_free(client);
    db_thread_end(d.db);
}

/* ------------------------------------------------------------------ handing over */

/* Webhooks with the same scheme, host and port share a receiver. */
static void origin_of(const char *url, char out[ORIGIN_MAX]) {
    const char *host = strstr(url, "://");
    size_t n = host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?") : strlen(url);
    n = n < ORIGIN_MAX ? n : ORIGIN_MAX - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(url[i] >= 'A' && url[i] <= 'Z' ? url[i] - 'A' + 'a' : url[i]);
    out[n] = '\0';
}

/* With the lock held: how many more calls of the receiver may be begun. */
static unsigned room_for(const char *origin, const char *shown) {
    unsigned own = 0, slow = 0, unproven = 0, idle = 0;
    bool hangs = false;
    int64_t now = clock_mono_ms();
    for (unsigned i = 0; i < d.n; i++) {
        const struct worker *w = &d.workers[i];
        bool mine = str_eq(w->origin, origin);
        idle += !w->delivery;
        if (!w->delivery)
            continue;
        slow += w->shown == &slow_mark;
        unproven += w->shown != &quick_mark;
        own += mine;
        hangs = hangs || (mine && now - w->since_ms > QUICK_MS);
    }
    unsigned most = shown == &quick_mark ? (d.n + 2) / 3 : 1;
    if (hangs || own >= most)
        return 0;
    if (shown == &slow_mark && slow >= (d.n + 2) / 3)
        return 0;
    if (shown != &quick_mark && unproven >= d.n - (d.n + 3) / 4)
        return 0;
    return most - own < idle ? most - own : idle;
}

static bool under_way(int64_t id) {
    for (unsigned i = 0; i < d.n; i++)
        if (d.workers[i].delivery == id)
            return true;
    return false;
}

bool dispatch_busy(int64_t delivery) {
    pthread_mutex_lock(&lock);
    bool busy = under_way(delivery);
    pthread_mutex_unlock(&lock);
    return busy;
}

static void hand_over(int64_t id, const char *origin, const char *shown) {
    for (unsigned i = 0; i < d.n; i++) {
        struct worker *w = &d.workers[i];
        if (w->delivery)
            continue;
        str_copy(w->origin, sizeof w->origin, origin);
        w->shown = shown;
        w->since_ms = clock_mono_ms();
        w->delivery = id;
        return;
    }
}

static int assign_of(struct ctx *c, const char *webhook, const char *url) {
    int64_t ids[2 * WORKERS_MAX];
    char origin[ORIGIN_MAX];
    size_t n = 0;
    origin_of(url, origin);
    pthread_mutex_lock(&lock);
    const char *shown = map_get(d.shown, origin);
    unsigned room = room_for(origin, shown);
    pthread_mutex_unlock(&lock);
    if (!room)
        return 0;
    /* Those under way come first in the list, so it must reach past them. */
    int rc = delivery_store_due_of(c, webhook, c->now_ms, (int64_t)d.n + room, ids, &n);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; rc == 0 && i < n && room; i++)
        if (!under_way(ids[i])) {
            hand_over(ids[i], origin, shown);
            room--;
        }
    pthread_cond_broadcast(&work);
    pthread_mutex_unlock(&lock);
    return rc;
}

static int assign(struct ctx *c) {
    struct pairs hooks = {0}; /* webhook, URL */
    int rc = delivery_store_due(c, c->now_ms, &hooks);
    d.turn++;
    for (size_t i = 0; rc == 0 && i < hooks.n; i++) {
        const struct pair *h = &hooks.items[(i + d.turn) % hooks.n];
        rc = assign_of(c, h->key, h->value);
    }
    return rc;
}

struct fan_out {
    bool more;
    int64_t over;
};

static int fan_out_op(struct ctx *c, void *arg) {
    struct fan_out *f = arg;
    return delivery_store_fan_out(c, EVENTS_PER_WRITE, &f->more, &f->over);
}

static int fan_out(void) {
    struct fan_out f = {.more = true};
    struct ctx c;
    int rc = 0;
    while (rc == 0 && f.more && !stopping()) {
        ctx_begin(&c);
        rc = db_write(d.db, &c, fan_out_op, &f);
        if (rc)
            log_warn("webhook.events", "deliveries are not made yet: %s",
                     c.err.message ? c.err.message : "the writer is busy");
        else if (f.over)
            log_warn("webhook.over",
                     "%" PRId64 " deliveries failed at once: %d wait for their receivers already",
                     f.over, WAITING_MAX);
        ctx_end(&c);
    }
    return rc;
}

static int rescue_op(struct ctx *c, void *after_ms) {
    return delivery_store_rescue(c, *(int64_t *)after_ms);
}

static void gauge(struct ctx *c) {
    int64_t n = 0, now = clock_mono_ms();
    if (now < d.gauge_at)
        return;
    d.gauge_at = now + GAUGE_MS;
    if (delivery_store_pending(c, &n) == 0)
        metric_set(METRIC_WEBHOOKS_PENDING, (double)n, NULL, NULL, NULL);
}

/* Milliseconds until there is something to do by itself. */
static int64_t turn(void) {
    struct ctx c;
    bool active = false, found = false, stranded = false;
    int64_t next = 0, wait = IDLE_MS;
    ctx_begin(&c);
    int64_t never = c.now_ms + STRANDED_MS;
    int rc = db_read_begin(d.db, &c);
    if (rc == 0) {
        rc = delivery_store_anybody(&c, &active);
        if (rc == 0)
            rc = delivery_store_stranded(&c, never, &stranded);
        db_read_end(&c);
    }
    if (rc == 0 && stranded) {
        log_warn("webhook.clock", "deliveries wait for a time far ahead: they are made now");
        rc = db_write(d.db, &c, rescue_op, &never);
    }
    if (rc == 0 && active)
        rc = fan_out();
    c.now_ms = clock_wall_ms(); /* what was just made is due */
    if (rc == 0)
        rc = db_read_begin(d.db, &c);
    if (rc == 0) {
        rc = assign(&c);
        if (rc == 0)
            rc = delivery_store_next(&c, c.now_ms, &next, &found);
        gauge(&c);
        db_read_end(&c);
    }
    if (rc == 0 && found && next - clock_wall_ms() < wait)
        wait = next - clock_wall_ms();
    if (rc != 0)
        wait = AGAIN_MS;
    ctx_end(&c);
    return wait > 0 ? wait : 1;
}

static void run(void *arg) {
    (void)arg;
    pthread_mutex_lock(&lock);
    while (!d.stop) {
        d.woken = false;
        pthread_mutex_unlock(&lock);
        int64_t until = clock_mono_ms() + turn();
        struct timespec at = {.tv_sec = until / 1000, .tv_nsec = (until % 1000) * 1000000};
        pthread_mutex_lock(&lock);
        while (!d.stop && !d.woken && clock_mono_ms() < until)
            pthread_cond_timedwait(&wake, &lock, &at);
    }
    pthread_mutex_unlock(&lock);
    db_thread_end(d.db);
}

void dispatch_start(const struct webhook_options *o) {
    static bool listening; /* listeners stay for the life of the process */
    pthread_condattr_t monotonic;
    memset(&d, 0, sizeof d);
    d.o = *o;
    d.db = lanes_db(o->lanes);
    d.n = o->workers < WORKERS_MAX ? o->workers : WORKERS_MAX;
    d.shown = map_new();
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    d.running = true;
    if (!listening)
        event_listen(on_event, NULL);
    listening = true;
    for (unsigned i = 0; i < d.n; i++) {
        char name[24];
        snprintf(name, sizeof name, "webhook-%u", i + 1);
        d.workers[i].thread = thread_start(name, work_on, &d.workers[i]);
    }
    d.thread = thread_start("webhooks", run, NULL);
}

void dispatch_stop(void) {
    pthread_mutex_lock(&lock);
    bool running = d.running;
    d.stop = true;
    if (running) {
        pthread_cond_signal(&wake);
        pthread_cond_broadcast(&work);
    }
    pthread_mutex_unlock(&lock);
    if (!running)
        return;
    thread_join(d.thread);
    for (unsigned i = 0; i < d.n; i++)
        thread_join(d.workers[i].thread);
    pthread_mutex_lock(&lock);
    d.running = false;
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&wake);
    map_free(d.shown, NULL);
    d.shown = NULL;
}
