/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_NET_PRIVATE_GUARD_H
#define QUERN_NET_PRIVATE_GUARD_H
/* Guard: which addresses may be called. IPv4 that IPv6 carries (mapped, NAT64) is judged as IPv4.
 * An address or CIDR in the operator's list lets that address through whatever it is; a host in it
 * lets the host's private and loopback addresses through, but never link-local ones, where clouds
 * keep their credentials, nor multicast or unspecified ones. */
#include <stdbool.h>

struct guard;
struct sockaddr;
struct buf;

struct guard *guard_new(const char *allow, struct buf *error); /* NULL and a sentence */
void guard_free(struct guard *g);                              /* NULL is allowed */
/* NULL: may be called. Else what it is: "a loopback address". */
const char *guard_refuses(const struct guard *g, const char *host, const struct sockaddr *a);

#endif
