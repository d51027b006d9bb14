/* SPDX-License-Identifier: Apache-2.0 */
#include "doors.h"

#include "model.h"
#include "plan.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "quern/metric/metric.h"

int door_find_answering(struct ctx *c, const struct snapshot *s, const char *name,
                        const struct entry **out) {
    const struct entry *e = *out = snapshot_find(s, c->project, name);
    return e && !e->model && e->plan && e->plan->ndegrade ? 0 : door_find(c, s, name, out);
}

int door_find(struct ctx *c, const struct snapshot *s, const char *name, const struct entry **out) {
    const struct entry *e = snapshot_find(s, c->project, name);
    *out = e;
    if (!e)
        return fail(c, ERR_NOT_FOUND, "no endpoint '%.200s'", name);
    if (!e->model)
        return fail(c, ERR_NOT_READY, "endpoint '%s' is not ready (%s)%s%s", name, e->state,
                    *e->reason ? ": " : "", e->reason);
    return 0;
}

void door_count(const struct ctx *c, const struct entry *e, const struct answer *answer, int rc,
                size_t rows, int64_t began_ns) {
    if (!e)
        return; /* unknown names make no metric labels */
    const struct entry_arm *a = answer->arm ? answer->arm : &e->arms[0];
    enum outcome o = rc == 0                        ? OUTCOME_OK
                     : c->err.code == ERR_NOT_READY ? OUTCOME_UNAVAILABLE
                     : c->err.code == ERR_UNPROCESSABLE || err_row(c->err.code)->status >= 500
                         ? OUTCOME_FAILED
                         : OUTCOME_INVALID;
    metric_cell_add(a->outcomes[o], 1);
    if (rc < 0)
        return;
    metric_cell_add(a->rows, (double)rows);
    metric_cell_observe(a->seconds, (double)(clock_mono_ns() - began_ns) / 1e9);
}
