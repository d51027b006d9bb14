/* SPDX-License-Identifier: Apache-2.0 */
/* A list that grows at its head: putting is one exchange, and the one taker turns it around. Its
 * bound is of bytes, counted before a capture goes in. */
#include <stdatomic.h>

#include "capture.h"

static _Atomic(struct capture *) head;
static atomic_size_t inside, most;

void ring_bound(size_t bytes) {
    atomic_store(&most, bytes);
}

bool ring_reserve(size_t bytes) {
    size_t before = atomic_fetch_add_explicit(&inside, bytes, memory_order_relaxed);
    if (before + bytes <= atomic_load_explicit(&most, memory_order_relaxed))
        return true;
    ring_gone(bytes);
    return false;
}

void ring_put(struct capture *k) {
    k->next = atomic_load_explicit(&head, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&head, &k->next, k, memory_order_release,
                                                  memory_order_relaxed))
        ;
}

struct capture *ring_take(void) {
    struct capture *k = atomic_exchange_explicit(&head, NULL, memory_order_acquire), *first = NULL;
    while (k) {
        struct capture *next = k->next;
        k->next = first;
        first = k;
        k = next;
    }
    return first;
}

void ring_gone(size_t bytes) {
    atomic_fetch_sub_explicit(&inside, bytes, memory_order_relaxed);
}

size_t ring_bytes(void) {
    return atomic_load_explicit(&inside, memory_order_relaxed);
}
