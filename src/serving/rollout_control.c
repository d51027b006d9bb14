/* SPDX-License-Identifier: Apache-2.0 */
#include "rollout_control.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "canary_end.h"
#include "model.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/prediction/prediction.h"
#include "quern/rollout/canary.h"
#include "quern/rollout/policy.h"
#include "rollout_track.h"
#include "snapshot.h"

#define TICK_MS 1000

static struct {
    struct db *db;
    struct thread *thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
} control = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

/* What one look at the snapshot told of an endpoint. */
struct seen {
    int64_t project, revision;
    const char *name;
    struct policy *policy; /* a reference is ours */
    uint32_t ready;        /* bit per arm that answers */
    int64_t version;       /* that the canary's arm serves; 0: none in memory */
    struct track *track;
    struct rollout_rows rows;
    bool news;
};

struct round {
    struct seen *all;
    size_t n;
};

/* ---- looking ---- */

static void look(struct ctx *c, struct round *r) {
    const struct snapshot *s = snapshot_enter();
    r->all = ARENA_ARRAY(c->arena, struct seen, s && s->n ? s->n : 1);
    for (size_t i = 0; s && i < s->n; i++) {
        const struct entry *e = &s->entries[i];
        if (!e->plan || !e->plan->policy)
            continue;
        struct seen *x = &r->all[r->n++];
        x->project = e->project;
        x->revision = e->plan->revision;
        x->name = arena_strdup(c->arena, e->name);
        x->policy = policy_ref(e->plan->policy);
        for (size_t k = 0; k < e->narms && k < 32; k++)
            x->ready |= e->arms[k].model || e->arms[k].idle ? 1u << k : 0;
        const struct canary *y = policy_canary(x->policy);
        if (y && y->arm < e->narms && e->arms[y->arm].model)
            x->version = e->arms[y->arm].model->version;
    }
    snapshot_leave();
}

/* ---- canaries ---- */

/* The share that belongs to it. */
static double begin_step(const struct policy *p, struct canary_run *run, int64_t now_ms) {
    const struct canary *y = policy_canary(p);
    run->since_ms = now_ms;
    arm_stats_read(policy_stats(p, y->arm), &run->arm);
    arm_stats_read(policy_stats(p, y->baseline), &run->baseline);
    return y->steps[run->step].percent;
}

struct monitors {
    struct live *live;
    int64_t now_ms;
};

static bool monitor(void *arg, const char *name, double *value) {
    const struct monitors *m = arg;
    return live_monitor(m->live, name, m->now_ms, value);
}

static void decide(const struct seen *x, const struct canary_run *run, int64_t now_ms,
                   struct canary_decision *d) {
    const struct canary *y = policy_canary(x->policy);
    struct arm_sample arm, baseline;
    arm_stats_read(policy_stats(x->policy, y->arm), &arm);
    arm_stats_read(policy_stats(x->policy, y->baseline), &baseline);
    arm_sample_since(&arm, &run->arm);
    arm_sample_since(&baseline, &run->baseline);
    struct monitors monitors = {policy_live(x->policy), now_ms};
    struct canary_figures f = {
        .arm = &arm, .baseline = &baseline, .monitor = monitor, .monitor_arg = &monitors};
    struct canary_state state = {.step = run->step, .since_ms = run->since_ms};
    canary_next(y, &state, &f, now_ms, d);
}

static void end_canary(struct ctx *c, const struct seen *x, struct canary_run *run,
                       const struct canary_decision *d) {
    const struct canary *y = policy_canary(x->policy);
    struct live *live = policy_live(x->policy);
    struct canary_end end = {.project = x->project,
                             .endpoint = x->name,
                             .revision = x->revision,
                             .promote = d->action == CANARY_PROMOTE,
                             .reason = d->reason};
    enum canary_phase before = run->phase;
    run->phase = PHASE_ENDING; /* so that the policy that comes of the write leaves it */
    /* A canary that failed gets no more requests, whatever becomes of the write. */
    if (!live_run_move(live, run, end.promote ? -1 : 0))
        return; /* another one runs by now */
    int rc = db_write(control.db, c, canary_end_op, &end);
    if (rc < 0)
        log_error("endpoint.canary", "endpoint %s is not %s: %s", x->name,
                  end.promote ? "promoted" : "rolled back",
                  c->err.message ? c->err.message : "the write failed");
    err_clear(c);
    if (rc < 0 || !end.done) {
        run->phase = before; /* decided again, unless the endpoint was changed meanwhile */
        live_run_end(live, run);
        return;
    }
    log_info("endpoint.canary", "endpoint %s, arm %s %s: %s", x->name,
             policy_arm_name(x->policy, y->arm), end.promote ? "promoted" : "rolled back",
             d->reason);
    run->phase = end.promote ? PHASE_PROMOTED : PHASE_ROLLED_BACK;
    memcpy(run->reason, d->reason, sizeof run->reason);
    live_run_end(live, run);
}

