/* SPDX-License-Identifier: Apache-2.0 */
#include "send.h"

#include <inttypes.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/net/net.h"
#include "secret.h"

#define FIRST_WAIT_MS 1000
#define LONGEST_WAIT_MS 60000

const char *message_signature(struct ctx *c, const char *secret, const char *delivery_id,
                              const char *timestamp, const char *body) {
    unsigned char mac[32];
    const char *text = arena_printf(c->arena, "%s.%s.%s", delivery_id, timestamp, body);
    hmac_sha256(secret, strlen(secret), text, strlen(text), mac);
    return arena_printf(c->arena, "v1,%s", base64_encode(c->arena, mac, sizeof mac));
}

/* Bytes of strangers as text: what is no UTF-8 becomes U+FFFD. */
static const char *as_text(struct ctx *c, const char *data, size_t n) {
    struct buf out = {0};
    for (size_t i = 0; i < n;) {
        size_t len = 1;
        unsigned char b = (unsigned char)data[i];
        if (b >= 0xc0)
            len = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
        if (b != 0 && i + len <= n && utf8_valid(data + i, len)) {
            buf_put(&out, data + i, len);
            i += len;
        } else {
            buf_puts(&out, "\xef\xbf\xbd");
            i++;
        }
    }
    const char *text = arena_strndup(c->arena, out.len ? out.data : "", out.len);
    buf_free(&out);
    return text;
}

static void judge(struct ctx *c, enum net_fault fault, const struct net_answer *a,
                  struct outcome *out) {
    out->status = a->status;
    if (a->body.len)
        out->body = as_text(c, a->body.data, a->body.len);
    if (fault == NET_CANCELLED) {
        out->verdict = VERDICT_STOPPED;
        out->error = "the daemon is stopping";
        return;
    }
    /* A long answer is an answer. */
    if (fault == NET_OK || (fault == NET_TOO_LARGE && a->status > 0)) {
        if (a->status >= 200 && a->status < 300) {
            out->verdict = VERDICT_DELIVERED;
            return;
        }
        out->verdict = a->status == 429 || a->status >= 500 ? VERDICT_RETRY : VERDICT_FAILED;
        out->retry_after_ms = net_retry_after_ms(a, clock_wall_ms());
        out->error =
            a->status < 400
                ? arena_printf(c->arena, "the receiver answered %d, and redirects are not followed",
                               a->status)
                : arena_printf(c->arena, "the receiver answered %d", a->status);
        return;
    }
    out->error = as_text(c, a->problem.text, strlen(a->problem.text));
    bool connection = fault == NET_RESOLVE || fault == NET_CONNECT || fault == NET_TLS ||
                      fault == NET_TIMEOUT || fault == NET_BROKEN;
    out->verdict = connection ? VERDICT_RETRY : VERDICT_FAILED;
}

void message_send(struct ctx *c, struct net_client *client, const struct message *m,
                  int64_t timeout_ms, struct outcome *out) {
    const char *secret = NULL, *why = NULL;
    const char *now = arena_printf(c->arena, "%" PRId64, clock_wall_ms() / 1000);
    struct net_header headers[4] = {{"Content-Type", "application/json"},
                                    {"X-MLflow-Delivery-Id", m->delivery_id},
                                    {"X-MLflow-Timestamp", now}};
    struct net_request r = {.method = "POST",
                            .url = m->url,
                            .headers = headers,
                            .header_count = 3,
                            .body = m->body,
                            .body_len = strlen(m->body),
                            .cap = ANSWER_KEPT,
                            .total_ms = timeout_ms};
    struct net_answer a = {0};
    *out = (struct outcome){.verdict = VERDICT_FAILED, .retry_after_ms = -1};
    if (m->secret) {
        if (secret_open(c, m->webhook, m->secret, m->secret_n, &secret, &why) != 0) {
            out->error = arena_printf(c->arena,
                                      "the webhook's secret cannot be read, so nothing was sent: "
                                      "%s; set the secret anew or put the key file back",
                                      why);
            return;
        }
        headers[r.header_count++] = (struct net_header){
            "X-MLflow-Signature", message_signature(c, secret, m->delivery_id, now, m->body)};
    }
    enum net_fault fault = net_send(client, &r, &a);
    judge(c, fault, &a, out);
    net_answer_free(&a);
}

int64_t backoff_ms(int64_t attempts, int64_t retry_after_ms, uint32_t luck) {
    if (attempts > RETRIES)
        return -1;
    int64_t wait = FIRST_WAIT_MS;
    for (int64_t i = 1; i < attempts && wait < LONGEST_WAIT_MS; i++)
        wait *= 2;
    wait += luck % 1000; /* so that many do not come back at once */
    if (wait > LONGEST_WAIT_MS)
        wait = LONGEST_WAIT_MS;
    if (retry_after_ms > LONGEST_AFTER_MS)
        retry_after_ms = LONGEST_AFTER_MS;
    return retry_after_ms > wait ? retry_after_ms : wait;
}
