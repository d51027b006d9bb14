/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/core/lifecycle.h"

#include <stdlib.h>
#include <string.h>

#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

static const struct state_row *find(const struct lifecycle *l, const char *state) {
    for (size_t i = 0; i < l->nstates; i++)
        if (str_eq(l->states[i].name, state))
            return &l->states[i];
    return NULL;
}

bool lifecycle_known(const struct lifecycle *l, const char *state) {
    return find(l, state) != NULL;
}

bool lifecycle_terminal(const struct lifecycle *l, const char *state) {
    const struct state_row *s = find(l, state);
    return s && s->terminal;
}

/* Whether an earlier row names the same pair: several causes may lead one way. */
static bool named_before(const struct lifecycle *l, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (str_eq(l->moves[k].to, l->moves[i].to) && str_eq(l->moves[k].from, l->moves[i].from))
            return true;
    return false;
}

int lifecycle_check(struct ctx *c, const struct lifecycle *l, const char *from, const char *to) {
    struct buf origins = {0};
    size_t total = 0, seen = 0;
    for (size_t i = 0; i < l->nmoves; i++) {
        if (!str_eq(l->moves[i].to, to))
            continue;
        if (str_eq(l->moves[i].from, from))
            return 0;
        total += !named_before(l, i);
    }
    if (!find(l, to))
        return fail(c, ERR_GONE_STATE, "%s has no state '%.60s'", l->noun, to ? to : "");
    for (size_t i = 0; i < l->nmoves; i++) {
        if (!str_eq(l->moves[i].to, to) || named_before(l, i))
            continue;
        if (seen > 0)
            buf_puts(&origins, seen + 1 == total ? " or " : ", ");
        buf_puts(&origins, l->moves[i].from);
        seen++;
    }
    int r = seen ? fail(c, ERR_GONE_STATE, "%s is %s; only %s can become %s", l->noun,
                        from ? from : "new", origins.data, to)
                 : fail(c, ERR_GONE_STATE, "%s is %s; nothing can become %s", l->noun,
                        from ? from : "new", to);
    buf_free(&origins);
    return r;
}
