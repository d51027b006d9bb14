/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_COPY_ROWS_H
#define QUERN_TRACKING_COPY_ROWS_H
/* Copy rows: reading lists of copy.h. */
#include "quern/core/shape.h"

struct ctx;
struct stmt;

/* Rows of key and value; ends the statement. 0 or a negative code. */
int copy_pairs(struct ctx *c, struct stmt *st, struct pairs *out);

#endif
