/* SPDX-License-Identifier: Apache-2.0 */
/* Child supervise: the one thread that starts, asks, ends and buries all children. */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "child_state.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/fd.h"
#include "quern/base/id.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/metric/metric.h"
#include "quern/process/process.h"

#define BACKOFF_MS 250
#define BACKOFF_MOST_MS 60000
#define HEALTHY_MS 60000 /* after this a child's earlier failures are forgotten */
#define START_ASK_MS 100 /* between questions while it starts */
#define USED_ASK_MS 5000 /* while it is used */
#define UNUSED_ASK_MS 30000
#define AGAIN_ASK_MS 500 /* after a question without an answer */
#define ANSWER_MS 2000   /* for an answer */
#define MISSES 3
#define STOP_MS 20000

struct children children = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct {
    struct thread *thread;
    int wake;
    atomic_bool stopping;
    _Atomic int64_t cease_ms; /* when calls are cancelled, monotonic; 0: they are not */
} supervisor = {.wake = -1};

void children_wake(void) {
    const uint64_t one = 1;
    if (supervisor.wake >= 0)
        fd_write_all(supervisor.wake, &one, sizeof one);
}

void child_say(struct child *ch, enum child_state state, const char *reason) {
    ch->state = state;
    str_copy(ch->reason, sizeof ch->reason, reason);
    ch->ready_wall_ms = state == CHILD_READY ? clock_wall_ms() : 0;
    pthread_cond_broadcast(&ch->changed);
}

void child_drop_idle(struct child *ch) {
    pthread_mutex_lock(&children.lock);
    size_t n = ch->nidle;
    struct net_client **gone = mem_alloc((n + 1) * sizeof *gone);
    if (n)
        memcpy(gone, ch->idle, n * sizeof *gone);
    ch->nidle = 0;
    pthread_mutex_unlock(&children.lock);
    for (size_t i = 0; i < n; i++)
        net_client_free(gone[i]);
    free(gone);
}

static void on_exited(const char *folder, void *arg) {
    (void)arg;
    pthread_mutex_lock(&children.lock);
    for (struct child *ch = children.list; ch; ch = ch->next)
        if (strcmp(ch->folder, folder) == 0)
            ch->exited = true;
    pthread_mutex_unlock(&children.lock);
    children_wake();
}

/* ---- one child ---- */

static void end_command(struct child *ch) {
    struct ctx c;
    probe_drop(&ch->probe);
    if (!ch->running || ch->ending)
        return;
    ch->ending = true;
    ctx_begin(&c);
    if (process_cancel(children.watcher, &c, children.work, ch->folder) < 0)
        log_warn("child.end", "child of %s version %s: %s", ch->model_name, ch->version,
                 c.err.message ? c.err.message : "cannot be ended");
    ctx_end(&c);
}

/* Half to one and a half of the doubled time, so that many do not come back at once. */
static int64_t backoff_ms(int64_t row) {
    uint32_t dice;
    id_random(&dice, sizeof dice);
    int64_t ms = row > 9 ? BACKOFF_MOST_MS : (int64_t)BACKOFF_MS << (row > 0 ? row - 1 : 0);
    if (ms > BACKOFF_MOST_MS)
        ms = BACKOFF_MOST_MS;
    return ms / 2 + (int64_t)((double)ms * ((double)dice / (double)UINT32_MAX));
}

/* One more start that came to nothing, or a ready child that is gone. */
static void failed(struct child *ch, const char *reason, const char *outcome, int64_t now) {
    metric_add(METRIC_CHILD_ENDS, 1, ch->model_name, outcome, NULL);
    pthread_mutex_lock(&children.lock);
    if (ch->ready_ms && now - ch->ready_ms >= HEALTHY_MS)
        ch->row = 0;
    ch->row++;
    ch->ready_ms = 0;
    bool over = ch->row >= ch->spec.restarts.v;
    ch->next_ms = now + backoff_ms(ch->row);
    child_say(ch, over ? CHILD_FAILED : CHILD_WAITING, reason);
    pthread_mutex_unlock(&children.lock);
    log_warn("child.failed", "child of %s version %s: %s (%lld in a row%s)", ch->model_name,
             ch->version, reason, (long long)ch->row, over ? "; given up" : "");
}

