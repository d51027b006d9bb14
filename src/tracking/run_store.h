/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_STORE_H
#define QUERN_TRACKING_RUN_STORE_H
/* Run store: statements that only the rules use. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;
struct run_ref;

/* NULL, which lets the database choose, unless rows of purged runs are still there. */
#define RUN_NEXT_ROW                                                                               \
    "(SELECT 1 + max(max(run_id), (SELECT coalesce(max(id), 0) FROM run)) FROM run_rest)"

int run_row_insert(struct ctx *c, const char *uuid, int64_t experiment, const char *name,
                   const char *user, int64_t start_ms, const char *artifact_uri, int64_t *row);
int run_write_state(struct ctx *c, int64_t row, const char *status, struct opt_i64 end_ms);
/* 1 when the name was another one. */
int run_write_name(struct ctx *c, int64_t row, const char *name);
int run_write_deleted(struct ctx *c, int64_t row, bool deleted);
int run_write_tag(struct ctx *c, const struct run_ref *r, const char *key, const char *value);
int run_read_tag(struct ctx *c, const struct run_ref *r, const char *key, char **value);
int run_erase_tag(struct ctx *c, const struct run_ref *r, const char *key, bool *was);

#endif
