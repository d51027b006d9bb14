/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_EXPIRY_H
#define QUERN_SERVING_EXPIRY_H
/* Expiry: the calls that wait, ordered by deadline, the nearest first. A binary heap whose items
 * know their place, so that any of them can leave early. Not thread-safe. */
#include <stddef.h>
#include <stdint.h>

struct expiry_item {
    int64_t deadline_ns; /* monotonic */
    size_t place;        /* 1-based; 0: not inside */
};

struct expiry {
    struct expiry_item **items;
    size_t n, cap;
};

void expiry_add(struct expiry *x, struct expiry_item *item);
void expiry_remove(struct expiry *x, struct expiry_item *item); /* nothing when it is not inside */
struct expiry_item *expiry_first(const struct expiry *x);       /* NULL when empty */
void expiry_free(struct expiry *x);

#endif
