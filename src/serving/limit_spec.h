/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_LIMIT_SPEC_H
#define QUERN_SERVING_LIMIT_SPEC_H
/* Limit spec: what an endpoint's document says of how many requests it takes in at once, how it
 * batches them and which answers it keeps. */
#include <stddef.h>

#include "batcher.h"
#include "gate.h"
#include "quern/core/shape.h"

struct ctx;
struct key_spec;

struct limits_spec {
    struct opt_i64 concurrency, queue, timeout_ms;
};
struct batching_spec {
    struct opt_i64 max_rows, max_delay_us, instances;
    struct json_t *preferred; /* list of sizes, ascending */
};
struct cache_spec {
    struct opt_i64 bytes, ttl_ms;
};
struct last_spec {
    struct key_spec *key; /* NULL: the same inputs */
    struct opt_i64 bytes, max_age_ms;
};
extern const struct shape shape_limits_spec, shape_batching_spec, shape_cache_spec, shape_last_spec;
#define LAST_BYTES (4 << 20) /* when the spec does not say */

/* Each takes NULL for "not said". The checks refuse what makes no sense, naming the field. */
int batching_spec_check(struct ctx *c, const struct batching_spec *s);
int last_spec_check(struct ctx *c, const struct last_spec *s);
/* With batching the calls that wait for company have places besides those that run. `threads` is
 * what the pool has at most. */
struct gate_limits limits_of(const struct limits_spec *s, const struct batching_spec *b,
                             unsigned threads);
/* The spec was checked; max_rows 0: no batching. */
struct batch_limits batching_of(const struct batching_spec *s);

#endif
