/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_ROWS_H
#define QUERN_TRACKING_ROWS_H
/* Rows: growing a struct list in the arena while a statement is read. */
#include <stddef.h>

struct ctx;
struct list;

/* A new zeroed item at the end; *cap is the caller's, 0 at first. Older items may move. */
void *list_push(struct ctx *c, struct list *l, size_t *cap, size_t size);

#endif
