/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "mlflow_server.h"
#include "order.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "quern/trace/timestamp.h"

#define SPANS_LOCATION "mlflow.trace.spansLocation"

/* JSON as a text; NULL for what is absent or null. */
static const char *dump(struct ctx *c, const json_t *v) {
    return v && !json_is_null(v) ? json_text(c->arena, v, JSON_TIGHT) : NULL;
}

static int64_t time_of(const json_t *o, const char *member) {
    int64_t ms = 0;
    (void)timestamp_parse(server_text(o, member), &ms);
    return ms;
}

/* ------------------------------------------------------------------ spans */

static const char *type_of(const json_t *span) {
    json_t *pair;
    size_t i;
    json_array_foreach(json_object_get(span, "attributes"), i, pair) {
        if (str_eq(server_text(pair, "key"), "mlflow.spanType"))
            return server_text(json_object_get(pair, "value"), "string_value");
    }
    return "";
}

static const char *status_of(const json_t *span) {
    const char *code = server_text(json_object_get(span, "status"), "code");
    return str_ends(code, "_OK") ? "OK" : str_ends(code, "_ERROR") ? "ERROR" : "UNSET";
}

static int spans(struct ctx *c, const json_t *list, struct copy_trace *out) {
    json_t *one;
    size_t i;
    out->spans = ARENA_ARRAY(c->arena, struct copy_span, json_array_size(list) + 1);
    json_array_foreach((json_t *)list, i, one) {
        struct copy_span *s = &out->spans[out->nspans++];
        *s = (struct copy_span){.id = base64_hex(c->arena, server_text(one, "span_id"), 8),
                                .parent =
                                    base64_hex(c->arena, server_text(one, "parent_span_id"), 8),
                                .name = server_text(one, "name"),
                                .type = type_of(one),
                                .status = status_of(one),
                                .start_ns = server_number(one, "start_time_unix_nano"),
                                .end_ns = server_number(one, "end_time_unix_nano"),
                                .content = dump(c, one)};
        if (!s->id)
            return fail(c, ERR_INVALID, "A span of trace %s has no id.", out->id);
    }
    order_spans(out->spans, out->nspans);
    return 0;
}

/* ------------------------------------------------------------------ assessments */

static int by_creation(const void *a, const void *b) {
    const struct copy_assessment *x = a, *y = b;
    if (x->created_ms != y->created_ms)
        return x->created_ms < y->created_ms ? -1 : 1;
    return strcmp(x->id, y->id);
}

static void judge(struct ctx *c, const json_t *one, struct copy_assessment *a) {
    const json_t *feedback = json_object_get(one, "feedback");
    const json_t *expectation = json_object_get(one, "expectation");
    const json_t *packed = json_object_get(expectation, "serialized_value");
    const json_t *issue = json_object_get(one, "issue");
    if (feedback) {
        a->kind = "feedback";
        a->value = dump(c, json_object_get(feedback, "value"));
        a->error = dump(c, json_object_get(feedback, "error"));
    } else if (expectation) {
        a->kind = "expectation";
        a->value =
            packed ? server_text(packed, "value") : dump(c, json_object_get(expectation, "value"));
    } else {
        a->kind = "issue";
        a->value = dump(c, json_object_get(issue, "issue_name"));
    }
    if (!a->value)
        a->value = "null";
}

static void assessments(struct ctx *c, const json_t *list, struct copy_trace *out) {
    json_t *one;
    size_t i;
    out->assessments = ARENA_ARRAY(c->arena, struct copy_assessment, json_array_size(list) + 1);
    json_array_foreach((json_t *)list, i, one) {
        const json_t *source = json_object_get(one, "source"),
                     *valid = json_object_get(one, "valid");
        struct copy_assessment *a = &out->assessments[out->nassessments++];
        *a = (struct copy_assessment){.id = server_text(one, "assessment_id"),
                                      .name = server_text(one, "assessment_name"),
                                      .span_id = server_maybe(one, "span_id"),
                                      .rationale = server_maybe(one, "rationale"),
                                      .metadata = dump(c, json_object_get(one, "metadata")),
                                      .overrides = server_maybe(one, "overrides"),
                                      .source_type = server_text(source, "source_type"),
                                      .source_id = server_text(source, "source_id"),
                                      .valid = !valid || json_is_true(valid),
                                      .created_ms = time_of(one, "create_time"),
                                      .updated_ms = time_of(one, "last_update_time")};
        judge(c, one, a);
    }
    qsort(out->assessments, out->nassessments, sizeof *out->assessments, by_creation);
}

