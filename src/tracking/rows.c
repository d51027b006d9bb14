/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/core/shape.h"

#define ANSWER_BYTES (256u << 20)

int items_check(struct ctx *c, const char *field, size_t n) {
    if (n <= ITEMS_MAX)
        return 0;
    return fail_field(
        c, ERR_INVALID, field,
        "Invalid value for parameter '%s' supplied: %zu items, at most %d are allowed", field, n,
        ITEMS_MAX);
}

int answer_check(struct ctx *c) {
    if (arena_bytes(c->arena) <= ANSWER_BYTES)
        return 0;
    return fail(c, ERR_INVALID,
                "The answer would exceed %u MiB; ask for fewer at once with 'max_results'",
                ANSWER_BYTES >> 20);
}

void *list_push(struct ctx *c, struct list *l, size_t *cap, size_t size) {
    return arena_push(c->arena, &l->items, &l->n, cap, size);
}
