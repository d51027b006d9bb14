/* SPDX-License-Identifier: Apache-2.0 */
#include "chance.h"

#include <sys/random.h>

#include "quern/base/clock.h"

static _Thread_local uint64_t state;

/* SplitMix64 (Steele, Lea, Flood 2014): each thread's walk begins at a place of its own. */
uint64_t chance_u64(void) {
    while (!state)
        if (getrandom(&state, sizeof state, GRND_NONBLOCK) != sizeof state)
            state = (uint64_t)clock_mono_ns() ^ (uint64_t)(uintptr_t)&state;
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
