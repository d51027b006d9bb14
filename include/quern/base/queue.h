/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_QUEUE_H
#define QUERN_BASE_QUEUE_H
/* Queue: bounded, many producers and consumers, first in first out. A full queue refuses at once,
 * so that back-pressure reaches the caller. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

struct queue *queue_new(size_t capacity);
void queue_free(struct queue *q);
int queue_push(struct queue *q, void *item); /* 0; -EAGAIN full; -EPIPE closed */
/* Waits up to timeout_ms (-1: for ever). NULL on time-out, or when closed and empty. */
void *queue_pop(struct queue *q, int64_t timeout_ms);
/* Takes up to max items, waiting for the first only; 0 on time-out or closed and empty. */
size_t queue_pop_many(struct queue *q, void **items, size_t max, int64_t timeout_ms);
void queue_close(struct queue *q); /* no more pushes; what is inside can still be popped */
bool queue_closed(struct queue *q);
size_t queue_depth(struct queue *q);

#endif
