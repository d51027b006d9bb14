/* SPDX-License-Identifier: Apache-2.0 */
/* Spans as clients write them into traces.json, which the web page reads: attributes by name, each
 * a text of JSON. */
#include <jansson.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "span.h"

#define REQUEST_ID "mlflow.traceRequestId"

struct json_t *span_json_text(struct json_t *v) {
    struct buf text = {0};
    /* JSON already, as MLflow's exporters write; a bare number is a text. */
    if (json_is_string(v) && json_is_inner(json_string_value(v), json_string_length(v)))
        return v;
    json_put(&text, v, JSON_SPACED);
    json_t *out = json_stringn(text.data, text.len);
    buf_free(&text);
    json_decref(v);
    return out;
}

static json_t *by_name(const json_t *list, bool texts) {
    json_t *out = json_object(), *item;
    size_t i;
    json_array_foreach(list, i, item) {
        const char *key = json_string_value(json_object_get(item, "key"));
        json_t *v = span_plain(json_object_get(item, "value"));
        json_object_set_new(out, key ? key : "", texts ? span_json_text(v) : v);
    }
    return out;
}

static json_t *member(const json_t *tree, const char *key) {
    json_t *v = json_object_get(tree, key);
    return v ? json_incref(v) : json_null();
}

static json_t *events(const json_t *list) {
    json_t *out = json_array(), *item;
    size_t i;
    json_array_foreach(list, i, item) {
        json_array_append_new(out, json_pack("{s:o,s:o,s:o}", "name", member(item, "name"),
                                             "time_unix_nano", member(item, "time_unix_nano"),
                                             "attributes",
                                             by_name(json_object_get(item, "attributes"), false)));
    }
    return out;
}

static json_t *hex_id(struct ctx *c, const json_t *tree, const char *key, const char *before) {
    const char *text = json_string_value(json_object_get(tree, key));
    size_t n = 0;
    unsigned char *raw = text ? base64_decode(c->arena, text, &n) : NULL;
    if (!raw)
        return json_null();
    char *hex = arena_alloc(c->arena, n * 2 + 1);
    hex_encode(raw, n, hex);
    return json_string(arena_printf(c->arena, "%s%s", before, hex));
}

static json_t *links(struct ctx *c, const json_t *list) {
    json_t *out = json_array(), *item;
    size_t i;
    json_array_foreach(list, i, item) {
        json_array_append_new(out, json_pack("{s:o,s:o,s:o}", "trace_id",
                                             hex_id(c, item, "trace_id", "tr-"), "span_id",
                                             hex_id(c, item, "span_id", ""), "attributes",
                                             by_name(json_object_get(item, "attributes"), false)));
    }
    return out;
}

struct json_t *span_file_form(struct ctx *c, const char *trace_id, const struct json_t *tree) {
    static const char *const same[] = {
        "trace_id",          "span_id", "parent_span_id", "name", "start_time_unix_nano",
        "end_time_unix_nano"};
    const json_t *status = json_object_get(tree, "status");
    const char *code = json_string_value(json_object_get(status, "code"));
    const char *message = json_string_value(json_object_get(status, "message"));
    json_t *out = json_object(), *attributes = by_name(json_object_get(tree, "attributes"), true);
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        json_object_set_new(out, same[i], member(tree, same[i]));
    json_object_set_new(attributes, REQUEST_ID,
                        json_string(arena_printf(c->arena, "\"%s\"", trace_id)));
    json_object_set_new(out, "events", events(json_object_get(tree, "events")));
    json_object_set_new(out, "status",
                        json_pack("{s:s,s:s}", "code", code ? code : "STATUS_CODE_UNSET", "message",
                                  message ? message : ""));
    json_object_set_new(out, "attributes", attributes);
    json_object_set_new(out, "links", links(c, json_object_get(tree, "links")));
    return out;
}
