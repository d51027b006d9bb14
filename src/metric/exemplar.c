/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "metric_cell.h"
#include "quern/base/arena.h"

#define KEEP_MS 1000

static struct exemplar *exemplars_of(struct metric_cell *m) {
    struct exemplar *e = atomic_load_explicit(&m->exemplars, memory_order_acquire);
    if (e)
        return e;
    struct exemplar *made = mem_alloc((METRIC_BUCKETS + 1) * sizeof *made);
    if (atomic_compare_exchange_strong(&m->exemplars, &e, made))
        return made;
    free(made); /* another thread was faster */
    return e;
}

static void put(struct exemplar *e, double value, const char *id, int64_t now_ms) {
    uint32_t turn = atomic_load_explicit(&e->turn, memory_order_relaxed);
    uint64_t word;
    size_t n = strlen(id);
    if (turn & 1 || !atomic_compare_exchange_strong(&e->turn, &turn, turn + 1))
        return; /* somebody else's is as good */
    memcpy(&word, &value, sizeof word);
    atomic_store_explicit(&e->value, word, memory_order_release);
    for (size_t i = 0; i < EXEMPLAR_WORDS; i++) {
        word = 0;
        if (n > 8 * i)
            memcpy(&word, id + 8 * i, n - 8 * i < 8 ? n - 8 * i : 8);
        atomic_store_explicit(&e->id[i], word, memory_order_release);
    }
    atomic_store_explicit(&e->at_ms, now_ms, memory_order_release);
    atomic_store_explicit(&e->turn, turn + 2, memory_order_release);
}

void metric_cell_observe_of(struct metric_cell *m, double value, const char *id, int64_t now_ms) {
    metric_cell_observe(m, value);
    if (!*id)
        return;
    struct metric_bounds b = metric_bounds(m->id);
    size_t i = 0;
    while (i < b.n && value > b.le[i])
        i++;
    struct exemplar *e = &exemplars_of(m)[i == b.n ? METRIC_BUCKETS : i];
    int64_t last = atomic_load_explicit(&e->at_ms, memory_order_relaxed);
    if (now_ms - last >= KEEP_MS || now_ms < last)
        put(e, value, id, now_ms);
}

bool exemplar_read(const struct metric_cell *m, size_t bucket, struct exemplar_text *out) {
    struct exemplar *e = atomic_load_explicit(&m->exemplars, memory_order_acquire);
    if (!e)
        return false;
    e += bucket;
    uint32_t before = atomic_load_explicit(&e->turn, memory_order_acquire);
    uint64_t word = atomic_load_explicit(&e->value, memory_order_acquire);
    memcpy(&out->value, &word, sizeof word);
    for (size_t i = 0; i < EXEMPLAR_WORDS; i++) {
        word = atomic_load_explicit(&e->id[i], memory_order_acquire);
        memcpy(out->id + 8 * i, &word, sizeof word);
    }
    out->id[8 * EXEMPLAR_WORDS] = '\0';
    out->at_ms = atomic_load_explicit(&e->at_ms, memory_order_acquire);
    return before && !(before & 1) &&
           atomic_load_explicit(&e->turn, memory_order_acquire) == before;
}
