/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_SEGMENT_STORE_H
#define QUERN_PREDICTION_SEGMENT_STORE_H
/* Segment store: the index of the segments, the entities' keys, and how long all that stays. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;

struct segment {
    int64_t id, project;
    const char *endpoint;
    int64_t from_ms, to_ms, records, bytes, raw_bytes;
    const char *versions; /* JSON list of "model/version" */
    const char *digest;   /* hex, over the frames */
    bool sealed;
    int64_t created_ms;
};

struct keep {
    int64_t ms, bytes;
};
extern const struct keep keep_default;

struct entity_key {
    const char *entity, *id;
    int64_t ms, segment;
};

int segment_store_put(struct ctx *c, const struct segment *s);
int segment_store_seal_all(struct ctx *c);
int segment_store_delete(struct ctx *c, int64_t id);
int segment_store_last_id(struct ctx *c, int64_t *id); /* 0: none */
/* Segments of the project's endpoint that touch [from, to], by id. endpoint NULL: every project's.
 */
int segment_store_list(struct ctx *c, const char *endpoint, int64_t from_ms, int64_t to_ms,
                       struct segment **out, size_t *n);
int segment_store_key(struct ctx *c, int64_t project, const char *endpoint,
                      const struct entity_key *k);
/* The newest prediction for the entity at or before `at_ms`; NULL: none. */
int segment_store_newest(struct ctx *c, const char *endpoint, const char *entity, int64_t at_ms,
                         char **id);

int keep_store_put(struct ctx *c, const char *endpoint, const struct keep *k);
/* Every endpoint of every project that has a row. */
struct kept {
    int64_t project;
    const char *endpoint;
    struct keep keep;
};
int keep_store_list(struct ctx *c, struct kept **out, size_t *n);
int keep_store_get(struct ctx *c, int64_t project, const char *endpoint, struct keep *k);

#endif
