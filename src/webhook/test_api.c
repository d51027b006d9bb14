/* SPDX-License-Identifier: Apache-2.0 */
/* Test door: posts an example once, while the caller waits. */
#include <stdatomic.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/id.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/net/net.h"
#include "send.h"
#include "topic.h"
#include "webhook_api.h"
#include "webhook_rule.h"

#define AT_ONCE 2 /* workers that may wait for receivers, so that some are left */

static atomic_int waiting;

struct test_in {
    const char *webhook_id;
    struct webhook_event_wire *event;
};
SHAPE(shape_webhook_test, "TestWebhook", struct test_in,
      FIELD(struct test_in, webhook_id, T_STR, F_PATH | F_REQUIRED, "The webhook's id"),
      FIELD_SUB(struct test_in, event, T_OBJ, 0, &shape_webhook_event,
                "What to send an example of; else the webhook's first event"));

struct test_wire {
    struct opt_bool success;
    struct opt_i64 response_status;
    const char *response_body, *error_message;
};
SHAPE_LOCAL(shape_test_result, "WebhookTestResult", struct test_wire,
            FIELD(struct test_wire, success, T_BOOL, 0, "The receiver answered 2xx"),
            FIELD(struct test_wire, response_status, T_I64, 0, "HTTP status, if one came"),
            FIELD(struct test_wire, response_body, T_STR, 0, "First 16 KiB of the answer"),
            FIELD(struct test_wire, error_message, T_STR, 0, "Why it did not succeed"));
struct test_out {
    struct test_wire *result;
};
SHAPE(shape_webhook_test_out, "TestWebhookAnswer", struct test_out,
      FIELD_SUB(struct test_out, result, T_OBJ, 0, &shape_test_result, "What happened"));

static void call(struct ctx *c, const struct webhook_row *w, const struct topic *t,
                 struct test_wire *out) {
    struct net_client *client = net_client_new();
    struct outcome o;
    char id[37];
    id_uuid(id);
    struct message m = {.webhook = w->id,
                        .url = w->url,
                        .delivery_id = id,
                        .body = topic_body(c, t, clock_wall_ms(), t->example, NULL),
                        .secret = w->secret,
                        .secret_n = w->secret_n};
    message_send(c, client, &m, webhook_room.timeout_ms, &o);
    net_client_free(client);
    bool good = o.verdict == VERDICT_DELIVERED;
    out->success = SET_BOOL(good);
    if (o.status)
        out->response_status = SET_I64(o.status);
    out->response_body = o.body;
    /* An answer speaks for itself, as in MLflow; only without one there is a message. */
    if (!good && (!o.status || o.status < 400))
        out->error_message = arena_printf(c->arena, "Failed to test webhook: %s", o.error);
}

int webhook_test_door(struct ctx *c, const void *input, void *output) {
    const struct test_in *in = input;
    struct test_out *out = output;
    struct webhook_row w;
    const struct topic *t = NULL;
    int rc = in->event ? topic_find(c, in->event->entity, in->event->action, &t) : 0;
    if (rc == 0)
        rc = db_read_begin(lanes_db(webhook_room.lanes), c);
    if (rc == 0) {
        rc = webhook_find(c, in->webhook_id, &w);
        db_read_end(c);
    }
    if (rc != 0)
        return rc;
    if (!t)
        t = topic_of(w.events.n ? w.events.items[0] : "model_version.created");
    if (atomic_fetch_add(&waiting, 1) >= AT_ONCE) {
        atomic_fetch_sub(&waiting, 1);
        return fail(c, ERR_RATE, "%d webhooks are being tested already, try again.", AT_ONCE);
    }
    out->result = ARENA_NEW(c->arena, struct test_wire);
    call(c, &w, t, out->result);
    atomic_fetch_sub(&waiting, 1);
    return 0;
}
