/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_ASSESSMENT_H
#define QUERN_TRACE_ASSESSMENT_H
/* Assessment: what somebody judges of a trace or one of its spans: feedback, an expectation or an
 * issue, as a JSON tree in MLflow's form. One that overrides another makes it invalid; when the
 * overriding one goes, the other is valid again. */
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct json_t;
struct trace_info;

/* Fills `assessments` of traces whose row numbers are the JSON list `rows`. */
int assessments_of(struct ctx *c, const char *rows, struct trace_info *out, size_t n);

/* Inside a write. `in` is the client's object; *out the whole assessment. */
int assessment_create(struct ctx *c, const char *trace_id, const struct json_t *in,
                      struct json_t **out);
/* mask: comma-separated names of members. */
int assessment_update(struct ctx *c, const char *trace_id, const char *assessment_id,
                      const struct json_t *in, const char *mask, struct json_t **out);
int assessment_get(struct ctx *c, const char *trace_id, const char *assessment_id,
                   struct json_t **out);
int assessment_delete(struct ctx *c, const char *trace_id, const char *assessment_id);

#endif
