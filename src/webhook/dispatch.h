/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_WEBHOOK_PRIVATE_DISPATCH_H
#define QUERN_WEBHOOK_PRIVATE_DISPATCH_H
/* Dispatch: one thread makes deliveries of events and hands those that are due to workers.
 *
 * No receiver can hold up the others: a webhook that has not yet shown itself quick has one
 * delivery under way, all such together take half of the workers, and one that has shown so still
 * gets no more than a third, and nothing further while one of its calls hangs. */
#include <stdint.h>

struct webhook_options;

void dispatch_start(const struct webhook_options *o);
void dispatch_stop(void);
void dispatch_wake(void *unused); /* there may be something to do; also for db_after_commit */

#endif
