/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_H
#define QUERN_TRACKING_RUN_H
/* Run: rules and rows of runs and their tags. Everything is within c->project. */
#include <stdbool.h>
#include <stdint.h>

#include "entity.h"
#include "quern/tracking/tracking.h"

struct ctx;

/* What most calls need to know of a run. */
struct run_ref {
    int64_t row, experiment;
    const char *uuid;
    bool active;
};

/* ERR_NOT_FOUND "Run with id=X not found". For writes also: the caller's token allows this run, and
 * it is active. */
int run_for_read(struct ctx *c, const char *run_id, struct run_ref *out);
int run_for_write(struct ctx *c, const char *run_id, struct run_ref *out);
int run_find_ref(struct ctx *c, const char *run_id, struct run_ref *out); /* 1 found, 0 not */

struct run_wish {
    const char *experiment_id, *user_id, *run_name;
    struct opt_i64 start_time;
    struct list tags;
};
int run_make(struct ctx *c, const struct run_wish *in, struct run **out);

struct run_change {
    const char *run_id, *status, *run_name;
    struct opt_i64 end_time;
};
int run_update(struct ctx *c, const struct run_change *in, struct run_info **out);
int run_set_deleted(struct ctx *c, const char *run_id, bool deleted);
/* Validated tag with its consequences: the run's name, the edge from a git commit. */
int run_put_tag(struct ctx *c, const struct run_ref *r, const char *path, const char *key,
                const char *value);
int run_drop_tag(struct ctx *c, const char *run_id, const char *key);
/* Appends to the list in the tag mlflow.log-model.history. */
int run_log_model(struct ctx *c, const char *run_id, const char *model_json);

/* Whole runs by row number, in the order given. */
int run_load_whole(struct ctx *c, const int64_t *rows, size_t n, bool outputs, struct run *out);
/* Parts of that. Statements get the row numbers as one JSON array. */
const char *run_rows_json(struct ctx *c, const int64_t *rows, size_t n);
int run_load_infos(struct ctx *c, const char *rows_json, size_t n, struct run_info *out);
/* The same of a run that was just made and has nothing but tags. */
int run_load_new(struct ctx *c, int64_t row, struct run *out);
int run_load_info(struct ctx *c, int64_t row, struct run_info **out);

/* Names of params, metrics and tags as numbers of one experiment. find: 1 found, 0 not. */
int run_key_find(struct ctx *c, int64_t experiment, const char *name, int64_t *id);
int run_key_ensure(struct ctx *c, int64_t experiment, const char *name, int64_t *id);

#endif
