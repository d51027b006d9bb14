/* SPDX-License-Identifier: Apache-2.0 */
#include "lastgood.h"

#include <stdlib.h>

#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/core/ctx.h"
#include "tensor_rows.h"

struct lastgood {
    struct answers *store;
    unsigned refs;
    unsigned char secret[16];
};

struct lastgood *lastgood_new(size_t bytes) {
    struct lastgood *l = mem_alloc(sizeof *l);
    l->store = answers_new(bytes);
    l->refs = 1;
    id_random(l->secret, sizeof l->secret);
    return l;
}

struct lastgood *lastgood_ref(struct lastgood *l) {
    l->refs++;
    return l;
}

void lastgood_unref(struct lastgood *l) {
    if (!l || --l->refs > 0)
        return;
    answers_free(l->store);
    free(l);
}

static struct digest128 digest(const struct lastgood *l, const char *key,
                               const char *const *wanted) {
    struct siphash h;
    siphash_init(&h, l->secret);
    siphash_text(&h, key);
    for (size_t i = 0; wanted && wanted[i]; i++)
        siphash_text(&h, wanted[i]);
    return siphash_end(&h);
}

void lastgood_put(struct lastgood *l, const char *key, const char *const *wanted,
                  const struct kept_answer *answer) {
    answers_put(l->store, digest(l, key, wanted), answer);
}

bool lastgood_get(struct lastgood *l, struct ctx *c, const char *key, const char *const *wanted,
                  size_t rows, int64_t max_age_ms, struct kept_answer *out) {
    return answers_get(l->store, digest(l, key, wanted), max_age_ms * 1000000, c->arena, out) &&
           tensor_rows(out->outputs, out->n) == (int64_t)rows;
}

struct answers_figures lastgood_figures(struct lastgood *l) {
    return answers_figures(l->store);
}
