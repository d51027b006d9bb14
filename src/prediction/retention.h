/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_RETENTION_H
#define QUERN_PREDICTION_RETENTION_H
/* Retention: whole segments go when their newest record is too old or when newer ones fill the
 * endpoint's bytes; keys and feedback go with them. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

/* Removes what is over at `now_ms`, except segments still written to. How many segments went. */
size_t retention_sweep(struct db *db, int64_t now_ms, bool (*is_open)(int64_t id));
void retention_sort(int64_t *ids, size_t n);

#endif
