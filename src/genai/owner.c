/* SPDX-License-Identifier: Apache-2.0 */
#include "owner.h"

#include <inttypes.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/filter_sql.h"
#include "quern/tracking/tracking.h"

int owner_active(struct ctx *c, const char *experiment_id, enum object_need need, int64_t *id) {
    bool active = false;
    int rc = experiment_hold(c, experiment_id, need, id, &active);
    if (rc == 0 && !active)
        rc = fail(c, ERR_INVALID,
                  "The experiment %" PRId64 " must be in the 'active' state. Current state is "
                  "deleted.",
                  *id);
    return rc;
}

int owner_living(struct ctx *c, const char *experiment_id, enum object_need need, int64_t *id) {
    bool active = false;
    int rc = experiment_hold(c, experiment_id, need, id, &active);
    if (rc == 0 && !active)
        rc = fail(c, ERR_NOT_FOUND, "No Experiment with id=%" PRId64 " exists", *id);
    return rc;
}

int owner_numbers(struct ctx *c, const struct strs *ids, const char **json) {
    int64_t *numbers = ARENA_ARRAY(c->arena, int64_t, ids->n + 1);
    for (size_t i = 0; i < ids->n; i++)
        if (!str_to_i64(ids->items[i], &numbers[i]))
            return fail_field(c, ERR_INVALID, "experiment_ids",
                              "Invalid experiment ID '%s'. Experiment ID must be a valid integer.",
                              ids->items[i]);
    *json = filter_ids_json(c, numbers, ids->n);
    return 0;
}
