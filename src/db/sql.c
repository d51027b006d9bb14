/* SPDX-License-Identifier: Apache-2.0 */
/* Sql: statements put together at run time from constant pieces. */
#include <stdarg.h>
#include <stdlib.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "sql_value.h"

static void drop_text(void *text) {
    buf_free(text);
}

void sql_begin(struct ctx *c, struct sql *q) {
    *q = (struct sql){.text = ARENA_NEW(c->arena, struct buf)};
    arena_defer(c->arena, drop_text, q->text);
}

static struct sql_value *value_slot(struct ctx *c, struct sql *q) {
    q->values = arena_room(c->arena, q->values, q->n, &q->cap, sizeof *q->values);
    return &q->values[q->n++];
}

void sql_add(struct ctx *c, struct sql *q, const char *text, const char *fmt, ...) {
    if (text)
        buf_puts(q->text, text);
    va_list ap;
    va_start(ap, fmt);
    for (; fmt && *fmt; fmt++) {
        struct sql_value *v = value_slot(c, q);
        v->kind = *fmt;
        switch (*fmt) {
        case 's':
            v->data = arena_strdup(c->arena, va_arg(ap, const char *));
            break;
        case 'i':
            v->integer = va_arg(ap, int64_t);
            break;
        case 'd':
            v->real = va_arg(ap, double);
            break;
        case 'b': {
            const void *data = va_arg(ap, const void *);
            v->size = va_arg(ap, size_t);
            v->data = data ? arena_dup(c->arena, data, v->size) : NULL;
            break;
        }
        case 'p':
            v->data = va_arg(ap, const void *);
            break;
        default: /* 'n', and anything unknown binds NULL */
            break;
        }
    }
    va_end(ap);
}

void sql_join(struct ctx *c, struct sql *q, const struct sql *part) {
    buf_put(q->text, part->text->data, part->text->len);
    for (size_t i = 0; i < part->n; i++)
        *value_slot(c, q) = part->values[i];
}