/* ------------------------------------------------------------------ traces */

/* Whether the source itself keeps the spans, so that a trace without them is not the whole. */
static bool keeps_spans(const json_t *info) {
    return str_eq(server_text(json_object_get(info, "tags"), SPANS_LOCATION), "TRACKING_STORE");
}

static int newer(struct server *s, struct ctx *c, struct copy_trace *out) {
    const char *id = server_escape(c, out->id);
    json_t *answer = NULL;
    int64_t ms = 0;
    int rc = server_get(
        s, c,
        arena_printf(c->arena, "/api/3.0/mlflow/traces/get?trace_id=%s&allow_partial=true", id),
        &answer);
    const int first = rc;
    if (rc < 0) { /* a server without this route, or spans that lie in a file */
        err_clear(c);
        rc = server_get(s, c, arena_printf(c->arena, "/api/3.0/mlflow/traces/%s", id), &answer);
    }
    if (rc < 0)
        return rc;
    const json_t *trace = json_object_get(answer, "trace");
    const json_t *info = json_object_get(trace, "trace_info");
    if (first < 0 && keeps_spans(info))
        return fail(c, ERR_INVALID, "The source does not tell the spans of trace %s.", out->id);
    const json_t *where =
        json_object_get(json_object_get(info, "trace_location"), "mlflow_experiment");
    out->experiment = server_number(where, "experiment_id");
    out->timestamp_ms = time_of(info, "request_time");
    if (duration_parse(server_text(info, "execution_duration"), &ms))
        out->execution_ms = SET_I64(ms);
    out->state = server_text(info, "state");
    out->client_request_id = server_maybe(info, "client_request_id");
    out->request_preview = server_maybe(info, "request_preview");
    out->response_preview = server_maybe(info, "response_preview");
    out->tags = server_pairs(c, json_object_get(info, "tags"));
    out->metadata = server_pairs(c, json_object_get(info, "trace_metadata"));
    assessments(c, json_object_get(info, "assessments"), out);
    return spans(c, json_object_get(trace, "spans"), out);
}

static int older(struct server *s, struct ctx *c, struct copy_trace *out) {
    json_t *answer = NULL;
    int rc = server_get(
        s, c, arena_printf(c->arena, "/api/2.0/mlflow/traces/%s/info", server_escape(c, out->id)),
        &answer);
    if (rc < 0)
        return rc;
    const json_t *info = json_object_get(answer, "trace_info");
    out->experiment = server_number(info, "experiment_id");
    out->timestamp_ms = server_number(info, "timestamp_ms");
    if (server_number(info, "execution_time_ms") > 0 ||
        !str_eq(server_text(info, "status"), "IN_PROGRESS")) /* one that runs is told to take 0 */
        out->execution_ms = SET_I64(server_number(info, "execution_time_ms"));
    out->state = server_text(info, "status");
    out->tags = server_pairs(c, json_object_get(info, "tags"));
    out->metadata = server_pairs(c, json_object_get(info, "request_metadata"));
    return 0;
}

int server_trace(struct source *src, struct ctx *c, const char *after, struct copy_trace *out) {
    struct server *s = (struct server *)src;
    *out = (struct copy_trace){.id = server_after(&s->traces, after)};
    if (!out->id)
        return 0;
    int rc = s->traces_v2 ? older(s, c, out) : newer(s, c, out);
    if (rc == 0 && (!*out->state || str_eq(out->state, "TRACE_STATUS_UNSPECIFIED")))
        out->state = "STATE_UNSPECIFIED";
    return rc < 0 ? rc : 1;
}
