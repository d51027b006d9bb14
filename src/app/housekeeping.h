/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_APP_HOUSEKEEPING_H
#define QUERN_APP_HOUSEKEEPING_H
/* Housekeeping: what has to happen now and then although nobody asks. Once a minute spent
 * idempotency keys, run tokens whose time is over and old events are deleted in small batches;
 * every `gc_every_ms` (0: never) blobs that nothing refers to are collected. The work runs on a
 * worker, never two at a time; when the workers are busy it waits for the next minute. */
#include <stdint.h>

struct housekeeping;
struct lanes;

struct housekeeping *housekeeping_start(struct lanes *lanes, int64_t gc_every_ms);
/* Goes on marking the runs of deleted and restored experiments; any thread. */
void housekeeping_mark(void *arg);
/* No further work is begun; what is under way ends with the lanes. NULL is allowed. */
void housekeeping_stop(struct housekeeping *h);

#endif
