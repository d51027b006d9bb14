/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_LOADER_H
#define QUERN_SERVING_LOADER_H
/* Loader: the one thread that brings what is in memory in line with the rows of endpoints and
 * arms. It resolves every target, and where that is not what serves it has the model fetched,
 * vetted in a child, loaded and warmed (load.h), then swaps and records. It is woken by commits
 * that touch endpoints and by moved aliases. Models beyond serving.memory that were not used for
 * longest leave memory; an arm whose model did is *idle*: it counts as ready and is loaded when
 * asked for. */
#include <stdbool.h>
#include <stdint.h>

struct serving_options;
struct buf;
struct ctx;

int loader_start(const struct serving_options *o, struct buf *error);
void loader_stop(void);
void loader_wake(void *unused); /* any thread */

/* Loads the idle arms of an endpoint (with `back` also those that were parked) and waits for them,
 * at most until the context's deadline or 30 s. ERR_NOT_READY says what is not there yet. Not on a
 * network thread. What an arm's graph asks is warmed with it, as far as it can be. */
int loader_warm(struct ctx *c, const char *endpoint, bool back);
/* The same for the endpoint alone, without waiting. */
void loader_ask(struct ctx *c, const char *endpoint);
/* Takes an endpoint's models out of memory until they are asked back. ERR_NOT_FOUND. */
int loader_park(struct ctx *c, const char *endpoint);

#endif
