/* SPDX-License-Identifier: Apache-2.0 */
/* What spans tell of their trace, and where they lie. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "span.h"
#include "trace.h"
#include "trace_store.h"

#define NS_PER_MS 1000000
#define PREVIEW_MAX 1000
#define MODEL_MAX 500
#define TOKEN_USAGE "mlflow.trace.tokenUsage"

/* Not a number, or infinite: NULL. */
static const char *cost_of(struct ctx *c, const json_t *cost, const char *key) {
    const json_t *v = json_object_get(cost, key);
    double d = json_number_value(v);
    return json_is_number(v) && isfinite(d) ? arena_printf(c->arena, "%.17g", d) : NULL;
}

static const char *text_attribute(struct ctx *c, const struct span *s, const char *key) {
    const char *text = json_string_value(span_attribute(c, s, key));
    return text ? arena_strndup(c->arena, text, utf8_prefix(text, MODEL_MAX)) : NULL;
}

int span_put(struct ctx *c, int64_t row, const struct span *s) {
    const json_t *cost = span_attribute(c, s, "mlflow.llm.cost");
    int rc = db_exec(c,
                     "INSERT INTO span (trace, span_id, parent_id, name, type, status, start_ns,"
                     " end_ns, content, model, provider, input_cost, output_cost, total_cost)"
                     " VALUES (?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?, ?, CAST(? AS REAL),"
                     " CAST(? AS REAL), CAST(? AS REAL))"
                     " ON CONFLICT (trace, span_id) DO UPDATE SET parent_id = excluded.parent_id,"
                     " name = excluded.name, type = excluded.type, status = excluded.status,"
                     " start_ns = excluded.start_ns, end_ns = excluded.end_ns,"
                     " content = excluded.content, model = excluded.model,"
                     " provider = excluded.provider, input_cost = excluded.input_cost,"
                     " output_cost = excluded.output_cost, total_cost = excluded.total_cost",
                     "isssssiissssss", row, s->span_id, s->parent_id, s->name, s->type, s->status,
                     s->start_ns, s->end_ns, s->content, text_attribute(c, s, "mlflow.llm.model"),
                     text_attribute(c, s, "mlflow.llm.provider"), cost_of(c, cost, "input_cost"),
                     cost_of(c, cost, "output_cost"), cost_of(c, cost, "total_cost"));
    return rc < 0 ? rc : 0;
}

static const char *preview(struct ctx *c, const struct span *s, const char *key) {
    const char *text = span_attribute_text(c, s, key);
    return text ? arena_strndup(c->arena, text, utf8_prefix(text, PREVIEW_MAX)) : NULL;
}

/* Sums of mlflow.chat.tokenUsage over these spans, added to what earlier ones gave. */
static int put_usage(struct ctx *c, int64_t row, const struct span *spans, size_t n) {
    static const char *const keys[] = {"input_tokens", "output_tokens", "total_tokens"};
    json_int_t sums[3] = {0};
    bool any = false;
    char *before = NULL;
    for (size_t i = 0; i < n; i++) {
        const json_t *u = span_attribute(c, &spans[i], "mlflow.chat.tokenUsage");
        any = any || json_is_object(u);
        for (size_t k = 0; k < ARRAY_LEN(keys); k++)
            sums[k] += json_integer_value(json_object_get(u, keys[k]));
    }
    if (!any)
        return 0;
    int rc = db_get_text(c, "SELECT value FROM trace_metadata WHERE trace = ? AND key = ?", &before,
                         "is", row, TOKEN_USAGE);
    if (rc != 0 || before) /* the client told the sum itself, or earlier spans did */
        return rc;
    return trace_put_metadata(
        c, row, TOKEN_USAGE,
        arena_printf(c->arena,
                     "{\"input_tokens\": %lld, \"output_tokens\": %lld, \"total_tokens\": %lld}",
                     (long long)sums[0], (long long)sums[1], (long long)sums[2]));
}

static const struct span *root_of(const struct span *spans, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!spans[i].parent_id)
            return &spans[i];
    return NULL;
}

