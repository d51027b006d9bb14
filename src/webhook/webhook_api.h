/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_WEBHOOK_PRIVATE_API_H
#define QUERN_WEBHOOK_PRIVATE_API_H
/* Webhook api: what the doors share. */
#include "quern/webhook/webhook.h"

extern struct webhook_options webhook_room; /* set between webhook_start and webhook_stop */

extern const struct shape shape_deliveries_in, shape_deliveries_out, shape_delivery_key,
    shape_delivery_out;
route_fn deliveries_list_door, delivery_again_door;
extern const struct shape shape_webhook_test, shape_webhook_test_out;
route_fn webhook_test_door;

struct webhook_event_wire {
    const char *entity, *action;
};
extern const struct shape shape_webhook_event;

#endif
