/* SPDX-License-Identifier: Apache-2.0 */
#include "doors.h"

#include "divert.h"
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

static void tally(const struct ctx *c, const struct entry_arm *a, const struct answer *answer,
                  int rc, size_t rows, int64_t began, int64_t now) {
    struct tally *t = &a->live->tally;
    int64_t waited = divert_waited_ns();
    tally_add(t, rc < 0 ? PHASE_FAIL : PHASE_SUCCESS, now - began + waited);
    atomic_store_explicit(&t->last_ms, c->now_ms, memory_order_relaxed);
    if (rc < 0 || !answer->ran_ns || !answer->model) /* no model answered */
        return;
    tally_add(t, PHASE_QUEUE, waited);
    tally_add(t, PHASE_INPUT, answer->run_ns - began);
    tally_add(t, PHASE_INFER, answer->ran_ns - answer->run_ns);
    tally_add(t, PHASE_OUTPUT, now - answer->ran_ns);
    if (!answer->joined) /* batches count themselves */
        tally_batch(t, rows, answer->ran_ns - answer->run_ns);
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
    int64_t now = clock_mono_ns();
    arm_cells_outcome(e, a, o);
    tally(c, a, answer, rc, rows, began_ns, now);
    if (rc < 0)
        return;
    arm_cells_answer(c, e, a, rows, (double)(now - began_ns) / 1e9, answer->id);
}
