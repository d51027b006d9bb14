/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_CONVENTION_H
#define QUERN_TRACE_CONVENTION_H
/* Convention: attributes by which instrumentation of other makers names a model call: the
 * OpenTelemetry conventions for generative AI, OpenInference, Traceloop, Google ADK, Laminar,
 * Langfuse. What a span says in them is added in MLflow's words, so that lists, previews, sums and
 * searches see it; the attributes that came stay, and MLflow's own, where they came, count. */

struct ctx;
struct json_t;

/* `span` in the form of span.h, changed in place: mlflow.spanType, .spanInputs, .spanOutputs,
 * .chat.tokenUsage, .chat.tools, .llm.model, .llm.provider, as far as they can be told. */
void convention_apply(struct ctx *c, struct json_t *span);

#endif
