/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "child_state.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/metric/metric.h"

#define AWAIT_SPARE_MS 5000 /* beyond start_ms: for asking a ready child what it takes */

static struct strs copy_strs(struct arena *a, const struct strs *s) {
    struct strs out = {ARENA_ARRAY(a, const char *, s->n + 1), s->n};
    for (size_t i = 0; i < s->n; i++)
        out.items[i] = arena_strdup(a, s->items[i]);
    return out;
}

static struct pairs copy_pairs(struct arena *a, const struct pairs *p) {
    struct pairs out = {ARENA_ARRAY(a, struct pair, p->n + 1), p->n};
    for (size_t i = 0; i < p->n; i++)
        out.items[i] =
            (struct pair){arena_strdup(a, p->items[i].key), arena_strdup(a, p->items[i].value)};
    return out;
}

/* The operator's command in place of one from the endpoint. */
static int pyfunc_command(struct ctx *c, struct strs *out) {
    size_t n = json_array_size(children.pyfunc);
    if (n == 0)
        return fail(c, ERR_NOT_READY,
                    "no command serves MLflow models here: the setting serving.pyfunc-command is "
                    "empty");
    const char **items = ARENA_ARRAY(c->arena, const char *, n + 1);
    for (size_t i = 0; i < n; i++)
        items[i] = arena_strdup(c->arena, json_string_value(json_array_get(children.pyfunc, i)));
    *out = (struct strs){items, n};
    return 0;
}

static enum child_protocol protocol_of(const char *name) {
    return str_eq(name, "mlflow")      ? CHILD_MLFLOW
           : str_eq(name, "sagemaker") ? CHILD_SAGEMAKER
           : str_eq(name, "vertex")    ? CHILD_VERTEX
                                       : CHILD_OIP;
}

int child_new(struct ctx *c, const struct runtime_spec *spec, const char *model_folder,
              const char *model_name, const char *version, struct child **out) {
    struct strs command = spec->command;
    if (!children.work)
        return fail(c, ERR_NOT_READY, "child servers are not supervised: the daemon is stopping");
    if (str_eq(spec->kind, "mlflow")) {
        int rc = pyfunc_command(c, &command);
        if (rc < 0)
            return rc;
    }
    struct child *ch = mem_alloc(sizeof *ch);
    struct arena *a = ch->arena = arena_new();
    ch->spec = *spec;
    ch->spec.kind = arena_strdup(a, spec->kind);
    ch->spec.command = copy_strs(a, &command);
    ch->spec.env = copy_pairs(a, &spec->env);
    ch->spec.protocol = arena_strdup(a, spec->protocol);
    ch->spec.model = arena_strdup(a, spec->model);
    ch->spec.health = arena_strdup(a, spec->health);
    ch->spec.path = arena_strdup(a, spec->path);
    ch->protocol = protocol_of(spec->protocol);
    ch->model_folder = arena_strdup(a, model_folder);
    ch->model_name = arena_strdup(a, model_name);
    ch->version = arena_strdup(a, version);
    for (size_t i = 0; i < command.n; i++)
        ch->by_socket = ch->by_socket || strstr(command.items[i], "{socket}");
    id_hex32(ch->id);
    ch->refs = 1;
    ch->state = CHILD_STARTING;
    ch->probe.fd = -1;
    ch->last_use_ms = clock_mono_ms();
    ch->idle = mem_alloc((size_t)spec->concurrency.v * sizeof(struct net_client *));
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&ch->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_lock(&children.lock);
    ch->next = children.list;
    children.list = ch;
    pthread_mutex_unlock(&children.lock);
    children_wake();
    *out = ch;
    return 0;
}

void child_keep(struct child *ch) {
    pthread_mutex_lock(&children.lock);
    ch->refs++;
    pthread_mutex_unlock(&children.lock);
}

void child_release(struct child *ch) {
    if (!ch)
        return;
    pthread_mutex_lock(&children.lock);
    bool last = --ch->refs == 0;
    pthread_mutex_unlock(&children.lock);
    if (last)
        children_wake(); /* it is the supervising thread's now */
}

/* ---- waiting ---- */

static struct timespec timespec_of(int64_t mono_ms) {
    return (struct timespec){.tv_sec = mono_ms / 1000, .tv_nsec = mono_ms % 1000 * 1000000};
}

/* Under the lock; false when the time is over. */
static bool wait_change(struct child *ch, int64_t until_ms) {
    struct timespec at = timespec_of(until_ms);
    return pthread_cond_timedwait(&ch->changed, &children.lock, &at) == 0 ||
           clock_mono_ms() < until_ms;
}

