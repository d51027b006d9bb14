/* SPDX-License-Identifier: Apache-2.0 */
#include "arm_cells.h"

#include <stdatomic.h>

#include "model.h"
#include "quern/core/ctx.h"
#include "quern/metric/metric.h"
#include "snapshot.h"

static struct metric_cell *cell(_Atomic(struct metric_cell *) *at, enum metric_id id,
                                const char *l1, const char *l2, const char *l3) {
    struct metric_cell *m = atomic_load_explicit(at, memory_order_acquire);
    if (!m) {
        m = metric_cell(id, l1, l2, l3); /* two threads find the same one */
        atomic_store_explicit(at, m, memory_order_release);
    }
    return m;
}

static const char *version(const struct entry_arm *a) {
    return a->model ? a->model->version_text : "";
}

void arm_cells_outcome(const struct entry *e, const struct entry_arm *a, enum outcome o) {
    static const char *const names[] = {"ok", "invalid", "failed", "unavailable"};
    struct arm_cells *x = a->cells;
    metric_cell_add(cell(&x->outcomes[o], METRIC_PREDICTIONS, e->name, version(a), names[o]), 1);
    metric_cell_add(cell(&x->arm_outcomes[o], METRIC_ARM_PREDICTIONS, e->name, a->name, names[o]),
                    1);
}

void arm_cells_answer(const struct ctx *c, const struct entry *e, const struct entry_arm *a,
                      size_t rows, double seconds, const char *id) {
    struct arm_cells *x = a->cells;
    metric_cell_add(cell(&x->rows, METRIC_PREDICTION_ROWS, e->name, version(a), a->name),
                    (double)rows);
    metric_cell_observe_of(
        cell(&x->seconds, METRIC_PREDICTION_SECONDS, e->name, version(a), a->name), seconds, id,
        c->now_ms);
}
