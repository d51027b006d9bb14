/* SPDX-License-Identifier: Apache-2.0 */
/* The one scheduler thread: reads the active runs in one snapshot, asks plan, writes what follows
 * and hands the rest to workers. It sleeps until something wakes it or a retry is due. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "executor.h"
#include "expression.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/failpoint.h"
#include "quern/base/log.h"
#include "quern/base/map.h"
#include "quern/base/str.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/metric/metric.h"
#include "quern/process/process.h"
#include "quern/tracking/tracking.h"

#define IDLE_MS ((int64_t)30000) /* a look around even if no one called */
#define BUSY_MS ((int64_t)20)
#define LATER_MS ((int64_t)1000)

struct executor executor;

struct job {
    void (*run)(struct ctx *c, void *arg);
    void *arg;
    int64_t due_ms; /* monotonic; of those that wait for a time */
    struct job *next;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool dirty, stop;
    struct job *waiting, **tail; /* jobs for which the workers had no room */
    struct job *later;           /* jobs that wait for a time */
    size_t jobs;                 /* handed out or waiting */
    struct thread *thread;
    struct map *stopped; /* attempts already told to end */
    struct map *bases;   /* of active runs; the scheduler's own, as is the former */
    size_t turn;
} at = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void executor_wake(void) {
    pthread_mutex_lock(&at.lock);
    at.dirty = true;
    pthread_cond_broadcast(&at.changed);
    pthread_mutex_unlock(&at.lock);
}

void executor_wake_after_commit(void *unused) {
    (void)unused;
    executor_wake();
}

bool executor_stopping(void) {
    pthread_mutex_lock(&at.lock);
    bool stop = at.stop;
    pthread_mutex_unlock(&at.lock);
    return stop;
}

/* ---- jobs */

static void job_done(void) {
    pthread_mutex_lock(&at.lock);
    at.jobs--;
    pthread_cond_broadcast(&at.changed);
    pthread_mutex_unlock(&at.lock);
}

static void run_job(struct ctx *c, void *arg) {
    struct job *j = arg;
    j->run(c, j->arg);
    free(j);
    job_done();
}

/* Not begun: the next start finds on record what it was about. */
static void job_drop(struct job *j) {
    if (j->run == job_settle || j->run == job_adopt) {
        free(j->arg);
    } else {
        launch_free(j->arg); /* job_tidy has none */
    }
    free(j);
}

static struct job *job_new(void (*run)(struct ctx *c, void *arg), void *arg) {
    struct job *j = mem_alloc(sizeof *j);
    *j = (struct job){.run = run, .arg = arg};
    return j;
}

void executor_job(void (*run)(struct ctx *c, void *arg), void *arg) {
    struct job *j = job_new(run, arg);
    pthread_mutex_lock(&at.lock);
    bool first = at.waiting == NULL; /* those that wait go first */
    at.jobs++;
    pthread_mutex_unlock(&at.lock);
    if (first && !executor_stopping() && lane_work(executor.o.lanes, run_job, j) == 0) {
        return;
    }
    pthread_mutex_lock(&at.lock);
    bool stop = at.stop;
    if (stop) {
        at.jobs--;
    } else {
        *(at.waiting ? at.tail : &at.waiting) = j;
        at.tail = &j->next;
    }
    pthread_cond_broadcast(&at.changed);
    pthread_mutex_unlock(&at.lock);
    if (stop) {
        job_drop(j);
    }
}

void executor_job_later(void (*run)(struct ctx *c, void *arg), void *arg) {
    struct job *j = job_new(run, arg);
    j->due_ms = clock_mono_ms() + LATER_MS;
    pthread_mutex_lock(&at.lock);
    bool stop = at.stop;
    if (!stop) {
        at.jobs++;
        j->next = at.later;
        at.later = j;
        pthread_cond_broadcast(&at.changed);
    }
    pthread_mutex_unlock(&at.lock);
    if (stop) {
        job_drop(j);
    }
}

/* Puts what is due among those that wait. True while some are not. */
static bool take_due(void) {
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&at.lock);
    for (struct job **link = &at.later; *link;) {
        struct job *j = *link;
        if (j->due_ms > now) {
            link = &j->next;
            continue;
        }
        *link = j->next;
        j->next = NULL;
        *(at.waiting ? at.tail : &at.waiting) = j;
        at.tail = &j->next;
    }
    bool more = at.later != NULL;
    pthread_mutex_unlock(&at.lock);
    return more;
}

