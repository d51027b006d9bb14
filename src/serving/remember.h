/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_REMEMBER_H
#define QUERN_SERVING_REMEMBER_H
/* Remember: hands an answer to the memory of predictions, as the endpoint's `log` says. */
#include "predict.h"

/* Sets a->key and a->kept. `rc` is the prediction's; one that failed is kept without outputs, under
 * an id of its own. */
void remember(struct ctx *c, const struct entry *e, const struct request *q, struct answer *a,
              int rc);

#endif
