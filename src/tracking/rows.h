/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_ROWS_H
#define QUERN_TRACKING_ROWS_H
/* Rows: growing a struct list in the arena while a statement is read. */
#include <stddef.h>

struct ctx;
struct list;

/* Pairs, data sets or models that one call may bring. */
#define ITEMS_MAX 1000
int items_check(struct ctx *c, const char *field, size_t n);
/* Fails once the answer under way has taken more memory than any caller can want. */
int answer_check(struct ctx *c);

/* A new zeroed item at the end; *cap is the caller's, 0 at first. Older items may move. */
void *list_push(struct ctx *c, struct list *l, size_t *cap, size_t size);

#endif
