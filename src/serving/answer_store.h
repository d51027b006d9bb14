/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_ANSWER_STORE_H
#define QUERN_SERVING_ANSWER_STORE_H
/* Answer store: outputs kept under a 128-bit key within a budget of bytes, the least recently used
 * given up first. Everything counts against the budget: items with what the allocator takes for
 * them, and the tables. An item that is given up while somebody reads it lives on until he is
 * done. Functions may be called from any thread; a lock is held for the look-up alone, not for
 * copying. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/onnx/tensor.h"
#include "siphash.h"

struct answers;
struct arena;

struct answers *answers_new(size_t budget); /* bytes */
void answers_free(struct answers *s);       /* NULL is allowed */

struct kept_answer {
    struct tensor *outputs;
    size_t n;
    const char *arm, *version; /* that gave it; NULL when not told */
    int64_t age_ns;
};
/* Copies into the arena. Items older than `max_age_ns` (0: any age) are given up. */
bool answers_get(struct answers *s, struct digest128 key, int64_t max_age_ns, struct arena *a,
                 struct kept_answer *out);
/* Takes a copy and replaces what is there. False when it is larger than the store keeps. */
bool answers_put(struct answers *s, struct digest128 key, const struct kept_answer *kept);
void answers_clear(struct answers *s);

struct answers_figures {
    uint64_t hits, misses;
    uint64_t put, refused;     /* refused: larger than what is kept */
    uint64_t evicted, expired; /* given up for room, for age */
    size_t items, bytes;       /* now */
};
struct answers_figures answers_figures(struct answers *s);

#endif
