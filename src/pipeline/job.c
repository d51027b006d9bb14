/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of the executor, on workers. */
#include <stdlib.h>
#include <string.h>

#include "executor.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/failpoint.h"
#include "quern/base/id.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

double random_unit(void) {
    uint32_t r;
    id_random(&r, sizeof r);
    return (double)r / (double)UINT32_MAX;
}

static int settle_op(struct ctx *c, void *arg) {
    struct settlement *s = arg;
    c->project = s->view->run.project;
    return attempt_settle(c, s);
}

static bool passes(int rc) {
    return rc == -ERR_BUSY || rc == -ERR_DISK_FULL;
}

/* A fact that the database refuses (the name of an output, a folder where a file is) would be
 * refused at every try, and the step would run for ever: the refusal is its end. */
static void refuse(struct ctx *c, struct settlement *s) {
    s->reason = arena_printf(c->arena, "what the step left cannot be recorded: %s",
                             c->err.message ? c->err.message : "unknown");
    s->outcome = OUTCOME_FAILED;
    collection_unpin(&s->outputs);
    s->outputs = (struct collection){0};
    err_clear(c);
}

int settle_write(struct ctx *c, struct settlement *s) {
    int rc;
    for (int turn = 0; turn < 2; turn++) {
        s->random = random_unit();
        rc = db_write(executor.db, c, settle_op, s);
        if (rc == 0 || passes(rc) || s->outcome != OUTCOME_SUCCEEDED) {
            break;
        }
        refuse(c, s);
    }
    if (rc == 0 && s->settled) {
        attempt_count(s);
    } else if (rc) {
        log_error("pipeline.settle", "run %s step %s: %s", s->view->run.id, s->row->name,
                  c->err.message ? c->err.message : "not written");
    }
    return rc;
}

int settle_write_wait(struct ctx *c, struct settlement *s) {
    int rc;
    for (int64_t wait = 20; passes(rc = settle_write(c, s)) && !executor_stopping();
         wait = wait < 1000 ? wait * 2 : wait) {
        err_clear(c);
        clock_sleep_ms(wait);
    }
    return rc;
}

/* ---- launching */

struct running {
    const struct run_view *v;
    const struct step_row *row;
    int64_t attempt_id;
    const char *token;
};

static int running_op(struct ctx *c, void *arg) {
    const struct running *r = arg;
    c->project = r->v->run.project;
    return attempt_running(c, r->v->run.id, r->row, r->attempt_id, r->token);
}

int running_write(struct ctx *c, const struct run_view *v, const struct step_row *row,
                  int64_t attempt_id, const char *token) {
    struct running r = {.v = v, .row = row, .attempt_id = attempt_id, .token = token};
    return db_write(executor.db, c, running_op, &r);
}

/* The step row as transaction A left it. */
static struct step_row launched_row(const struct launch *l) {
    struct step_row row = *l->row;
    row.state = STEP_LAUNCHING;
    row.attempt = l->number;
    row.cache_key = *l->cache_key ? l->cache_key : NULL;
    return row;
}

static struct attempt_row launched_attempt(const struct launch *l) {
    return (struct attempt_row){.id = l->attempt_id,
                                .step_id = l->row->id,
                                .number = l->number,
                                .token = l->token,
                                .state = "launching",
                                .folder = l->folder,
                                .tracking_run_id = *l->tracking_run_id ? l->tracking_run_id : NULL};
}

/* What lies in the attempt's folder decides, not what the start said: a keeper that an earlier
 * daemon started may have come up meanwhile, and may have ended. */
static enum process_state start(struct ctx *c, struct launch *l, int *rc) {
    enum process_state state = PROCESS_UNSTARTED;
    *rc = process_adopt(executor.watcher, c, executor.o.data, l->folder, &state);
    if (*rc) { /* cannot be told just now; the settling asks until it can */
        err_clear(c);
        return PROCESS_LOST;
    }
    if (state == PROCESS_UNSTARTED) {
        *rc = launch_start(l);
        if (*rc == 0) {
            return PROCESS_RUNNING;
        }
        if (process_adopt(executor.watcher, c, executor.o.data, l->folder, &state)) {
            state = PROCESS_LOST;
        }
    }
    err_clear(c);
    return state;
}

