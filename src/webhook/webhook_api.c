/* SPDX-License-Identifier: Apache-2.0 */
/* Webhook doors: MLflow's six routes and the log of deliveries. */
#include "webhook_api.h"

#include <string.h>

#include "dispatch.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "topic.h"
#include "webhook_rule.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 1000
#define SECRET_MAX 4096
#define TEXT_MAX 5000

SHAPE(shape_webhook_event, "WebhookEvent", struct webhook_event_wire,
      FIELD_ENUM(struct webhook_event_wire, entity, F_REQUIRED, topic_entities,
                 "What the event is about"),
      FIELD_ENUM(struct webhook_event_wire, action, F_REQUIRED, topic_actions,
                 "What happened to it"));

struct webhook_wire {
    const char *webhook_id, *name, *description, *url, *status;
    struct list events;
    struct opt_i64 creation_timestamp, last_updated_timestamp;
};
SHAPE_LOCAL(
    shape_webhook, "Webhook", struct webhook_wire,
    FIELD(struct webhook_wire, webhook_id, T_STR, 0, "The webhook's id"),
    FIELD(struct webhook_wire, name, T_STR, 0, "Its name; several may share one"),
    FIELD(struct webhook_wire, description, T_STR, 0, "Text for people"),
    FIELD(struct webhook_wire, url, T_STR, 0, "Where deliveries are posted to"),
    FIELD_SUB(struct webhook_wire, events, T_LIST, 0, &shape_webhook_event, "What it is told of"),
    FIELD(struct webhook_wire, status, T_STR, 0, "ACTIVE or DISABLED"),
    FIELD(struct webhook_wire, creation_timestamp, T_I64, 0, "Milliseconds since the epoch"),
    FIELD(struct webhook_wire, last_updated_timestamp, T_I64, 0, "Milliseconds since the epoch"));

struct webhook_out {
    struct webhook_wire *webhook;
};
SHAPE_LOCAL(shape_webhook_out, "WebhookAnswer", struct webhook_out,
            FIELD_SUB(struct webhook_out, webhook, T_OBJ, 0, &shape_webhook, "The webhook"));

static void show(struct ctx *c, const struct webhook_row *w, struct webhook_wire *out) {
    struct webhook_event_wire *events =
        ARENA_ARRAY(c->arena, struct webhook_event_wire, w->events.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < w->events.n; i++) {
        const struct topic *t = topic_of(w->events.items[i]);
        if (t)
            events[n++] = (struct webhook_event_wire){t->entity, t->action};
    }
    *out = (struct webhook_wire){.webhook_id = w->id,
                                 .name = w->name,
                                 .description = *w->description ? w->description : NULL,
                                 .url = w->url,
                                 .status = w->status,
                                 .events = {events, n},
                                 .creation_timestamp = SET_I64(w->created_ms),
                                 .last_updated_timestamp = SET_I64(w->updated_ms)};
}

static void answer(struct ctx *c, const struct webhook_row *w, void *output) {
    struct webhook_out *out = output;
    out->webhook = ARENA_NEW(c->arena, struct webhook_wire);
    show(c, w, out->webhook);
}

struct webhook_in {
    const char *webhook_id, *name, *description, *url, *secret, *status;
    struct list events;
};
#define BODY_FIELDS(required)                                                                      \
    FIELD(struct webhook_in, name, T_STR, required,                                                \
          "1 to 63 letters, digits, '.', '_' and '-', a letter or digit at both ends"),            \
        FIELD(struct webhook_in, url, T_STR, required,                                             \
              "https URL whose host has public addresses only"),                                   \
        FIELD_SUB(struct webhook_in, events, T_LIST, required, &shape_webhook_event,               \
                  "What it shall be told of"),                                                     \
        FIELD_MAX(struct webhook_in, description, T_STR, 0, 0, TEXT_MAX, "Text for people"),       \
        FIELD_MAX(struct webhook_in, secret, T_STR, 0, 0, SECRET_MAX,                              \
                  "Key of the deliveries' signature; never shown again"),                          \
        FIELD_ENUM(struct webhook_in, status, 0, topic_statuses,                                   \
                   "ACTIVE, the default, or DISABLED")
SHAPE_LOCAL(shape_webhook_create, "CreateWebhook", struct webhook_in, BODY_FIELDS(F_REQUIRED));
SHAPE_LOCAL(shape_webhook_update, "UpdateWebhook", struct webhook_in,
            FIELD(struct webhook_in, webhook_id, T_STR, F_PATH | F_REQUIRED, "The webhook's id"),
            BODY_FIELDS(0));