/* True while some still wait. */
static bool hand_out_waiting(void) {
    for (;;) {
        pthread_mutex_lock(&at.lock);
        struct job *j = at.waiting;
        if (j) {
            at.waiting = j->next;
        }
        pthread_mutex_unlock(&at.lock);
        if (!j) {
            return false;
        }
        j->next = NULL;
        if (lane_work(executor.o.lanes, run_job, j)) {
            pthread_mutex_lock(&at.lock);
            j->next = at.waiting;
            at.waiting = j;
            at.tail = j->next ? at.tail : &j->next;
            pthread_mutex_unlock(&at.lock);
            return true;
        }
    }
}

static void on_exited(const char *folder, void *arg) {
    (void)arg;
    executor_job(job_settle, mem_strdup(folder));
}

/* ---- one pass */

struct work {
    struct shared_view *view;
    struct plan_out plan;
    struct launch **launches; /* by action */
    const char **reasons;     /* by action */
    const char *condition;    /* why a `when` could not be told */
    bool again;               /* out: states changed in a way that lets others move */
};

static struct run_base *find_base(struct ctx *c, const struct active_run *run) {
    struct run_base *b = map_get(at.bases, run->id);
    if (b) {
        return b;
    }
    b = mem_alloc(sizeof *b);
    ctx_begin(&b->c);
    atomic_init(&b->users, 1); /* the map's */
    b->c.db = c->db;
    b->c.project = run->project;
    if (run_view_base(&b->c, run->id, &b->v)) {
        log_error("pipeline.load", "run %s: %s", run->id, b->c.err.message);
        run_base_drop(b);
        return NULL;
    }
    b->c.db = NULL;
    map_set(at.bases, run->id, b);
    return b;
}

static void drop_base(void *base) {
    run_base_drop(base);
}

static struct shared_view *load_view(struct ctx *c, const struct active_run *run) {
    struct run_base *base = find_base(c, run);
    if (!base) {
        return NULL;
    }
    struct shared_view *s = mem_alloc(sizeof *s);
    ctx_begin(&s->c);
    atomic_init(&s->users, 1);
    s->base = run_base_keep(base);
    s->v = base->v;
    s->c.db = c->db;
    s->c.project = run->project;
    int rc = run_load_state(&s->c, run->id, &s->v.run.state, &s->v.run.cancel);
    rc = rc ? rc : run_view_steps(&s->c, &s->v);
    s->c.db = NULL;
    if (rc) {
        log_error("pipeline.load", "run %s: %s", run->id, s->c.err.message);
        shared_view_drop(s);
        return NULL;
    }
    return s;
}

static int64_t slots_of(const struct step *s) {
    int64_t slots = s->kind == STEP_RUN ? s->slots : 0;
    return slots > executor.capacity ? executor.capacity : slots;
}

static int64_t slots_used(const struct run_view *v) {
    int64_t used = 0;
    for (size_t i = 0; i < v->n; i++) {
        if (v->steps[i].state == STEP_LAUNCHING || v->steps[i].state == STEP_RUNNING) {
            used += slots_of(&v->d->steps[v->steps[i].index_in_definition]);
        }
    }
    return used;
}

struct asking {
    struct ctx *c;
    struct work *w;
};

static int ask_condition(void *arg, size_t step) {
    struct asking *a = arg;
    const struct run_view *v = &a->w->view->v;
    struct json_t *root;
    bool yes = false;
    int rc = view_scope(a->c, v, &v->d->steps[step], NULL, &root);
    rc = rc ? rc : expr_test(a->c, v->d->steps[step].when, root, &yes);
    if (rc) {
        a->w->condition = a->c->err.message;
        err_clear(a->c);
        return -1;
    }
    return yes;
}

static const char *reason_of(struct ctx *c, const struct work *w, const struct plan_action *a) {
    const struct definition *d = w->view->v.d;
    const struct step *s = &d->steps[w->view->v.steps[a->instance].index_in_definition];
    const char *because = a->because == NO_STEP ? NULL : d->steps[a->because].name;
    switch (a->verb) {
    case PLAN_SKIP:
        return because ? arena_printf(c->arena, "step %s was skipped", because)
                       : arena_printf(c->arena, "condition is false: %s", s->when_text);
    case PLAN_UPSTREAM_FAILED:
        return arena_printf(c->arena, "step %s did not succeed", because);
    case PLAN_CONDITION_FAILED:
        return arena_printf(c->arena, "condition \"%s\": %s", s->when_text,
                            w->condition ? w->condition : "cannot be told");
    case PLAN_CANCEL:
        return "the run was cancelled";
    default:
        return NULL;
    }
}

