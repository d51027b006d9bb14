/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include "definition.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

/* What the instances of one step amount to for the steps behind it. */
enum group { GROUP_OPEN, GROUP_GOOD, GROUP_SKIPPED, GROUP_BAD };

struct planner {
    const struct plan_in *in;
    struct plan_out *out;
    enum step_state *state; /* of the instances, moves of this call included */
    size_t *first;          /* per step, index of its first instance; nsteps + 1 entries */
    enum group *group;
    int64_t slots, run_slots;
};

static void act(struct planner *p, enum plan_verb verb, size_t instance, size_t because) {
    static const enum step_state next[] = {
        [PLAN_QUEUE] = STEP_QUEUED,
        [PLAN_SKIP] = STEP_SKIPPED,
        [PLAN_UPSTREAM_FAILED] = STEP_UPSTREAM_FAILED,
        [PLAN_CONDITION_FAILED] = STEP_FAILED,
        [PLAN_CANCEL] = STEP_CANCELLED,
        [PLAN_START] = STEP_LAUNCHING,
    };
    p->out->actions[p->out->n++] =
        (struct plan_action){.verb = verb, .instance = instance, .because = because};
    if (verb != PLAN_STOP && verb < PLAN_RUNNING) {
        p->state[instance] = next[verb];
    }
}

static enum group group_of(const struct planner *p, size_t step) {
    enum group g = GROUP_GOOD;
    for (size_t i = p->first[step]; i < p->first[step + 1]; i++) {
        if (!step_state_terminal(p->state[i])) {
            return GROUP_OPEN; /* others may still fail; the group is judged when all have ended */
        }
        if (p->state[i] == STEP_SKIPPED) {
            g = g == GROUP_GOOD ? GROUP_SKIPPED : g;
        } else if (!step_state_good(p->state[i])) {
            g = GROUP_BAD;
        }
    }
    return g;
}

/* Moves the pending instances of a step once the steps before it allow a word. */
static void settle_pending(struct planner *p, size_t step) {
    const struct step *s = &p->in->d->steps[step];
    bool open = false, pending = false;
    size_t bad = NO_STEP, skipped = NO_STEP;
    for (size_t i = p->first[step]; i < p->first[step + 1]; i++) {
        pending = pending || p->state[i] == STEP_PENDING;
    }
    for (size_t k = 0; pending && k < s->nneeds; k++) {
        enum group g = p->group[s->needs[k]];
        open = open || g == GROUP_OPEN;
        bad = g == GROUP_BAD && bad == NO_STEP ? s->needs[k] : bad;
        skipped = g == GROUP_SKIPPED && skipped == NO_STEP ? s->needs[k] : skipped;
    }
    if (!pending || (open && bad == NO_STEP)) {
        return;
    }
    enum plan_verb verb = PLAN_QUEUE;
    size_t because = NO_STEP;
    if (bad != NO_STEP) {
        verb = PLAN_UPSTREAM_FAILED;
        because = bad;
    } else if (skipped != NO_STEP && !s->after_skipped) {
        verb = PLAN_SKIP;
        because = skipped;
    } else if (s->when) {
        int yes = p->in->when(p->in->arg, step);
        verb = yes > 0 ? PLAN_QUEUE : yes == 0 ? PLAN_SKIP : PLAN_CONDITION_FAILED;
    }
    for (size_t i = p->first[step]; i < p->first[step + 1]; i++) {
        if (p->state[i] == STEP_PENDING) {
            act(p, verb, i, because);
        }
    }
}

