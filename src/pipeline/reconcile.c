/* SPDX-License-Identifier: Apache-2.0 */
/* After a restart: every attempt that was under way is adopted, recorded or taken back. */
#include <stdlib.h>
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
        /* What cannot be told just now (a keeper between its lock and its name) can be later. */
        rc = process_adopt(executor.watcher, c, executor.o.data, p->folder, &state) ? -ERR_BUSY : 0;
    }
    if (rc) {
        return rc;
    }
    static const char *const names[] = {"unstarted", "running", "ended", "lost"};
    log_info("pipeline.adopt", "run %s step %s attempt %lld: %s", p->run_id, f.row.name,
             (long long)p->number, names[state]);
    switch (state) {
    case PROCESS_RUNNING:
        return running_write(c, &f.v, &f.row, f.attempt.id, f.attempt.token);
    case PROCESS_ENDED:
    case PROCESS_LOST:
        executor_job(job_settle, mem_strdup(p->folder));
        return 0;
    case PROCESS_UNSTARTED:
        break;
    }
    return take_back(c, &f);
}

/* One block: the place and its texts, for job_adopt. */
static struct attempt_place *place_keep(const struct attempt_place *p) {
    size_t run = strlen(p->run_id) + 1, folder = p->folder ? strlen(p->folder) + 1 : 0;
    struct attempt_place *copy = mem_alloc(sizeof *copy + run + folder);
    char *text = (char *)(copy + 1);
    *copy = *p;
    copy->run_id = memcpy(text, p->run_id, run);
    copy->folder = folder ? memcpy(text + run, p->folder, folder) : NULL;
    copy->state = NULL;
    return copy;
}

void job_adopt(struct ctx *c, void *arg) {
    struct attempt_place *p = arg;
    int rc = take_up(c, p);
    if (rc) { /* one damaged run must not keep the others down */
        log_error("pipeline.adopt", "run %s: %s", p->run_id,
                  c->err.message ? c->err.message : "failed");
    }
    if (rc == -ERR_BUSY || rc == -ERR_DISK_FULL) {
        executor_job_later(job_adopt, place_keep(p));
    }
    free(p);
    executor_wake();
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
    executor_job(job_tidy, NULL);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct ctx one;
        ctx_begin(&one);
        job_adopt(&one, place_keep(&places[i]));
        ctx_end(&one);
    }
    return rc;
}
