/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "mlflow_db.h"
#include "order.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/db/db.h"
#include "quern/trace/copy.h"
#include "span_form.h"

#define TRACE "SELECT request_id, r.experiment_id, timestamp_ms, execution_time_ms, status"
#define NEWER ", client_request_id, request_preview, response_preview"
/* Members of the newest schema that stand in columns instead of tags and metadata. */
#define PROMOTED ", trace_name, session_id, input_tokens, output_tokens, total_tokens"
#define ORDER " WHERE request_id > ? ORDER BY request_id LIMIT 1"
#define FROM " FROM trace_info r"

struct promoted {
    const char *name, *session;
    struct opt_i64 tokens[3];
};

static struct stmt *next_row(struct ctx *c, const struct mlflow_db *m, const char *after) {
    if (m->promoted)
        return db_query(c, TRACE NEWER PROMOTED FROM IN_WORKSPACE ORDER, "ss", m->workspace, after);
    if (m->workspaces)
        return db_query(c, TRACE NEWER FROM IN_WORKSPACE ORDER, "ss", m->workspace, after);
    return m->previews ? db_query(c, TRACE NEWER FROM ORDER, "s", after)
                       : db_query(c, TRACE FROM ORDER, "s", after);
}

static int read_row(struct ctx *c, const struct mlflow_db *m, const char *after,
                    struct copy_trace *out, struct promoted *p) {
    struct stmt *st = next_row(c, m, after);
    int rc = stmt_next(st);
    if (rc > 0) {
        out->id = mlflow_db_maybe(c, st, 0);
        out->experiment = stmt_i64(st, 1);
        out->timestamp_ms = stmt_i64(st, 2);
        if (!stmt_null(st, 3))
            out->execution_ms = SET_I64(stmt_i64(st, 3));
        out->state = mlflow_db_maybe(c, st, 4);
        if (!out->state || str_eq(out->state, "TRACE_STATUS_UNSPECIFIED"))
            out->state = "STATE_UNSPECIFIED";
    }
    if (rc > 0 && (m->previews || m->workspaces || m->promoted)) {
        out->client_request_id = mlflow_db_maybe(c, st, 5);
        out->request_preview = mlflow_db_maybe(c, st, 6);
        out->response_preview = mlflow_db_maybe(c, st, 7);
    }
    if (rc > 0 && m->promoted) {
        p->name = mlflow_db_maybe(c, st, 8);
        p->session = mlflow_db_maybe(c, st, 9);
        for (int i = 0; i < 3; i++)
            if (!stmt_null(st, 10 + i))
                p->tokens[i] = SET_I64(stmt_i64(st, 10 + i));
    }
    stmt_end(st);
    return rc;
}

/* Adds a pair that is not there, in its place. */
static void add_pair(struct ctx *c, struct pairs *p, const char *key, const char *value) {
    struct pair *more = ARENA_ARRAY(c->arena, struct pair, p->n + 1);
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->items[i].key, key))
            return;
    if (p->n)
        memcpy(more, p->items, p->n * sizeof *more);
    more[p->n++] = (struct pair){.key = key, .value = value};
    p->items = more;
    order_pairs(p);
}

static void add_promoted(struct ctx *c, struct copy_trace *out, const struct promoted *p) {
    static const char *const names[] = {"input_tokens", "output_tokens", "total_tokens"};
    struct buf usage = {0};
    if (p->name)
        add_pair(c, &out->tags, "mlflow.traceName", p->name);
    if (p->session)
        add_pair(c, &out->metadata, "mlflow.trace.session", p->session);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (p->tokens[i].set)
            buf_printf(&usage, "%s\"%s\": %lld", usage.len ? ", " : "", names[i],
                       (long long)p->tokens[i].v);
    if (usage.len)
        add_pair(c, &out->metadata, "mlflow.trace.tokenUsage",
                 arena_printf(c->arena, "{%s}", usage.data));
    buf_free(&usage);
}

static int read_runs(struct ctx *c, struct copy_trace *out) {
    struct stmt *st = db_query(c,
                               "SELECT DISTINCT destination_id FROM entity_associations"
                               " WHERE source_type = 'trace' AND source_id = ?"
                               " AND destination_type = 'run' ORDER BY destination_id",
                               "s", out->id);
    void *items = NULL;
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        const char **one = arena_push(c->arena, &items, &out->runs.n, &cap, sizeof *one);
        *one = mlflow_db_text(c, st, 0);
    }
    stmt_end(st);
    out->runs.items = items;
    return rc;
}

static int read_spans(struct ctx *c, struct copy_trace *out) {
    struct stmt *st = db_query(c, "SELECT content FROM spans WHERE trace_id = ?", "s", out->id);
    void *items = NULL;
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        const char *content = mlflow_db_maybe(c, st, 0);
        struct copy_span *s = arena_push(c->arena, &items, &out->nspans, &cap, sizeof *s);
        int bad = span_from_mlflow(c, content ? content : "", s);
        if (bad != 0) {
            stmt_end(st);
            return bad;
        }
    }
    stmt_end(st);
    out->spans = items;
    order_spans(out->spans, out->nspans);
    return rc;
}

static int read_assessments(struct ctx *c, struct copy_trace *out) {
    struct stmt *st = db_query(
        c,
        "SELECT assessment_id, name, assessment_type, value, error, span_id, rationale,"
        " assessment_metadata, overrides, source_type, source_id, valid, created_timestamp,"
        " last_updated_timestamp FROM assessments WHERE trace_id = ?"
        " ORDER BY created_timestamp, assessment_id",
        "s", out->id);
    void *items = NULL;
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct copy_assessment *a =
            arena_push(c->arena, &items, &out->nassessments, &cap, sizeof *a);
        const char **texts[] = {&a->id,        &a->name,        &a->kind,      &a->value,
                                &a->error,     &a->span_id,     &a->rationale, &a->metadata,
                                &a->overrides, &a->source_type, &a->source_id};
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
            *texts[i] = mlflow_db_maybe(c, st, (int)i);
        if (!a->source_id)
            a->source_id = "";
        a->valid = stmt_i64(st, 11) != 0;
        a->created_ms = stmt_i64(st, 12);
        a->updated_ms = stmt_i64(st, 13);
    }
    stmt_end(st);
    out->assessments = items;
    return rc;
}

int mlflow_db_trace(struct source *s, struct ctx *c, const char *after, struct copy_trace *out) {
    struct mlflow_db *m = mlflow_db_enter(s, c);
    struct promoted p = {0};
    *out = (struct copy_trace){0};
    if (!m->traces)
        return 0;
    int rc = read_row(c, m, after, out, &p);
    if (rc <= 0)
        return rc;
    rc = mlflow_db_pairs(
        c,
        db_query(c, "SELECT key, value FROM trace_tags WHERE request_id = ? ORDER BY key", "s",
                 out->id),
        &out->tags);
    rc = rc < 0 ? rc
                : mlflow_db_pairs(c,
                                  db_query(c,
                                           "SELECT key, value FROM trace_request_metadata"
                                           " WHERE request_id = ? ORDER BY key",
                                           "s", out->id),
                                  &out->metadata);
    add_promoted(c, out, &p);
    rc = rc < 0 || !m->links ? rc : read_runs(c, out);
    rc = rc < 0 || !m->spans ? rc : read_spans(c, out);
    rc = rc < 0 || !m->assessments ? rc : read_assessments(c, out);
    return mlflow_db_end(c, rc);
}
