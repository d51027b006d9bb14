/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_PURGE_H
#define QUERN_TRACKING_PURGE_H
/* Purge: deleted experiments, runs and logged models for good. All inside a write, in steps of
 * about `most` rows; of every project, since housekeeping calls. Lineage stays: it tells what was.
 */
#include <stdint.h>

struct ctx;

/* Whom the rules tell, in the same transaction, that the caller has deleted a run, an experiment or
 * a logged model; `row` is its row. */
typedef int tracking_deleted(struct ctx *c, const char *kind, int64_t row);
void tracking_on_delete(tracking_deleted *fn);

/* The run's row goes at once; what hangs on it waits for tracking_erase. Its artifacts' names are
 * left to artifact_rest when they lie below a folder of its own. *uuid (arena) is what it was. */
int run_purge(struct ctx *c, int64_t row, const char **uuid);
/* Params, tags, metrics and artifacts included. */
int logged_model_purge(struct ctx *c, int64_t row);
/* Forbids that it is restored. */
int experiment_purge_begin(struct ctx *c, int64_t id);
/* Keys, data sets, tags, then the row; its runs, logged models and traces must be gone. 1 when more
 * is left. Its name is free then, its number is never given out again. */
int experiment_purge(struct ctx *c, int64_t id, int64_t most);
/* What purged runs have left. 1 when there is more, 0 when there is nothing. */
int tracking_erase(struct ctx *c, int64_t most);

/* Undoes one deletion; the caller has asked for the permission. */
int experiment_undelete(struct ctx *c, int64_t id);
int run_undelete(struct ctx *c, int64_t row);
int logged_model_undelete(struct ctx *c, int64_t row);

#endif