static void step(struct ctx *c, const struct seen *x, struct canary_run *run) {
    const struct canary *y = policy_canary(x->policy);
    struct live *live = policy_live(x->policy);
    struct canary_decision d;
    if (!(x->ready >> y->arm & 1)) {
        snprintf(run->reason, sizeof run->reason, "Arm %s is not ready.",
                 policy_arm_name(x->policy, y->arm));
        live_run_move(live, run, -1);
        return;
    }
    if (x->version && run->version && x->version != run->version) {
        log_info("endpoint.canary",
                 "endpoint %s, arm %s serves version %" PRId64 ": it begins anew", x->name,
                 policy_arm_name(x->policy, y->arm), x->version);
        run->step = 0;
        run->since_ms = 0;
    }
    if (x->version)
        run->version = x->version;
    double percent = run->since_ms ? -1 : begin_step(x->policy, run, c->now_ms);
    decide(x, run, c->now_ms, &d);
    if (d.action == CANARY_PROMOTE || d.action == CANARY_ROLLBACK) {
        end_canary(c, x, run, &d);
        return;
    }
    run->phase = d.ended ? PHASE_WAITING : PHASE_RUNNING;
    memcpy(run->reason, d.reason, sizeof run->reason);
    if (d.action == CANARY_ADVANCE) {
        run->step++;
        percent = begin_step(x->policy, run, c->now_ms);
        log_info("endpoint.canary", "endpoint %s: %s", x->name, d.reason);
    }
    live_run_move(live, run, percent);
}

/* ---- writing ---- */

static int save_all(struct ctx *c, void *arg) {
    const struct round *r = arg;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < r->n; i++)
        if (r->all[i].news)
            rc = rollout_save(c, &r->all[i].rows);
    return rc;
}

static void write_news(struct ctx *c, struct round *r) {
    bool news = false;
    for (size_t i = 0; i < r->n; i++) {
        struct seen *x = &r->all[i];
        struct canary_run run;
        bool known = live_run(policy_live(x->policy), &run);
        x->track = track_of(x->project, x->name, policy_live(x->policy));
        x->news = track_news(x->track, c->arena, known ? &run : NULL, &x->rows);
        news = news || x->news;
    }
    if (news && db_write(control.db, c, save_all, r) < 0) {
        log_error("rollout.save", "counts are not stored: %s",
                  c->err.message ? c->err.message : "the write failed");
        err_clear(c);
    } else if (news) {
        for (size_t i = 0; i < r->n; i++)
            if (r->all[i].news)
                track_saved(r->all[i].track, &r->all[i].rows);
    }
    tracks_sweep();
}

static void tick(void) {
    struct ctx c;
    struct round r = {0};
    ctx_begin(&c);
    look(&c, &r);
    for (size_t i = 0; i < r.n; i++) {
        const struct seen *x = &r.all[i];
        struct canary_run run;
        if (policy_canary(x->policy) && live_run(policy_live(x->policy), &run) &&
            run.definition == policy_canary_definition(x->policy) && run.phase <= PHASE_WAITING)
            step(&c, x, &run);
    }
    write_news(&c, &r);
    for (size_t i = 0; i < r.n; i++)
        policy_unref(r.all[i].policy);
    ctx_end(&c);
}

static bool wait_tick(void) {
    struct timespec until = clock_mono_in(TICK_MS);
    pthread_mutex_lock(&control.lock);
    while (!control.stopping)
        if (pthread_cond_clockwait(&control.wake, &control.lock, CLOCK_MONOTONIC, &until) ==
            ETIMEDOUT)
            break;
    bool on = !control.stopping;
    pthread_mutex_unlock(&control.lock);
    return on;
}

static void run_control(void *arg) {
    (void)arg;
    while (wait_tick())
        tick();
    tick();
    tracks_drop();
}

int rollout_control_start(struct db *db) {
    control.db = db;
    control.stopping = false;
    control.thread = thread_start("rollout", run_control, NULL);
    return control.thread ? 0 : -1;
}

void rollout_control_stop(void) {
    if (!control.thread)
        return;
    pthread_mutex_lock(&control.lock);
    control.stopping = true;
    pthread_cond_signal(&control.wake);
    pthread_mutex_unlock(&control.lock);
    thread_join(control.thread);
    control.thread = NULL;
}

/* ---- rewards ---- */

struct reward {
    int64_t project;
    char *endpoint;
    unsigned arm, context;
    double value;
    int64_t made_ms, now_ms;
};

static void apply_reward(void *arg) {
    const struct reward *r = arg;
    const struct snapshot *s = snapshot_enter();
    const struct entry *e = s ? snapshot_find(s, r->project, r->endpoint) : NULL;
    const struct policy *p = e && e->plan ? e->plan->policy : NULL;
    int64_t window = p ? policy_reward_window_ms(p) : 0;
    if (p && (!window || r->now_ms - r->made_ms <= window))
        for (size_t i = 0; i < e->narms; i++)
            if ((unsigned)e->arms[i].number % PREDICTION_ARMS == r->arm)
                policy_reward(p, (unsigned)i, r->context, r->value, r->now_ms);
    snapshot_leave();
}

int rollout_reward(struct ctx *c, const char *endpoint, unsigned arm, unsigned context,
                   double reward, int64_t made_ms) {
    if (context > BANDIT_CONTEXTS)
        return 0; /* no bandit chose that answer */
    struct reward *r = ARENA_NEW(c->arena, struct reward);
    *r = (struct reward){.project = c->project,
                         .endpoint = arena_strdup(c->arena, endpoint),
                         .arm = arm,
                         .context = context,
                         .value = reward,
                         .made_ms = made_ms,
                         .now_ms = c->now_ms};
    db_after_commit(c, apply_reward, r);
    return 0;
}
