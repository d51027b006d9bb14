/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_MLFLOW_DB_H
#define QUERN_TRANSFER_MLFLOW_DB_H
/* Mlflow db: the tables of MLflow's own store, of lines 2 and 3. What an older schema lacks (logged
 * models, workspaces, data sets) is looked up once at opening. Nothing of the file is trusted: its
 * tables must be tables, and a text that could not be kept as it is fails the thing that has it. */
#include "quern/core/ctx.h"
#include "source.h"

struct stmt;

struct mlflow_db {
    struct source source;
    struct db_conn *conn;
    char *workspace;
    bool workspaces, logged_models, storage; /* storage: versions have storage_location */
    bool inputs, aliases;
    bool traces, previews, promoted, links, spans, assessments; /* what traces have */
    bool evaluations, scorers, issues;
};

/* Of a table r with experiment_id; the workspace is bound. */
#define IN_WORKSPACE " JOIN experiments e ON e.experiment_id = r.experiment_id AND e.workspace = ?"

/* The source with its database in the context. */
struct mlflow_db *mlflow_db_enter(struct source *s, struct ctx *c);
int mlflow_db_model(struct source *s, struct ctx *c, const char *after, struct copy_model *out);
int mlflow_db_registered(struct source *s, struct ctx *c, const char *after,
                         struct copy_registered *out);
int mlflow_db_trace(struct source *s, struct ctx *c, const char *after, struct copy_trace *out);
int mlflow_db_evaluation(struct source *s, struct ctx *c, const char *after,
                         struct copy_evaluation *out);
int mlflow_db_scorer(struct source *s, struct ctx *c, const char *after, struct copy_scorer *out);
int mlflow_db_issue(struct source *s, struct ctx *c, const char *after, struct copy_issue *out);
/* A column's text, NULL for NULL. One that is no UTF-8 or has a NUL in it is told in the context.
 */
const char *mlflow_db_maybe(struct ctx *c, struct stmt *st, int col);
const char *mlflow_db_text(struct ctx *c, struct stmt *st, int col); /* "" for NULL */
/* What the thing comes to: 1, or the fault that was told. */
int mlflow_db_end(const struct ctx *c, int rc);
/* Infinities as the largest numbers, which is how MLflow's API has them. */
double mlflow_db_number(struct stmt *st, int col);
/* Rows of key and value, NULL as "". */
int mlflow_db_pairs(struct ctx *c, struct stmt *st, struct pairs *out);

#endif