int child_await(struct ctx *c, struct child *ch) {
    int64_t until = clock_mono_ms() + ch->spec.start_ms.v + AWAIT_SPARE_MS;
    pthread_mutex_lock(&children.lock);
    /* One failure may be a port that was taken in the meantime. */
    while (ch->state != CHILD_READY && ch->state != CHILD_FAILED && ch->row < 2 &&
           !atomic_load(&children.cancelled))
        if (!wait_change(ch, until))
            break;
    bool ready = ch->state == CHILD_READY;
    const char *reason =
        arena_strdup(c->arena, *ch->reason ? ch->reason : "it was not ready within start_ms");
    pthread_mutex_unlock(&children.lock);
    if (!ready)
        return fail(c, ERR_UNPROCESSABLE, "the child server does not serve: %s", reason);
    if (ch->known)
        return 0;
    struct child_call call;
    int rc = 0;
    if (ch->protocol == CHILD_OIP) {
        rc = child_call_begin(c, ch, until, &call);
        if (rc == 0) {
            rc = child_oip_signature(c, &call, until);
            child_call_end(&call, rc < 0, false);
        }
    } else {
        rc = child_scoring_signature(c, ch);
    }
    ch->known = rc == 0;
    return rc;
}

const struct child_signature *child_signature(const struct child *ch) {
    return &ch->signature;
}

/* ---- calls ---- */

static int not_running(struct ctx *c, const struct child *ch) {
    return fail(c, ERR_NOT_READY, "the child server is %s%s%s",
                ch->state == CHILD_FAILED ? "given up" : "down and is being started again",
                *ch->reason ? ": " : "", ch->reason);
}

int child_call_begin(struct ctx *c, struct child *ch, int64_t until_ms, struct child_call *out) {
    int rc = 0;
    *out = (struct child_call){.ch = ch};
    pthread_mutex_lock(&children.lock);
    ch->waiting++;
    for (;;) {
        if (atomic_load(&children.cancelled))
            rc = fail(c, ERR_NOT_READY, "the daemon is stopping");
        else if (ch->state == CHILD_WAITING || ch->state == CHILD_FAILED)
            rc = not_running(c, ch);
        else if (ch->state == CHILD_READY && ch->in_flight < (unsigned)ch->spec.concurrency.v)
            break;
        if (rc < 0)
            break;
        if (ch->state == CHILD_IDLE && !ch->wanted) {
            ch->wanted = true;
            children_wake();
        }
        if (!wait_change(ch, until_ms)) {
            rc = fail(c, ERR_DEADLINE, "the child server was %s for too long",
                      ch->state == CHILD_READY ? "busy" : "starting");
            break;
        }
    }
    ch->waiting--;
    if (rc == 0) {
        ch->in_flight++;
        ch->last_use_ms = clock_mono_ms();
        out->client = ch->nidle ? ch->idle[--ch->nidle] : NULL;
        out->generation = ch->generation;
        out->port = ch->port;
        memcpy(out->socket, ch->socket, sizeof out->socket);
    }
    pthread_mutex_unlock(&children.lock);
    if (rc == 0 && !out->client)
        out->client = net_client_new();
    return rc;
}

void child_call_end(struct child_call *call, bool broken, bool suspect) {
    struct child *ch = call->ch;
    struct net_client *gone = call->client;
    pthread_mutex_lock(&children.lock);
    ch->in_flight--;
    ch->last_use_ms = clock_mono_ms();
    bool mine = call->generation == ch->generation;
    if (mine && !broken && ch->nidle < (size_t)ch->spec.concurrency.v) {
        ch->idle[ch->nidle++] = gone;
        gone = NULL;
    }
    if (mine && suspect && ch->state == CHILD_READY)
        ch->suspect = true;
    bool wake = suspect || (ch->in_flight == 0 && ch->spec.idle_ms.set);
    pthread_cond_broadcast(&ch->changed);
    pthread_mutex_unlock(&children.lock);
    net_client_free(gone);
    if (wake)
        children_wake();
}

int child_infer(struct ctx *c, struct child *ch, const struct tensor *in, size_t nin,
                const char *const *wanted, struct tensor **out, size_t *nout) {
    int64_t now = clock_mono_ms(), own = now + ch->spec.timeout_ms.v;
    int64_t given = c->deadline_ns ? c->deadline_ns / 1000000 : INT64_MAX;
    struct child_request q = {in, nin, wanted, own < given ? own : given};
    struct child_call call;
    *nout = 0;
    int rc = child_call_begin(c, ch, q.until_ms, &call);
    if (rc < 0)
        return rc;
    int64_t began = clock_mono_ns();
    rc = ch->protocol == CHILD_OIP ? child_oip_infer(c, &call, &q, out, nout)
                                   : child_scoring_infer(c, &call, &q, out, nout);
    bool late = rc < 0 && c->err.code == ERR_DEADLINE;
    /* A caller in a hurry says nothing of the child; its own bound does. */
    child_call_end(&call, late || (rc < 0 && c->err.code == ERR_UPSTREAM), late && own <= given);
    metric_observe(METRIC_CHILD_SECONDS, (double)(clock_mono_ns() - began) / 1e9, ch->model_name,
                   ch->version, NULL);
    return rc;
}

void child_view(struct child *ch, struct child_view *out) {
    static const char *const names[] = {"starting", "ready", "waiting", "idle", "failed"};
    pthread_mutex_lock(&children.lock);
    *out = (struct child_view){.state = names[ch->state],
                               .starts = ch->starts,
                               .restarts_in_row = ch->row,
                               .in_flight = ch->in_flight,
                               .waiting = ch->waiting,
                               .ready_ms = ch->ready_wall_ms};
    memcpy(out->reason, ch->reason, sizeof out->reason);
    pthread_mutex_unlock(&children.lock);
}
