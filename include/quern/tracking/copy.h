/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_COPY_H
#define QUERN_TRACKING_COPY_H
/* Copy: whole experiments, runs and logged models with their ids, times and histories, for moving
 * in and out. What comes in is taken as it is: limits of MLflow's doors are not asked again, since
 * what stands in somebody's database has passed them or is wanted nonetheless. Putting the same
 * thing again changes nothing; putting it in a newer state brings it there. Everything is within
 * c->project. Lists come sorted by key (bytes), so that equal things have equal forms.
 *
 * in: inside a write. out: inside a read; 1 with the thing behind `after`, 0 when there is none. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;

struct copy_experiment {
    int64_t id;
    const char *name, *location;
    bool deleted;
    int64_t created_ms, updated_ms;
    struct pairs tags;
};
struct copy_dataset {
    const char *name, *digest;
    const char *source_type, *source, *schema, *profile; /* NULL: absent */
    struct pairs tags;
};
struct copy_model_use {
    const char *model_id;
    int64_t step;
};
struct copy_run {
    const char *id;
    int64_t experiment;
    const char *name, *user, *status, *artifact_uri;
    int64_t start_ms;
    struct opt_i64 end_ms, deleted_ms; /* deleted_ms set: deleted */
    struct pairs params, tags;
    struct copy_dataset *datasets; /* by name and digest */
    size_t ndatasets;
    struct copy_model_use *inputs, *outputs; /* by model */
    size_t ninputs, noutputs;
};
struct copy_point {
    const char *key;
    int64_t time_ms, step;
    double value; /* finite; 0 for NaN */
    bool is_nan;
};
struct copy_measure {                                         /* a logged model's metric */
    const char *key, *run_id, *dataset_name, *dataset_digest; /* "" where absent */
    int64_t time_ms, step;
    double value;
    bool is_nan;
};
struct copy_model {
    const char *id;
    int64_t experiment;
    const char *name, *artifact_uri, *status, *type, *source_run; /* status as on the wire */
    int64_t created_ms, updated_ms;
    bool deleted;
    struct pairs params, tags;
    struct copy_measure *measures; /* by key, time, step, run */
    size_t nmeasures;
};

/* ERR_CONFLICT when the id or the name belongs to another experiment here. The untouched Default
 * (id 0, no runs) gives way. */
int experiment_copy_in(struct ctx *c, const struct copy_experiment *in);
int experiment_copy_out(struct ctx *c, int64_t after, struct copy_experiment *out);
int experiment_copy_get(struct ctx *c, int64_t id, struct copy_experiment *out); /* 1 or 0 */

int run_copy_in(struct ctx *c, const struct copy_run *in);
int run_copy_out(struct ctx *c, const char *after, struct copy_run *out); /* "" at first */
int run_copy_get(struct ctx *c, const char *id, struct copy_run *out);    /* 1 or 0 */
/* Points of a run that was put. */
int run_points_in(struct ctx *c, const char *id, const struct copy_point *p, size_t n);
/* All points by key, time, step, value, in pieces; `each` ends it with a negative code. */
typedef int copy_points_fn(void *arg, const struct copy_point *p, size_t n);
int run_points_out(struct ctx *c, const char *id, copy_points_fn *each, void *arg);

int model_copy_in(struct ctx *c, const struct copy_model *in);
int model_copy_out(struct ctx *c, const char *after, struct copy_model *out);
int model_copy_get(struct ctx *c, const char *id, struct copy_model *out); /* 1 or 0 */

/* Counts of the project: experiments, runs, points, logged models. */
struct copy_counts {
    int64_t experiments, runs, models;
};
int tracking_copy_counts(struct ctx *c, struct copy_counts *out);

#endif