static void start(struct child *ch, int64_t now) {
    struct ctx c;
    pthread_mutex_lock(&children.lock);
    ch->starts++;
    ch->generation++;
    ch->wanted = ch->suspect = ch->exited = false;
    child_say(ch, CHILD_STARTING, "");
    pthread_mutex_unlock(&children.lock);
    ch->ending = false;
    ch->ready_ms = 0;
    ch->started_ms = ch->probe_ms = now;
    ch->probe_path = 0;
    ch->misses = 0;
    ctx_begin(&c);
    ch->running = child_launch(&c, ch) == 0;
    if (!ch->running)
        failed(ch, c.err.message ? c.err.message : "cannot be started", "not_started", now);
    ctx_end(&c);
}

/* The command and its keeper are gone. */
static void ended(struct child *ch, int64_t now) {
    char reason[sizeof ch->reason];
    bool asked = ch->ending;
    probe_drop(&ch->probe);
    ch->running = ch->ending = false;
    pthread_mutex_lock(&children.lock);
    ch->exited = false;
    ch->generation++;
    pthread_mutex_unlock(&children.lock);
    child_drop_idle(ch);
    if (asked) /* why is known already */
        return;
    child_epitaph(ch, reason, sizeof reason);
    failed(ch, reason, "ended", now);
}

static void ready(struct child *ch, int64_t now) {
    ch->ready_ms = now;
    ch->misses = 0;
    metric_add(METRIC_CHILD_STARTS, 1, ch->model_name, NULL, NULL);
    pthread_mutex_lock(&children.lock);
    ch->last_use_ms = now;
    child_say(ch, CHILD_READY, "");
    pthread_mutex_unlock(&children.lock);
    log_info("child.ready", "child of %s version %s is ready after %lld ms", ch->model_name,
             ch->version, (long long)(now - ch->started_ms));
}

static void hung(struct child *ch, const char *why, int64_t now) {
    end_command(ch);
    failed(ch, why, "hung", now);
}

static void missed(struct child *ch, unsigned in_flight, bool suspect, int64_t now) {
    /* A server that does one thing at a time cannot answer while it predicts. */
    if (in_flight > 0 && !suspect)
        return;
    ch->misses++;
    ch->probe_ms = now + AGAIN_ASK_MS;
    child_drop_idle(ch); /* one that serves connection by connection may wait for ours to end */
    if (suspect && ch->misses >= 2)
        hung(ch, "it hung: a prediction took longer than timeout_ms, and it does not answer", now);
    else if (ch->misses >= MISSES)
        hung(ch, "it hung: it does not say any more that it is healthy", now);
}

static void probed(struct child *ch, enum probe_result r, int64_t now) {
    pthread_mutex_lock(&children.lock);
    enum child_state state = ch->state;
    unsigned in_flight = ch->in_flight;
    bool suspect = ch->suspect, used = in_flight > 0 || now - ch->last_use_ms < 2 * USED_ASK_MS;
    if (r == PROBE_OK)
        ch->suspect = false;
    pthread_mutex_unlock(&children.lock);
    if (state == CHILD_STARTING) {
        ch->probe_ms = now + START_ASK_MS;
        if (r == PROBE_OK)
            ready(ch, now);
        else if (r == PROBE_MISSING)
            ch->probe_path = child_health_path(ch, ch->probe_path + 1) ? ch->probe_path + 1 : 0;
    } else if (state == CHILD_READY) {
        ch->probe_ms = now + (used ? USED_ASK_MS : UNUSED_ASK_MS);
        if (r == PROBE_OK)
            ch->misses = 0;
        else
            missed(ch, in_flight, suspect, now);
    }
}

static void ask(struct child *ch, bool suspect, int64_t now) {
    enum probe_result r = PROBE_PENDING;
    if (ch->probe.fd >= 0)
        r = probe_step(&ch->probe, now);
    else if (now >= ch->probe_ms || (suspect && ch->misses == 0))
        r = probe_start(&ch->probe, ch->port, ch->socket, child_health_path(ch, ch->probe_path),
                        now, ANSWER_MS);
    if (r != PROBE_PENDING)
        probed(ch, r, now);
}

/* Unless a prediction came to it meanwhile. */
static bool rest(struct child *ch) {
    pthread_mutex_lock(&children.lock);
    bool free_to = ch->in_flight == 0 && ch->waiting == 0;
    if (free_to)
        child_say(ch, CHILD_IDLE, "");
    pthread_mutex_unlock(&children.lock);
    return free_to;
}