SHAPE_LOCAL(shape_webhook_key, "WebhookKey", struct webhook_in,
            FIELD(struct webhook_in, webhook_id, T_STR, F_PATH | F_REQUIRED, "The webhook's id"));

static int change_of(struct ctx *c, const struct webhook_in *in, struct webhook_change *out) {
    const struct webhook_event_wire *wire = in->events.items;
    const char **events = ARENA_ARRAY(c->arena, const char *, in->events.n + 1);
    const struct topic *t = NULL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < in->events.n; i++) {
        rc = topic_find(c, wire[i].entity, wire[i].action, &t);
        events[i] = rc == 0 ? t->event : NULL;
    }
    *out = (struct webhook_change){.name = in->name && *in->name ? in->name : NULL,
                                   .description = in->description,
                                   .url = in->url && *in->url ? in->url : NULL,
                                   .secret = in->secret,
                                   .status = in->status,
                                   .events = {events, in->events.n}};
    return rc;
}

static int check(struct ctx *c, const struct webhook_change *in) {
    int rc = in->name ? webhook_name_check(c, in->name) : 0;
    if (rc == 0 && in->url)
        rc = webhook_url_check(c, in->url);
    return rc;
}

struct writing {
    const char *id; /* NULL: a new one */
    struct webhook_change change;
    struct webhook_row row;
};

static int write_op(struct ctx *c, void *arg) {
    struct writing *w = arg;
    if (!w->id)
        return webhook_create(c, &w->change, &w->row);
    return webhook_update(c, w->id, &w->change, &w->row);
}

static int create_door(struct ctx *c, const void *input, void *out) {
    const struct webhook_in *in = input;
    struct writing w = {0};
    int rc = change_of(c, in, &w.change);
    if (rc == 0)
        rc = check(c, &w.change);
    if (rc == 0 && !in->events.n)
        rc = fail_field(c, ERR_INVALID, "events",
                        "Webhook events must be a non-empty list of WebhookEvent objects: [].");
    if (rc == 0)
        rc = db_write(lanes_db(webhook_room.lanes), c, write_op, &w);
    if (rc == 0)
        answer(c, &w.row, out);
    return rc;
}

static int update_door(struct ctx *c, const void *input, void *out) {
    const struct webhook_in *in = input;
    struct writing w = {.id = in->webhook_id};
    struct db *db = lanes_db(webhook_room.lanes);
    int rc = db_read_begin(db, c);
    if (rc == 0) {
        rc = webhook_find(c, in->webhook_id, &w.row);
        db_read_end(c);
    }
    if (rc == 0)
        rc = change_of(c, in, &w.change);
    if (rc == 0)
        rc = check(c, &w.change);
    if (rc == 0)
        rc = db_write(db, c, write_op, &w);
    if (rc == 0)
        answer(c, &w.row, out);
    return rc;
}

static int get_door(struct ctx *c, const void *input, void *out) {
    struct webhook_row w;
    int rc = webhook_find(c, ((const struct webhook_in *)input)->webhook_id, &w);
    if (rc == 0)
        answer(c, &w, out);
    return rc;
}

static int delete_door(struct ctx *c, const void *input, void *out) {
    (void)out;
    return webhook_delete(c, ((const struct webhook_in *)input)->webhook_id);
}

struct list_in {
    struct opt_i64 max_results;
    const char *page_token;
};
struct list_out {
    struct list webhooks;
    const char *next_page_token;
};
SHAPE_LOCAL(shape_list_in, "ListWebhooks", struct list_in,
            FIELD(struct list_in, max_results, T_I64, F_QUERY, "1 to 1000; 100 when absent"),
            FIELD(struct list_in, page_token, T_STR, F_QUERY,
                  "next_page_token of the page before"));
SHAPE_LOCAL(shape_list_out, "WebhooksPage", struct list_out,
            FIELD_SUB(struct list_out, webhooks, T_LIST, 0, &shape_webhook, "The newest first"),
            FIELD(struct list_out, next_page_token, T_STR, 0, "Absent on the last page"));

