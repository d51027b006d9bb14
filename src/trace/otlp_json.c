/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP in JSON: camelCase names (snake_case is understood as well), ids in hex, 64-bit numbers as
 * text. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "otlp.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"

struct read {
    struct ctx *c;
    json_t *spans, *resources;
    json_t *resource; /* of the spans that are read now */
    const char *why;
};

static void *fault(struct read *r, const char *why) {
    r->why = r->why ? r->why : why;
    return NULL;
}

static const json_t *member(const json_t *o, const char *camel, const char *snake) {
    const json_t *v = json_object_get(o, camel);
    return v ? v : json_object_get(o, snake);
}

/* Hex as the specification says; base64 as protobuf's own mapping does. */
static json_t *id(struct read *r, const json_t *v, size_t bytes) {
    const char *s = json_string_value(v);
    unsigned char raw[16];
    if (s && strlen(s) == bytes * 2 && hex_decode(s, bytes * 2, raw))
        return json_string(base64_encode(r->c->arena, raw, bytes));
    return s ? json_string(s) : fault(r, "an id is no text");
}

static json_t *nanoseconds(struct read *r, const json_t *v) {
    int64_t n = json_is_integer(v) ? (int64_t)json_integer_value(v) : -1;
    if (json_is_string(v) && !str_to_i64(json_string_value(v), &n))
        n = -1;
    return n >= 0 ? json_integer(n) : fault(r, "a time is no number of nanoseconds");
}

static json_t *attributes(struct read *r, const json_t *list, int depth);
static json_t *any_value(struct read *r, const json_t *v, int depth);

static json_t *values_of(struct read *r, const json_t *list, int depth) {
    json_t *out = json_object(), *values = json_array(), *item;
    size_t i;
    json_array_foreach(member(list, "values", "values"), i, item) {
        if (!r->why)
            json_array_append_new(values, any_value(r, item, depth + 1));
    }
    json_object_set_new(out, "values", values);
    return out;
}

static json_t *kvlist_of(struct read *r, const json_t *list, int depth) {
    json_t *out = json_object();
    json_object_set_new(out, "values", attributes(r, member(list, "values", "values"), depth + 1));
    return out;
}

static json_t *pack(const char *kind, json_t *value) {
    json_t *out = json_object();
    json_object_set_new(out, kind, value ? value : json_null());
    return out;
}

/* What is no number stands as text, as protobuf's mapping has it. */
static json_t *real(struct read *r, const json_t *x) {
    const char *s = json_string_value(x);
    double d = json_number_value(x);
    if (s && (str_eq(s, "NaN") || str_eq(s, "Infinity") || str_eq(s, "-Infinity")))
        return pack("double_value", json_incref((json_t *)x));
    if (!json_is_number(x) && (!s || !str_to_f64(s, &d) || !isfinite(d)))
        return fault(r, "a doubleValue is no number");
    return pack("double_value", json_real(d));
}

static json_t *any_value(struct read *r, const json_t *v, int depth) {
    const json_t *x;
    int64_t n = 0;
    if (depth > OTLP_DEPTH_MAX)
        return fault(r, "an attribute is nested too deeply");
    if ((x = member(v, "stringValue", "string_value")))
        return pack("string_value", json_is_string(x) ? json_incref((json_t *)x) : NULL);
    if ((x = member(v, "boolValue", "bool_value")))
        return pack("bool_value", json_boolean(json_is_true(x)));
    if ((x = member(v, "intValue", "int_value"))) {
        bool good =
            json_is_integer(x) || (json_is_string(x) && str_to_i64(json_string_value(x), &n));
        if (!good)
            return fault(r, "an intValue is no whole number");
        return pack("int_value", json_integer(json_is_integer(x) ? json_integer_value(x) : n));
    }
    if ((x = member(v, "doubleValue", "double_value")))
        return real(r, x);
    if ((x = member(v, "arrayValue", "array_value")))
        return pack("array_value", values_of(r, x, depth));
    if ((x = member(v, "kvlistValue", "kvlist_value")))
        return pack("kvlist_value", kvlist_of(r, x, depth));
    if ((x = member(v, "bytesValue", "bytes_value")))
        return pack("bytes_value", json_is_string(x) ? json_incref((json_t *)x) : NULL);
    return json_object();
}

static json_t *attributes(struct read *r, const json_t *list, int depth) {
    json_t *out = json_array(), *item;
    size_t i;
    json_array_foreach(list, i, item) {
        const json_t *key = json_object_get(item, "key");
        json_t *one = json_object();
        json_object_set_new(one, "key",
                            json_is_string(key) ? json_incref((json_t *)key) : json_string(""));
        json_object_set_new(one, "value", any_value(r, json_object_get(item, "value"), depth));
        json_array_append_new(out, one);
    }
    return out;
}

