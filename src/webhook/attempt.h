/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_WEBHOOK_PRIVATE_ATTEMPT_H
#define QUERN_WEBHOOK_PRIVATE_ATTEMPT_H
/* Attempt: sends one delivery that is due and records what came of it. On a worker. */
#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct db;
struct net_client;

#define QUICK_MS 2000

enum shown { SHOWN_NOTHING, SHOWN_QUICK, SHOWN_SLOW }; /* by the receiver, in this attempt */

/* `stopping` is asked when the outcome cannot be recorded: then the delivery is made again. */
enum shown attempt(struct ctx *c, struct db *db, struct net_client *client, int64_t delivery,
                   int64_t timeout_ms, bool (*stopping)(void));

#endif