void job_launch(struct ctx *c, void *arg) {
    struct launch *l = arg;
    int rc;
    c->project = l->c.project = l->view->v.run.project;
    enum process_state state = start(c, l, &rc);
    if (state == PROCESS_RUNNING) {
        FAILPOINT("running-unwritten");
        if (running_write(c, &l->view->v, l->row, l->attempt_id, l->token)) {
            log_warn("pipeline.running", "run %s step %s: %s", l->view->v.run.id, l->row->name,
                     c->err.message ? c->err.message : "not written");
            executor_job_later(job_settle, mem_strdup(l->folder)); /* finds it running */
        }
        FAILPOINT("running-written");
    } else if (state != PROCESS_UNSTARTED) {
        executor_job(job_settle, mem_strdup(l->folder));
    } else {
        struct step_row row = launched_row(l);
        struct attempt_row attempt = launched_attempt(l);
        struct settlement s = {
            .view = &l->view->v,
            .step = l->step,
            .row = &row,
            .attempt = &attempt,
            /* No room on the disk or among the processes is not the step's fault. */
            .outcome = passes(rc) ? OUTCOME_LOST : OUTCOME_FAILED,
            .reason = arena_printf(c->arena, "the step could not be started: %s",
                                   l->c.err.message ? l->c.err.message : "unknown"),
        };
        /* A late keeper of an earlier daemon then ends by itself. */
        if (process_cancel(executor.watcher, c, executor.o.data, l->folder)) {
            err_clear(c); /* there is no folder for it to come up in */
        }
        attempt_tidy(c, l->folder); /* half made, perhaps for want of room */
        settle_write_wait(c, &s);
    }
    launch_free(l);
    executor_wake();
}

void job_builtin(struct ctx *c, void *arg) {
    struct launch *l = arg;
    struct step_row row = launched_row(l);
    struct attempt_row attempt = launched_attempt(l);
    struct settlement s = {.view = &l->view->v, .step = l->step, .row = &row, .attempt = &attempt};
    c->project = l->view->v.run.project;
    int rc = 0;
    if (l->step->kind == STEP_ACTION) {
        rc = builtin_action(c, &l->view->v, l->step, &row, &s);
    } else {
        rc = db_read_begin(executor.db, c);
        if (rc == 0) {
            rc = l->step->kind == STEP_SELECT ? builtin_select(c, &l->view->v, l->step, &s)
                                              : builtin_gate(c, &l->view->v, l->step, &row, &s);
            db_read_end(c);
        }
    }
    if (rc == -ERR_BUSY && executor_stopping()) {
        launch_free(l); /* given up for the daemon's sake: the next start takes it back */
        return;
    }
    if (rc) {
        s.outcome = OUTCOME_FAILED;
        s.reason = c->err.message ? c->err.message : "the step failed";
        s.final = l->step->kind != STEP_ACTION;
        err_clear(c);
    }
    FAILPOINT("built-in-done");
    settle_write_wait(c, &s);
    launch_free(l);
    executor_wake();
}

/* ---- settling */

static const char *exit_reason(struct ctx *c, const struct step *s,
                               const struct process_status *p) {
    if (p->start_failed) {
        return p->reason ? p->reason : "the command could not be started";
    }
    if (p->timed_out) {
        return arena_printf(c->arena, "timed out after %lld s", (long long)(s->timeout_ms / 1000));
    }
    if (p->cancelled) {
        return "cancelled";
    }
    if (p->signal) {
        return arena_printf(c->arena, "ended by signal %d (%s)", p->signal, strsignal(p->signal));
    }
    return p->exit_code ? arena_printf(c->arena, "exit code %d", p->exit_code) : NULL;
}

/* Fails only with what passes: then the end is looked at again later. */
static int judge(struct ctx *c, const struct run_view *v, struct settlement *s,
                 const struct process_status *p, const char *base) {
    s->status = p;
    s->reason = exit_reason(c, s->step, p);
    s->outcome = p->cancelled ? OUTCOME_CANCELLED : s->reason ? OUTCOME_FAILED : OUTCOME_SUCCEEDED;
    int rc =
        s->outcome == OUTCOME_SUCCEEDED ? outputs_collect(c, v, s->step, base, &s->outputs) : 0;
    if (rc && !passes(rc)) {
        s->outcome = OUTCOME_FAILED;
        s->reason = c->err.message;
        collection_unpin(&s->outputs);
        s->outputs = (struct collection){0};
        err_clear(c);
        rc = 0;
    }
    return rc;
}

