/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_WEBHOOK_PRIVATE_DISPATCH_H
#define QUERN_WEBHOOK_PRIVATE_DISPATCH_H
/* Dispatch: one thread makes deliveries of events and hands those that are due to workers.
 *
 * No receiver (scheme, host and port) can hold up the others: until it has shown itself quick it
 * gets one call at a time; those known as slow share a third of the workers, and a quarter is kept
 * for quick ones; a quick one gets a third, and nothing further while one of its calls hangs. */
#include <stdbool.h>
#include <stdint.h>

struct webhook_options;

void dispatch_start(const struct webhook_options *o);
void dispatch_stop(void);
bool dispatch_busy(int64_t delivery); /* somebody is being told of it right now */
void dispatch_wake(void *unused);     /* there may be something to do; also for db_after_commit */

#endif
