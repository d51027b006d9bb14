/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_USAGE_H
#define QUERN_TRACE_USAGE_H
/* Usage: a trace's tokens and costs as the sum over its spans. A span that has a sum of its own
 * speaks for all below it, in whatever order they came. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct span;

/* Of a trace. */
struct usage_of {
    int64_t row, spans;
    bool told; /* a client described it; what is there by then stands */
    bool open; /* its root has not come */
};
/* All its spans are looked at each time, so a long trace in progress waits for its root. */
#define USAGE_OPEN_MAX 1000

/* Inside a write, after these spans are stored: metadata mlflow.trace.tokenUsage and
 * mlflow.trace.cost anew over all spans of the trace, when any span so far tells some. */
int usage_put(struct ctx *c, const struct usage_of *of, const struct span *spans, size_t n);

#endif
