/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_SHADOW_H
#define QUERN_SERVING_SHADOW_H
/* Shadow: copies of answered requests, run on arms whose answers nobody gets, to be compared with
 * what was answered. Senders take no lock: copies go to one list, which a thread of the lowest
 * priority takes every few milliseconds as a whole; arms that may block wait at the shadows' own
 * gate. What is too much is dropped and counted. So a shadow neither delays nor fails an answer. */
#include "predict.h"

#define SHADOW_QUEUE 64      /* copies that wait, of an endpoint; more are dropped */
#define SHADOW_CONCURRENCY 1 /* runs at once: the answers come first */

#define SHADOW_WAITING 1024 /* copies on the list */

int shadows_start(void);
void shadows_stop(void); /* drops what waits */

/* After `a` was answered, still within its snapshot. */
void shadow_send(struct ctx *c, const struct entry *e, const struct entry_arm *arm,
                 struct request *q, const struct answer *a);

enum agreement { SHADOW_AGREES, SHADOW_DIFFERS, SHADOW_INCOMPARABLE };
/* The same outputs by name, type and shape, floats within 1e-5 of each other (relative, or 1e-6
 * absolute), all else equal. Incomparable: other names, types or shapes. */
enum agreement shadow_compare(const struct tensor *a, size_t na, const struct tensor *b, size_t nb);

#endif
