/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_STEP_LINEAGE_H
#define QUERN_PIPELINE_STEP_LINEAGE_H
/* Step lineage: edges of one ended step, written in the transaction that ends it.
 *
 *   git:<commit> -> pipeline_run -> step -> run (the step's own tracking run)
 *   artifact -> step -> artifact;  artifact -> run -> artifact
 *   cached: run of the earlier attempt -> step; artifact -> step; nothing was made
 *   built-in kinds: step -> step for what they needed */
#include "binding.h"

int lineage_step(struct ctx *c, const struct run_view *v, const struct step *s,
                 const struct step_row *row, const struct bound_input *inputs,
                 const struct output_rows *outputs, const char *tracking_run_id, bool cached);
int lineage_run(struct ctx *c, const struct run_row *run);
const char *step_ref(struct ctx *c, const char *run_id, const char *instance);

#endif
