/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "dataset.h"
#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "record.h"

/* ------------------------------------------------------------------ the fields seen so far */

static const char *type_name(const json_t *v) {
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "integer";
    case JSON_REAL:
        return "float";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    default:
        return "null";
    }
}

/* The first type of a field stays. */
static void learn(json_t *schema, const char *part, const json_t *of) {
    json_t *fields = json_object_get(schema, part), *v;
    const char *key;
    if (json_is_object(of)) {
        json_object_foreach((json_t *)of, key, v) {
            if (json_is_object(fields) && !json_object_get(fields, key))
                json_object_set_new(fields, key, json_string(type_name(v)));
        }
    } else if (of && !json_is_null(of) && json_object_size(fields) == 0 && json_is_object(fields)) {
        json_object_set_new(schema, part, json_string(type_name(of)));
    }
}

static const char *schema_with(struct ctx *c, const char *before, const struct records *in) {
    static const char *const parts[] = {"inputs", "outputs", "expectations"};
    json_t *schema = before ? json_loads(before, 0, NULL) : NULL;
    if (!schema)
        schema = json_pack("{s:{},s:{},s:{},s:s}", parts[0], parts[1], parts[2], "version", "1.0");
    for (size_t i = 0; i < in->n; i++)
        for (size_t p = 0; p < ARRAY_LEN(parts); p++)
            learn(schema, parts[p], json_object_get(in->items[i].tree, parts[p]));
    char *text = json_dumps(schema, 0);
    const char *out = arena_strdup(c->arena, text);
    free(text);
    json_decref(schema);
    return in->n || before ? out : NULL;
}

/* ------------------------------------------------------------------ writing */

/* What is there with the new members over it; NULL: none of both. */
static const char *merged(struct ctx *c, const char *before, const json_t *more) {
    json_t *all = before ? json_loads(before, 0, NULL) : NULL;
    const char *out = before;
    if (json_is_object(more) && (json_object_size(more) || !before)) {
        all = all ? all : json_object();
        json_object_update(all, (json_t *)more);
        char *text = json_dumps(all, JSON_COMPACT);
        out = arena_strdup(c->arena, text);
        free(text);
    }
    json_decref(all);
    return out;
}

static int insert(struct ctx *c, const struct evaluation_dataset *d, const struct record *r) {
    char hex[33];
    const char *tags = merged(c, NULL, json_object_get(r->tree, "tags"));
    id_hex32(hex);
    return db_exec(c,
                   "INSERT INTO evaluation_record (dataset, record_id, inputs_sha256, inputs,"
                   " outputs, expectations, tags, source, created_ms, updated_ms, created_by,"
                   " updated_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?9, ?9, ?10, ?10)",
                   "isssssssis", d->row, arena_printf(c->arena, "dr-%s", hex), r->inputs_sha256,
                   r->inputs, r->outputs, merged(c, NULL, json_object_get(r->tree, "expectations")),
                   tags ? tags : "{}", r->source, c->now_ms, r->user);
}

static int update(struct ctx *c, int64_t row, const struct record *r, const char *expectations,
                  const char *tags) {
    bool outputs = json_object_get(r->tree, "outputs") != NULL;
    return db_exec(c,
                   "UPDATE evaluation_record SET"
                   " outputs = CASE WHEN ?2 THEN ?3 ELSE outputs END, expectations = ?4,"
                   " tags = ?5, updated_ms = ?6, updated_by = coalesce(?7, updated_by)"
                   " WHERE id = ?1",
                   "iisssis", row, (int64_t)outputs, r->outputs,
                   merged(c, expectations, json_object_get(r->tree, "expectations")),
                   merged(c, tags, json_object_get(r->tree, "tags")), c->now_ms, r->user);
}