static void copy_attributes(struct read *r, const json_t *from, json_t *to) {
    const json_t *list = json_object_get(from, "attributes");
    if (json_array_size(list))
        json_object_set_new(to, "attributes", attributes(r, list, 1));
}

static void copy_text(const json_t *from, const char *camel, const char *snake, json_t *to) {
    const json_t *v = member(from, camel, snake);
    if (json_is_string(v) && *json_string_value(v))
        json_object_set(to, snake, (json_t *)v);
}

static void events(struct read *r, const json_t *list, json_t *span) {
    json_t *out = json_array(), *item;
    size_t i;
    json_array_foreach(list, i, item) {
        json_t *one = json_object();
        json_object_set_new(one, "time_unix_nano",
                            nanoseconds(r, member(item, "timeUnixNano", "time_unix_nano")));
        copy_text(item, "name", "name", one);
        copy_attributes(r, item, one);
        json_array_append_new(out, one);
    }
    json_object_set_new(span, "events", out);
}

static void links(struct read *r, const json_t *list, json_t *span) {
    json_t *out = json_array(), *item;
    size_t i;
    json_array_foreach(list, i, item) {
        json_t *one = json_object();
        json_object_set_new(one, "trace_id", id(r, member(item, "traceId", "trace_id"), 16));
        json_object_set_new(one, "span_id", id(r, member(item, "spanId", "span_id"), 8));
        copy_attributes(r, item, one);
        json_array_append_new(out, one);
    }
    json_object_set_new(span, "links", out);
}

static json_t *status(const json_t *v) {
    json_t *out = json_object();
    const json_t *code = json_object_get(v, "code");
    const char *name = json_string_value(code);
    json_int_t n = json_integer_value(code);
    copy_text(v, "message", "message", out);
    if (n == 1 || (name && str_eq(name, "STATUS_CODE_OK")))
        json_object_set_new(out, "code", json_string("STATUS_CODE_OK"));
    else if (n == 2 || (name && str_eq(name, "STATUS_CODE_ERROR")))
        json_object_set_new(out, "code", json_string("STATUS_CODE_ERROR"));
    return out;
}

static void span(struct read *r, const json_t *from) {
    json_t *out = json_object();
    const json_t *parent = member(from, "parentSpanId", "parent_span_id");
    const json_t *end = member(from, "endTimeUnixNano", "end_time_unix_nano");
    json_array_append_new(r->spans, out);
    json_array_append(r->resources, r->resource);
    if (json_array_size(r->spans) > OTLP_SPANS_MAX)
        fault(r, "there are too many spans in one request");
    json_object_set_new(out, "trace_id", id(r, member(from, "traceId", "trace_id"), 16));
    json_object_set_new(out, "span_id", id(r, member(from, "spanId", "span_id"), 8));
    if (json_is_string(parent) && *json_string_value(parent))
        json_object_set_new(out, "parent_span_id", id(r, parent, 8));
    copy_text(from, "name", "name", out);
    json_object_set_new(out, "start_time_unix_nano",
                        nanoseconds(r, member(from, "startTimeUnixNano", "start_time_unix_nano")));
    if (end)
        json_object_set_new(out, "end_time_unix_nano", nanoseconds(r, end));
    copy_attributes(r, from, out);
    if (json_array_size(json_object_get(from, "events")))
        events(r, json_object_get(from, "events"), out);
    if (json_array_size(json_object_get(from, "links")))
        links(r, json_object_get(from, "links"), out);
    json_object_set_new(out, "status", status(json_object_get(from, "status")));
}

static void drop(void *tree) {
    json_decref(tree);
}

int otlp_from_json(struct ctx *c, const char *text, size_t n, struct otlp *out) {
    struct read r = {.c = c, .spans = json_array(), .resources = json_array()};
    struct json_t *tree = NULL;
    json_t *sender, *scope, *one;
    size_t i, j, k;
    arena_defer(c->arena, drop, r.spans);
    arena_defer(c->arena, drop, r.resources);
    *out = (struct otlp){.spans = r.spans, .resources = r.resources};
    int rc = json_parse(c, DIALECT_PROBLEM, text, n, &tree);
    if (rc != 0)
        return rc;
    json_array_foreach(member(tree, "resourceSpans", "resource_spans"), i, sender) {
        const json_t *resource = json_object_get(sender, "resource");
        out->senders++;
        r.resource = attributes(&r, json_object_get(resource, "attributes"), 1);
        arena_defer(c->arena, drop, r.resource);
        json_array_foreach(member(sender, "scopeSpans", "scope_spans"), j, scope) {
            json_array_foreach(json_object_get(scope, "spans"), k, one) {
                if (!r.why)
                    span(&r, one);
            }
        }
    }
    return r.why ? fail(c, ERR_INVALID, "Invalid OpenTelemetry JSON format: %s.", r.why) : 0;
}
