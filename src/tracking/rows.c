/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/core/shape.h"

void *list_push(struct ctx *c, struct list *l, size_t *cap, size_t size) {
    if (l->n == *cap) {
        *cap = *cap ? *cap * 2 : 8;
        void *items = arena_alloc_n(c->arena, *cap, size);
        if (l->n)
            memcpy(items, l->items, l->n * size);
        l->items = items;
    }
    return (char *)l->items + size * l->n++;
}
