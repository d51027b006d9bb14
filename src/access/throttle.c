/* SPDX-License-Identifier: Apache-2.0 */
/* Throttle: how often passwords may be tried. A try costs a tenth of a second of a network thread,
 * known name or not, so without a bound anybody could keep the server busy with guesses. Buckets
 * are shared by addresses that hash alike; the seed keeps callers from choosing their neighbours.
 */
#include "throttle.h"

#include <string.h>

#include "quern/base/id.h"

#define ADDRESS_BURST 10.0
#define ADDRESS_PER_MS (1.0 / 6000)
#define ALL_BURST 40.0
#define ALL_PER_MS (1.0 / 1000)

void throttle_init(struct throttle *t) {
    memset(t, 0, sizeof *t);
    id_random(&t->seed, sizeof t->seed);
    pthread_mutex_init(&t->lock, NULL);
    t->all.tokens = ALL_BURST;
    for (size_t i = 0; i < THROTTLE_BUCKETS; i++) {
        t->addresses[i].tokens = ADDRESS_BURST;
    }
}

void throttle_destroy(struct throttle *t) {
    pthread_mutex_destroy(&t->lock);
}

static struct bucket *bucket_of(struct throttle *t, const char *address) {
    uint64_t h = t->seed;
    for (; *address; address++) {
        h = (h ^ (unsigned char)*address) * UINT64_C(1099511628211);
    }
    return &t->addresses[(h ^ h >> 32) % THROTTLE_BUCKETS];
}

static double least(double a, double b) {
    return a < b ? a : b;
}

static void refill(struct bucket *b, double burst, double per_ms, int64_t now_ms) {
    b->tokens = least(burst, b->tokens + per_ms * (double)(now_ms - b->at_ms));
    b->at_ms = now_ms;
}

bool throttle_take(struct throttle *t, const char *address, int64_t now_ms) {
    pthread_mutex_lock(&t->lock);
    struct bucket *b = bucket_of(t, address);
    refill(b, ADDRESS_BURST, ADDRESS_PER_MS, now_ms);
    refill(&t->all, ALL_BURST, ALL_PER_MS, now_ms);
    bool free_to_try = b->tokens >= 1 && t->all.tokens >= 1;
    if (free_to_try) {
        b->tokens -= 1;
        t->all.tokens -= 1;
    }
    pthread_mutex_unlock(&t->lock);
    return free_to_try;
}

void throttle_give_back(struct throttle *t, const char *address) {
    pthread_mutex_lock(&t->lock);
    struct bucket *b = bucket_of(t, address);
    b->tokens = least(ADDRESS_BURST, b->tokens + 1);
    t->all.tokens = least(ALL_BURST, t->all.tokens + 1);
    pthread_mutex_unlock(&t->lock);
}
