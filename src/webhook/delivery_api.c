/* SPDX-License-Identifier: Apache-2.0 */
/* Delivery doors: the log of deliveries, delivering anew. */
#include "delivery_store.h"
#include "dispatch.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/db/db.h"
#include "webhook_api.h"
#include "webhook_rule.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 1000

static const char *const states[] = {"pending", "delivered", "failed", "cancelled", NULL};

struct delivery_wire {
    const char *delivery_id, *event, *state, *body, *response_body, *error;
    struct opt_i64 attempts, response_status, created_ms, updated_ms, next_try_ms;
};
SHAPE(shape_delivery_out, "WebhookDelivery", struct delivery_wire,
      FIELD(struct delivery_wire, delivery_id, T_STR, F_ALWAYS,
            "Sent as X-MLflow-Delivery-Id with each attempt"),
      FIELD(struct delivery_wire, event, T_STR, F_ALWAYS, "As model_version.created"),
      FIELD(struct delivery_wire, state, T_STR, F_ALWAYS,
            "pending, delivered, failed or cancelled"),
      FIELD(struct delivery_wire, attempts, T_I64, F_ALWAYS, "Attempts so far"),
      FIELD(struct delivery_wire, next_try_ms, T_I64, 0,
            "When pending: not before, in milliseconds since the epoch"),
      FIELD(struct delivery_wire, response_status, T_I64, 0, "HTTP status of the last answer"),
      FIELD(struct delivery_wire, response_body, T_STR, 0,
            "Beginning of the last answer, as text: 16 KiB, or 1 KiB once delivered"),
      FIELD(struct delivery_wire, error, T_STR, 0, "Why the last attempt did not succeed"),
      FIELD(struct delivery_wire, body, T_STR, F_ALWAYS, "What is posted"),
      FIELD(struct delivery_wire, created_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"),
      FIELD(struct delivery_wire, updated_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"));

static void show(const struct delivery_row *r, struct delivery_wire *out) {
    *out = (struct delivery_wire){.delivery_id = r->delivery_id,
                                  .event = r->event,
                                  .state = r->state,
                                  .body = r->body,
                                  .response_body = r->response_body,
                                  .error = r->error,
                                  .attempts = SET_I64(r->attempts),
                                  .created_ms = SET_I64(r->created_ms),
                                  .updated_ms = SET_I64(r->updated_ms)};
    if (r->response_status)
        out->response_status = SET_I64(r->response_status);
    if (str_eq(r->state, "pending"))
        out->next_try_ms = SET_I64(r->next_ms);
}

struct deliveries_in {
    const char *webhook_id, *state, *page_token;
    struct opt_i64 max_results;
};
struct deliveries_out {
    struct list deliveries;
    const char *next_page_token;
};
SHAPE(shape_deliveries_in, "WebhookDeliveriesQuery", struct deliveries_in,
      FIELD(struct deliveries_in, webhook_id, T_STR, F_PATH | F_REQUIRED, "The webhook's id"),
      FIELD_ENUM(struct deliveries_in, state, F_QUERY, states, "Only those in this state"),
      FIELD_MAX(struct deliveries_in, max_results, T_I64, F_QUERY, 1, PAGE_MAX,
                "1 to 1000; 100 when absent"),
      FIELD(struct deliveries_in, page_token, T_STR, F_QUERY,
            "next_page_token of the page before"));
SHAPE(shape_deliveries_out, "WebhookDeliveries", struct deliveries_out,
      FIELD_SUB(struct deliveries_out, deliveries, T_LIST, F_ALWAYS, &shape_delivery_out,
                "The newest first"),
      FIELD(struct deliveries_out, next_page_token, T_STR, 0, "Absent on the last page"));

int deliveries_list_door(struct ctx *c, const void *input, void *output) {
    const struct deliveries_in *in = input;
    struct deliveries_out *out = output;
    struct delivery_rows rows = {0};
    struct webhook_row w;
    int64_t offset = 0, most = in->max_results.set ? in->max_results.v : PAGE_DEFAULT;
    int rc = webhook_find(c, in->webhook_id, &w);
    if (rc == 0)
        rc = page_offset(c, in->page_token, &offset);
    if (rc == 0)
        rc = delivery_store_list(c, in->webhook_id, in->state, most + 1, offset, &rows);
    if (rc != 0)
        return rc;
    if ((int64_t)rows.n > most) {
        rows.n = (size_t)most;
        out->next_page_token = page_token(c, offset + most);
    }
    struct delivery_wire *items = ARENA_ARRAY(c->arena, struct delivery_wire, rows.n + 1);
    for (size_t i = 0; i < rows.n; i++)
        show(&rows.items[i], &items[i]);
    out->deliveries = (struct list){items, rows.n};
    return 0;
}

struct delivery_in {
    const char *webhook_id, *delivery_id;
};
SHAPE(shape_delivery_key, "WebhookDeliveryKey", struct delivery_in,
      FIELD(struct delivery_in, webhook_id, T_STR, F_PATH | F_REQUIRED, "The webhook's id"),
      FIELD(struct delivery_in, delivery_id, T_STR, F_PATH | F_REQUIRED, "The delivery's id"));

int delivery_again_door(struct ctx *c, const void *input, void *out) {
    const struct delivery_in *in = input;
    struct delivery_row r;
    struct webhook_row w;
    bool found = false;
    int rc = webhook_find(c, in->webhook_id, &w);
    if (rc == 0 && !str_eq(w.status, "ACTIVE"))
        return fail(c, ERR_CONFLICT, "The webhook is disabled; set its status to ACTIVE first.");
    if (rc == 0)
        rc = delivery_store_find(c, in->webhook_id, in->delivery_id, &r, &found);
    if (rc == 0 && !found)
        return fail_field(c, ERR_NOT_FOUND, "delivery_id", "The webhook has no delivery %s.",
                          in->delivery_id);
    if (rc == 0 && str_eq(r.state, "pending"))
        return fail(c, ERR_CONFLICT, "The delivery is still under way, attempt %lld is next.",
                    (long long)r.attempts + 1);
    /* One that was cancelled in the middle would record its end over the new beginning. */
    if (rc == 0 && dispatch_busy(r.id))
        return fail(c, ERR_CONFLICT, "The delivery's last attempt has not ended yet.");
    if (rc == 0)
        rc = delivery_store_again(c, r.id);
    if (rc == 0)
        rc = delivery_store_find(c, in->webhook_id, in->delivery_id, &r, &found);
    if (rc != 0)
        return rc;
    db_after_commit(c, dispatch_wake, NULL);
    show(&r, out);
    reply_status(c, 202);
    return 0;
}
