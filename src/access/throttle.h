/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ACCESS_THROTTLE_H
#define QUERN_ACCESS_THROTTLE_H
/* Token buckets for failed passwords: 10 at once and 10 a minute from one address, 40 at once and
 * 60 a minute from all together. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_BUCKETS 256

struct bucket {
    double tokens;
    int64_t at_ms;
};

struct throttle {
    pthread_mutex_t lock;
    uint64_t seed;
    struct bucket all;
    struct bucket addresses[THROTTLE_BUCKETS];
};

void throttle_init(struct throttle *t);
void throttle_destroy(struct throttle *t);
/* Takes one try; false: the address, or everybody together, has none left. */
bool throttle_take(struct throttle *t, const char *address, int64_t now_ms);
/* The try was good and does not count. */
void throttle_give_back(struct throttle *t, const char *address);

#endif
