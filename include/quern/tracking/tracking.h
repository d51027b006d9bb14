/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_TRACKING_H
#define QUERN_TRACKING_TRACKING_H
/* Tracking: experiments, runs, params, metrics, tags, inputs, logged models, with MLflow's paths
 * and JSON. What rooms to the right may call is here. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/access/access.h"
#include "quern/http/route.h"

/* Inside a write. Finds the active experiment by name or makes it; *id is its number. */
int experiment_ensure(struct ctx *c, const char *name, int64_t *id);
/* By its decimal id, in MLflow's words when it does not exist; for writes it must be active too.
 * *location is its artifact location. */
int experiment_for_read(struct ctx *c, const char *experiment_id, int64_t *id,
                        const char **location);
int experiment_for_write(struct ctx *c, const char *experiment_id, int64_t *id,
                         const char **location);

/* Whatever its state is, for callers who hold `need` on it; *active tells the state. */
int experiment_hold(struct ctx *c, const char *experiment_id, enum object_need need, int64_t *id,
                    bool *active);

struct artifact_place;

struct run_new {
    int64_t experiment_id;
    const char *name; /* NULL: a random one */
    const char *user; /* NULL: "" */
    int64_t start_ms;
    struct pairs tags;
};
/* Inside a write; run_id[33] is filled. */
int run_create(struct ctx *c, const struct run_new *in, char run_id[33]);
int run_finish(struct ctx *c, const char *run_id, const char *status, int64_t end_ms);
int run_exists(struct ctx *c, const char *run_id, int64_t *experiment_id, bool *active);
int run_set_tag(struct ctx *c, const char *run_id, const char *key, const char *value);
/* Latest value; ERR_NOT_FOUND when the run has no such metric. */
int run_metric(struct ctx *c, const char *run_id, const char *key, double *value);
int run_metrics(struct ctx *c, const char *run_id, struct fpairs *out); /* all latest values */
/* Inside a write: points at step 0 for metrics the run has no point of yet; others, and names that
 * metrics cannot have, are left as they are. Repeating is harmless. */
int run_log_metrics(struct ctx *c, const char *run_id, const struct fpairs *values,
                    int64_t time_ms);
/* Housekeeping, inside a write: marks the next runs of an experiment that was deleted or restored.
 * The number of rows changed, 0 when nothing is left to do. fn is called after the commit that made
 * such work, on the writer thread; set before the lanes start. */
int experiment_sweep(struct ctx *c, int64_t most);
void experiment_sweep_listen(void (*fn)(void *arg), void *arg);
/* Housekeeping, inside a write: packs points that older versions kept as rows, 20 * most of them at
 * most (some milliseconds when most is 500). The number of rows gone, or negative. */
int run_metrics_pack(struct ctx *c, int64_t most);
/* Inside a write: removes points of a run that nothing will ask for any more, by its row, in
 * bounded steps; 1 when more are left. */
int run_metrics_erase(struct ctx *c, int64_t run_row, int64_t most);
/* Where a run's artifacts are: in this server's store, under a logical name; ERR_INVALID when they
 * are elsewhere. */
int run_artifact_root(struct ctx *c, const char *run_id, char **logical_path);
/* The same with the operator's folder as a place; *uri (may be NULL) is set for every known run. */
int run_artifact_place(struct ctx *c, const char *run_id, struct artifact_place *out,
                       const char **uri);
/* At the start of the house: experiment 0 of a database that holds nothing yet gets its location
 * from the operator's root. */
int experiment_settle_default(struct ctx *c);

struct logged_model_info {
    const char *id, *name, *source_run_id, *artifact_uri;
    const char *artifact_path; /* logical, no scheme; NULL when kept elsewhere */
    int64_t experiment_id;
};
int logged_model_get(struct ctx *c, const char *model_id, struct logged_model_info *out);
/* Ready logged models whose source run is run_id, newest first; name NULL for all. */
int logged_model_of_run(struct ctx *c, const char *run_id, const char *name,
                        struct logged_model_info *out); /* ERR_NOT_FOUND */
/* Inside a write. Notes a registered version in the model's tag mlflow.modelVersions, a JSON list
 * that clients and the web page read; one that is listed already stays as it is. */
int logged_model_registered(struct ctx *c, const char *model_id, const char *name, int64_t version);

extern const struct route_list tracking_routes;

#endif
