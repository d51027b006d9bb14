/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_NET_PRIVATE_RESOLVE_H
#define QUERN_NET_PRIVATE_RESOLVE_H
/* Resolve: a host's addresses, with an end in time. The C library's resolver cannot be broken off,
 * so it works on a thread of its own, which is left behind when it takes too long. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define ADDRESSES_MAX 16
#define LEFT_BEHIND_MAX 128 /* threads at once that wait for name servers */

struct addresses {
    struct sockaddr_storage items[ADDRESSES_MAX]; /* port 0 */
    size_t n;
    bool more; /* there were further ones, which nobody judged */
};

/* 0, or -1 and a sentence's end ("no such host", "no answer in time"). */
int resolve(const char *host, int64_t within_ms, const atomic_bool *cancel, struct addresses *out,
            const char **why);
/* For tests: who is asked instead of getaddrinfo; NULL restores it. */
typedef int resolver(const char *host, struct addresses *out, const char **why);
void resolve_by(resolver *fn);

#endif
