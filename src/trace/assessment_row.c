/* SPDX-License-Identifier: Apache-2.0 */
#include "assessment_row.h"

#include <jansson.h>

#include "assessment.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"
#include "quern/trace/timestamp.h"
#include "trace_wire.h"

#define COLUMNS                                                                                    \
    "a.assessment_id, t.trace_id, a.name, a.kind, a.value, a.error, a.source_type, a.source_id,"   \
    " a.span_id, a.rationale, a.metadata, a.overrides, a.valid, a.created_ms, a.updated_ms"

static void read_row(struct ctx *c, struct stmt *st, int col, struct assessment_row *a) {
    const char **texts[] = {&a->id,      &a->trace_id,  &a->name,        &a->kind,
                            &a->value,   &a->error,     &a->source_type, &a->source_id,
                            &a->span_id, &a->rationale, &a->metadata,    &a->overrides};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = stmt_text(c, st, col + (int)i);
    a->valid = stmt_i64(st, col + 12) != 0;
    a->created_ms = stmt_i64(st, col + 13);
    a->updated_ms = stmt_i64(st, col + 14);
}

int assessment_find(struct ctx *c, int64_t trace, const char *id, struct assessment_row *out) {
    struct stmt *st = db_query(c,
                               "SELECT " COLUMNS " FROM assessment a JOIN trace t ON t.id = a.trace"
                               " WHERE a.assessment_id = ? AND a.trace = ?",
                               "si", id, trace);
    int rc = stmt_next(st);
    *out = (struct assessment_row){0};
    if (rc > 0)
        read_row(c, st, 0, out);
    stmt_end(st);
    return rc;
}

int assessment_insert(struct ctx *c, int64_t trace, const struct assessment_row *a) {
    int rc =
        db_exec(c,
                "INSERT INTO assessment (assessment_id, trace, name, kind, value, error,"
                " source_type, source_id, span_id, rationale, metadata, overrides, valid,"
                " created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                "sissssssssssiii", a->id, trace, a->name, a->kind, a->value, a->error,
                a->source_type, a->source_id, a->span_id, a->rationale, a->metadata, a->overrides,
                (int64_t)a->valid, a->created_ms, a->updated_ms);
    return rc < 0 ? rc : 0;
}

int assessment_write(struct ctx *c, int64_t trace, const struct assessment_row *a) {
    int rc = db_exec(c,
                     "UPDATE assessment SET name = ?, value = ?, error = ?, rationale = ?,"
                     " metadata = ?, valid = ?, updated_ms = ? WHERE assessment_id = ?"
                     " AND trace = ?",
                     "sssssiisi", a->name, a->value, a->error, a->rationale, a->metadata,
                     (int64_t)a->valid, a->updated_ms, a->id, trace);
    return rc < 0 ? rc : 0;
}

int assessment_erase(struct ctx *c, int64_t trace, const char *id) {
    int rc =
        db_exec(c, "DELETE FROM assessment WHERE assessment_id = ? AND trace = ?", "si", id, trace);
    return rc < 0 ? rc : 0;
}

int assessment_set_valid(struct ctx *c, int64_t trace, const char *id, bool valid) {
    int rc = db_exec(c, "UPDATE assessment SET valid = ? WHERE assessment_id = ? AND trace = ?",
                     "isi", (int64_t)valid, id, trace);
    return rc < 0 ? rc : 0;
}

/* ------------------------------------------------------------------ JSON */

static void put_text(json_t *o, const char *member, const char *text) {
    if (text)
        json_object_set_new(o, member, json_string(text));
}

static void put_time(json_t *o, const char *member, int64_t ms) {
    char text[32];
    timestamp_format(ms, text);
    json_object_set_new(o, member, json_string(text));
}

static json_t *parsed(const char *json) {
    json_t *v = json_loads(json, JSON_DECODE_ANY, NULL);
    return v ? v : json_null();
}

static json_t *value_tree(const struct assessment_row *a) {
    json_t *v = parsed(a->value), *o;
    if (str_eq(a->kind, "issue"))
        return v;
    o = json_object();
    if (str_eq(a->kind, "expectation") && (json_is_object(v) || json_is_array(v))) {
        /* As the clients write it: a value that is no scalar is packed as text. */
        struct buf text = {0};
        json_put(&text, v, JSON_SPACED);
        json_object_set_new(o, "serialized_value",
                            json_pack("{s:s,s:s#}", "serialization_format", "JSON_FORMAT", "value",
                                      text.data, (int)text.len));
        buf_free(&text);
        json_decref(v);
        return o;
    }
    json_object_set_new(o, "value", v);
    if (a->error)
        json_object_set_new(o, "error", parsed(a->error));
    return o;
}

static void drop(void *tree) {
    json_decref(tree);
}

static json_t *tree_of(const struct assessment_row *a) {
    json_t *o = json_object();
    put_text(o, "assessment_id", a->id);
    put_text(o, "assessment_name", a->name);
    put_text(o, "trace_id", a->trace_id);
    put_text(o, "span_id", a->span_id);
    json_object_set_new(
        o, "source",
        json_pack("{s:s,s:s}", "source_type", a->source_type, "source_id", a->source_id));
    put_time(o, "create_time", a->created_ms);
    put_time(o, "last_update_time", a->updated_ms);
    json_object_set_new(o, a->kind, value_tree(a));
    put_text(o, "rationale", a->rationale);
    if (a->metadata)
        json_object_set_new(o, "metadata", parsed(a->metadata));
    put_text(o, "overrides", a->overrides);
    json_object_set_new(o, "valid", json_boolean(a->valid));
    return o;
}

struct json_t *assessment_tree(struct ctx *c, const struct assessment_row *a) {
    json_t *o = tree_of(a);
    arena_defer(c->arena, drop, o);
    return o;
}

int assessments_of(struct ctx *c, const char *rows, struct trace_info *out, size_t n) {
    struct stmt *st = db_query(c,
                               "SELECT j.key, " COLUMNS " FROM json_each(?) j CROSS JOIN assessment"
                               " a ON a.trace = j.value CROSS JOIN trace t ON t.id = a.trace"
                               " ORDER BY j.key, a.created_ms, a.id",
                               "s", rows);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        struct assessment_row a = {0};
        if (i >= n)
            continue;
        if (!out[i].assessments) {
            out[i].assessments = json_array();
            arena_defer(c->arena, drop, out[i].assessments);
        }
        read_row(c, st, 1, &a);
        json_array_append_new(out[i].assessments, tree_of(&a));
    }
    stmt_end(st);
    return rc;
}