static int list_door(struct ctx *c, const void *input, void *output) {
    const struct list_in *in = input;
    struct list_out *out = output;
    struct webhook_rows rows;
    int64_t offset = 0,
            most = in->max_results.set && in->max_results.v ? in->max_results.v : PAGE_DEFAULT;
    if (most < 1 || most > PAGE_MAX)
        return fail_field(c, ERR_INVALID, "max_results", "max_results must be between 1 and 1000.");
    int rc = page_offset(c, in->page_token, &offset);
    if (rc == 0)
        rc = webhook_store_list(c, most + 1, offset, &rows);
    if (rc != 0)
        return rc;
    if ((int64_t)rows.n > most) {
        rows.n = (size_t)most;
        out->next_page_token = page_token(c, offset + most);
    }
    struct webhook_wire *items = ARENA_ARRAY(c->arena, struct webhook_wire, rows.n + 1);
    for (size_t i = 0; i < rows.n; i++)
        show(c, &rows.items[i], &items[i]);
    out->webhooks = (struct list){items, rows.n};
    return 0;
}

#define API "/api/2.0/mlflow/webhooks"
#define OWN "/api/v1/webhooks/{webhook_id}/deliveries"
#define ADMIN_ROW(way, d) .perm = PERM_ADMIN, .lane = (way), .dialect = (d)
#define SHOWS .flags = ROUTE_MLFLOW_AJAX
#define CHANGES .flags = ROUTE_MLFLOW_AJAX | ROUTE_AUDIT

static const struct route rows[] = {
    {.id = "webhook.webhooks.create",
     .method = "POST",
     .path = API,
     .in = &shape_webhook_create,
     .out = &shape_webhook_out,
     ADMIN_ROW(LANE_WORK, DIALECT_MLFLOW),
     CHANGES,
     .fn = create_door,
     .summary = "Makes a webhook that is told of changes in the registry."},
    {.id = "webhook.webhooks.list",
     .method = "GET",
     .path = API,
     .in = &shape_list_in,
     .out = &shape_list_out,
     ADMIN_ROW(LANE_READ, DIALECT_MLFLOW),
     SHOWS,
     .fn = list_door,
     .summary = "Lists the project's webhooks."},
    {.id = "webhook.webhooks.get",
     .method = "GET",
     .path = API "/{webhook_id}",
     .in = &shape_webhook_key,
     .out = &shape_webhook_out,
     ADMIN_ROW(LANE_READ, DIALECT_MLFLOW),
     SHOWS,
     .fn = get_door,
     .summary = "Shows a webhook, without its secret."},
    {.id = "webhook.webhooks.update",
     .method = "PATCH",
     .path = API "/{webhook_id}",
     .in = &shape_webhook_update,
     .out = &shape_webhook_out,
     ADMIN_ROW(LANE_WORK, DIALECT_MLFLOW),
     CHANGES,
     .fn = update_door,
     .summary = "Changes what is given; disabling cancels deliveries that are still to be made."},
    {.id = "webhook.webhooks.delete",
     .method = "DELETE",
     .path = API "/{webhook_id}",
     .in = &shape_webhook_key,
     ADMIN_ROW(LANE_WRITE, DIALECT_MLFLOW),
     CHANGES,
     .fn = delete_door,
     .summary = "Deletes a webhook and cancels its deliveries."},
    {.id = "webhook.webhooks.test",
     .method = "POST",
     .path = API "/{webhook_id}/test",
     .in = &shape_webhook_test,
     .out = &shape_webhook_test_out,
     ADMIN_ROW(LANE_WORK, DIALECT_MLFLOW),
     CHANGES,
     .fn = webhook_test_door,
     .summary = "Posts an example of an event once and shows what came back."},
    {.id = "webhook.deliveries.list",
     .method = "GET",
     .path = OWN,
     .in = &shape_deliveries_in,
     .out = &shape_deliveries_out,
     ADMIN_ROW(LANE_READ, DIALECT_PROBLEM),
     .fn = deliveries_list_door,
     .summary = "Lists a webhook's deliveries, the newest first."},
    {.id = "webhook.deliveries.redeliver",
     .method = "POST",
     .path = OWN "/{delivery_id}/redeliver",
     .in = &shape_delivery_key,
     .out = &shape_delivery_out,
     ADMIN_ROW(LANE_WRITE, DIALECT_PROBLEM),
     .flags = ROUTE_AUDIT,
     .fn = delivery_again_door,
     .summary = "Makes a delivery anew, under the same id and with the same body."},
};

const struct route_list webhook_routes = {rows, ARRAY_LEN(rows)};
