/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ROLLOUT_LIVE_H
#define QUERN_ROLLOUT_LIVE_H
/* Live: what an endpoint's rollout has counted and learnt. It outlives the policies that are made
 * of the endpoint's changing spec: each new policy goes on with it. Counted references. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/rollout/arm_stats.h"

struct bandit;
struct live;

struct live *live_new(void);
struct live *live_ref(struct live *l);
void live_unref(struct live *l); /* NULL is allowed */

/* The counts of the arm called so, made when it is new; they live as long as `l`. After
 * LIVE_ARMS_MAX names all new ones share the last, called "other". */
#define LIVE_ARMS_MAX 256
struct arm_stats *live_arm(struct live *l, const char *name);
/* The i-th arm's name and counts; NULL past the end. Arms are never taken away. */
struct arm_stats *live_arm_at(struct live *l, size_t i, const char **name);

/* The canary's share now, in percent; below 0: no canary runs. */
double live_canary(const struct live *l);
void live_canary_set(struct live *l, double percent);

/* A canary on its way, or how the last one ended. */
enum canary_phase {
    PHASE_RUNNING,
    PHASE_WAITING, /* all steps are done, and a call is waited for */
    PHASE_ENDING,  /* decided, but not written yet: told as running */
    PHASE_PROMOTED,
    PHASE_ROLLED_BACK
};
struct canary_run {
    uint64_t definition; /* digest of the canary's spec; another spec is another run */
    enum canary_phase phase;
    size_t step;
    int64_t since_ms; /* when the step began; 0: not yet, its arm is not ready */
    int64_t version;  /* of the model that the arm serves; 0: not known. In memory only */
    char reason[256];
    struct arm_sample arm, baseline; /* counts when the step began */
};
/* False when there is none. */
bool live_run(struct live *l, struct canary_run *out);
void live_run_set(struct live *l, const struct canary_run *run); /* NULL: there is none */
/* The run goes on so, and its share becomes `percent` unless that is below 0. False when it is no
 * longer the one that runs: then nothing happens. */
bool live_run_move(struct live *l, const struct canary_run *run, double percent);
/* The run has ended; nothing happens when another canary runs by now. */
void live_run_end(struct live *l, const struct canary_run *run);
const char *canary_phase_text(
    enum canary_phase p); /* "running" "waiting" "promoted" "rolled_back" */

/* Values of monitors, as they were told last; a value holds until `until_ms`. In memory only.
 * False: LIVE_MONITORS_MAX others hold. */
#define LIVE_MONITORS_MAX 32
bool live_monitor_set(struct live *l, const char *name, double value, int64_t now_ms,
                      int64_t until_ms);
bool live_monitor(struct live *l, const char *name, int64_t now_ms, double *value);

/* Which making of the endpoint this is: the row's created_ms. */
int64_t live_born(const struct live *l);
void live_born_set(struct live *l, int64_t born_ms);

/* The bandit of the policy made last; NULL when it has none. A reference that is the caller's. */
struct bandit *live_bandit(struct live *l);
/* Takes a reference; NULL: none any more. */
void live_bandit_set(struct live *l, struct bandit *b);

#endif
