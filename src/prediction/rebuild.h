/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_REBUILD_H
#define QUERN_PREDICTION_REBUILD_H
/* Rebuild: the tensors of a model from the inputs that a record kept, by column or by tensor. */
#include <stddef.h>
#include <stdint.h>

#include "quern/prediction/prediction.h"

struct ctx;
struct json_t;

/* ERR_INVALID says what the record lacks or what does not fit. In c's arena. */
int rebuild(struct ctx *c, const struct json_t *inputs, int64_t rows, const struct replay_model *m,
            struct tensor **out);

#endif
