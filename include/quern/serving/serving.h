/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_SERVING_H
#define QUERN_SERVING_SERVING_H
/* Serving: endpoints bound to a model, predictions over OIP v2 and MLflow's scoring protocol.
 *
 * An endpoint has a name and a target ("models:/name@alias" or "models:/name/3"). The set of loaded
 * endpoints is an immutable snapshot that predictions read without a lock; a switch loads and vets
 * the new version first (in a child: `quern vet FILE`), swaps the pointer, and frees the old one
 * after its last prediction. */
#include <stdbool.h>

#include "quern/http/route.h"

struct lanes;
struct dir;
struct buf;
struct step_action;

struct serving_options {
    struct lanes *lanes;
    struct dir *data;
    const char *self_exe;
    int64_t max_model;
    int64_t timeout_ms;         /* of a prediction; 0: none */
    unsigned threads;           /* for predictions that may block */
    const char *child_env;      /* names of environment variables that child servers see */
    const char *pyfunc_command; /* a JSON array; "": MLflow models are not served by children */
    unsigned batch_jobs;        /* batch workers at once */
    int64_t batch_max_input, batch_max_output; /* bytes of one job's */
    int64_t memory; /* bytes of models, beyond which those used longest ago leave */
};
int serving_start(const struct serving_options *o, struct buf *error); /* loads what was deployed */
/* Actions that wait for a load give up, calls that wait at a gate are refused; before pipeline_stop
 * and server_stop, which wait for them. */
void serving_cease(void);
void serving_stop(void);
void serving_measure(void); /* sets the gauges of endpoints, before metrics are printed */
/* `quern vet FILE [GOLDEN]`: loads, runs on zeros and replays the golden cases, prints JSON;
 * `quern vet-record FILE CASES` makes the cases' outputs instead. */
int batch_worker_main(const char *folder); /* `quern batch-worker FOLDER` */
int vet_main(const char *model_file, const char *golden_file, bool record);

/* Checks an archive against its manifest, and the manifest's signature against a public key in hex.
 * 0 with what it is in *what; ERR_INVALID says what is wrong. */
struct ctx;
int bundle_verify(struct ctx *c, const char *file, const char *public_key, const char **what);

extern const struct step_action serving_deploy_action;
extern const struct route_list serving_routes, golden_routes, batch_routes, bundle_routes;

#endif
