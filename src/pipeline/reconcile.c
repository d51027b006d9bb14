/* SPDX-License-Identifier: Apache-2.0 */
/* After a restart: every attempt that was under way is adopted, recorded or taken back. */
#include <string.h>

#include "executor.h"
#include "quern/base/arena.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/process/process.h"

struct found {
    struct run_view v;
    struct step_row row;
    struct attempt_row attempt;
};

static int load(struct ctx *c, const struct attempt_place *p, struct found *f) {
    c->project = p->project;
    int rc = db_read_begin(executor.db, c);
    if (rc) {
        return rc;
    }
    rc = run_view_load_one(c, p->run_id, p->step_id, &f->v, &f->row);
    rc = rc ? rc : attempt_load(c, p->step_id, p->number, &f->attempt);
    db_read_end(c);
    return rc;
}

static int running_op(struct ctx *c, void *arg) {
    const struct found *f = arg;
    c->project = f->v.run.project;
    return attempt_running(c, f->v.run.id, &f->row, f->attempt.id, f->attempt.token);
}

/* Back to queued under the same attempt number. */
static int take_back(struct ctx *c, struct found *f) {
    struct settlement s = {.view = &f->v,
                           .step = &f->v.d->steps[f->row.index_in_definition],
                           .row = &f->row,
                           .attempt = &f->attempt,
                           .outcome = OUTCOME_UNSTARTED,
                           .reason = "the daemon ended before it could start"};
    return settle_write(c, &s);
}

static int take_up(struct ctx *c, const struct attempt_place *p) {
    struct found f = {0};
    enum process_state state = PROCESS_UNSTARTED;
    int rc = load(c, p, &f);
    if (rc == 0 && p->folder) {
        rc = process_adopt(executor.watcher, c, executor.o.data, p->folder, &state);
    }
    if (rc) {
        return rc;
    }
    static const char *const names[] = {"unstarted", "running", "ended", "lost"};
    log_info("pipeline.adopt", "run %s step %s attempt %lld: %s", p->run_id, f.row.name,
             (long long)p->number, names[state]);
    switch (state) {
    case PROCESS_RUNNING:
        return db_write(executor.db, c, running_op, &f);
    case PROCESS_ENDED:
    case PROCESS_LOST:
        executor_job(job_settle, mem_strdup(p->folder));
        return 0;
    case PROCESS_UNSTARTED:
        break;
    }
    return take_back(c, &f);
}

int executor_reconcile(struct ctx *c) {
    struct attempt_place *places;
    size_t n = 0;
    int rc = db_read_begin(executor.db, c);
    if (rc) {
        return rc;
    }
    rc = attempts_active(c, &places, &n);
    db_read_end(c);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct ctx one;
        ctx_begin(&one);
        if (take_up(&one, &places[i])) { /* one damaged run must not keep the others down */
            log_error("pipeline.adopt", "run %s: %s", places[i].run_id,
                      one.err.message ? one.err.message : "failed");
        }
        ctx_end(&one);
    }
    return rc;
}
