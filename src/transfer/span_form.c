/* SPDX-License-Identifier: Apache-2.0 */
#include "span_form.h"

#include <jansson.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "quern/trace/copy.h"

/* Levels of an attribute; each becomes four of JSON, and what is made here must be read again. */
#define DEPTH_MAX 200

static const char *dump(struct ctx *c, json_t *tree) {
    const char *text = json_text(c->arena, tree, JSON_TIGHT);
    json_decref(tree);
    return text;
}

/* ------------------------------------------------------------------ to OpenTelemetry's */

struct typing {
    bool deep; /* something lies deeper than DEPTH_MAX */
};

static json_t *typed(struct typing *t, const json_t *v, int depth);

static json_t *pack(const char *kind, json_t *v) {
    json_t *o = json_object();
    json_object_set_new(o, kind, v);
    return o;
}

static json_t *typed_pairs(struct typing *t, const json_t *object, bool texts, int depth) {
    json_t *out = json_array(), *value;
    const char *key;
    json_object_foreach((json_t *)object, key, value) {
        json_t *pair = json_object();
        json_t *inner = texts && json_is_string(value)
                            ? json_loads(json_string_value(value), JSON_DECODE_ANY, NULL)
                            : NULL;
        json_object_set_new(pair, "key", json_string(key));
        json_object_set_new(pair, "value", typed(t, inner ? inner : value, depth + 1));
        json_array_append_new(out, pair);
        json_decref(inner);
    }
    return out;
}

static json_t *typed(struct typing *t, const json_t *v, int depth) {
    json_t *item, *values;
    size_t i;
    if (depth > DEPTH_MAX) {
        t->deep = true;
        return json_object();
    }
    switch (json_typeof(v)) {
    case JSON_STRING:
        return pack("string_value", json_incref((json_t *)v));
    case JSON_TRUE:
    case JSON_FALSE:
        return pack("bool_value", json_incref((json_t *)v));
    case JSON_INTEGER:
        return pack("int_value", json_incref((json_t *)v));
    case JSON_REAL:
        return pack("double_value", json_incref((json_t *)v));
    case JSON_ARRAY:
        values = json_array();
        json_array_foreach((json_t *)v, i, item) {
            json_array_append_new(values, typed(t, item, depth + 1));
        }
        return pack("array_value", pack("values", values));
    case JSON_OBJECT:
        return pack("kvlist_value", pack("values", typed_pairs(t, v, false, depth)));
    case JSON_NULL:
        break;
    }
    return json_object();
}

static const char *hex_of(struct ctx *c, const json_t *tree, const char *member, size_t bytes) {
    return base64_hex(c->arena, json_string_value(json_object_get(tree, member)), bytes);
}

static void copy_member(const json_t *from, const char *member, json_t *to) {
    json_t *v = json_object_get(from, member);
    if (v && !json_is_null(v))
        json_object_set(to, member, v);
}

static json_t *events_of(struct typing *t, const json_t *from) {
    json_t *out = json_array(), *event;
    size_t i;
    json_array_foreach(json_object_get(from, "events"), i, event) {
        json_t *one = json_object();
        copy_member(event, "time_unix_nano", one);
        copy_member(event, "name", one);
        if (json_object_size(json_object_get(event, "attributes")))
            json_object_set_new(one, "attributes",
                                typed_pairs(t, json_object_get(event, "attributes"), false, 0));
        json_array_append_new(out, one);
    }
    return out;
}

static json_t *links_of(struct typing *t, const json_t *from) {
    json_t *out = json_array(), *link;
    size_t i;
    json_array_foreach(json_object_get(from, "links"), i, link) {
        json_t *one = json_object();
        copy_member(link, "trace_id", one);
        copy_member(link, "span_id", one);
        if (json_object_size(json_object_get(link, "attributes")))
            json_object_set_new(one, "attributes",
                                typed_pairs(t, json_object_get(link, "attributes"), false, 0));
        json_array_append_new(out, one);
    }
    return out;
}

static json_t *status_of(const json_t *from, const char **short_name) {
    const json_t *s = json_object_get(from, "status");
    const char *code = json_string_value(json_object_get(s, "code"));
    const char *message = json_string_value(json_object_get(s, "message"));
    json_t *out = json_object();
    *short_name = "UNSET";
    if (message && *message)
        json_object_set_new(out, "message", json_string(message));
    if (code && str_ends(code, "_OK"))
        *short_name = "OK";
    else if (code && str_ends(code, "_ERROR"))
        *short_name = "ERROR";
    if (!str_eq(*short_name, "UNSET"))
        json_object_set_new(out, "code", json_string(code));
    return out;
}

static const char *type_of(struct ctx *c, const json_t *from) {
    const char *text =
        json_string_value(json_object_get(json_object_get(from, "attributes"), "mlflow.spanType"));
    json_t *v = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    /* A text that is no JSON stands for itself, here as among the attributes. */
    const char *plain = json_is_string(v) ? json_string_value(v) : v || !text ? "" : text;
    const char *out = arena_strdup(c->arena, plain);
    json_decref(v);
    return out;
}

