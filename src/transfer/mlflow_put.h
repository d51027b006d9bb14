/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_MLFLOW_PUT_H
#define QUERN_TRANSFER_MLFLOW_PUT_H
/* Mlflow put: things into a database of MLflow's, c->db. */
#include "quern/genai/copy.h"
#include "quern/registry/copy.h"
#include "quern/trace/copy.h"
#include "quern/tracking/copy.h"

struct ctx;

int mlflow_put_experiment(struct ctx *c, const struct copy_experiment *e);
int mlflow_put_run(struct ctx *c, const struct copy_run *r);
int mlflow_put_points(struct ctx *c, const char *run_id, const struct copy_point *p, size_t n);
int mlflow_put_latest(struct ctx *c, const char *run_id, const struct copy_point *p);
int mlflow_put_model(struct ctx *c, const struct copy_model *m);
int mlflow_put_registered(struct ctx *c, const struct copy_registered *m);
int mlflow_put_trace(struct ctx *c, const struct copy_trace *t);
int mlflow_put_links(struct ctx *c, const struct copy_trace *t); /* to further runs */
int mlflow_put_evaluation(struct ctx *c, const struct copy_evaluation *e);
int mlflow_put_scorer(struct ctx *c, const struct copy_scorer *s);

#endif
