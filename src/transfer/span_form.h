/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_SPAN_FORM_H
#define QUERN_TRANSFER_SPAN_FORM_H
/* Span form: MLflow keeps a span as JSON with plain attributes whose values are JSON texts;
 * answers, and Quern, have OpenTelemetry's form with typed values. */
struct ctx;
struct copy_span;

/* From a row of MLflow's: ids as hex, status short, content in OpenTelemetry's form. ERR_INVALID
 * when the text is no span. */
int span_from_mlflow(struct ctx *c, const char *content, struct copy_span *out);
/* The text that MLflow keeps. */
const char *span_to_mlflow(struct ctx *c, const struct copy_span *s);

#endif
