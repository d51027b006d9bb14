/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_LOADER_H
#define QUERN_SERVING_LOADER_H
/* Loader: the one thread that brings what is in memory in line with the endpoint rows. It resolves
 * every target, and where that is not what serves it has the model fetched, vetted in a child,
 * loaded and warmed (load.h), then swaps and records. It is woken by commits that touch endpoints
 * and by moved aliases. */
#include <stdint.h>

struct serving_options;
struct buf;

int loader_start(const struct serving_options *o, struct buf *error);
void loader_stop(void);
void loader_wake(void *unused); /* any thread */

#endif
