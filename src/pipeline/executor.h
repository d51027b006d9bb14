/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_EXECUTOR_H
#define QUERN_PIPELINE_EXECUTOR_H
/* Executor: the one scheduler thread, its jobs on workers, and what they share. */
#include <stdbool.h>
#include <stdint.h>

#include "attempt.h"
#include "quern/pipeline/pipeline.h"

struct db;
struct dir;
struct watcher;

struct executor {
    struct pipeline_options o;
    struct db *db;
    struct watcher *watcher;
    int64_t capacity; /* slots */
};
/* Set by pipeline_start, then only read. */
extern struct executor executor;

void executor_wake(void); /* any thread: look at the active runs again */
bool executor_stopping(void);
void executor_wake_after_commit(void *unused); /* for db_after_commit */

/* Jobs: the functions that lane_work runs. arg is owned by the job. */
void job_launch(struct ctx *c, void *launch);
void job_settle(struct ctx *c, void *folder); /* heap text */
void job_builtin(struct ctx *c, void *launch);
void job_adopt(struct ctx *c, void *place); /* heap struct attempt_place, see place_keep */
/* Puts a job on a worker, or keeps it until there is room. While the daemon stops it is dropped:
 * what it was about is on record and taken up at the next start. */
void executor_job(void (*job)(struct ctx *c, void *arg), void *arg);
/* Same, after a while: for what a full disk or a full table of descriptors stood in the way of. */
void executor_job_later(void (*job)(struct ctx *c, void *arg), void *arg);

/* After a restart, before the first pass: adopts, records or takes back what was under way. */
int executor_reconcile(struct ctx *c);

/* ---- prune.c; folder is the keeper's */
void attempt_tidy(struct ctx *c, const char *folder); /* all but the log */
void attempt_keep(struct ctx *c, const struct run_row *run);
void job_tidy(struct ctx *c, void *unused); /* what a crash kept from being tidied */

/* Transaction B. */
int running_write(struct ctx *c, const struct run_view *v, const struct step_row *row,
                  int64_t attempt_id, const char *token);
/* Ends an attempt from a job: runs transaction C, counts and wakes. What can never be written (an
 * output's name that artifacts refuse) becomes a failure that says so. -ERR_DISK_FULL and -ERR_BUSY
 * mean: later. */
int settle_write(struct ctx *c, struct settlement *s);
/* Same, and waits for room; for attempts without a folder to find their end in again. */
int settle_write_wait(struct ctx *c, struct settlement *s);
double random_unit(void);

/* What a built-in step comes to; fills outcome, reason, result and tracking_run_id. */
int builtin_select(struct ctx *c, const struct run_view *v, const struct step *s,
                   struct settlement *out);
int builtin_gate(struct ctx *c, const struct run_view *v, const struct step *s,
                 const struct step_row *row, struct settlement *out);
int register_run(struct ctx *c, const void *with, const struct run_view *v, const struct step *own,
                 const struct step_row *row, struct json_t **outputs);
int builtin_action(struct ctx *c, const struct run_view *v, const struct step *s,
                   const struct step_row *row, struct settlement *out);

#endif
