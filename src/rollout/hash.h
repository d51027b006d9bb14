/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ROLLOUT_HASH_H
#define QUERN_ROLLOUT_HASH_H
/* Hash: XXH64, by which keys are assigned. Its values never change, over releases and machines:
 * docs/rollout.md has vectors that clients may check against. */
#include <stddef.h>
#include <stdint.h>

/* Of salt, a zero byte and key. */
uint64_t hash_key(uint64_t seed, const char *salt, size_t nsalt, const char *key);
uint64_t hash_bytes(uint64_t seed, const void *data, size_t n);
/* The upper 53 bits as a number above 0 and below 1. */
double hash_unit(uint64_t h);

/* Chance that follows from one number: splitmix64. */
static inline uint64_t chance_next(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