int records_put(struct ctx *c, const struct evaluation_dataset *d, const struct records *in,
                int64_t *inserted, int64_t *updated) {
    const char *user = NULL;
    int rc = 0;
    *inserted = *updated = 0;
    for (size_t i = 0; i < in->n && rc >= 0; i++) {
        const struct record *r = &in->items[i];
        struct stmt *st = db_query(c,
                                   "SELECT id, expectations, tags FROM evaluation_record"
                                   " WHERE dataset = ? AND inputs_sha256 = ?",
                                   "is", d->row, r->inputs_sha256);
        rc = stmt_next(st);
        int64_t row = rc > 0 ? stmt_i64(st, 0) : 0;
        const char *expectations = rc > 0 ? stmt_text(c, st, 1) : NULL;
        const char *tags = rc > 0 ? stmt_text(c, st, 2) : NULL;
        stmt_end(st);
        *(row ? updated : inserted) += rc >= 0;
        user = r->user ? r->user : user;
        if (rc >= 0)
            rc = row ? update(c, row, r, expectations, tags) : insert(c, d, r);
    }
    return rc < 0 ? rc : evaluation_touch(c, d, schema_with(c, d->schema, in), user);
}

int records_delete(struct ctx *c, const struct evaluation_dataset *d, const struct strs *ids,
                   int64_t *gone) {
    int rc = 0;
    *gone = 0;
    for (size_t i = 0; i < ids->n && rc >= 0; i++) {
        rc = db_exec(c, "DELETE FROM evaluation_record WHERE dataset = ? AND record_id = ?", "is",
                     d->row, ids->items[i]);
        *gone += rc < 0 ? 0 : db_changes(c);
    }
    if (rc < 0 || *gone == 0)
        return rc < 0 ? rc : 0;
    return evaluation_touch(c, d, NULL, NULL);
}

/* ------------------------------------------------------------------ reading */

static void set_json(json_t *out, const char *key, const char *text) {
    json_t *v = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    if (v)
        json_object_set_new(out, key, v);
}

static void set_text(json_t *out, const char *key, const char *text) {
    if (text)
        json_object_set_new(out, key, json_string(text));
}

static void set_source(json_t *out, const char *text) {
    json_t *source = text ? json_loads(text, 0, NULL) : NULL;
    json_t *type = json_object_get(source, "source_type");
    const json_t *data = json_object_get(source, "source_data");
    const char *key = str_eq(json_string_value(type), "TRACE") ? "trace_id" : "source_id";
    const char *id = json_string_value(json_object_get(data, key));
    if (!source)
        return;
    set_text(out, "source_id", id);
    json_object_set(out, "source_type", type);
    json_object_set_new(out, "source", source);
}

static json_t *show(struct ctx *c, const struct evaluation_dataset *d, struct stmt *st) {
    json_t *out = json_object();
    set_text(out, "dataset_record_id", stmt_text(c, st, 1));
    set_text(out, "dataset_id", d->id);
    set_json(out, "inputs", stmt_text(c, st, 2));
    set_json(out, "outputs", stmt_text(c, st, 3));
    set_json(out, "expectations", stmt_text(c, st, 4));
    set_json(out, "tags", stmt_text(c, st, 5));
    set_source(out, stmt_text(c, st, 6));
    json_object_set_new(out, "created_time", json_integer(stmt_i64(st, 7)));
    json_object_set_new(out, "last_update_time", json_integer(stmt_i64(st, 8)));
    set_text(out, "created_by", stmt_text(c, st, 9));
    set_text(out, "last_updated_by", stmt_text(c, st, 10));
    return out;
}

int records_list(struct ctx *c, const struct evaluation_dataset *d, int64_t most, int64_t *after,
                 const char **text) {
    struct stmt *st = db_query(c,
                               "SELECT id, record_id, inputs, outputs, expectations, tags, source,"
                               " created_ms, updated_ms, created_by, updated_by"
                               " FROM evaluation_record WHERE dataset = ? AND id > ?"
                               " ORDER BY id LIMIT ?",
                               "iii", d->row, *after, most + 1);
    json_t *list = json_array();
    int64_t last = 0;
    int rc;
    *after = 0;
    while ((rc = stmt_next(st)) > 0) {
        if ((int64_t)json_array_size(list) == most) {
            *after = last;
            break;
        }
        last = stmt_i64(st, 0);
        json_array_append_new(list, show(c, d, st));
    }
    stmt_end(st);
    char *out = json_dumps(list, 0);
    *text = arena_strdup(c->arena, out ? out : "[]");
    free(out);
    json_decref(list);
    return rc < 0 ? rc : 0;
}
