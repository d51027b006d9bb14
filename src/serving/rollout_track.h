/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_ROLLOUT_TRACK_H
#define QUERN_SERVING_ROLLOUT_TRACK_H
/* Rollout track: what of each endpoint's live state is in the database already, so that only news
 * are written. The controller's thread alone. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/rollout/rollout.h"

struct arena;
struct policy;
struct track;

/* The endpoint's, made when it is new or was made anew; marks it as seen. */
struct track *track_of(int64_t project, const char *name, struct live *live);
/* Drops those not seen since the last call. */
void tracks_sweep(void);
void tracks_drop(void);

/* What is new, in the arena; false: nothing. `run` NULL: no canary to write. */
bool track_news(struct track *t, struct arena *a, const struct canary_run *run,
                struct rollout_rows *out);
/* It was written. */
void track_saved(struct track *t, const struct rollout_rows *rows);

#endif
