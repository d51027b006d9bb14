/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_WEBHOOK_PRIVATE_RULE_H
#define QUERN_WEBHOOK_PRIVATE_RULE_H
/* Webhook rule: what a webhook may be. The checks of a name and URL touch no database; that of a
 * URL resolves and belongs on a worker. */
#include "quern/core/shape.h"
#include "webhook_store.h"

struct ctx;

struct webhook_change { /* NULL or n = 0: stays as it is */
    const char *name, *description, *url, *secret, *status;
    struct strs events;
};

int webhook_name_check(struct ctx *c, const char *name);
int webhook_url_check(struct ctx *c, const char *url);
/* Inside a write. Name and URL were checked. */
int webhook_create(struct ctx *c, const struct webhook_change *in, struct webhook_row *out);
int webhook_find(struct ctx *c, const char *id, struct webhook_row *out); /* ERR_NOT_FOUND */
int webhook_update(struct ctx *c, const char *id, const struct webhook_change *in,
                   struct webhook_row *out);
int webhook_delete(struct ctx *c, const char *id);

#endif
