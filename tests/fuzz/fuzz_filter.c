/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a filter and as an order. Clauses must be whole, refusals must have their message. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/core/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_clause(const struct filter_clause *f, size_t len) {
    if (!f->key || !*f->key || f->position >= len)
        abort();
    bool wants_none = f->op == OP_IS_NULL || f->op == OP_NOT_NULL;
    bool wants_list = f->op == OP_IN || f->op == OP_NOT_IN;
    if (wants_none != (f->kind == VALUE_NONE) || wants_list != (f->kind == VALUE_LIST))
        abort();
    if (f->kind == VALUE_LIST && (f->n == 0 || !f->items[f->n - 1]))
        abort();
    if ((f->kind == VALUE_TEXT || f->kind == VALUE_NUMBER) && !f->text)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ctx c;
    struct filter f;
    struct order_term o;
    ctx_begin(&c);
    char *text = arena_strndup(c.arena, (const char *)data, size);
    if (filter_parse(&c, text, &f) == 0)
        for (size_t i = 0; i < f.n; i++)
            check_clause(&f.clauses[i], strlen(text));
    else if (c.err.code != ERR_INVALID || !c.err.message)
        abort();
    err_clear(&c);
    if (order_parse(&c, text, &o) == 0 ? !o.key || !*o.key : !c.err.message)
        abort();
    ctx_end(&c);
    return 0;
}
