/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_LOGGED_MODEL_TOKEN_H
#define QUERN_TRACKING_LOGGED_MODEL_TOKEN_H
/* Logged model token: a page token that carries its search, base64 of {"experiment_ids",
 * "filter_string", "order_by", "offset"}. One from another search is refused, since its offset
 * means nothing here. */
#include <stdint.h>

#include "logged_model.h"

/* Offset 0 without a token. ERR_INVALID with MLflow's wording. */
int logged_model_token_read(struct ctx *c, const struct logged_model_search *in, int64_t *offset);
char *logged_model_token(struct ctx *c, const struct logged_model_search *in, int64_t offset);

#endif
