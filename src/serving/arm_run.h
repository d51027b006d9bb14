/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_ARM_RUN_H
#define QUERN_SERVING_ARM_RUN_H
/* Arm run: one model's answer to inputs that were bound to it, through everything that its endpoint
 * declares: checks of what goes in, kept answers, batches, checks of what comes out. */
#include "predict.h"

/* Fills outputs, times, `cache` and `broken` of the answer. ERR_INVALID for inputs that break a
 * rule; ERR_UNPROCESSABLE for outputs that do (a->broken), and as the model's run fails. */
int arm_run(struct ctx *c, const struct entry *e, const struct entry_arm *arm, struct request *q,
            const struct tensor *in, size_t nin, struct answer *a);

#endif
