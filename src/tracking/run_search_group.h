/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_SEARCH_GROUP_H
#define QUERN_TRACKING_RUN_SEARCH_GROUP_H
/* Run search group: runs that a walk meets, in groups whose value in the first order is equal. A
 * group's own order is found afterwards, and only for the groups on the page: those before it are
 * counted, never sorted. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run_search.h"

struct bitmap;

struct groups {
    struct ctx *c;
    const struct search_plan *p;
    size_t listed;     /* members up to which a group is a list; then it is a set */
    size_t bits;       /* more than any run's number */
    struct list items; /* struct item of run_search_group.c */
    size_t cap, start, number, members;
    struct bitmap *set;
    int64_t skip, cut, want; /* runs before the page; those among the items; items wanted */
};

void groups_begin(struct ctx *c, struct groups *g, const struct search_plan *p, size_t bits);
void groups_add(struct groups *g, int64_t run); /* to the group under way */
void groups_drop(struct groups *g);             /* forgets the group under way */
int groups_end(struct groups *g);               /* the next run begins another */
bool groups_full(const struct groups *g);
int64_t groups_lacking(const struct groups *g); /* runs still wanted, those to skip included */
int groups_page(struct groups *g, struct list *rows);

#endif
