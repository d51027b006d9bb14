/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_ARM_CELLS_H
#define QUERN_SERVING_ARM_CELLS_H
/* Arm cells: the metrics of one arm in one snapshot, found when they are first needed: label sets
 * are few, and endpoints nobody asks take none. */
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct entry;
struct entry_arm;

enum outcome { OUTCOME_OK, OUTCOME_INVALID, OUTCOME_FAILED, OUTCOME_UNAVAILABLE, OUTCOME_COUNT };

struct metric_cell;
struct arm_cells {
    _Atomic(struct metric_cell *) outcomes[OUTCOME_COUNT], arm_outcomes[OUTCOME_COUNT];
    _Atomic(struct metric_cell *) rows, seconds;
};

void arm_cells_outcome(const struct entry *e, const struct entry_arm *a, enum outcome o);
/* An answer of that id for so many rows. */
void arm_cells_answer(const struct ctx *c, const struct entry *e, const struct entry_arm *a,
                      size_t rows, double seconds, const char *id);

#endif
