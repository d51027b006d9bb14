/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_CACHE_H
#define QUERN_SERVING_CACHE_H
/* Cache: answers of a model by what was asked, within a budget of bytes and for a time. The key is
 * a digest of the model, the outputs that were wanted and all inputs; it is made with a secret of
 * the process, so that no caller can make two requests that meet. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer_store.h"

struct ctx;
struct cache;

struct cache *cache_new(size_t bytes, int64_t ttl_ms); /* ttl 0: for as long as there is room */
/* References are changed by one thread at a time. */
struct cache *cache_ref(struct cache *k);
void cache_unref(struct cache *k); /* NULL is allowed */

/* `model` and `version` name exactly what answers (the file's digest, a graph's). */
struct digest128 cache_digest(const char *model, const char *version, const struct tensor *in,
                              size_t nin, const char *const *wanted);
/* Outputs in c's arena. */
bool cache_get(struct cache *k, struct ctx *c, struct digest128 key, struct tensor **out,
               size_t *nout);
void cache_put(struct cache *k, struct digest128 key, const struct tensor *out, size_t nout);
struct answers_figures cache_figures(struct cache *k);

#endif