static void plan_run(struct ctx *c, struct work *w, int64_t *free_slots) {
    const struct run_view *v = &w->view->v;
    struct instance *instances = ARENA_ARRAY(c->arena, struct instance, v->n + 1);
    for (size_t i = 0; i < v->n; i++) {
        instances[i] = (struct instance){.step = v->steps[i].index_in_definition,
                                         .state = v->steps[i].state,
                                         .not_before_ms = v->steps[i].not_before_ms};
    }
    struct asking asking = {.c = c, .w = w};
    struct plan_in in = {.d = v->d,
                         .instances = instances,
                         .n = v->n,
                         .state = v->run.state,
                         .cancel = v->run.cancel,
                         .slots = *free_slots,
                         .capacity = executor.capacity,
                         .now_ms = clock_wall_ms(),
                         .when = ask_condition,
                         .arg = &asking};
    c->project = v->run.project;
    plan(c, &in, &w->plan);
    w->launches = ARENA_ARRAY(c->arena, struct launch *, w->plan.n + 1);
    w->reasons = ARENA_ARRAY(c->arena, const char *, w->plan.n + 1);
    for (size_t i = 0; i < w->plan.n; i++) {
        const struct plan_action *a = &w->plan.actions[i];
        if (a->verb == PLAN_START) {
            const struct step_row *row = &v->steps[a->instance];
            w->launches[i] = launch_prepare(c, w->view, row);
            *free_slots -= slots_of(&v->d->steps[row->index_in_definition]);
        } else if (a->verb < PLAN_RUNNING) {
            w->reasons[i] = reason_of(c, w, a);
        }
    }
}

static const char *why_failed(struct ctx *c, const struct run_view *v) {
    for (size_t i = 0; i < v->n; i++) {
        enum step_state s = v->steps[i].state;
        if (s == STEP_FAILED || s == STEP_LOST) {
            return arena_printf(c->arena, "step %s %s%s%s", v->steps[i].name, step_state_name(s),
                                v->steps[i].reason ? ": " : "",
                                v->steps[i].reason ? v->steps[i].reason : "");
        }
    }
    return NULL;
}

static int finish_run(struct ctx *c, const struct run_view *v, enum run_state to) {
    static const char *const status[] = {
        [RUN_SUCCEEDED] = "FINISHED", [RUN_FAILED] = "FAILED", [RUN_CANCELLED] = "KILLED"};
    const char *reason = to == RUN_FAILED ? why_failed(c, v) : NULL;
    /* The move to running may stand before this one in the same list. */
    int rc = v->run.state == RUN_QUEUED ? run_move(c, v->run.id, RUN_QUEUED, to, reason) : 0;
    rc = rc || v->run.state == RUN_QUEUED ? rc : run_move(c, v->run.id, RUN_RUNNING, to, reason);
    if (rc == 0 && v->run.tracking_run_id) {
        int64_t experiment;
        bool active;
        if (run_exists(c, v->run.tracking_run_id, &experiment, &active) == 0) {
            rc = run_finish(c, v->run.tracking_run_id, status[to], c->now_ms);
        } else {
            err_clear(c);
        }
    }
    return rc ? rc
              : event_emit(c, "pipeline.run.finished",
                           arena_printf(c->arena, "pipeline_run:%s", v->run.id),
                           arena_printf(c->arena, "{\"pipeline\":\"%s\",\"state\":\"%s\"}",
                                        v->run.pipeline, run_state_name(to)));
}

static int apply_one(struct ctx *c, struct work *w, size_t i) {
    static const enum step_state to[] = {[PLAN_QUEUE] = STEP_QUEUED,
                                         [PLAN_SKIP] = STEP_SKIPPED,
                                         [PLAN_UPSTREAM_FAILED] = STEP_UPSTREAM_FAILED,
                                         [PLAN_CONDITION_FAILED] = STEP_FAILED,
                                         [PLAN_CANCEL] = STEP_CANCELLED};
    const struct plan_action *a = &w->plan.actions[i];
    const struct run_view *v = &w->view->v;
    const struct step_row *row = &v->steps[a->instance];
    bool moved;
    switch (a->verb) {
    case PLAN_START:
        return attempt_begin(c, w->launches[i]);
    case PLAN_STOP:
        return 0;
    case PLAN_RUNNING:
        return run_move(c, v->run.id, RUN_QUEUED, RUN_RUNNING, NULL);
    case PLAN_FINISH:
        return finish_run(c, v, a->state);
    case PLAN_CANCEL:
        return step_move(c, v->run.id, row, row->state, STEP_CANCELLED, w->reasons[i], &moved);
    default:
        return step_move(c, v->run.id, row, STEP_PENDING, to[a->verb], w->reasons[i], &moved);
    }
}

