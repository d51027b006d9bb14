/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_FIELDS_H
#define QUERN_TRACKING_RUN_FIELDS_H
/* Run fields: a search that answers with some fields of each run, read without a look at the rest.
 * A field is "info", "metrics", "params" or "tags" (all of them), or one of these with a dot and a
 * name: "metrics.loss", "params.lr", "tags.mlflow.user". Without fields: info. */
#include "quern/core/shape.h"
#include "run_search.h"

#define FIELDS_MAX 1000

struct run_fields {
    const char *run_id;
    struct run_info *info; /* NULL: not asked for */
    struct fpairs metrics; /* latest values */
    struct pairs params, tags;
};
struct run_fields_page {
    struct list runs;
    const char *next_page_token;
};
int run_fields_search(struct ctx *c, const struct run_search *in, const struct strs *fields,
                      struct run_fields_page *out);

#endif
