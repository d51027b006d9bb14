/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_TALLY_H
#define QUERN_SERVING_TALLY_H
/* Tally: what the statistics extension tells of one arm: requests and time by phase, from the time
 * its endpoint was made or the daemon started. Added to by any thread without a lock; each number
 * is exact, several read together may be of slightly different moments. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum phase {
    PHASE_SUCCESS, /* whole requests that were answered */
    PHASE_FAIL,    /* and that were not */
    PHASE_QUEUE,
    PHASE_INPUT,  /* reading the body and binding it to the model */
    PHASE_INFER,  /* the model, with waiting for a batch if it has one */
    PHASE_OUTPUT, /* checks and printing */
    PHASE_CACHE_HIT,
    PHASE_CACHE_MISS,
    PHASE_COUNT
};

#define TALLY_EXACT 32                   /* batch sizes 1 to 32 are counted one by one, */
#define TALLY_BATCHES (TALLY_EXACT + 26) /* larger ones at the next power of two */

struct span {
    _Atomic uint64_t count, ns;
};

struct tally {
    struct span phases[PHASE_COUNT];
    struct span batches[TALLY_BATCHES]; /* time of the model */
    _Atomic uint64_t rows;              /* that models answered */
    _Atomic int64_t last_ms;            /* wall time of the last request; 0: none yet */
};

void tally_add(struct tally *t, enum phase p, int64_t ns);
/* One run of a model. */
void tally_batch(struct tally *t, size_t rows, int64_t ns);
/* Largest number of rows that slot i counts. */
uint64_t tally_batch_size(size_t i);

#endif