static int apply_op(struct ctx *c, void *arg) {
    struct work *w = arg;
    int rc = 0;
    c->project = w->view->v.run.project;
    c->now_ms = clock_wall_ms();
    for (size_t i = 0; rc == 0 && i < w->plan.n; i++) {
        rc = apply_one(c, w, i);
    }
    return rc;
}

static void stop_attempt(struct ctx *c, const struct run_view *v, const struct step_row *row) {
    const struct step *s = &v->d->steps[row->index_in_definition];
    if (row->state != STEP_RUNNING || s->kind != STEP_RUN) {
        return;
    }
    char *folder = arena_printf(c->arena, "%s/keeper",
                                attempt_place_path(c, v->run.id, row->name, row->attempt));
    if (map_has(at.stopped, folder)) {
        return;
    }
    if (process_cancel(executor.watcher, c, executor.o.data, folder)) {
        log_warn("pipeline.cancel", "%s: %s", folder, c->err.message ? c->err.message : "failed");
        err_clear(c); /* asked again at the next look */
        return;
    }
    map_set(at.stopped, folder, &at);
}

/* After the write: what was put on record is carried out. */
static void carry_out(struct ctx *c, struct work *w, bool written) {
    for (size_t i = 0; i < w->plan.n; i++) {
        const struct plan_action *a = &w->plan.actions[i];
        struct launch *l = w->launches[i];
        if (a->verb == PLAN_STOP) {
            stop_attempt(c, &w->view->v, &w->view->v.steps[a->instance]);
        } else if (l && written && l->applied && !l->cached && !l->failure) {
            executor_job(l->step->kind == STEP_RUN ? job_launch : job_builtin, l);
        } else if (l) {
            if (written && l->cached) {
                metric_add(METRIC_STEPS, 1, "cached", NULL, NULL);
            }
            w->again = w->again || (written && l->applied);
            launch_free(l);
        } else if (written && a->verb == PLAN_SKIP) {
            metric_add(METRIC_STEPS, 1, "skipped", NULL, NULL);
        } else if (written && a->verb == PLAN_FINISH) {
            run_base_drop(map_remove(at.bases, w->view->v.run.id));
            metric_add(METRIC_RUNS, 1, run_state_name(a->state), NULL, NULL);
            log_info("pipeline.run", "%s %s %s", w->view->v.run.pipeline, w->view->v.run.id,
                     run_state_name(a->state));
        }
    }
}

static void write_run(struct ctx *c, struct work *w, bool *again) {
    bool only_stops = true;
    for (size_t i = 0; i < w->plan.n; i++) {
        only_stops = only_stops && w->plan.actions[i].verb == PLAN_STOP;
    }
    FAILPOINT("launch-unwritten");
    int rc = only_stops ? 0 : db_write(executor.db, c, apply_op, w);
    FAILPOINT("launch-written");
    if (rc) {
        log_warn("pipeline.write", "run %s: %s", w->view->v.run.id,
                 c->err.message ? c->err.message : "not written");
        err_clear(c);
    }
    carry_out(c, w, rc == 0);
    *again = *again || w->again;
    if (rc) { /* a full queue or disk: a little later */
        clock_sleep_ms(BUSY_MS);
        *again = true;
    }
}

