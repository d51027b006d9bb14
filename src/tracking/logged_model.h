/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_LOGGED_MODEL_H
#define QUERN_TRACKING_LOGGED_MODEL_H
/* Logged model: a model's files with the params, tags and points that tell of it. */
#include <stdbool.h>
#include <stdint.h>

#include "entity.h"

struct ctx;
struct point;
struct stmt;

struct logged_model_wish {
    const char *experiment_id, *name, *model_type, *source_run_id;
    struct list params, tags;
};
int logged_model_create(struct ctx *c, const struct logged_model_wish *in,
                        struct logged_model **out);
int logged_model_read(struct ctx *c, const char *model_id, bool allow_deleted,
                      struct logged_model **out);
int logged_model_finalize(struct ctx *c, const char *model_id, const char *status,
                          struct logged_model **out);
int logged_model_delete(struct ctx *c, const char *model_id);
int logged_model_set_tags(struct ctx *c, const char *model_id, const struct list *tags,
                          struct logged_model **out);
int logged_model_delete_tag(struct ctx *c, const char *model_id, const char *key);
int logged_model_log_params(struct ctx *c, const char *model_id, const struct list *params);
int logged_model_claim(struct ctx *c, const char *model_id);
int logged_model_row_of(struct ctx *c, const char *model_id, int64_t *row);
/* A point that a run measured for the model of that row. */
int logged_model_measured(struct ctx *c, int64_t row, const char *run_id,
                          const struct metric_value *m, const struct point *p);

struct model_dataset {
    const char *dataset_name, *dataset_digest;
};
struct model_order {
    const char *field_name, *dataset_name, *dataset_digest;
    struct opt_bool ascending;
};
struct logged_model_search {
    struct strs experiment_ids;
    const char *filter, *page_token;
    struct list datasets, order_by; /* struct model_dataset, struct model_order */
    struct opt_i64 max_results;
};
struct logged_model_page {
    struct list models;
    const char *next_page_token;
};
int logged_model_search(struct ctx *c, const struct logged_model_search *in,
                        struct logged_model_page *out);

#define LOGGED_MODEL_COLUMNS                                                                       \
    "m.id, m.uuid, m.experiment_id, m.name, m.artifact_uri, m.status, m.model_type,"               \
    " m.source_run_uuid, m.created_ms, m.updated_ms, m.deleted"
void logged_model_row(struct ctx *c, struct stmt *st, struct logged_model *m);
/* Facts alone: 1 found, 0 not. */
int logged_model_find(struct ctx *c, const char *model_id, struct logged_model *m);
/* Tags, params and points of models whose facts are there: three queries for any number. */
int logged_model_fill(struct ctx *c, struct logged_model *models, size_t n);

#endif
