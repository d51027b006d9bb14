/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_RULES_H
#define QUERN_TRACE_RULES_H
/* Trace rules: describing, finding and changing traces. */
#include <stdbool.h>

#include "trace_wire.h"

struct ctx;

#define TRACE_KEY_MAX 250
#define TRACE_VALUE_MAX 8000
#define SPANS_LOCATION "mlflow.trace.spansLocation"
#define TRACE_NAME "mlflow.traceName"

/* ERR_NOT_FOUND in MLflow's words; `quoted`: it writes the id in quotes. */
int trace_for_read(struct ctx *c, const char *trace_id, bool quoted, struct trace_info *out);
int trace_for_write(struct ctx *c, const char *trace_id, struct trace_info *out);
/* Whoever may write traces of this experiment: everybody who writes, a run's token in its own. */
int trace_writer_check(struct ctx *c, int64_t experiment);
int trace_source_check(struct ctx *c, bool tag, const char *key, const char *value);

/* What a client says of a trace; merged with what is there. `spans_come`: the client sends its
 * spans here, too, so it is told that they are. The whole trace in *out. */
int trace_describe(struct ctx *c, const struct trace_info *in, bool spans_come,
                   struct trace_info *out);
int trace_whole(struct ctx *c, const char *trace_id, bool quoted, struct trace_info *out);
int trace_set_tag(struct ctx *c, const char *trace_id, const char *key, const char *value);
int trace_delete_tag(struct ctx *c, const char *trace_id, const char *key);

/* Name and value as they are kept: checked, cut. */
int trace_pair_check(struct ctx *c, const char *what, const char *key);
const char *trace_value(struct ctx *c, const char *value);
/* mlflow-artifacts:/1 -> mlflow-artifacts:/1/traces/ID/artifacts */
const char *trace_location_uri(struct ctx *c, const char *location, const char *trace_id);

#endif
