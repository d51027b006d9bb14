/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_OTLP_H
#define QUERN_TRACE_OTLP_H
/* Otlp: an ExportTraceServiceRequest to spans in the form of span.h. Pure. */
#include <stddef.h>

struct ctx;
struct json_t;

#define OTLP_SPANS_MAX 100000
#define OTLP_DEPTH_MAX 32 /* of attribute values */

/* Arrays on the arena. */
struct otlp {
    struct json_t *spans;
    struct json_t *resources; /* per span: attributes of what sent it, an array as a span's own */
    size_t senders;           /* resources told, also those without spans */
};

/* ERR_INVALID with where it went wrong. */
int otlp_from_protobuf(struct ctx *c, const void *data, size_t n, struct otlp *out);
int otlp_from_json(struct ctx *c, const char *text, size_t n, struct otlp *out);

#endif