int span_from_mlflow(struct ctx *c, const char *content, struct copy_span *out) {
    json_t *from = json_loads(content, 0, NULL), *to = json_object();
    struct typing t = {0};
    const char *trace = hex_of(c, from, "trace_id", 16);
    const char *name = json_string_value(json_object_get(from, "name"));
    *out = (struct copy_span){.id = hex_of(c, from, "span_id", 8),
                              .parent = hex_of(c, from, "parent_span_id", 8),
                              .name = arena_strdup(c->arena, name ? name : ""),
                              .type = type_of(c, from)};
    if (!trace || !out->id) {
        json_decref(from);
        json_decref(to);
        return fail(c, ERR_INVALID, "A span has no form that is known.");
    }
    out->start_ns = json_integer_value(json_object_get(from, "start_time_unix_nano"));
    out->end_ns = json_integer_value(json_object_get(from, "end_time_unix_nano"));
    copy_member(from, "trace_id", to);
    copy_member(from, "span_id", to);
    copy_member(from, "parent_span_id", to);
    copy_member(from, "name", to);
    copy_member(from, "start_time_unix_nano", to);
    copy_member(from, "end_time_unix_nano", to);
    if (json_object_size(json_object_get(from, "attributes")))
        json_object_set_new(to, "attributes",
                            typed_pairs(&t, json_object_get(from, "attributes"), true, 0));
    if (json_array_size(json_object_get(from, "events")))
        json_object_set_new(to, "events", events_of(&t, from));
    if (json_array_size(json_object_get(from, "links")))
        json_object_set_new(to, "links", links_of(&t, from));
    json_object_set_new(to, "status", status_of(from, &out->status));
    out->content = dump(c, to);
    json_decref(from);
    return t.deep ? fail(c, ERR_INVALID, "Span %s has an attribute of more than %d levels.",
                         out->id, DEPTH_MAX)
                  : 0;
}

/* ------------------------------------------------------------------ to MLflow's */

static json_t *plain(const json_t *v);

static json_t *plain_pairs(const json_t *list, bool texts) {
    json_t *out = json_object(), *pair;
    size_t i;
    json_array_foreach((json_t *)list, i, pair) {
        const char *key = json_string_value(json_object_get(pair, "key"));
        json_t *value = plain(json_object_get(pair, "value"));
        if (texts) {
            struct buf text = {0};
            json_put(&text, value, JSON_SPACED);
            json_decref(value);
            value = json_stringn(text.data, text.len);
            buf_free(&text);
        }
        json_object_set_new(out, key ? key : "", value);
    }
    return out;
}

static json_t *plain(const json_t *v) {
    const char *kind = json_object_iter_key(json_object_iter((json_t *)v));
    json_t *inner = kind ? json_object_get(v, kind) : NULL, *out, *item;
    size_t i;
    if (!inner)
        return json_null();
    if (str_eq(kind, "kvlist_value"))
        return plain_pairs(json_object_get(inner, "values"), false);
    if (!str_eq(kind, "array_value"))
        return json_incref(inner);
    out = json_array();
    json_array_foreach(json_object_get(inner, "values"), i, item) {
        json_array_append_new(out, plain(item));
    }
    return out;
}

static json_t *plain_items(const json_t *list, const char *first, const char *second) {
    json_t *out = json_array(), *item;
    size_t i;
    json_array_foreach((json_t *)list, i, item) {
        json_t *one = json_object();
        copy_member(item, first, one);
        copy_member(item, second, one);
        json_object_set_new(one, "attributes",
                            plain_pairs(json_object_get(item, "attributes"), false));
        json_array_append_new(out, one);
    }
    return out;
}

const char *span_to_mlflow(struct ctx *c, const struct copy_span *s) {
    json_t *from = json_loads(s->content, 0, NULL), *to = json_object();
    const json_t *status = json_object_get(from, "status");
    const char *code = json_string_value(json_object_get(status, "code"));
    const char *message = json_string_value(json_object_get(status, "message"));
    copy_member(from, "trace_id", to);
    copy_member(from, "span_id", to);
    json_object_set_new(to, "parent_span_id", json_null());
    copy_member(from, "parent_span_id", to);
    copy_member(from, "name", to);
    copy_member(from, "start_time_unix_nano", to);
    json_object_set_new(to, "end_time_unix_nano", json_null());
    copy_member(from, "end_time_unix_nano", to);
    json_object_set_new(to, "events",
                        plain_items(json_object_get(from, "events"), "time_unix_nano", "name"));
    json_object_set_new(to, "status",
                        json_pack("{s:s,s:s}", "code", code ? code : "STATUS_CODE_UNSET", "message",
                                  message ? message : ""));
    json_object_set_new(to, "attributes", plain_pairs(json_object_get(from, "attributes"), true));
    json_object_set_new(to, "links",
                        plain_items(json_object_get(from, "links"), "trace_id", "span_id"));
    json_decref(from);
    return dump(c, to);
}
