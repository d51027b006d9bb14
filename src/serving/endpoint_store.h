/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_ENDPOINT_STORE_H
#define QUERN_SERVING_ENDPOINT_STORE_H
#include "endpoint.h"

int endpoint_store_find(struct ctx *c, int64_t project, const char *name, struct endpoint *out,
                        bool *found); /* deleted ones too */
int endpoint_store_put(struct ctx *c, const struct endpoint *e);
int endpoint_store_reset(struct ctx *c); /* after a start nothing is in memory yet */

#endif
