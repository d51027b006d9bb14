/* SPDX-License-Identifier: Apache-2.0 */
#include "want.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "graph.h"
#include "graph_spec.h"
#include "loader.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "snapshot.h"

#define WARM_NS INT64_C(30000000000)
#define LOOK_NS INT64_C(1000000000) /* between looks nobody called for */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t looked;
    struct want *first; /* one per endpoint and kind */
} wants = {.lock = PTHREAD_MUTEX_INITIALIZER, .looked = PTHREAD_COND_INITIALIZER};

struct want *want_take(void) {
    pthread_mutex_lock(&wants.lock);
    struct want *w = wants.first;
    if (w)
        wants.first = w->next;
    pthread_mutex_unlock(&wants.lock);
    return w;
}

void wants_look(void) {
    pthread_mutex_lock(&wants.lock);
    pthread_cond_broadcast(&wants.looked);
    pthread_mutex_unlock(&wants.lock);
}

static void ask(const struct ctx *c, const char *endpoint, bool park) {
    pthread_mutex_lock(&wants.lock);
    struct want *w = wants.first;
    while (w && (w->project != c->project || w->park != park || strcmp(w->endpoint, endpoint) != 0))
        w = w->next;
    if (!w) {
        w = mem_alloc(sizeof *w);
        w->project = c->project;
        w->park = park;
        str_copy(w->endpoint, sizeof w->endpoint, endpoint);
        struct want **end = &wants.first; /* in the order they were asked */
        while (*end)
            end = &(*end)->next;
        *end = w;
    }
    pthread_mutex_unlock(&wants.lock);
    loader_wake(NULL);
}

enum warmth { WARM, COLD, UNKNOWN };

static enum warmth look(const struct ctx *c, const char *endpoint, bool back) {
    const struct entry *e = snapshot_find(snapshot_enter(), c->project, endpoint);
    enum warmth w = !e ? UNKNOWN : e->idle ? COLD : WARM;
    for (size_t i = 0; back && e && i < e->narms; i++)
        if (e->arms[i].parked)
            w = COLD;
    snapshot_leave();
    return w;
}

static int warm(struct ctx *c, const char *endpoint, bool back) {
    int64_t until = clock_mono_ns() + WARM_NS;
    enum warmth w = look(c, endpoint, back);
    if (w != COLD)
        return 0; /* unknown names are the door's to refuse */
    if (c->deadline_ns && c->deadline_ns < until)
        until = c->deadline_ns;
    ask(c, endpoint, false);
    while ((w = look(c, endpoint, back)) == COLD && clock_mono_ns() < until) {
        int64_t next = clock_mono_ns() + LOOK_NS;
        next = next < until ? next : until;
        struct timespec at = {.tv_sec = next / 1000000000, .tv_nsec = next % 1000000000};
        pthread_mutex_lock(&wants.lock);
        if (look(c, endpoint, back) == COLD)
            pthread_cond_clockwait(&wants.looked, &wants.lock, CLOCK_MONOTONIC, &at);
        pthread_mutex_unlock(&wants.lock);
    }
    if (w == COLD)
        return fail(c, ERR_NOT_READY, "endpoint '%s' is still being loaded, try again", endpoint);
    return 0;
}

/* Names of endpoints that an endpoint's graphs ask, in c's arena. */
static const char **asked_by(struct ctx *c, const char *endpoint) {
    const struct entry *e = snapshot_find(snapshot_enter(), c->project, endpoint);
    const char **all = NULL;
    size_t n = 0, cap = 0;
    for (size_t i = 0; e && i < e->narms; i++) {
        const char **names = graph_endpoints(c, e->arms[i].model);
        for (; names && *names; names++) {
            all = arena_room(c->arena, all, n, &cap, sizeof *all);
            all[n++] = *names;
        }
    }
    snapshot_leave();
    return arena_room(c->arena, all, n, &cap, sizeof *all); /* a NULL stands behind them */
}

static int warm_with_nodes(struct ctx *c, const char *endpoint, bool back, unsigned depth) {
    int rc = warm(c, endpoint, back);
    const char **names = rc == 0 && depth < GRAPH_DEPTH ? asked_by(c, endpoint) : NULL;
    for (; names && *names; names++)
        if (warm_with_nodes(c, *names, false, depth + 1) < 0)
            err_clear(c); /* whether that matters its graph knows */
    return rc;
}

int loader_warm(struct ctx *c, const char *endpoint, bool back) {
    return warm_with_nodes(c, endpoint, back, 0);
}

void loader_ask(struct ctx *c, const char *endpoint) {
    if (look(c, endpoint, false) == COLD)
        ask(c, endpoint, false);
}

int loader_park(struct ctx *c, const char *endpoint) {
    if (look(c, endpoint, false) == UNKNOWN)
        return fail(c, ERR_NOT_FOUND, "no endpoint '%.200s'", endpoint);
    ask(c, endpoint, true);
    return 0;
}
