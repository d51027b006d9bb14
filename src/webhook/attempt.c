/* SPDX-License-Identifier: Apache-2.0 */
#include "attempt.h"

#include <string.h>

#include "delivery_store.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/failpoint.h"
#include "quern/base/id.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/metric/metric.h"
#include "send.h"

#define LOOK_MS 100
#define RECORD_WAIT_MS 10000

static int record_op(struct ctx *c, void *arg) {
    return delivery_store_record(c, arg);
}

/* Only a row that is written ends a delivery: a database that refuses is asked again. */
static void record(struct ctx *c, struct db *db, const struct delivery_row *r,
                   bool (*stopping)(void)) {
    struct delivery_row copy = *r;
    int64_t wait = LOOK_MS;
    c->now_ms = clock_wall_ms();
    while (db_write(db, c, record_op, &copy) != 0) {
        log_warn("webhook.record", "delivery %s: the outcome is not recorded: %s", r->delivery_id,
                 c->err.message ? c->err.message : "the writer is busy");
        err_clear(c);
        for (int64_t slept = 0; slept < wait; slept += LOOK_MS) {
            if (stopping())
                return; /* it stays pending and is sent again */
            clock_sleep_ms(LOOK_MS);
        }
        wait = wait < RECORD_WAIT_MS ? wait * 2 : wait;
    }
}

static const char *beginning(struct ctx *c, const char *text, size_t most) {
    if (!text || strlen(text) <= most)
        return text;
    while (most && ((unsigned char)text[most] & 0xc0) == 0x80)
        most--; /* not in the middle of a character */
    return arena_strndup(c->arena, text, most);
}

static const char *settle(struct ctx *c, struct delivery_row *r, const struct outcome *o) {
    uint32_t luck;
    id_random(&luck, sizeof luck);
    r->attempts++;
    r->response_status = o->status;
    r->response_body =
        o->verdict == VERDICT_DELIVERED ? beginning(c, o->body, ANSWER_KEPT_GOOD) : o->body;
    r->error = o->error;
    int64_t wait =
        o->verdict == VERDICT_RETRY ? backoff_ms(r->attempts, o->retry_after_ms, luck) : -1;
    r->state = o->verdict == VERDICT_DELIVERED ? "delivered" : wait >= 0 ? "pending" : "failed";
    if (wait >= 0)
        r->next_ms = clock_wall_ms() + wait;
    return o->verdict == VERDICT_DELIVERED ? "delivered" : wait >= 0 ? "retried" : "failed";
}

enum shown attempt(struct ctx *c, struct db *db, struct net_client *client, int64_t delivery,
                   int64_t timeout_ms, bool (*stopping)(void)) {
    struct delivery_job job;
    struct outcome o;
    bool found = false;
    int rc = db_read_begin(db, c);
    if (rc == 0) {
        rc = delivery_store_job(c, delivery, &job, &found);
        db_read_end(c);
    }
    if (rc != 0)
        clock_sleep_ms(LOOK_MS); /* it comes at once again */
    /* It was chosen from a snapshot, and may have been settled by another worker since. */
    if (rc != 0 || !found || !job.wanted || job.row.next_ms > clock_wall_ms())
        return SHOWN_NOTHING;
    struct message m = {.webhook = job.row.webhook,
                        .url = job.url,
                        .delivery_id = job.row.delivery_id,
                        .body = job.row.body,
                        .secret = job.secret,
                        .secret_n = job.secret_n};
    int64_t began = clock_mono_ns();
    message_send(c, client, &m, timeout_ms, &o);
    FAILPOINT("webhook.sent");
    if (o.verdict == VERDICT_STOPPED)
        return SHOWN_NOTHING;
    double seconds = (double)(clock_mono_ns() - began) / 1e9;
    const char *outcome = settle(c, &job.row, &o);
    record(c, db, &job.row, stopping);
    metric_add(METRIC_WEBHOOKS, 1, outcome, NULL, NULL);
    metric_observe(METRIC_WEBHOOK_SECONDS, seconds, outcome, NULL, NULL);
    if (str_eq(outcome, "failed"))
        log_warn("webhook.failed", "webhook %s: delivery %s of %s failed: %s", job.row.webhook,
                 job.row.delivery_id, job.row.event, o.error ? o.error : "");
    return o.status > 0 && seconds * 1000 < QUICK_MS ? SHOWN_QUICK : SHOWN_SLOW;
}
