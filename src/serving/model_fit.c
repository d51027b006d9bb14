/* SPDX-License-Identifier: Apache-2.0 */
/* Model fit: a request's tensors against what a model takes, for runtimes that do not ask
 * themselves. */
#include <inttypes.h>
#include <string.h>

#include "model.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

static const struct tensor *find(const struct tensor *in, size_t nin, const char *name,
                                 size_t hint) {
    if (hint < nin && strcmp(in[hint].name, name) == 0)
        return &in[hint];
    for (size_t i = 0; i < nin; i++)
        if (strcmp(in[i].name, name) == 0)
            return &in[i];
    return NULL;
}

/* A column and a matrix of one column are the same values. */
static bool as_column(const struct tensor_spec *s, struct tensor *t) {
    if (s->rank == 1 && t->rank == 2 && t->shape[1] == 1) {
        t->rank = 1;
        return true;
    }
    if (s->rank == 2 && t->rank == 1 && (s->shape[1] == 1 || s->shape[1] < 0)) {
        t->rank = 2;
        t->shape[1] = 1;
        return true;
    }
    return s->rank == t->rank;
}

static int fit(struct ctx *c, const struct tensor_spec *s, struct tensor *t) {
    if (t->dtype != s->dtype)
        return fail_field(c, ERR_INVALID, t->name, "input '%s' is %s; the model takes %s", t->name,
                          dtype_name(t->dtype), dtype_name(s->dtype));
    if (!as_column(s, t))
        return fail_field(c, ERR_INVALID, t->name,
                          "input '%s' has %zu dimensions; the model takes %zu", t->name, t->rank,
                          s->rank);
    for (size_t d = 0; d < s->rank; d++)
        if (s->shape[d] >= 0 && s->shape[d] != t->shape[d])
            return fail_field(c, ERR_INVALID, t->name,
                              "input '%s' has %" PRId64
                              " entries along axis %zu; the model takes %" PRId64,
                              t->name, t->shape[d], d, s->shape[d]);
    return 0;
}

int model_fit(struct ctx *c, const struct tensor_spec *specs, size_t n, const struct tensor *in,
              size_t nin, struct tensor **out) {
    struct tensor *fitted = ARENA_ARRAY(c->arena, struct tensor, n ? n : 1);
    for (size_t i = 0; i < n; i++) {
        const struct tensor *t = find(in, nin, specs[i].name, i);
        if (!t)
            return fail_field(c, ERR_INVALID, specs[i].name, "input '%s' is missing",
                              specs[i].name);
        fitted[i] = *t;
        int rc = fit(c, &specs[i], &fitted[i]);
        if (rc < 0)
            return rc;
    }
    for (size_t k = 0; k < nin; k++) {
        size_t i = 0;
        while (i < n && strcmp(specs[i].name, in[k].name) != 0)
            i++;
        if (i == n)
            return fail_field(c, ERR_INVALID, in[k].name, "the model has no input '%s'",
                              in[k].name);
        if (find(in, k, in[k].name, k))
            return fail_field(c, ERR_INVALID, in[k].name, "input '%s' is there twice", in[k].name);
    }
    *out = fitted;
    return 0;
}
