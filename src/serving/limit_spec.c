/* SPDX-License-Identifier: Apache-2.0 */
#include "limit_spec.h"

#include <jansson.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/rollout/spec.h"

#define CONCURRENCY 8 /* of an endpoint that does not say */
#define QUEUE 256

SHAPE_STRICT(shape_limits_spec, "ServingLimits", struct limits_spec,
             FIELD_MAX(struct limits_spec, concurrency, T_I64, 0, 1, 1024,
                       "Requests that run at once, where they may block; default 8, with batching "
                       "as many as fill a batch"),
             FIELD_MAX(struct limits_spec, queue, T_I64, 0, 0, 100000,
                       "Requests that wait besides; more are answered 503. Default 256"),
             FIELD_MAX(struct limits_spec, timeout_ms, T_I64, 0, 1, 86400000,
                       "Longest time of a request in milliseconds, waiting included; a shorter one "
                       "that the caller gives goes before. Default: none but serving.timeout"));
SHAPE_STRICT(
    shape_batching_spec, "ServingBatching", struct batching_spec,
    FIELD_MAX(struct batching_spec, max_rows, T_I64, F_REQUIRED, 2, 1000000,
              "Rows of a batch at most"),
    FIELD_MAX(struct batching_spec, max_delay_us, T_I64, 0, 0, 10000000,
              "Microseconds that a request waits for company; default 0: batches form only "
              "while the model is busy"),
    FIELD(struct batching_spec, preferred, T_JSON, 0,
          "Sizes, ascending, that are sent without further delay"),
    FIELD_MAX(struct batching_spec, instances, T_I64, 0, 1, 64,
              "Batches that run at once; default 1"));
SHAPE_STRICT(shape_cache_spec, "ServingCache", struct cache_spec,
             FIELD_MAX(struct cache_spec, bytes, T_I64, F_REQUIRED, 65536, 1099511627776,
                       "Memory for kept answers, all included"),
             FIELD_MAX(struct cache_spec, ttl_ms, T_I64, 0, 1, 2592000000,
                       "Milliseconds that an answer is good for; default: as long as it is kept"));
SHAPE_STRICT(shape_last_spec, "ServingLast", struct last_spec,
             FIELD_SUB(struct last_spec, key, T_OBJ, 0, &shape_key_source,
                       "What tells whose answer it is; default: the inputs being the same"),
             FIELD_MAX(struct last_spec, bytes, T_I64, 0, 65536, 1099511627776,
                       "Memory for them, all included; default 4194304"),
             FIELD_MAX(struct last_spec, max_age_ms, T_I64, 0, 1, 2592000000,
                       "Milliseconds after which an answer is too old; default: never"));

int last_spec_check(struct ctx *c, const struct last_spec *s) {
    if (!s || !s->key)
        return 0;
    int given = (s->key->header != NULL) + (s->key->parameter != NULL) + (s->key->field != NULL);
    return given == 1 ? 0
                      : fail_field(c, ERR_INVALID, "last/key",
                                   "a key is read from one of header, parameter and field");
}

int batching_spec_check(struct ctx *c, const struct batching_spec *s) {
    static const char field[] = "batching/preferred";
    size_t i;
    json_t *item;
    json_int_t before = 0;
    if (!s || !s->preferred)
        return 0;
    if (!json_is_array(s->preferred) || json_array_size(s->preferred) > BATCH_PREFERRED_MAX)
        return fail_field(c, ERR_INVALID, field, "preferred must be a list of at most %d sizes",
                          BATCH_PREFERRED_MAX);
    json_array_foreach(s->preferred, i, item) {
        json_int_t v = json_is_integer(item) ? json_integer_value(item) : 0;
        if (v <= before || v > s->max_rows.v)
            return fail_field(c, ERR_INVALID, field,
                              "preferred sizes must be whole numbers in ascending order, from 1 to "
                              "max_rows");
        before = v;
    }
    return 0;
}

struct batch_limits batching_of(const struct batching_spec *s) {
    struct batch_limits b = {.instances = 1};
    size_t i;
    json_t *item;
    if (!s)
        return b;
    b.max_rows = (size_t)s->max_rows.v;
    b.max_delay_us = s->max_delay_us.set ? s->max_delay_us.v : 0;
    b.instances = s->instances.set ? (unsigned)s->instances.v : 1;
    json_array_foreach(s->preferred, i, item) if (b.npreferred < BATCH_PREFERRED_MAX)
        b.preferred[b.npreferred++] = (size_t)json_integer_value(item);
    return b;
}

struct gate_limits limits_of(const struct limits_spec *s, const struct batching_spec *b,
                             unsigned threads) {
    uint64_t company = CONCURRENCY;
    struct batch_limits batch = batching_of(b);
    if (b) /* one batch runs while the next one forms */
        company = (uint64_t)batch.max_rows * (batch.instances + 1);
    if (company > threads)
        company = threads;
    return (struct gate_limits){.concurrency = s && s->concurrency.set ? (unsigned)s->concurrency.v
                                                                       : (unsigned)company,
                                .queue = s && s->queue.set ? (unsigned)s->queue.v : QUEUE};
}
