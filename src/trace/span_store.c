/* SPDX-License-Identifier: Apache-2.0 */
/* What spans tell of their trace, and where they lie. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"
#include "sender.h"
#include "span.h"
#include "trace.h"
#include "trace_store.h"
#include "usage.h"

#define NS_PER_MS 1000000
#define PREVIEW_MAX 1000
#define MODEL_MAX 500
#define TAG_PREFIX "mlflow.traceTag."
#define ROOT_TAGS_MAX 10000

struct cost {
    bool told;
    double value;
};

/* Not a number, or infinite: not told. */
static struct cost cost_of(const json_t *cost, const char *key) {
    const json_t *v = json_object_get(cost, key);
    double d = json_number_value(v);
    return (struct cost){.told = json_is_number(v) && isfinite(d), .value = d};
}

static const char *text_attribute(struct ctx *c, const struct span *s, const char *key) {
    const char *text = json_string_value(span_attribute(c, s, key));
    return text ? arena_strndup(c->arena, text, utf8_prefix(text, MODEL_MAX)) : NULL;
}

/* An object as JSON; NULL: it is none. */
static const char *tokens_of(struct ctx *c, const struct span *s) {
    const json_t *told = span_attribute(c, s, SPAN_TOKENS);
    return json_is_object(told) ? json_text(c->arena, told, JSON_TIGHT) : NULL;
}

int span_put(struct ctx *c, int64_t row, const struct span *s) {
    const json_t *cost = span_attribute(c, s, SPAN_COST);
    const struct cost in = cost_of(cost, "input_cost"), out = cost_of(cost, "output_cost"),
                      total = cost_of(cost, "total_cost");
    int rc =
        db_exec(c,
                "INSERT INTO span (trace, span_id, parent_id, name, type, status, start_ns,"
                " end_ns, content, model, provider, input_cost, output_cost, total_cost,"
                " tokens) VALUES (?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?, ?,"
                " CASE WHEN ? THEN ? END, CASE WHEN ? THEN ? END, CASE WHEN ? THEN ? END, ?)"
                " ON CONFLICT (trace, span_id) DO UPDATE SET parent_id = excluded.parent_id,"
                " name = excluded.name, type = excluded.type, status = excluded.status,"
                " start_ns = excluded.start_ns, end_ns = excluded.end_ns,"
                " content = excluded.content, model = excluded.model,"
                " provider = excluded.provider, input_cost = excluded.input_cost,"
                " output_cost = excluded.output_cost, total_cost = excluded.total_cost,"
                " tokens = excluded.tokens",
                "isssssiisssididids", row, s->span_id, s->parent_id, s->name, s->type, s->status,
                s->start_ns, s->end_ns, s->content, text_attribute(c, s, SPAN_MODEL),
                text_attribute(c, s, SPAN_PROVIDER), (int64_t)in.told, in.value, (int64_t)out.told,
                out.value, (int64_t)total.told, total.value, tokens_of(c, s));
    return rc < 0 ? rc : 0;
}

/* The beginning of its JSON text. */
static const char *preview(struct ctx *c, const struct span *s, const char *key) {
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(s->tree, "attributes"), i, item) {
        const json_t *value = json_object_get(item, "value");
        if (str_eq(json_string_value(json_object_get(item, "key")), key)) {
            const char *text = json_string_value(span_keep(c, span_json_text(span_plain(value))));
            return text ? arena_strndup(c->arena, text, utf8_prefix(text, PREVIEW_MAX)) : NULL;
        }
    }
    return NULL;
}

static const struct span *root_of(const struct span *spans, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!spans[i].parent_id)
            return &spans[i];
    return NULL;
}

/* From the first start to the last end, of these spans and those before. */
static void stretch(struct trace_info *t, const struct span *spans, size_t n) {
    int64_t first = t->timestamp_ms, last = t->execution_ms.set ? first + t->execution_ms.v : -1;
    for (size_t i = 0; i < n; i++) {
        int64_t start = spans[i].start_ns / NS_PER_MS, end = spans[i].end_ns / NS_PER_MS;
        first = start < first ? start : first;
        last = spans[i].end_ns && end > last ? end : last;
    }
    t->timestamp_ms = first;
    if (last >= first)
        t->execution_ms = SET_I64(last - first);
}

