/* SPDX-License-Identifier: Apache-2.0 */
#include "expiry.h"

#include <stdlib.h>

#include "quern/base/arena.h"

static void put(struct expiry *x, size_t place, struct expiry_item *item) {
    x->items[place - 1] = item;
    item->place = place;
}

static struct expiry_item *at(const struct expiry *x, size_t place) {
    return x->items[place - 1];
}

static void rise(struct expiry *x, struct expiry_item *item, size_t place) {
    while (place > 1 && at(x, place / 2)->deadline_ns > item->deadline_ns) {
        put(x, place, at(x, place / 2));
        place /= 2;
    }
    put(x, place, item);
}

static void sink(struct expiry *x, struct expiry_item *item, size_t place) {
    for (size_t child; (child = place * 2) <= x->n; place = child) {
        if (child < x->n && at(x, child + 1)->deadline_ns < at(x, child)->deadline_ns)
            child++;
        if (at(x, child)->deadline_ns >= item->deadline_ns)
            break;
        put(x, place, at(x, child));
    }
    put(x, place, item);
}

void expiry_add(struct expiry *x, struct expiry_item *item) {
    if (x->n == x->cap) {
        x->cap = x->cap ? x->cap * 2 : 64;
        x->items = mem_realloc(x->items, x->cap * sizeof(struct expiry_item *));
    }
    rise(x, item, ++x->n);
}

void expiry_remove(struct expiry *x, struct expiry_item *item) {
    size_t place = item->place;
    if (!place)
        return;
    item->place = 0;
    struct expiry_item *last = at(x, x->n--);
    if (last == item)
        return;
    if (place > 1 && at(x, place / 2)->deadline_ns > last->deadline_ns)
        rise(x, last, place);
    else
        sink(x, last, place);
}

struct expiry_item *expiry_first(const struct expiry *x) {
    return x->n ? x->items[0] : NULL;
}

void expiry_free(struct expiry *x) {
    free(x->items);
    *x = (struct expiry){0};
}
