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

/* Inside a write, after these spans are stored: metadata mlflow.trace.tokenUsage and
 * mlflow.trace.cost anew over all spans of the trace, when any span so far tells some. `told`: a
 * client described the trace; what is there by then stands. */
int usage_put(struct ctx *c, int64_t trace_row, bool told, const struct span *spans, size_t n);

#endif
