/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_WEBHOOK_PRIVATE_SEND_H
#define QUERN_WEBHOOK_PRIVATE_SEND_H
/* Send: one attempt to deliver, and what follows from its outcome. No database. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct net_client;

#define RETRIES 3
#define LONGEST_AFTER_MS 3600000 /* no wait is longer, whatever a receiver says */
#define STRANDED_MS (LONGEST_AFTER_MS + 60000)
#define ANSWER_KEPT (16u << 10)
#define ANSWER_KEPT_GOOD                                                                           \
    (1u << 10) /* of what was delivered: there are many, and few look at them */

struct message {
    const char *webhook, *url, *delivery_id, *body;
    const void *secret; /* sealed; NULL: not signed */
    size_t secret_n;
};
enum verdict {
    VERDICT_DELIVERED,
    VERDICT_RETRY, /* may be another time */
    VERDICT_FAILED,
    VERDICT_STOPPED, /* the daemon is stopping: this was no attempt */
};
struct outcome {
    enum verdict verdict;
    int status;               /* 0: none came */
    const char *body, *error; /* NULL: none; text that JSON can hold */
    int64_t retry_after_ms;   /* -1: the receiver did not say */
};

/* "v1,<base64>" over "<delivery id>.<timestamp>.<body>" */
const char *message_signature(struct ctx *c, const char *secret, const char *delivery_id,
                              const char *timestamp, const char *body);
void message_send(struct ctx *c, struct net_client *client, const struct message *m,
                  int64_t timeout_ms, struct outcome *out);
/* Wait before the next attempt, after `attempts` of them; -1: none is left. `luck` is any random
 * number. */
int64_t backoff_ms(int64_t attempts, int64_t retry_after_ms, uint32_t luck);

#endif
