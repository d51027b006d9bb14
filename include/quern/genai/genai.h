/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GENAI_GENAI_H
#define QUERN_GENAI_GENAI_H
/* Genai: what MLflow's clients and web page ask around language models beside traces and prompts
 * (prompts are registered models with tags, see registry).
 *
 * Evaluation datasets: records of inputs and expectations that an application is tried with.
 *
 * Scorers: the texts from which clients make their judges, registered with an experiment in
 * versions; kept, never run. Issues: what was found wrong in an experiment's traces, with a state
 * and a severity; a trace has an issue by an assessment of kind "issue" that is named by its id.
 *
 * Side doors: questions of the page are answered as a genuine server without these features does
 * (no gateway endpoints, telemetry off, no assistant); what would have to do work (gateway, prompt
 * optimization, label schemas, review queues, judges run by the server, jobs, demo) fails with
 * NOT_IMPLEMENTED and a sentence that names the feature; workspaces are told to be off, since
 * Quern's projects take their place. docs/mlflow.md lists them. */
#include <stdint.h>

#include "quern/http/route.h"

struct ctx;
struct db;

/* Records of evaluation datasets are taken apart on workers and written from there. */
void genai_open(struct db *db);
/* Housekeeping, inside a write: erases about `most` records of deleted datasets. A number above 0
 * while there may be more, 0 when not, or negative. */
int evaluation_expire(struct ctx *c, int64_t most);

extern const struct route_list dataset_routes; /* MLflow's datasets/... */
extern const struct route_list scorer_routes;
extern const struct route_list issue_routes;
extern const struct route_list side_door_routes;

#endif
