/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_WEBHOOK_WEBHOOK_H
#define QUERN_WEBHOOK_WEBHOOK_H
/* Webhook: tells others of changes in the registry, as MLflow does it.
 *
 * The room reads the outbox of events by sequence and makes, in one write, a delivery row for each
 * active webhook that asked for an event, and moves its cursor. So there is no delivery before the
 * commit of its change, and none is lost with the process. Workers send them; what was sent but not
 * yet recorded when the process died is sent again: at least once, under the same delivery id. */
#include <stdint.h>

#include "quern/http/route.h"

struct buf;
struct dir;
struct lanes;

struct webhook_options {
    struct lanes *lanes;
    struct dir *data; /* holds the key that secrets are sealed under */
    unsigned workers;
    int64_t timeout_ms, keep_ms;
};
/* After net_start, before the server. -1 and a sentence. */
int webhook_start(const struct webhook_options *o, struct buf *error);
/* After net_stop and the server, before the lanes stop. */
void webhook_stop(void);
/* Housekeeping, inside a write: deletes at most `most` ended deliveries whose time is over. The
 * number deleted, or negative. */
int webhook_expire(struct ctx *c, int64_t most);

extern const struct route_list webhook_routes;

#endif