/* Metadata that nobody has told yet, from the first span with any of these attributes. */
static int put_first(struct ctx *c, int64_t row, const char *metadata, const char *const keys[2],
                     const struct span *spans, size_t n) {
    const char *text = NULL;
    bool there = false;
    for (size_t i = 0; i < n * 2 && !text; i++)
        text = keys[i % 2] ? span_attribute_text(c, &spans[i / 2], keys[i % 2]) : NULL;
    int rc = text && *text ? trace_has(c, row, false, metadata, &there) : 0;
    return rc || !text || !*text || there
               ? rc
               : trace_put_metadata(c, row, metadata, trace_value(c, text));
}

static int put_root_tags(struct ctx *c, int64_t row, const struct span *root) {
    json_t *item;
    size_t i, tags = 0;
    int rc = 0;
    json_array_foreach(json_object_get(root->tree, "attributes"), i, item) {
        const char *key = json_string_value(json_object_get(item, "key"));
        if (rc != 0 || !key || strncmp(key, TAG_PREFIX, strlen(TAG_PREFIX)) != 0)
            continue;
        const char *tag = key + strlen(TAG_PREFIX);
        if (++tags > ROOT_TAGS_MAX)
            return fail(c, ERR_TOO_LARGE, "A root span may bring %d tags of its trace at most.",
                        ROOT_TAGS_MAX);
        if (*tag && utf8_count(tag) <= TRACE_KEY_MAX)
            rc = trace_put_tag(c, row, tag,
                               trace_value(c, span_value_text(c, json_object_get(item, "value"))));
    }
    return rc;
}

static int guess_from_root(struct ctx *c, struct trace_info *t, bool told,
                           const struct span *root) {
    bool named = false;
    int rc = put_root_tags(c, t->row, root);
    rc = rc ? rc : trace_has(c, t->row, true, TRACE_NAME, &named);
    if (rc == 0 && !named && *root->name)
        rc = trace_put_tag(c, t->row, TRACE_NAME, root->name);
    if (!told || str_eq(t->state, "IN_PROGRESS") || str_eq(t->state, "STATE_UNSPECIFIED"))
        t->state = str_eq(root->status, "ERROR") ? "ERROR" : root->end_ns ? "OK" : "IN_PROGRESS";
    if (!t->request_preview)
        t->request_preview = preview(c, root, SPAN_INPUTS);
    if (!t->response_preview)
        t->response_preview = preview(c, root, SPAN_OUTPUTS);
    return rc;
}

/* Gaps that the client's own description leaves, or that it has not filled yet. */
static int guess(struct ctx *c, struct trace_info *t, const struct span *spans, size_t n) {
    static const char *const session[2] = {"session.id", "gen_ai.conversation.id"};
    static const char *const user[2] = {"user.id", NULL};
    const struct span *root = root_of(spans, n);
    struct usage_of usage = {.row = t->row, .open = !root && str_eq(t->state, "IN_PROGRESS")};
    struct stmt *st = db_query(c, "SELECT told, spans FROM trace WHERE id = ?", "i", t->row);
    int rc = stmt_next(st);
    if (rc <= 0)
        return rc;
    const bool told = stmt_i64(st, 0) != 0;
    usage.told = told;
    usage.spans = stmt_i64(st, 1);
    stmt_end(st);
    if (!told)
        stretch(t, spans, n);
    rc = usage_put(c, &usage, spans, n);
    rc = rc ? rc : put_first(c, t->row, "mlflow.trace.session", session, spans, n);
    rc = rc ? rc : put_first(c, t->row, "mlflow.trace.user", user, spans, n);
    rc = rc ? rc : sender_put(c, t->row, spans, n);
    if (rc == 0 && root)
        rc = guess_from_root(c, t, told, root);
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
    return rc == 0 && run_id && root_of(spans, n) ? trace_link_run(c, t.row, run_id) : rc;
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
