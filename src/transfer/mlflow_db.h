/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_MLFLOW_DB_H
#define QUERN_TRANSFER_MLFLOW_DB_H
/* Mlflow db: the tables of MLflow's own store, of lines 2 and 3. What an older schema lacks (logged
 * models, workspaces, deleted_time) is told once at opening. */
#include "quern/core/ctx.h"
#include "source.h"

struct stmt;

struct mlflow_db {
    struct source source;
    struct db_conn *conn;
    char *workspace;
    bool workspaces, logged_models, storage; /* storage: versions have storage_location */
    bool traces, previews, promoted, links, spans, assessments; /* what traces have */
};

int mlflow_db_model(struct source *s, struct ctx *c, const char *after, struct copy_model *out);
int mlflow_db_registered(struct source *s, struct ctx *c, const char *after,
                         struct copy_registered *out);
int mlflow_db_trace(struct source *s, struct ctx *c, const char *after, struct copy_trace *out);
/* Rows of key and value, NULL as "". */
int mlflow_db_pairs(struct ctx *c, struct stmt *st, struct pairs *out);

#endif
