/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/webhook/webhook.h"

#include <string.h>

#include "delivery_store.h"
#include "dispatch.h"
#include "quern/core/ctx.h"
#include "secret.h"
#include "webhook_api.h"

struct webhook_options webhook_room;

int webhook_start(const struct webhook_options *o, struct buf *error) {
    (void)error;
    webhook_room = *o;
    secret_start(o->data);
    dispatch_start(o);
    return 0;
}

void webhook_stop(void) {
    dispatch_stop();
    secret_stop();
}

int webhook_expire(struct ctx *c, int64_t most) {
    return delivery_store_expire(c, c->now_ms - webhook_room.keep_ms, most);
}
