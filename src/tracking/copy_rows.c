/* SPDX-License-Identifier: Apache-2.0 */
#include "copy_rows.h"

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

int copy_pairs(struct ctx *c, struct stmt *st, struct pairs *out) {
    size_t cap = 0;
    int rc;
    *out = (struct pairs){0};
    while ((rc = stmt_next(st)) > 0) {
        out->items = arena_room(c->arena, out->items, out->n, &cap, sizeof *out->items);
        struct pair *p = &out->items[out->n++];
        p->key = stmt_text(c, st, 0);
        p->value = stmt_null(st, 1) ? "" : stmt_text(c, st, 1);
    }
    stmt_end(st);
    return rc;
}
