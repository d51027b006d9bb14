/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_WEBHOOK_PRIVATE_DELIVERY_STORE_H
#define QUERN_WEBHOOK_PRIVATE_DELIVERY_STORE_H
/* Delivery store: statements on webhook_delivery and the cursor. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;

struct delivery_row {
    int64_t id;
    const char *delivery_id, *webhook, *event, *body, *state;
    int64_t attempts, next_ms, response_status; /* 0: none came */
    const char *response_body, *error;          /* NULL: none */
    int64_t created_ms, updated_ms;
};
struct delivery_rows {
    struct delivery_row *items;
    size_t n;
};
/* A delivery with what is needed to send it. */
struct delivery_job {
    struct delivery_row row;
    const char *url;
    const void *secret;
    size_t secret_n;
    bool wanted; /* still pending, and the webhook active */
};

/* One webhook's deliveries that may wait at once, so that a receiver that is down for days does not
 * fill the disk: what comes on top is written down as failed, and can be delivered anew. */
#define WAITING_MAX 10000

/* Makes the rows for at most `most` further events and moves the cursor. *more: there may be
 * others; *over: rows past WAITING_MAX. Runs inside a write. */
int delivery_store_fan_out(struct ctx *c, int64_t most, bool *more, int64_t *over);
int delivery_store_anybody(struct ctx *c, bool *active); /* is there an active webhook? */

int delivery_store_job(struct ctx *c, int64_t id, struct delivery_job *out, bool *found);
int delivery_store_record(struct ctx *c, const struct delivery_row *r);
int delivery_store_cancel(struct ctx *c, const char *webhook, const char *why);
/* Active webhooks that have something due: id and URL. */
int delivery_store_due(struct ctx *c, int64_t now_ms, struct pairs *out);
/* Up to `most` due deliveries of one webhook, the longest waiting first. */
int delivery_store_due_of(struct ctx *c, const char *webhook, int64_t now_ms, int64_t most,
                          int64_t *ids, size_t *n);
int delivery_store_next(struct ctx *c, int64_t after_ms, int64_t *next_ms, bool *found);
/* No attempt is planned so far ahead: the clock was set back since. Makes them due. */
int delivery_store_stranded(struct ctx *c, int64_t after_ms, bool *found);
int delivery_store_rescue(struct ctx *c, int64_t after_ms);
int delivery_store_pending(struct ctx *c, int64_t *n);

int delivery_store_list(struct ctx *c, const char *webhook, const char *state, int64_t limit,
                        int64_t offset, struct delivery_rows *out);
int delivery_store_find(struct ctx *c, const char *webhook, const char *delivery_id,
                        struct delivery_row *out, bool *found);
int delivery_store_again(struct ctx *c, int64_t id);
int delivery_store_expire(struct ctx *c, int64_t before_ms, int64_t most);

#endif
