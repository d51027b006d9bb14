/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_FEEDBACK_STORE_H
#define QUERN_PREDICTION_FEEDBACK_STORE_H
/* Feedback store: what became known of predictions, one row per prediction and name. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;

struct feedback {
    const char *name;
    struct opt_f64 reward;
    const char *label; /* JSON text; NULL: none */
    int64_t at_ms, received_ms;
};

int feedback_store_find(struct ctx *c, const char *endpoint, const char *id, const char *name,
                        struct feedback *out, bool *found);
int feedback_store_put(struct ctx *c, const char *endpoint, const char *id,
                       const struct feedback *f);
/* Of one prediction, by name. */
int feedback_store_list(struct ctx *c, const char *endpoint, const char *id, struct feedback **out,
                        size_t *n);
/* Deletes at most `most` rows of predictions made before that time. */
int feedback_store_expire(struct ctx *c, int64_t project, const char *endpoint, int64_t before_ms,
                          int64_t most, int64_t *gone);

#endif
