/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_NET_PRIVATE_TARGET_H
#define QUERN_NET_PRIVATE_TARGET_H
/* Target: where a URL leads, after every question that can be asked without a connection. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "quern/net/net.h"
#include "resolve.h"

struct guard;

#define RESOLVE_MS 10000 /* nobody waits longer for a name */

struct target_rules {
    const struct guard *guard;
    bool allow_http;
    bool trusted;
    const atomic_bool *cancel;
    int64_t within_ms; /* for the look-up of the host */
};
struct target {
    char host[256]; /* without brackets */
    unsigned port;
    bool https;
    struct addresses addresses;
};

enum net_fault target_find(const char *url, const struct target_rules *r, struct target *out,
                           struct net_problem *problem);
/* Fills the problem; returns its fault. */
enum net_fault problem_set(struct net_problem *p, enum net_fault fault, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
