/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_REPLAY_H
#define QUERN_PREDICTION_REPLAY_H
/* Replay: runs a logged window through another model, one replay at a time, on a thread of its own,
 * and reports how the two answered. */
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;
struct json_t;

struct replay_spec {
    const char *endpoint; /* from the path */
    const char *target, *arm;
    struct opt_i64 from_ms, to_ms, version, limit;
    struct opt_i64 reference_from_ms, reference_to_ms;
    struct opt_f64 tolerance;
    const char *label, *output;
};
extern const struct shape shape_replay_spec;

void replay_start(void);
void replay_stop(void);
void replay_wake(void *unused); /* something waits, or was cancelled */

#endif
