/* SPDX-License-Identifier: Apache-2.0 */
#include "tally.h"

static void span_add(struct span *s, int64_t ns) {
    atomic_fetch_add_explicit(&s->count, 1, memory_order_relaxed);
    if (ns > 0)
        atomic_fetch_add_explicit(&s->ns, (uint64_t)ns, memory_order_relaxed);
}

void tally_add(struct tally *t, enum phase p, int64_t ns) {
    span_add(&t->phases[p], ns);
}

uint64_t tally_batch_size(size_t i) {
    return i < TALLY_EXACT ? i + 1 : (uint64_t)TALLY_EXACT << (i - TALLY_EXACT + 1);
}

void tally_batch(struct tally *t, size_t rows, int64_t ns) {
    size_t i = rows ? rows - 1 : 0;
    if (rows > TALLY_EXACT)
        for (i = TALLY_EXACT; i + 1 < TALLY_BATCHES && tally_batch_size(i) < rows; i++)
            ;
    span_add(&t->batches[i], ns);
    atomic_fetch_add_explicit(&t->rows, rows, memory_order_relaxed);
}
