/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_DELETED_H
#define QUERN_TRACKING_DELETED_H
/* Deleted: what the rules call once they have marked something. */
#include <stdint.h>

struct ctx;

int tracking_tell_deleted(struct ctx *c, const char *kind, int64_t row);

#endif
