/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_LASTGOOD_H
#define QUERN_SERVING_LASTGOOD_H
/* Last good: the latest good answer for each entity (a customer, a device), for when no model can
 * give a new one. Within a budget of bytes, in memory alone: a restart forgets them. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer_store.h"

struct ctx;
struct lastgood;

struct lastgood *lastgood_new(size_t bytes);
/* References are changed by one thread at a time. */
struct lastgood *lastgood_ref(struct lastgood *l);
void lastgood_unref(struct lastgood *l); /* NULL is allowed */
/* `wanted` as in the request: an answer stands only for one that wants the same outputs. */
void lastgood_put(struct lastgood *l, const char *key, const char *const *wanted,
                  const struct kept_answer *answer);
/* The latest answer of that key with `rows` rows in front, in c's arena; none when it is older than
 * max_age_ms (0: any age). */
bool lastgood_get(struct lastgood *l, struct ctx *c, const char *key, const char *const *wanted,
                  size_t rows, int64_t max_age_ms, struct kept_answer *out);
struct answers_figures lastgood_figures(struct lastgood *l);

#endif