/* What one child wants now; false when it is gone. */
static bool step(struct child *ch, int64_t now) {
    pthread_mutex_lock(&children.lock);
    bool exited = ch->exited, wanted = ch->wanted, suspect = ch->suspect, dropped = ch->refs == 0;
    bool unused = ch->in_flight == 0 && ch->waiting == 0 && ch->spec.idle_ms.set &&
                  now - ch->last_use_ms >= ch->spec.idle_ms.v;
    pthread_mutex_unlock(&children.lock);
    if (exited)
        ended(ch, now);
    if (dropped) {
        end_command(ch);
        return ch->running;
    }
    switch (ch->state) { /* written by this thread alone */
    case CHILD_STARTING:
        if (!ch->running)
            start(ch, now);
        else if (now - ch->started_ms >= ch->spec.start_ms.v)
            hung(ch, "it was not ready within start_ms", now);
        else
            ask(ch, false, now);
        break;
    case CHILD_READY:
        if (unused && !wanted && rest(ch)) {
            end_command(ch);
        } else {
            ask(ch, suspect, now);
        }
        break;
    case CHILD_WAITING:
        if (!ch->running && now >= ch->next_ms)
            start(ch, now);
        break;
    case CHILD_IDLE:
        if (!ch->running && wanted)
            start(ch, now);
        break;
    case CHILD_FAILED:
        break;
    }
    return true;
}

static void bury(struct child *ch) {
    child_drop_idle(ch);
    probe_drop(&ch->probe);
    if (*ch->folder) {
        dir_remove_tree(children.work, ch->folder);
        if (*ch->socket)
            unlink(ch->socket);
    }
    pthread_cond_destroy(&ch->changed);
    free(ch->idle);
    arena_free(ch->arena);
    free(ch);
}

/* ---- all of them ---- */

