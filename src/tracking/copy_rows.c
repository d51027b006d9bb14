/* SPDX-License-Identifier: Apache-2.0 */
#include "copy_rows.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

void *copy_grow(struct ctx *c, void *items, size_t *n, size_t *cap, size_t size, void **moved) {
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 8;
        void *more = arena_alloc_n(c->arena, *cap, size);
        if (*n)
            memcpy(more, items, *n * size);
        items = more;
    }
    *moved = items;
    return (char *)items + (*n)++ * size;
}

int copy_pairs(struct ctx *c, struct stmt *st, struct pairs *out) {
    size_t cap = 0;
    int rc;
    *out = (struct pairs){0};
    while ((rc = stmt_next(st)) > 0) {
        void *items;
        struct pair *p = copy_grow(c, out->items, &out->n, &cap, sizeof *p, &items);
        out->items = items;
        p->key = stmt_text(c, st, 0);
        p->value = stmt_null(st, 1) ? "" : stmt_text(c, st, 1);
    }
    stmt_end(st);
    return rc;
}
