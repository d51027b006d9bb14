/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_COPY_H
#define QUERN_TRACE_COPY_H
/* Copy: whole traces with spans and assessments, for moving in and out; see quern/tracking/copy.h
 * for what in, out and get promise. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;

struct copy_span {
    const char *id, *parent;          /* 16 hex digits; parent NULL: the root */
    const char *name, *type, *status; /* UNSET, OK, ERROR */
    int64_t start_ns, end_ns;         /* end 0: not ended */
    const char *content;              /* JSON, as answers show it */
};
struct copy_assessment {
    const char *id, *name, *kind, *value;                           /* value is JSON */
    const char *error, *span_id, *rationale, *metadata, *overrides; /* NULL: none */
    const char *source_type, *source_id;
    bool valid;
    int64_t created_ms, updated_ms;
};
struct copy_trace {
    const char *id;
    int64_t experiment, timestamp_ms;
    struct opt_i64 execution_ms;
    const char *state;
    const char *client_request_id, *request_preview, *response_preview; /* NULL: none */
    struct pairs tags, metadata;
    struct strs runs;        /* linked ones, sorted */
    struct copy_span *spans; /* by start, then id */
    size_t nspans;
    struct copy_assessment *assessments; /* by creation, then id */
    size_t nassessments;
};

int trace_copy_in(struct ctx *c, const struct copy_trace *in);
int trace_copy_out(struct ctx *c, const char *after, struct copy_trace *out);
int trace_copy_get(struct ctx *c, const char *id, struct copy_trace *out);

#endif
