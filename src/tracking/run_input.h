/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_INPUT_H
#define QUERN_TRACKING_RUN_INPUT_H
/* Run input: data sets and models that a run read, and models that it made. */
#include "entity.h"

struct ctx;

struct inputs_wish {
    const char *run_id;
    struct list datasets, models; /* struct dataset_input, struct model_ref */
};
int run_log_inputs(struct ctx *c, const struct inputs_wish *in);

struct outputs_wish {
    const char *run_id;
    struct list models;
};
int run_log_outputs(struct ctx *c, const struct outputs_wish *in);

struct dataset_summary {
    const char *experiment_id, *name, *digest, *context;
};
/* Distinct, at most 1000, over active runs of at most 20 experiments. */
int dataset_search(struct ctx *c, const struct strs *experiment_ids, struct list *out);

#endif
