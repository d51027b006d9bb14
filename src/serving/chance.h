/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_CHANCE_H
#define QUERN_SERVING_CHANCE_H
/* Chance: random numbers for choices that are no secrets, without a lock. */
#include <stdint.h>

uint64_t chance_u64(void);

#endif
