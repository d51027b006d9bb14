/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/trace/copy.h"

#include <jansson.h>
#include <string.h>

#include "assessment_row.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "span.h"
#include "trace.h"
#include "trace_store.h"

/* ------------------------------------------------------------------ in */

static int put_row(struct ctx *c, const struct copy_trace *in, int64_t *row) {
    struct trace_info t;
    int rc = trace_find(c, in->id, &t);
    if (rc > 0 && t.experiment != in->experiment)
        return fail(c, ERR_CONFLICT, "Trace %s exists here in experiment %lld.", in->id,
                    (long long)t.experiment);
    if (rc == 0) {
        int64_t one = 0;
        bool ours = false;
        rc = db_get_i64(c, "SELECT 1 FROM experiment WHERE id = ? AND project_id = ?", &one, &ours,
                        "ii", in->experiment, c->project);
        if (rc == 0 && !ours)
            return fail(c, ERR_CONFLICT, "Trace %s cannot be put into experiment %lld.", in->id,
                        (long long)in->experiment);
    }
    if (rc == 0) {
        t = (struct trace_info){.trace_id = in->id,
                                .experiment = in->experiment,
                                .timestamp_ms = in->timestamp_ms,
                                .state = in->state};
        rc = trace_insert(c, &t);
    }
    if (rc < 0)
        return rc;
    *row = t.row;
    t.timestamp_ms = in->timestamp_ms;
    t.execution_ms = in->execution_ms;
    t.state = in->state;
    t.client_request_id = in->client_request_id;
    t.request_preview = in->request_preview;
    t.response_preview = in->response_preview;
    rc = db_exec(c, "UPDATE trace SET name = NULL, execution_ms = NULL, spans = ? WHERE id = ?",
                 "ii", (int64_t)in->nspans, t.row);
    return rc < 0 ? rc : trace_update(c, &t, true);
}

static int clear(struct ctx *c, int64_t row) {
    static const char *const statements[] = {
        "DELETE FROM trace_tag WHERE trace = ?", "DELETE FROM trace_metadata WHERE trace = ?",
        "DELETE FROM trace_run WHERE trace = ?", "DELETE FROM span WHERE trace = ?",
        "DELETE FROM assessment WHERE trace = ?"};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(statements) && rc >= 0; i++)
        rc = db_exec(c, statements[i], "i", row);
    return rc;
}

static int put_span(struct ctx *c, int64_t row, const struct copy_span *s) {
    json_t *tree = json_loads(s->content, 0, NULL); /* NULL has no attributes */
    struct span span = {.span_id = s->id,
                        .parent_id = s->parent,
                        .name = s->name,
                        .type = s->type,
                        .status = s->status,
                        .start_ns = s->start_ns,
                        .end_ns = s->end_ns,
                        .tree = tree,
                        .content = s->content};
    int rc = span_put(c, row, &span);
    json_decref(tree);
    return rc;
}

static int put_assessment(struct ctx *c, int64_t row, const struct copy_assessment *a) {
    struct assessment_row r = {.id = a->id,
                               .name = a->name,
                               .kind = a->kind,
                               .value = a->value,
                               .error = a->error,
                               .source_type = a->source_type,
                               .source_id = a->source_id,
                               .span_id = a->span_id,
                               .rationale = a->rationale,
                               .metadata = a->metadata,
                               .overrides = a->overrides,
                               .valid = a->valid,
                               .created_ms = a->created_ms,
                               .updated_ms = a->updated_ms};
    return assessment_insert(c, row, &r);
}

int trace_copy_in(struct ctx *c, const struct copy_trace *in) {
    int64_t row = 0;
    int rc = put_row(c, in, &row);
    rc = rc < 0 ? rc : clear(c, row);
    for (size_t i = 0; i < in->tags.n && rc >= 0; i++)
        rc = trace_put_tag(c, row, in->tags.items[i].key, in->tags.items[i].value);
    for (size_t i = 0; i < in->metadata.n && rc >= 0; i++)
        rc = trace_put_metadata(c, row, in->metadata.items[i].key, in->metadata.items[i].value);
    for (size_t i = 0; i < in->runs.n && rc >= 0; i++)
        rc = trace_link_run(c, row, in->runs.items[i]);
    for (size_t i = 0; i < in->nspans && rc >= 0; i++)
        rc = put_span(c, row, &in->spans[i]);
    for (size_t i = 0; i < in->nassessments && rc >= 0; i++)
        rc = put_assessment(c, row, &in->assessments[i]);
    return rc < 0 ? rc : 0;
}

/* ------------------------------------------------------------------ out */

static int count(struct ctx *c, const char *sql, int64_t row, size_t *n) {
    int64_t rows = 0;
    int rc = db_get_i64(c, sql, &rows, NULL, "i", row);
    *n = rc < 0 ? 0 : (size_t)rows;
    return rc;
}

