/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include <stdlib.h>

#include <pthread.h>

#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/core/ctx.h"

struct cache {
    struct answers *store;
    unsigned refs;
    int64_t ttl_ns;
};

static unsigned char secret[16];
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

static void make_secret(void) {
    id_random(secret, sizeof secret);
}

struct cache *cache_new(size_t bytes, int64_t ttl_ms) {
    struct cache *k = mem_alloc(sizeof *k);
    k->store = answers_new(bytes);
    k->refs = 1;
    k->ttl_ns = ttl_ms * 1000000;
    return k;
}

struct cache *cache_ref(struct cache *k) {
    k->refs++;
    return k;
}

void cache_unref(struct cache *k) {
    if (!k || --k->refs > 0)
        return;
    answers_free(k->store);
    free(k);
}

/* Every part goes in with its length: no two requests give the same bytes. */
static void add_tensor(struct siphash *h, const struct tensor *t) {
    siphash_text(h, t->name);
    siphash_number(h, t->dtype);
    siphash_number(h, t->rank);
    for (size_t d = 0; d < t->rank; d++)
        siphash_number(h, (uint64_t)t->shape[d]);
    if (t->dtype != DT_BYTES) {
        if (t->count)
            siphash_add(h, t->data, t->count * dtype_size(t->dtype));
        return;
    }
    const struct bytes *items = t->data;
    for (size_t i = 0; i < t->count; i++) {
        siphash_number(h, items[i].len);
        if (items[i].len)
            siphash_add(h, items[i].data, items[i].len);
    }
}

struct digest128 cache_digest(const char *model, const char *version, const struct tensor *in,
                              size_t nin, const char *const *wanted) {
    struct siphash h;
    pthread_once(&secret_once, make_secret);
    siphash_init(&h, secret);
    siphash_text(&h, model);
    siphash_text(&h, version);
    siphash_number(&h, nin);
    for (size_t i = 0; i < nin; i++)
        add_tensor(&h, &in[i]);
    siphash_number(&h, wanted != NULL);
    for (size_t i = 0; wanted && wanted[i]; i++)
        siphash_text(&h, wanted[i]);
    return siphash_end(&h);
}

bool cache_get(struct cache *k, struct ctx *c, struct digest128 key, struct tensor **out,
               size_t *nout) {
    struct kept_answer kept;
    if (!answers_get(k->store, key, k->ttl_ns, c->arena, &kept))
        return false;
    *out = kept.outputs;
    *nout = kept.n;
    return true;
}

void cache_put(struct cache *k, struct digest128 key, const struct tensor *out, size_t nout) {
    struct kept_answer kept = {.outputs = (struct tensor *)out, .n = nout};
    answers_put(k->store, key, &kept);
}

struct answers_figures cache_figures(struct cache *k) {
    return answers_figures(k->store);
}
