/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_EXPERIMENT_H
#define QUERN_TRACKING_EXPERIMENT_H
/* Experiment: rules and rows. Everything is within c->project. */
#include <stdbool.h>
#include <stdint.h>

#include "entity.h"

struct ctx;

/* Rules. Texts are the request's; the experiment id is its decimal text. */
int experiment_create(struct ctx *c, const char *name, const char *location,
                      const struct list *tags, int64_t *id);
int experiment_rename(struct ctx *c, const char *id, const char *name);
int experiment_delete(struct ctx *c, const char *id);
int experiment_restore(struct ctx *c, const char *id);
int experiment_set_tag(struct ctx *c, const char *id, const char *key, const char *value);
int experiment_delete_tag(struct ctx *c, const char *id, const char *key);
/* The experiment with its tags; ERR_NOT_FOUND in MLflow's words. */
int experiment_get(struct ctx *c, const char *id, struct experiment *out);
int experiment_get_by_name(struct ctx *c, const char *name, struct experiment *out);
/* The same without tags, refused unless active. */
int experiment_active(struct ctx *c, const char *id, struct experiment *out);
/* A path below a location: the query part, if any, stays at the end. */
const char *location_append(struct ctx *c, const char *location, const char *rest);
/* ERR_FORBIDDEN for run tokens, which write nothing but their own run. */
int experiment_writer_check(struct ctx *c);

/* Rows. find gives 1 when found, 0 when not. */
int experiment_find(struct ctx *c, int64_t id, struct experiment *out);
int experiment_find_name(struct ctx *c, const char *name, struct experiment *out);
int experiment_insert(struct ctx *c, const char *name, const char *location, int64_t *id);
int experiment_load_tags(struct ctx *c, struct experiment *items, size_t n);

struct experiment_search {
    struct opt_i64 max_results;
    const char *page_token, *filter, *view_type;
    struct strs order_by;
};
struct experiment_page {
    struct list experiments;
    const char *next_page_token;
};
int experiment_search(struct ctx *c, const struct experiment_search *in,
                      struct experiment_page *out);

#endif
