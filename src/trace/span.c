/* SPDX-License-Identifier: Apache-2.0 */
#include "span.h"

#include <jansson.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"

static void drop(void *tree) {
    json_decref(tree);
}

struct json_t *span_keep(struct ctx *c, struct json_t *tree) {
    if (tree)
        arena_defer(c->arena, drop, tree);
    return tree;
}

/* Bytes of an id member as hex; NULL when it is not there or has another length. */
static const char *id_hex(struct ctx *c, const json_t *tree, const char *member, size_t bytes) {
    return base64_hex(c->arena, json_string_value(json_object_get(tree, member)), bytes);
}

static bool all_zero(const char *hex) {
    return hex[strspn(hex, "0")] == '\0';
}

static const char *short_status(const json_t *tree) {
    const char *code = json_string_value(json_object_get(json_object_get(tree, "status"), "code"));
    if (code && str_eq(code, "STATUS_CODE_OK"))
        return "OK";
    return code && str_eq(code, "STATUS_CODE_ERROR") ? "ERROR" : "UNSET";
}

int span_read(struct ctx *c, const struct json_t *tree, struct span *out) {
    const char *trace = id_hex(c, tree, "trace_id", 16);
    const char *name = json_string_value(json_object_get(tree, "name"));
    *out = (struct span){.span_id = id_hex(c, tree, "span_id", 8),
                         .parent_id = id_hex(c, tree, "parent_span_id", 8),
                         .name = name ? name : "",
                         .status = short_status(tree),
                         .tree = tree};
    if (!trace || all_zero(trace))
        return fail_field(c, ERR_INVALID, "trace_id", "A span's trace_id must have 16 bytes.");
    if (!out->span_id || all_zero(out->span_id))
        return fail_field(c, ERR_INVALID, "span_id", "A span's span_id must have 8 bytes.");
    out->trace_id = arena_printf(c->arena, "tr-%s", trace);
    out->start_ns = json_integer_value(json_object_get(tree, "start_time_unix_nano"));
    out->end_ns = json_integer_value(json_object_get(tree, "end_time_unix_nano"));
    if (out->start_ns < 0 || out->end_ns < 0)
        return fail_field(c, ERR_INVALID, "start_time_unix_nano",
                          "A span's times must be nanoseconds since 1970.");
    const json_t *type = span_attribute(c, out, SPAN_TYPE);
    out->type = json_is_string(type) ? json_string_value(type) : "";
    out->content = json_text(c->arena, tree, JSON_TIGHT);
    return 0;
}

/* ------------------------------------------------------------------ attributes */

static json_t *plain_list(const json_t *values) {
    json_t *out = json_array(), *item;
    size_t i;
    json_array_foreach(values, i, item) {
        json_array_append_new(out, span_plain(item));
    }
    return out;
}

static json_t *plain_object(const json_t *values) {
    json_t *out = json_object(), *item;
    size_t i;
    json_array_foreach(values, i, item) {
        const char *key = json_string_value(json_object_get(item, "key"));
        json_object_set_new(out, key ? key : "", span_plain(json_object_get(item, "value")));
    }
    return out;
}

struct json_t *span_plain(const struct json_t *value) {
    const char *kind = json_object_iter_key(json_object_iter((json_t *)value));
    json_t *v = kind ? json_object_get(value, kind) : NULL;
    if (!v)
        return json_null();
    if (str_eq(kind, "array_value"))
        return plain_list(json_object_get(v, "values"));
    if (str_eq(kind, "kvlist_value"))
        return plain_object(json_object_get(v, "values"));
    return json_incref(v);
}

struct json_t *span_unwrap(struct ctx *c, struct json_t *v) {
    json_t *inner =
        json_is_string(v) ? json_inner(c, json_string_value(v), json_string_length(v)) : NULL;
    if (inner)
        json_decref(v);
    return inner ? inner : v;
}

struct json_t *span_attribute(struct ctx *c, const struct span *s, const char *key) {
    json_t *item, *out = NULL;
    size_t i;
    json_array_foreach(json_object_get(s->tree, "attributes"), i, item) {
        if (str_eq(json_string_value(json_object_get(item, "key")), key)) {
            out = span_plain(json_object_get(item, "value"));
            break;
        }
    }
    return span_keep(c, span_unwrap(c, out));
}

static const char *text_of(struct ctx *c, const json_t *v) {
    if (json_is_string(v))
        return arena_strndup(c->arena, json_string_value(v), json_string_length(v));
    return json_text(c->arena, v, JSON_SPACED);
}

const char *span_value_text(struct ctx *c, const struct json_t *value) {
    return text_of(c, span_keep(c, span_unwrap(c, span_plain(value))));
}

const char *span_attribute_text(struct ctx *c, const struct span *s, const char *key) {
    const json_t *v = span_attribute(c, s, key);
    return v ? text_of(c, v) : NULL;
}
