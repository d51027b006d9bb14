/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_LOGGED_MODEL_STORE_H
#define QUERN_TRACKING_LOGGED_MODEL_STORE_H
/* Logged model store: statements that only the rules use. */
#include "logged_model.h"

int logged_model_insert(struct ctx *c, const struct logged_model_facts *f, int64_t *row);
int logged_model_write_status(struct ctx *c, int64_t row, const char *status);
int logged_model_write_deleted(struct ctx *c, int64_t row);
int logged_model_write_tag(struct ctx *c, int64_t row, const char *key, const char *value);
int logged_model_read_tag(struct ctx *c, int64_t row, const char *key, char **value);
int logged_model_erase_tag(struct ctx *c, int64_t row, const char *key, bool *was);
int logged_model_write_param(struct ctx *c, int64_t row, const char *key, const char *value);
int logged_model_write_point(struct ctx *c, int64_t row, const char *run_id,
                             const struct metric_value *m, const struct point *p);
/* Row number of the newest ready model of a run; name NULL for any. 1 found, 0 not. */
int logged_model_newest(struct ctx *c, const char *run_id, const char *name,
                        struct logged_model *m);

#endif
