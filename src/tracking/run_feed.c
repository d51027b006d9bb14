/* SPDX-License-Identifier: Apache-2.0 */
#include "run_feed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"

#define WAITING_MOST ((size_t)256 << 10)

struct run_watch {
    char *run_id;
    struct buf waiting;
    size_t events; /* in waiting */
    size_t lost;
    bool ended;
    struct run_watch *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct run_watch *watches;
static atomic_uint watching;

bool run_watched(void) {
    return atomic_load_explicit(&watching, memory_order_acquire) > 0;
}

struct run_watch *run_watch_open(const char *run_id) {
    struct run_watch *w = mem_alloc(sizeof *w);
    w->run_id = mem_strdup(run_id);
    pthread_mutex_lock(&lock);
    w->next = watches;
    watches = w;
    atomic_fetch_add_explicit(&watching, 1, memory_order_release);
    pthread_mutex_unlock(&lock);
    return w;
}

void run_watch_close(struct run_watch *w) {
    pthread_mutex_lock(&lock);
    for (struct run_watch **at = &watches; *at; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            break;
        }
    }
    atomic_fetch_sub_explicit(&watching, 1, memory_order_release);
    pthread_mutex_unlock(&lock);
    buf_free(&w->waiting);
    free(w->run_id);
    free(w);
}

void run_watch_take(struct run_watch *w, struct buf *out, bool *ended) {
    pthread_mutex_lock(&lock);
    if (w->lost)
        buf_printf(out, "event: lagged\ndata: {\"lost\":%zu}\n\n", w->lost);
    if (w->waiting.len)
        buf_put(out, w->waiting.data, w->waiting.len);
    buf_clear(&w->waiting);
    w->events = w->lost = 0;
    *ended = w->ended;
    pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------------ telling */

/* Kept until the commit and put into words only then, when it is certain who watches: a watch that
 * opens before that moment is told, and one that opens later reads a state that has it. */
struct news {
    const char *run_id, *event;
    const struct metric_value *metrics;
    const struct pair *pairs;
    size_t n;
    const struct run_info *status;
    bool deleted;
};

static void put_point(struct json_writer *w, const struct metric_value *m) {
    jw_obj(w);
    jw_key_str(w, "key", m->key);
    jw_key_f64(w, "value", m->value.v);
    jw_key_i64(w, "timestamp", m->timestamp.v);
    jw_key_i64(w, "step", m->step.v);
    jw_obj_end(w);
}

static void put_pair(struct json_writer *w, const struct pair *p) {
    jw_obj(w);
    jw_key_str(w, "key", p->key);
    jw_key_str(w, "value", p->value);
    jw_obj_end(w);
}

static void put_object(struct json_writer *w, const struct news *n) {
    jw_obj(w);
    if (n->status) {
        jw_key_str(w, "status", n->status->status);
        jw_key_str(w, "run_name", n->status->run_name);
        if (n->status->end_time.set)
            jw_key_i64(w, "end_time", n->status->end_time.v);
    } else {
        jw_key_bool(w, "deleted", n->deleted);
    }
    jw_obj_end(w);
}

static void put_event(struct buf *out, const struct news *n) {
    struct json_writer w;
    buf_printf(out, "event: %s\ndata: ", n->event);
    jw_init(&w, out);
    if (n->metrics || n->pairs) {
        jw_arr(&w);
        for (size_t i = 0; i < n->n; i++) {
            if (n->metrics)
                put_point(&w, &n->metrics[i]);
            else
                put_pair(&w, &n->pairs[i]);
        }
        jw_arr_end(&w);
    } else {
        put_object(&w, n);
    }
    buf_puts(out, "\n\n");
}

static void queue(struct run_watch *w, const struct buf *text) {
    if (w->waiting.len + text->len > WAITING_MOST) {
        w->lost += w->events;
        w->events = 0;
        buf_clear(&w->waiting);
    }
    if (text->len > WAITING_MOST) {
        w->lost++;
        return;
    }
    buf_put(&w->waiting, text->data, text->len);
    w->events++;
}

static void tell(void *arg) {
    const struct news *n = arg;
    struct buf text = {0};
    if (!run_watched())
        return;
    pthread_mutex_lock(&lock);
    for (struct run_watch *w = watches; w; w = w->next) {
        if (!str_eq(w->run_id, n->run_id))
            continue;
        if (!text.len)
            put_event(&text, n);
        queue(w, &text);
        if (n->status)
            w->ended = run_status_ends(n->status->status);
    }
    pthread_mutex_unlock(&lock);
    buf_free(&text);
}

static struct news *news_new(struct ctx *c, const char *run_id, const char *event) {
    struct news *n = ARENA_NEW(c->arena, struct news);
    n->run_id = run_id;
    n->event = event;
    db_after_commit(c, tell, n);
    return n;
}

void run_feed_metrics(struct ctx *c, const char *run_id, const struct metric_value *m, size_t n) {
    struct news *news = n ? news_new(c, run_id, "metrics") : NULL;
    if (news) {
        news->metrics = m;
        news->n = n;
    }
}

void run_feed_pairs(struct ctx *c, const char *run_id, const char *event, const struct pair *p,
                    size_t n) {
    struct news *news = n ? news_new(c, run_id, event) : NULL;
    if (news) {
        news->pairs = p;
        news->n = n;
    }
}

void run_feed_pair(struct ctx *c, const char *run_id, const char *event, const char *key,
                   const char *value) {
    struct pair *p = ARENA_NEW(c->arena, struct pair);
    *p = (struct pair){.key = key, .value = value};
    run_feed_pairs(c, run_id, event, p, 1);
}

bool run_status_ends(const char *status) {
    return str_eq(status, "FINISHED") || str_eq(status, "FAILED") || str_eq(status, "KILLED");
}

void run_feed_status(struct ctx *c, const char *run_id, const struct run_info *now) {
    news_new(c, run_id, "status")->status = arena_dup(c->arena, now, sizeof *now);
}

void run_feed_deleted(struct ctx *c, const char *run_id, bool deleted) {
    news_new(c, run_id, "deleted")->deleted = deleted;
}
