/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_TRACE_H
#define QUERN_TRACE_TRACE_H
/* Trace: what happened inside one call of an application, as a tree of spans, with MLflow's paths
 * and JSON of both lines (v2: described before and after; v3: described once), and OpenTelemetry's
 * intake at /v1/traces. Description and spans arrive in any order, more than once, and in pieces;
 * the description wins over what spans let guess, and nothing arrives twice. */
#include <stdint.h>

#include "quern/http/route.h"

struct ctx;
struct db;

/* Inside a write, for good: at most `most` traces of an experiment; what links traces to a run. */
int traces_erase(struct ctx *c, int64_t experiment, int64_t most, int64_t *gone);
int trace_unlink_run(struct ctx *c, const char *run_id);

/* Spans are taken apart on workers and written from there. */
void trace_open(struct db *db);

extern const struct route_list trace_routes;
extern const struct route_list assessment_routes;

#endif