static int read_runs(struct ctx *c, int64_t row, struct copy_trace *out) {
    size_t n = 0;
    int rc = count(c, "SELECT count(*) FROM trace_run WHERE trace = ?", row, &n);
    out->runs.items = ARENA_ARRAY(c->arena, const char *, n + 1);
    struct stmt *st =
        db_query(c, "SELECT run_uuid FROM trace_run WHERE trace = ? ORDER BY run_uuid", "i", row);
    while (rc >= 0 && (rc = stmt_next(st)) > 0 && out->runs.n < n)
        out->runs.items[out->runs.n++] = stmt_text(c, st, 0);
    stmt_end(st);
    return rc;
}

static int read_spans(struct ctx *c, int64_t row, struct copy_trace *out) {
    size_t n = 0;
    int rc = count(c, "SELECT count(*) FROM span WHERE trace = ?", row, &n);
    out->spans = ARENA_ARRAY(c->arena, struct copy_span, n + 1);
    struct stmt *st = db_query(c,
                               "SELECT span_id, parent_id, name, type, status, start_ns, end_ns,"
                               " content FROM span WHERE trace = ? ORDER BY start_ns, span_id",
                               "i", row);
    while (rc >= 0 && (rc = stmt_next(st)) > 0 && out->nspans < n)
        out->spans[out->nspans++] = (struct copy_span){.id = stmt_text(c, st, 0),
                                                       .parent = stmt_text(c, st, 1),
                                                       .name = stmt_text(c, st, 2),
                                                       .type = stmt_text(c, st, 3),
                                                       .status = stmt_text(c, st, 4),
                                                       .start_ns = stmt_i64(st, 5),
                                                       .end_ns = stmt_i64(st, 6),
                                                       .content = stmt_text(c, st, 7)};
    stmt_end(st);
    return rc;
}

static int read_assessments(struct ctx *c, int64_t row, struct copy_trace *out) {
    size_t n = 0;
    int rc = count(c, "SELECT count(*) FROM assessment WHERE trace = ?", row, &n);
    out->assessments = ARENA_ARRAY(c->arena, struct copy_assessment, n + 1);
    struct stmt *st =
        db_query(c,
                 "SELECT assessment_id, name, kind, value, error, span_id, rationale, metadata,"
                 " overrides, source_type, source_id, valid, created_ms, updated_ms"
                 " FROM assessment WHERE trace = ? ORDER BY created_ms, assessment_id",
                 "i", row);
    while (rc >= 0 && (rc = stmt_next(st)) > 0 && out->nassessments < n) {
        struct copy_assessment *a = &out->assessments[out->nassessments++];
        const char **texts[] = {&a->id,        &a->name,        &a->kind,      &a->value,
                                &a->error,     &a->span_id,     &a->rationale, &a->metadata,
                                &a->overrides, &a->source_type, &a->source_id};
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
            *texts[i] = stmt_text(c, st, (int)i);
        a->valid = stmt_i64(st, 11) != 0;
        a->created_ms = stmt_i64(st, 12);
        a->updated_ms = stmt_i64(st, 13);
    }
    stmt_end(st);
    return rc;
}

static int read_rest(struct ctx *c, int64_t row, struct copy_trace *out) {
    struct trace_info t;
    int rc = trace_load(c, &row, 1, &t);
    *out = (struct copy_trace){.id = t.trace_id,
                               .experiment = t.experiment,
                               .timestamp_ms = t.timestamp_ms,
                               .execution_ms = t.execution_ms,
                               .state = t.state,
                               .client_request_id = t.client_request_id,
                               .request_preview = t.request_preview,
                               .response_preview = t.response_preview,
                               .tags = t.tags,
                               .metadata = t.trace_metadata};
    rc = rc < 0 ? rc : read_runs(c, row, out);
    rc = rc < 0 ? rc : read_spans(c, row, out);
    rc = rc < 0 ? rc : read_assessments(c, row, out);
    return rc < 0 ? rc : 1;
}

int trace_copy_get(struct ctx *c, const char *id, struct copy_trace *out) {
    struct trace_info t;
    int rc = trace_find(c, id, &t);
    return rc > 0 ? read_rest(c, t.row, out) : rc;
}

int trace_copy_out(struct ctx *c, const char *after, struct copy_trace *out) {
    int64_t row = 0;
    bool found = false;
    int rc = db_get_i64(c,
                        "SELECT t.id FROM trace t JOIN experiment e ON e.id = t.experiment_id"
                        " WHERE t.trace_id > ? AND e.project_id = ? ORDER BY t.trace_id LIMIT 1",
                        &row, &found, "si", after, c->project);
    return rc < 0 || !found ? rc : read_rest(c, row, out);
}
