/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_SENDER_H
#define QUERN_TRACE_SENDER_H
/* Sender: what an OTLP request says of the program that sent spans (its resource), as tags of their
 * traces. A request says it once for any number of traces, so it is read once, outside the write,
 * and what it would grow to is bounded. */
#include <stddef.h>

#include "quern/core/shape.h"

struct ctx;
struct json_t;
struct span;

#define SENDER_TAGS_MAX 200000              /* rows that one request may become */
#define SENDER_BYTES_MAX ((size_t)64 << 20) /* of their keys and values */

/* `attributes` as a span's own. MLflow's own tags and those of the SDK are left out. */
void sender_tags(struct ctx *c, const struct json_t *attributes, struct pairs *out);
/* Spans of one trace next to each other; ERR_TOO_LARGE. */
int sender_check(struct ctx *c, const struct span *spans, size_t n);
/* Inside a write: of the first of a trace's spans whose sender told any. */
int sender_put(struct ctx *c, int64_t trace_row, const struct span *spans, size_t n);

#endif
