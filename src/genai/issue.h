/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GENAI_ISSUE_H
#define QUERN_GENAI_ISSUE_H
/* Issue: something that is wrong in an experiment's traces: name, description, state, severity,
 * causes, the run that found it. Issues are never deleted by themselves; deleting the experiment
 * leaves them readable, purging it takes them along. */
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;

/* Code points and items. */
#define ISSUE_NAME_MAX 250
#define ISSUE_MAKER_MAX 255
#define ISSUE_ITEMS_MAX 1000

struct issue {
    int64_t experiment;
    const char *issue_id, *experiment_id, *name, *description, *status;
    const char *severity, *source_run_id, *created_by; /* NULL: absent */
    struct strs root_causes, categories;
    struct opt_i64 created_timestamp, last_updated_timestamp;
    struct opt_i64 trace_count; /* set when asked for */
};

struct issue_search {
    const char *experiment_id, *filter_string, *page_token;
    struct opt_i64 max_results;
    struct opt_bool include_trace_count;
};
struct issue_page {
    struct list issues; /* struct issue */
    const char *next_page_token;
};

/* Rules. ERR_NOT_FOUND in MLflow's words. */
int issue_create(struct ctx *c, const struct issue *in, struct issue *out);
int issue_get(struct ctx *c, const char *issue_id, struct issue *out);
/* What `in` has is taken, the rest stays; empty name and description count as absent. */
int issue_update(struct ctx *c, const struct issue *in, struct issue *out);
/* The worst first, then (when counted) those with most traces, then the newest. */
int issue_search(struct ctx *c, const struct issue_search *in, struct issue_page *out);

/* Rows. find: 1 or 0. Lists of texts are kept as JSON. */
int issue_find(struct ctx *c, const char *issue_id, struct issue *out);
int issue_insert(struct ctx *c, const struct issue *i);
int issue_write(struct ctx *c, const struct issue *i);
struct stmt;
#define ISSUE_COLUMNS                                                                              \
    "i.issue_id, i.experiment_id, i.name, i.description, i.status, i.severity, i.root_causes,"     \
    " i.categories, i.source_run, i.created_by, i.created_ms, i.updated_ms"
void issue_row(struct ctx *c, struct stmt *st, struct issue *out);

#endif
