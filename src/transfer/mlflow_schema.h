/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_MLFLOW_SCHEMA_H
#define QUERN_TRANSFER_MLFLOW_SCHEMA_H
/* Mlflow schema: the tables that an export fills, at the revision of MLflow's own migrations that
 * first had all of them. "mlflow db upgrade" brings them to any later one; that is also why names
 * of constraints are MLflow's. */
#define MLFLOW_REVISION "3da73c924c2f"

struct ctx;

int mlflow_schema_create(struct ctx *c); /* c->db is the new file */

#endif
