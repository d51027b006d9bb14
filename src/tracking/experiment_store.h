/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_EXPERIMENT_STORE_H
#define QUERN_TRACKING_EXPERIMENT_STORE_H
/* Experiment store: statements that only the rules use. */
#include <stdbool.h>
#include <stdint.h>

#include "entity.h"
#include "rows.h"

struct ctx;
struct stmt;

#define EXPERIMENT_COLUMNS                                                                         \
    "e.id, e.name, e.artifact_location, e.deleted, e.created_ms, e.updated_ms"

void experiment_read(struct ctx *c, struct stmt *st, struct experiment *e);
int experiment_set_name(struct ctx *c, int64_t id, const char *name);
int experiment_set_location(struct ctx *c, int64_t id, const char *location);
/* Of experiment 0, while there is nothing that has a place already. */
int experiment_default_location(struct ctx *c, const char *location);
/* Parts of it may be gone already. */
int experiment_purging(struct ctx *c, int64_t id, bool *yes);
int experiment_put_tag(struct ctx *c, int64_t id, const char *key, const char *value);
int experiment_drop_tag(struct ctx *c, int64_t id, const char *key);

#endif
