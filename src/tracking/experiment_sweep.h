/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_EXPERIMENT_SWEEP_H
#define QUERN_TRACKING_EXPERIMENT_SWEEP_H
/* Experiment sweep: deleting or restoring an experiment with any number of runs. The experiment and
 * its first runs are marked at once, the others in slices so that no write holds the writer up.
 * Until then experiment.sweep tells what the runs count as, and RUN_DELETED is to be asked instead
 * of r.deleted. */
#include <stdbool.h>
#include <stdint.h>

struct ctx;

int experiment_set_deleted(struct ctx *c, int64_t id, bool deleted); /* and its runs */

/* Of run r and its experiment e. What was deleted after the restoring began stays deleted. */
#define RUN_DELETED                                                                                \
    "CASE WHEN e.sweep > 0 THEN 1"                                                                 \
    " WHEN e.sweep < 0 AND coalesce(r.deleted_ms, 0) < -e.sweep THEN 0 ELSE r.deleted END"

#endif