/* Looks at all active runs. Gives the wall time of the next retry, 0 for none. */
static int64_t pass(void) {
    struct ctx c;
    struct active_run *runs;
    size_t n = 0, count = 0;
    int64_t wake = 0, free_slots = executor.capacity;
    bool again = false;
    ctx_begin(&c);
    int rc = db_read_begin(executor.db, &c);
    rc = rc ? rc : run_list_active(&c, &runs, &n);
    struct work *work = ARENA_ARRAY(c.arena, struct work, n + 1);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        work[count].view = load_view(&c, &runs[i]);
        if (work[count].view) {
            free_slots -= slots_used(&work[count].view->v);
            count++;
        }
    }
    at.turn++;
    for (size_t i = 0; i < count; i++) { /* each run in turn is the first to be served */
        struct work *w = &work[(i + at.turn) % count];
        plan_run(&c, w, &free_slots);
        if (w->plan.wake_ms && (!wake || w->plan.wake_ms < wake)) {
            wake = w->plan.wake_ms;
        }
    }
    if (c.db) {
        db_read_end(&c);
    }
    for (size_t i = 0; i < count; i++) {
        if (work[i].plan.n) {
            write_run(&c, &work[i], &again);
        }
        shared_view_drop(work[i].view);
    }
    if (rc) {
        log_error("pipeline.pass", "%s", c.err.message ? c.err.message : "failed");
    }
    if (n == 0 && map_count(at.stopped)) {
        map_free(at.stopped, NULL);
        at.stopped = map_new();
    }
    metric_set(METRIC_STEPS_RUNNING, (double)process_running(executor.watcher), NULL, NULL, NULL);
    ctx_end(&c);
    if (again) {
        executor_wake();
    }
    return wake;
}

static void wait_until(int64_t wake_wall_ms, bool busy, bool later) {
    int64_t ms = later ? LATER_MS / 2 : IDLE_MS;
    if (wake_wall_ms) {
        int64_t left = wake_wall_ms - clock_wall_ms();
        ms = left < 1 ? 1 : left < ms ? left : ms;
    }
    ms = busy && ms > BUSY_MS ? BUSY_MS : ms;
    struct timespec until = clock_mono_in(ms);
    pthread_mutex_lock(&at.lock);
    int rc = 0;
    while (!at.dirty && !at.stop && (!at.waiting || busy) && rc != ETIMEDOUT) {
        rc = pthread_cond_clockwait(&at.changed, &at.lock, CLOCK_MONOTONIC, &until);
    }
    at.dirty = at.dirty || (rc == ETIMEDOUT && !busy && !later);
    pthread_mutex_unlock(&at.lock);
}

static void schedule(void *arg) {
    (void)arg;
    int64_t wake = 0;
    while (!executor_stopping()) {
        bool later = take_due(), busy = hand_out_waiting();
        pthread_mutex_lock(&at.lock);
        bool dirty = at.dirty;
        at.dirty = false;
        pthread_mutex_unlock(&at.lock);
        if (dirty || (wake && clock_wall_ms() >= wake)) {
            int64_t began = clock_mono_ms();
            wake = pass();
            busy = hand_out_waiting();
            /* A run of thousands of steps takes a while to look at: what ends meanwhile is looked
             * at together, so that looking costs at most half of one processor. */
            clock_sleep_ms(clock_mono_ms() - began);
        }
        wait_until(wake, busy, later);
    }
    db_thread_end(executor.db);
}

int pipeline_start(const struct pipeline_options *o, struct buf *error) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    executor.o = *o;
    executor.db = lanes_db(o->lanes);
    executor.capacity = o->parallel ? (int64_t)o->parallel : processors > 0 ? processors : 1;
    at.stop = false;
    at.dirty = true;
    at.stopped = map_new();
    at.bases = map_new();
    if (watcher_start(o->self_exe, on_exited, NULL, &executor.watcher)) {
        buf_puts(error, "the watcher of child processes could not be started");
        return -1;
    }
    struct ctx c;
    ctx_begin(&c);
    int rc = executor_reconcile(&c);
    if (rc) {
        buf_printf(error, "steps of before the restart could not be taken up: %s",
                   c.err.message ? c.err.message : "unknown");
    }
    ctx_end(&c);
    if (rc) {
        watcher_stop(executor.watcher);
        return -1;
    }
    at.thread = thread_start("scheduler", schedule, NULL);
    return 0;
}

static void drop_all(struct job **list) {
    while (*list) {
        struct job *j = *list;
        *list = j->next;
        at.jobs--;
        job_drop(j);
    }
}

void pipeline_stop(void) {
    pthread_mutex_lock(&at.lock);
    at.stop = true;
    pthread_cond_broadcast(&at.changed);
    pthread_mutex_unlock(&at.lock);
    thread_join(at.thread);
    at.thread = NULL;
    pthread_mutex_lock(&at.lock);
    drop_all(&at.waiting);
    drop_all(&at.later);
    while (at.jobs) {
        pthread_cond_wait(&at.changed, &at.lock);
    }
    pthread_mutex_unlock(&at.lock);
    watcher_stop(executor.watcher);
    executor.watcher = NULL;
    map_free(at.stopped, NULL);
    map_free(at.bases, drop_base);
    at.stopped = at.bases = NULL;
}