static int64_t sooner(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* When a child wants to be looked at again. */
static int64_t next_look(struct child *ch, int64_t now) {
    int64_t at = now + UNUSED_ASK_MS;
    if (ch->probe.fd >= 0)
        return sooner(at, ch->probe.until_ms);
    switch (ch->state) {
    case CHILD_STARTING:
        return sooner(ch->probe_ms, ch->started_ms + ch->spec.start_ms.v);
    case CHILD_READY:
        if (ch->spec.idle_ms.set) {
            pthread_mutex_lock(&children.lock);
            int64_t idle_at = ch->last_use_ms + ch->spec.idle_ms.v;
            /* Under way: the end of the last one wakes us. */
            at = ch->in_flight == 0 ? sooner(at, idle_at) : at;
            pthread_mutex_unlock(&children.lock);
        }
        return sooner(at, ch->probe_ms);
    case CHILD_WAITING:
        return ch->running ? at : ch->next_ms;
    default:
        return at;
    }
}

/* Looks at every child; the descriptors to wait for go into *fds. */
static size_t round_of(struct pollfd **fds, size_t *cap, int64_t *until) {
    int64_t now = clock_mono_ms();
    size_t n = 1;
    *until = now + UNUSED_ASK_MS;
    pthread_mutex_lock(&children.lock);
    struct child *first = children.list; /* newer ones are put before it, and wake us */
    pthread_mutex_unlock(&children.lock);
    for (struct child *ch = first, *next; ch; ch = next) {
        next = ch->next;
        if (!step(ch, now)) {
            pthread_mutex_lock(&children.lock);
            struct child **at = &children.list;
            while (*at != ch)
                at = &(*at)->next;
            *at = next;
            pthread_mutex_unlock(&children.lock);
            bury(ch);
            continue;
        }
        if (n == *cap) {
            *cap = *cap ? *cap * 2 : 16;
            *fds = mem_realloc(*fds, *cap * sizeof **fds);
        }
        if (ch->probe.fd >= 0)
            (*fds)[n++] = probe_poll(&ch->probe);
        *until = sooner(*until, next_look(ch, now));
    }
    return n;
}

static void count_states(void) {
    static const char *const names[] = {"starting", "ready", "waiting", "idle", "failed"};
    double counts[ARRAY_LEN(names)] = {0};
    pthread_mutex_lock(&children.lock);
    for (struct child *ch = children.list; ch; ch = ch->next)
        counts[ch->state]++;
    pthread_mutex_unlock(&children.lock);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        metric_set(METRIC_CHILDREN, counts[i], names[i], NULL, NULL);
}

static void cancel_calls(void) {
    pthread_mutex_lock(&children.lock);
    atomic_store(&children.cancelled, true);
    for (struct child *ch = children.list; ch; ch = ch->next)
        pthread_cond_broadcast(&ch->changed);
    pthread_mutex_unlock(&children.lock);
}

/* Cancels the calls when it is time to, and else sees to it that the time is not slept away. */
static void look_at_cease(int64_t *until) {
    int64_t at = atomic_load(&supervisor.cease_ms);
    if (!at || atomic_load(&children.cancelled))
        return;
    if (clock_mono_ms() >= at)
        cancel_calls();
    else
        *until = sooner(*until, at);
}

static void supervise(void *arg) {
    (void)arg;
    size_t cap = 16;
    struct pollfd *fds = mem_alloc(cap * sizeof *fds);
    while (!atomic_load(&supervisor.stopping)) {
        int64_t until;
        size_t n = round_of(&fds, &cap, &until);
        look_at_cease(&until);
        count_states();
        fds[0] = (struct pollfd){.fd = supervisor.wake, .events = POLLIN};
        int64_t ms = until - clock_mono_ms();
        if (poll(fds, (nfds_t)n, ms < 1 ? 1 : ms > 60000 ? 60000 : (int)ms) < 0 && errno != EINTR)
            clock_sleep_ms(10);
        uint64_t woken;
        if (fds[0].revents && read(supervisor.wake, &woken, sizeof woken) < 0 && errno != EAGAIN)
            clock_sleep_ms(1);
    }
    free(fds);
}

static int read_pyfunc(const char *text, struct buf *error) {
    if (!*text)
        return 0;
    json_t *list = json_loads(text, 0, NULL);
    size_t good = 0;
    while (json_string_value(json_array_get(list, good)))
        good++;
    if (good > 0 && good == json_array_size(list)) {
        children.pyfunc = list;
        return 0;
    }
    json_decref(list);
    buf_puts(error, "serving.pyfunc-command must be a JSON array of texts, "
                    "[\"mlflow\",\"models\",\"serve\",...]");
    return -1;
}

int children_start(const struct child_options *o, struct buf *error) {
    if (read_pyfunc(o->pyfunc, error) < 0)
        return -1;
    dir_remove_tree(o->data, o->folder); /* a killed daemon's */
    int rc = dir_open_sub(o->data, o->folder, true, &children.work);
    if (rc == 0)
        rc = watcher_start(o->self_exe, on_exited, NULL, &children.watcher);
    if (rc == 0 && (supervisor.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        rc = -errno;
    if (rc < 0) {
        buf_printf(error, "child servers cannot be supervised: %s", strerror(-rc));
        return -1;
    }
    children.pass = mem_strdup(o->pass);
    atomic_store(&children.cancelled, false);
    atomic_store(&supervisor.cease_ms, 0);
    atomic_store(&supervisor.stopping, false);
    supervisor.thread = thread_start("children", supervise, NULL);
    return 0;
}

void children_cease(int64_t ms) {
    int64_t none = 0;
    if (!supervisor.thread)
        return;
    atomic_compare_exchange_strong(&supervisor.cease_ms, &none, clock_mono_ms() + ms);
    children_wake();
}

void children_stop(void) {
    if (!supervisor.thread)
        return;
    cancel_calls();
    atomic_store(&supervisor.stopping, true);
    children_wake();
    thread_join(supervisor.thread);
    supervisor.thread = NULL;
    for (struct child *ch = children.list; ch; ch = ch->next)
        end_command(ch);
    int64_t until = clock_mono_ms() + STOP_MS;
    while (process_running(children.watcher) > 0 && clock_mono_ms() < until)
        clock_sleep_ms(5);
    watcher_stop(children.watcher);
    for (struct child *ch; (ch = children.list);) {
        children.list = ch->next;
        bury(ch);
    }
    dir_close(children.work);
    fd_close(supervisor.wake);
    supervisor.wake = -1;
    free(children.pass);
    json_decref(children.pyfunc);
    children = (struct children){.lock = PTHREAD_MUTEX_INITIALIZER};
}
