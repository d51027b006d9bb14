/* SPDX-License-Identifier: Apache-2.0 */
/* Gauges of endpoints, read when somebody asks for the metrics. */
#include "cache.h"
#include "gate.h"
#include "plan.h"
#include "quern/metric/metric.h"
#include "quern/serving/serving.h"
#include "snapshot.h"

/* Only of endpoints that have had something to tell: a thousand idle ones make no lines. */
static void measure_gate(const struct entry *e) {
    struct gate_figures f = gate_figures(e->gate);
    if (!f.ran && !f.shed && !f.expired && !f.in_flight && !f.waiting)
        return;
    metric_set(METRIC_IN_FLIGHT, f.in_flight, e->name, NULL, NULL);
    metric_set(METRIC_WAITING, f.waiting, e->name, NULL, NULL);
}

static void measure_cache(const struct entry *e) {
    struct answers_figures f = cache_figures(e->plan->cache);
    metric_set(METRIC_PREDICTION_CACHE_BYTES, (double)f.bytes, e->name, NULL, NULL);
    metric_set(METRIC_PREDICTION_CACHE_EVICTED, (double)(f.evicted + f.expired), e->name, NULL,
               NULL);
}

void serving_measure(void) {
    const struct snapshot *s = snapshot_enter();
    for (size_t i = 0; s && i < s->n; i++) {
        const struct entry *e = &s->entries[i];
        if (e->gate)
            measure_gate(e);
        if (e->plan && e->plan->cache)
            measure_cache(e);
    }
    snapshot_leave();
}
