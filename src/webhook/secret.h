/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_WEBHOOK_PRIVATE_SECRET_H
#define QUERN_WEBHOOK_PRIVATE_SECRET_H
/* Secret: what a webhook signs with, sealed under DATA/secret.key. The key is made with the first
 * secret; without it, or under another one, webhooks can still be read and changed, only their
 * deliveries fail and say why. */
#include <stddef.h>

struct ctx;
struct dir;

#define SECRET_FILE "secret.key"

void secret_start(struct dir *data);
void secret_stop(void);
int secret_seal(struct ctx *c, const char *webhook, const char *secret, const void **sealed,
                size_t *n);
/* *why: a sentence's end, when the result is not 0. Leaves the context's error alone. */
int secret_open(struct ctx *c, const char *webhook, const void *sealed, size_t n,
                const char **secret, const char **why);

#endif
