/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_LAST_ANSWER_H
#define QUERN_SERVING_LAST_ANSWER_H
/* Last answer: the chain's step that gives an entity the answer it got before. The entity is told
 * by the key of the spec's `last`, or, without one, by the inputs being the same. */
#include "predict.h"

/* Keeps a good answer of a model. */
void last_answer_keep(struct ctx *c, const struct entry *e, const struct request *q,
                      const struct answer *a);
/* -ERR_NOT_FOUND, without a message, when there is none. */
int last_answer_take(struct ctx *c, const struct entry *e, struct request *q, struct answer *a);

#endif
