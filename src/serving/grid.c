/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "payload.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

static void grid_release(void *object) {
    free(((struct grid *)object)->cells);
}

/* Cells grow by realloc: an arena would keep every smaller copy. */
struct grid *grid_new(struct ctx *c) {
    struct grid *g = ARENA_NEW(c->arena, struct grid);
    arena_defer(c->arena, grid_release, g);
    return g;
}

void grid_grow(struct grid *g) {
    g->cap = g->cap ? g->cap * 2 : 16;
    g->cells = mem_realloc(g->cells, g->cap * sizeof *g->cells);
}
