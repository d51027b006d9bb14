/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRASH_QUOTA_H
#define QUERN_TRASH_QUOTA_H
/* Quota: how much a project may hold. A row of `quota` has the bounds and what is held, which the
 * triggers of 0014 keep exact; projects without bounds have no row and count nothing. */
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;

struct quota_amounts {
    struct opt_i64 runs, artifact_bytes, registered_models, traces;
};

int quota_project(struct ctx *c, const char *name, int64_t *id); /* ERR_NOT_FOUND */
/* Bounds that are unset are none. What is held is counted anew; it may be over the bounds already.
 */
int quota_set(struct ctx *c, int64_t project, const struct quota_amounts *most);
int quota_get(struct ctx *c, int64_t project, struct quota_amounts *most,
              struct quota_amounts *held);
/* Of the caller's project, as artifact_room has it. */
int quota_room(struct ctx *c, int64_t *left);

#endif