/* Gaps that the client's own description leaves, or that it has not filled yet. */
static int guess(struct ctx *c, struct trace_info *t, const struct span *spans, size_t n) {
    const struct span *root = root_of(spans, n);
    int64_t told = 0;
    int rc = db_get_i64(c, "SELECT told FROM trace WHERE id = ?", &told, NULL, "i", t->row);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < n && !told; i++)
        if (spans[i].start_ns / NS_PER_MS < t->timestamp_ms)
            t->timestamp_ms = spans[i].start_ns / NS_PER_MS;
    if (!told)
        rc = put_usage(c, t->row, spans, n);
    if (rc == 0 && root) {
        bool named = false;
        rc = trace_has(c, t->row, true, TRACE_NAME, &named);
        if (rc == 0 && !named && *root->name)
            rc = trace_put_tag(c, t->row, TRACE_NAME, root->name);
        if (!told) {
            t->timestamp_ms = root->start_ns / NS_PER_MS;
            t->state = str_eq(root->status, "ERROR") ? "ERROR"
                       : root->end_ns                ? "OK"
                                                     : "IN_PROGRESS";
            if (root->end_ns)
                t->execution_ms = SET_I64((root->end_ns - root->start_ns) / NS_PER_MS);
        }
        if (!t->request_preview)
            t->request_preview = preview(c, root, "mlflow.spanInputs");
        if (!t->response_preview)
            t->response_preview = preview(c, root, "mlflow.spanOutputs");
    }
    return rc ? rc : trace_update(c, t, false);
}

int span_store(struct ctx *c, int64_t experiment, const char *location, const char *run_id,
               const struct span *spans, size_t n) {
    struct trace_info t;
    int rc = trace_find(c, spans[0].trace_id, &t);
    if (rc > 0 && t.experiment != experiment)
        return fail(c, ERR_INVALID, "Trace with ID '%s' belongs to experiment %lld.", t.trace_id,
                    (long long)t.experiment);
    if (rc == 0) {
        t = (struct trace_info){.trace_id = spans[0].trace_id,
                                .experiment = experiment,
                                .timestamp_ms = spans[0].start_ns / NS_PER_MS,
                                .state = "IN_PROGRESS"};
        rc = trace_insert(c, &t);
        rc = rc ? rc
                : trace_put_tag(c, t.row, "mlflow.artifactLocation",
                                trace_location_uri(c, location, t.trace_id));
    }
    rc = rc < 0 ? rc : 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = span_put(c, t.row, &spans[i]);
    rc = rc ? rc
            : db_exec(c,
                      "UPDATE trace SET spans = (SELECT count(*) FROM span WHERE trace = ?1)"
                      " WHERE id = ?1",
                      "i", t.row);
    rc = rc < 0 ? rc : guess(c, &t, spans, n);
    rc = rc ? rc : trace_put_tag(c, t.row, SPANS_LOCATION, "TRACKING_STORE");
    if (rc == 0 && run_id) {
        bool sourced = false;
        rc = trace_has(c, t.row, false, "mlflow.sourceRun", &sourced);
        if (rc == 0 && !sourced)
            rc = trace_put_metadata(c, t.row, "mlflow.sourceRun", run_id);
    }
    return rc;
}

static void drop(void *tree) {
    json_decref(tree);
}

int span_load(struct ctx *c, int64_t trace_row, struct json_t **out) {
    struct stmt *st = db_query(c, "SELECT content FROM span WHERE trace = ? ORDER BY start_ns, id",
                               "i", trace_row);
    int rc;
    *out = json_array();
    arena_defer(c->arena, drop, *out);
    while ((rc = stmt_next(st)) > 0) {
        size_t n = 0;
        const char *text = stmt_blob(st, 0, &n);
        json_t *tree = json_loadb(text, n, 0, NULL);
        if (!tree) {
            stmt_end(st);
            return fail(c, ERR_INTERNAL, "a span of this trace cannot be read");
        }
        json_array_append_new(*out, tree);
    }
    stmt_end(st);
    return rc;
}
