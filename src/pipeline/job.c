/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of the executor, on workers. */
#include <stdlib.h>
#include <string.h>

#include "executor.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
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

int settle_write(struct ctx *c, struct settlement *s) {
    int rc;
    for (int64_t wait = 20;; wait = wait < 1000 ? wait * 2 : wait) {
        s->random = random_unit();
        rc = db_write(executor.db, c, settle_op, s);
        if (rc != -ERR_BUSY && rc != -ERR_DISK_FULL) {
            break;
        }
        if (executor_stopping()) {
            return rc; /* the keeper's status stays; the next start records it */
        }
        err_clear(c);
        clock_sleep_ms(wait);
    }
    if (rc == 0 && s->settled) {
        attempt_count(s);
    } else if (rc) {
        log_error("pipeline.settle", "run %s step %s: %s", s->view->run.id, s->row->name,
                  c->err.message ? c->err.message : "not written");
    }
    return rc;
}

/* ---- launching */

static int running_op(struct ctx *c, void *arg) {
    const struct launch *l = arg;
    c->project = l->view->v.run.project;
    return attempt_running(c, l->view->v.run.id, l->row, l->attempt_id, l->token);
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

void job_launch(struct ctx *c, void *arg) {
    struct launch *l = arg;
    c->project = l->c.project = l->view->v.run.project;
    if (launch_start(l) == 0) {
        if (db_write(executor.db, c, running_op, l)) {
            /* Stays "launching"; its end is recorded all the same. */
            log_warn("pipeline.running", "run %s step %s: %s", l->view->v.run.id, l->row->name,
                     c->err.message ? c->err.message : "not written");
        }
    } else {
        struct step_row row = launched_row(l);
        struct attempt_row attempt = launched_attempt(l);
        struct settlement s = {
            .view = &l->view->v,
            .step = l->step,
            .row = &row,
            .attempt = &attempt,
            .outcome = OUTCOME_FAILED,
            .reason = arena_printf(c->arena, "the step could not be started: %s",
                                   l->c.err.message ? l->c.err.message : "unknown"),
        };
        settle_write(c, &s);
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
    if (rc) {
        s.outcome = OUTCOME_FAILED;
        s.reason = c->err.message ? c->err.message : "the step failed";
        s.final = l->step->kind != STEP_ACTION;
        err_clear(c);
    }
    settle_write(c, &s);
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

static void judge(struct ctx *c, const struct run_view *v, struct settlement *s,
                  const struct process_status *p, const char *base) {
    s->status = p;
    s->reason = exit_reason(c, s->step, p);
    s->outcome = p->cancelled ? OUTCOME_CANCELLED : s->reason ? OUTCOME_FAILED : OUTCOME_SUCCEEDED;
    if (s->outcome == OUTCOME_SUCCEEDED && outputs_collect(c, v, s->step, base, &s->outputs)) {
        s->outcome = OUTCOME_FAILED;
        s->reason = c->err.message;
        err_clear(c);
    }
}

/* Sources and inputs can be made again, outputs are blobs now; the log stays. What a failed attempt
 * left stays for whoever looks into it. */
static void tidy(struct ctx *c, const char *base) {
    static const char *const folders[] = {"src", "in", "out"};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        dir_remove_tree(executor.o.data, arena_printf(c->arena, "%s/%s", base, folders[i]));
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
    rc = process_status(c, executor.o.data, folder, &p);
    if (rc) {
        err_clear(c);
        s.outcome = OUTCOME_LOST;
        s.reason = "its keeper ended without a word (killed, or the machine went down)";
    } else {
        judge(c, &v, &s, &p, base);
    }
    rc = settle_write(c, &s);
    collection_unpin(&s.outputs);
    if (rc == 0 && s.outcome == OUTCOME_SUCCEEDED) {
        tidy(c, base);
    }
    return rc;
}

void job_settle(struct ctx *c, void *arg) {
    char *folder = arg;
    if (settle_folder(c, folder)) {
        log_error("pipeline.settle", "%s: %s", folder, c->err.message ? c->err.message : "failed");
    }
    free(folder);
    executor_wake();
}