static void start_queued(struct planner *p, size_t i) {
    const struct instance *it = &p->in->instances[i];
    const struct step *s = &p->in->d->steps[it->step];
    if (it->not_before_ms > p->in->now_ms && it->state == STEP_QUEUED) {
        if (p->out->wake_ms == 0 || it->not_before_ms < p->out->wake_ms) {
            p->out->wake_ms = it->not_before_ms;
        }
        return;
    }
    int64_t slots = s->kind == STEP_RUN ? s->slots : 0; /* built-in steps take no slot */
    int64_t parallel = s->kind == STEP_RUN ? 1 : 0;
    slots = slots > p->in->capacity ? p->in->capacity : slots;
    if (slots > p->slots || (p->in->d->max_parallel && parallel > p->run_slots)) {
        return;
    }
    p->slots -= slots;
    p->run_slots -= parallel;
    act(p, PLAN_START, i, NO_STEP);
}

static void cancel_all(struct planner *p) {
    for (size_t i = 0; i < p->in->n; i++) {
        if (p->state[i] == STEP_PENDING || p->state[i] == STEP_QUEUED) {
            act(p, PLAN_CANCEL, i, NO_STEP);
        } else if (!step_state_terminal(p->state[i])) {
            act(p, PLAN_STOP, i, NO_STEP);
        }
    }
}

static void finish(struct planner *p) {
    bool open = false, bad = false, cancelled = false, begun = false;
    for (size_t i = 0; i < p->in->n; i++) {
        enum step_state s = p->state[i];
        open = open || !step_state_terminal(s);
        cancelled = cancelled || s == STEP_CANCELLED;
        bad = bad || (step_state_terminal(s) && !step_state_good(s) && s != STEP_SKIPPED);
        begun = begun || (s != STEP_PENDING && s != STEP_QUEUED);
    }
    if (open) {
        if (begun && p->in->state == RUN_QUEUED) {
            act(p, PLAN_RUNNING, 0, NO_STEP);
        }
        return;
    }
    act(p, PLAN_FINISH, 0, NO_STEP);
    p->out->actions[p->out->n - 1].state = p->in->cancel && cancelled ? RUN_CANCELLED
                                           : bad                      ? RUN_FAILED
                                                                      : RUN_SUCCEEDED;
}

void plan(struct ctx *c, const struct plan_in *in, struct plan_out *out) {
    const struct definition *d = in->d;
    struct planner p = {.in = in, .out = out, .slots = in->slots, .run_slots = d->max_parallel};
    /* At most: queue and start for each instance, and two moves of the run. */
    out->actions = ARENA_ARRAY(c->arena, struct plan_action, in->n * 2 + 2);
    out->n = 0;
    out->wake_ms = 0;
    p.state = ARENA_ARRAY(c->arena, enum step_state, in->n + 1);
    p.first = ARENA_ARRAY(c->arena, size_t, d->nsteps + 1);
    p.group = ARENA_ARRAY(c->arena, enum group, d->nsteps + 1);
    for (size_t i = 0, step = 0; step <= d->nsteps; step++) {
        while (i < in->n && in->instances[i].step < step) {
            i++;
        }
        p.first[step] = step == d->nsteps ? in->n : i;
    }
    for (size_t i = 0; i < in->n; i++) {
        p.state[i] = in->instances[i].state;
        bool active = p.state[i] == STEP_LAUNCHING || p.state[i] == STEP_RUNNING;
        p.run_slots -= active && d->steps[in->instances[i].step].kind == STEP_RUN;
    }
    if (in->cancel) {
        cancel_all(&p);
    } else {
        for (size_t step = 0; step < d->nsteps;
             step++) { /* needs come first, so one pass will do */
            settle_pending(&p, step);
            p.group[step] = group_of(&p, step);
        }
        for (size_t i = 0; i < in->n; i++) {
            if (p.state[i] == STEP_QUEUED) {
                start_queued(&p, i);
            }
        }
    }
    finish(&p);
}

int64_t retry_delay_ms(const struct retry *r, int64_t failures, double random) {
    int64_t delay = r->backoff_ms;
    for (int64_t i = 1; i < failures && delay < r->max_ms; i++) {
        delay *= 2;
    }
    delay = delay > r->max_ms ? r->max_ms : delay;
    double spread = r->jitter * (2 * random - 1); /* -jitter..+jitter */
    return (int64_t)((double)delay * (1 + spread));
}