/* How the attempt ended; *over false while another keeper has it, which is then watched. A status
 * that cannot be read just now is no lost step: only a folder that nobody holds and that lacks the
 * status is. */
static int find_end(struct ctx *c, const char *folder, struct process_status *p,
                    enum process_state *state) {
    *state = PROCESS_ENDED;
    int rc = process_status(c, executor.o.data, folder, p);
    if (rc == -ERR_NOT_FOUND) {
        err_clear(c);
        rc = process_adopt(executor.watcher, c, executor.o.data, folder, state);
        if (rc == 0 && *state == PROCESS_ENDED) {
            rc = process_status(c, executor.o.data, folder, p);
        }
    }
    if (rc == -ERR_INTERNAL) {
        return -ERR_BUSY;
    }
    if (rc) { /* there, and no status: somebody wrote into it */
        err_clear(c);
        *state = PROCESS_LOST;
    }
    return 0;
}

static void clean_up(struct ctx *c, const struct settlement *s) {
    if (s->outcome == OUTCOME_SUCCEEDED || s->again) {
        attempt_tidy(c, s->attempt->folder);
    } else {
        attempt_keep(c, &s->view->run);
    }
    if (s->attempt->number > 1) { /* kept until the step was tried again */
        const char *before =
            attempt_place_path(c, s->view->run.id, s->row->name, s->attempt->number - 1);
        attempt_tidy(c, arena_printf(c->arena, "%s/keeper", before));
    }
}

static int inputs_again(struct ctx *c, const struct run_view *v, struct settlement *s,
                        struct bound_input **inputs) {
    struct json_t *root;
    int rc = view_scope(c, v, s->step, s->row, &root);
    rc = rc ? rc : inputs_bind(c, v, s->step, root, inputs);
    if (rc) { /* for lineage only */
        err_clear(c);
        *inputs = NULL;
    }
    return 0;
}

static int settle_folder(struct ctx *c, const char *folder) {
    struct attempt_place place;
    struct run_view v;
    struct step_row row = {0};
    struct attempt_row attempt;
    struct bound_input *inputs = NULL;
    struct settlement s = {.view = &v, .row = &row, .attempt = &attempt};
    int rc = db_read_begin(executor.db, c);
    if (rc) {
        return rc;
    }
    rc = attempt_find(c, folder, &place);
    bool open = rc == 0 && place.run_id &&
                (str_eq(place.state, "launching") || str_eq(place.state, "running"));
    if (open) {
        c->project = place.project;
        rc = run_view_load_one(c, place.run_id, place.step_id, &v, &row);
        rc = rc ? rc : attempt_load(c, place.step_id, place.number, &attempt);
        s.step = rc ? NULL : &v.d->steps[row.index_in_definition];
        rc = rc ? rc : inputs_again(c, &v, &s, &inputs);
    }
    db_read_end(c);
    if (rc || !open) {
        return rc;
    }
    s.inputs = inputs;
    char *base = arena_strndup(c->arena, folder, strlen(folder) - strlen("/keeper"));
    struct process_status p = {0};
    enum process_state state;
    rc = find_end(c, folder, &p, &state);
    if (rc == 0 && state == PROCESS_RUNNING) {
        rc = running_write(c, &v, &row, attempt.id, attempt.token);
    }
    if (rc || state == PROCESS_RUNNING) {
        return rc;
    }
    FAILPOINT("ended");
    if (state == PROCESS_ENDED) {
        rc = judge(c, &v, &s, &p, base);
    } else {
        s.outcome = OUTCOME_LOST;
        s.reason = state == PROCESS_UNSTARTED
                       ? "its keeper could not begin"
                       : "its keeper ended without a word (killed, or the machine went down)";
    }
    FAILPOINT("collected");
    rc = rc ? rc : settle_write(c, &s);
    FAILPOINT("settled");
    collection_unpin(&s.outputs);
    if (rc == 0 && s.settled) {
        clean_up(c, &s);
    }
    return rc;
}

void job_settle(struct ctx *c, void *arg) {
    char *folder = arg;
    int rc = settle_folder(c, folder);
    if (rc) {
        log_error("pipeline.settle", "%s: %s", folder, c->err.message ? c->err.message : "failed");
    }
    if (passes(rc)) {
        executor_job_later(job_settle, mem_strdup(folder));
    }
    free(folder);
    executor_wake();
}
