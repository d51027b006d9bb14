/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_WEBHOOK_PRIVATE_STORE_H
#define QUERN_WEBHOOK_PRIVATE_STORE_H
/* Webhook store: statements on webhook and webhook_event. Deleted ones are not seen. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;

struct webhook_row {
    const char *id, *name, *description, *url, *status;
    const void *secret; /* sealed; NULL: none */
    size_t secret_n;
    int64_t created_ms, updated_ms;
    struct strs events; /* "model_version.created" */
};
struct webhook_rows {
    struct webhook_row *items;
    size_t n;
};

int webhook_store_get(struct ctx *c, const char *id, struct webhook_row *out, bool *found);
int webhook_store_list(struct ctx *c, int64_t limit, int64_t offset, struct webhook_rows *out);
int webhook_store_insert(struct ctx *c, const struct webhook_row *w);
int webhook_store_update(struct ctx *c, const struct webhook_row *w);
int webhook_store_delete(struct ctx *c, const char *id);
/* From now on only later events are its business. Moves the cursor when nobody waits for others. */
int webhook_store_wake(struct ctx *c, const char *id);

#endif
