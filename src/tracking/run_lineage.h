/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_LINEAGE_H
#define QUERN_TRACKING_RUN_LINEAGE_H
/* Run lineage: the edges that tracking writes, in the transaction of the fact. Deleting a run or a
 * model keeps them: what was made from it is still made from it. */
#include "run.h"

struct ctx;

int run_came_from_commit(struct ctx *c, const struct run_ref *r, const char *commit);
int run_used_dataset(struct ctx *c, const struct run_ref *r, const char *name, const char *digest);
int run_used_model(struct ctx *c, const struct run_ref *r, const char *model_id);
/* The node, if there is one, is called by the new name. */
int run_renamed(struct ctx *c, const struct run_ref *r, const char *name);
int run_made_model(struct ctx *c, const char *run_id, const char *model_id, const char *model_name);

#endif
