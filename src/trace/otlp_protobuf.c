/* SPDX-License-Identifier: Apache-2.0 */
/* Field numbers are those of opentelemetry.proto.trace.v1 and .common.v1. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "otlp.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "wire_reader.h"

struct read {
    struct ctx *c;
    json_t *spans, *resources;
    json_t *resource; /* of the spans that are read now */
    size_t senders;
    const char *why; /* NULL: no fault yet */
    size_t bytes;    /* that the trees take, as measured of jansson's */
    bool large;
};
/* An object with the members it has here. Two bytes of the wire can make one. */
#define NODE_BYTES 400
#define TREES_MAX ((size_t)256 << 20)

static void *fault(struct read *r, const char *why) {
    r->why = r->why ? r->why : why;
    return NULL;
}

static void charge(struct read *r, const struct wire *w) {
    r->bytes += NODE_BYTES + wire_left(w);
    if (r->bytes > TREES_MAX) {
        r->large = true;
        fault(r, "its spans would take more than 256 MiB of memory; send fewer at once");
    }
}

static json_t *text(struct read *r, const struct wire *w) {
    const char *s = (const char *)w->at;
    size_t n = wire_left(w);
    if (memchr(s, '\0', n)) { /* nothing here holds NUL; the rest of the text stands */
        size_t len = 0;
        char *clean = arena_alloc(r->c->arena, n + 1);
        for (size_t i = 0; i < n; i++)
            if (s[i])
                clean[len++] = s[i];
        s = clean;
        n = len;
    }
    json_t *out = json_stringn(s, n);
    return out ? out : fault(r, "a text is not valid UTF-8");
}

static json_t *base64(struct read *r, const struct wire *w) {
    return json_string(base64_encode(r->c->arena, w->at, wire_left(w)));
}

static json_t *key_values(struct read *r, struct wire w, uint32_t field, int depth);

static json_t *array_value(struct read *r, struct wire w, int depth);

static json_t *number(double v) {
    if (isfinite(v))
        return json_real(v);
    return json_string(isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
}

static json_t *pack(const char *kind, json_t *value) {
    json_t *out = json_object();
    json_object_set_new(out, kind, value ? value : json_null());
    return out;
}

static json_t *any_value(struct read *r, struct wire w, int depth) {
    struct wire_field f;
    json_t *out = NULL;
    if (depth > OTLP_DEPTH_MAX)
        return fault(r, "an attribute is nested too deeply");
    charge(r, &w);
    while (!r->why && wire_next(&w, &f)) {
        double real = 0;
        json_decref(out); /* the last one counts */
        out = NULL;
        if (f.number == 1 && f.type == 2) {
            out = pack("string_value", text(r, &f.sub));
        } else if (f.number == 2 && f.type == 0) {
            out = pack("bool_value", json_boolean(f.value != 0));
        } else if (f.number == 3 && f.type == 0) {
            out = pack("int_value", json_integer((json_int_t)f.value));
        } else if (f.number == 4 && f.type == 1) {
            memcpy(&real, &f.value, sizeof real);
            out = pack("double_value", number(real));
        } else if (f.number == 5 && f.type == 2) {
            out = pack("array_value", array_value(r, f.sub, depth));
        } else if (f.number == 6 && f.type == 2) {
            json_t *list = json_object();
            json_object_set_new(list, "values", key_values(r, f.sub, 1, depth + 1));
            out = pack("kvlist_value", list);
        } else if (f.number == 7 && f.type == 2) {
            out = pack("bytes_value", base64(r, &f.sub));
        }
    }
    if (w.bad)
        fault(r, "an attribute's value is cut off");
    return out ? out : json_object();
}

static json_t *array_value(struct read *r, struct wire w, int depth) {
    json_t *values = json_array(), *out = json_object();
    struct wire_field f;
    while (!r->why && wire_next(&w, &f))
        if (f.number == 1 && f.type == 2)
            json_array_append_new(values, any_value(r, f.sub, depth + 1));
    if (w.bad)
        fault(r, "a list is cut off");
    json_object_set_new(out, "values", values);
    return out;
}

static json_t *key_value(struct read *r, struct wire w, int depth) {
    json_t *out = json_object();
    struct wire_field f;
    json_object_set_new(out, "key", json_string(""));
    charge(r, &w);
    while (!r->why && wire_next(&w, &f)) {
        if (f.number == 1 && f.type == 2)
            json_object_set_new(out, "key", text(r, &f.sub));
        else if (f.number == 2 && f.type == 2)
            json_object_set_new(out, "value", any_value(r, f.sub, depth));
    }
    if (w.bad)
        fault(r, "an attribute is cut off");
    return out;
}

static json_t *key_values(struct read *r, struct wire w, uint32_t field, int depth) {
    json_t *out = json_array();
    struct wire_field f;
    while (!r->why && wire_next(&w, &f))
        if (f.number == field && f.type == 2)
            json_array_append_new(out, key_value(r, f.sub, depth));
    if (w.bad)
        fault(r, "attributes are cut off");
    return out;
}

static json_t *nanoseconds(struct read *r, uint64_t v) {
    if (v > INT64_MAX)
        return fault(r, "a time is out of range");
    return json_integer((json_int_t)v);
}

static void append(json_t *span, const char *list, json_t *item) {
    json_t *to = json_object_get(span, list);
    if (!to) {
        to = json_array();
        json_object_set_new(span, list, to);
    }
    json_array_append_new(to, item);
}

static json_t *event(struct read *r, struct wire w) {
    json_t *out = json_object();
    struct wire_field f;
    charge(r, &w);
    while (!r->why && wire_next(&w, &f)) {
        if (f.number == 1 && f.type == 1)
            json_object_set_new(out, "time_unix_nano", nanoseconds(r, f.value));
        else if (f.number == 2 && f.type == 2)
            json_object_set_new(out, "name", text(r, &f.sub));
        else if (f.number == 3 && f.type == 2)
            append(out, "attributes", key_value(r, f.sub, 1));
    }
    if (w.bad)
        fault(r, "an event is cut off");
    return out;
}

static json_t *link(struct read *r, struct wire w) {
    json_t *out = json_object();
    struct wire_field f;
    charge(r, &w);
    while (!r->why && wire_next(&w, &f)) {
        if (f.number == 1 && f.type == 2)
            json_object_set_new(out, "trace_id", base64(r, &f.sub));
        else if (f.number == 2 && f.type == 2)
            json_object_set_new(out, "span_id", base64(r, &f.sub));
        else if (f.number == 3 && f.type == 2)
            json_object_set_new(out, "trace_state", text(r, &f.sub));
        else if (f.number == 4 && f.type == 2)
            append(out, "attributes", key_value(r, f.sub, 1));
    }
    if (w.bad)
        fault(r, "a link is cut off");
    return out;
}

static json_t *status(struct read *r, struct wire w) {
    static const char *const codes[] = {NULL, "STATUS_CODE_OK", "STATUS_CODE_ERROR"};
    json_t *out = json_object();
    struct wire_field f;
    while (!r->why && wire_next(&w, &f)) {
        if (f.number == 2 && f.type == 2)
            json_object_set_new(out, "message", text(r, &f.sub));
        else if (f.number == 3 && f.type == 0 && f.value > 0 && f.value < ARRAY_LEN(codes))
            json_object_set_new(out, "code", json_string(codes[f.value]));
    }
    if (w.bad)
        fault(r, "a status is cut off");
    return out;
}

static void kind(json_t *span, uint64_t v) {
    static const char *const kinds[] = {NULL,
                                        "SPAN_KIND_INTERNAL",
                                        "SPAN_KIND_SERVER",
                                        "SPAN_KIND_CLIENT",
                                        "SPAN_KIND_PRODUCER",
                                        "SPAN_KIND_CONSUMER"};
    if (v > 1 && v < ARRAY_LEN(kinds))
        json_object_set_new(span, "kind", json_string(kinds[v]));
}

static void span_field(struct read *r, json_t *span, const struct wire_field *f) {
    switch (f->number << 3 | f->type) {
    case 1 << 3 | 2:
        json_object_set_new(span, "trace_id", base64(r, &f->sub));
        return;
    case 2 << 3 | 2:
        json_object_set_new(span, "span_id", base64(r, &f->sub));
        return;
    case 3 << 3 | 2:
        if (wire_left(&f->sub))
            json_object_set_new(span, "trace_state", text(r, &f->sub));
        return;
    case 4 << 3 | 2:
        if (wire_left(&f->sub))
            json_object_set_new(span, "parent_span_id", base64(r, &f->sub));
        return;
    case 5 << 3 | 2:
        json_object_set_new(span, "name", text(r, &f->sub));
        return;
    case 6 << 3 | 0:
        kind(span, f->value);
        return;
    case 7 << 3 | 1:
        json_object_set_new(span, "start_time_unix_nano", nanoseconds(r, f->value));
        return;
    case 8 << 3 | 1:
        if (f->value)
            json_object_set_new(span, "end_time_unix_nano", nanoseconds(r, f->value));
        return;
    case 9 << 3 | 2:
        append(span, "attributes", key_value(r, f->sub, 1));
        return;
    case 11 << 3 | 2:
        append(span, "events", event(r, f->sub));
        return;
    case 13 << 3 | 2:
        append(span, "links", link(r, f->sub));
        return;
    case 15 << 3 | 2:
        json_object_set_new(span, "status", status(r, f->sub));
        return;
    default:
        return; /* what is newer than this reader */
    }
}

static void span(struct read *r, struct wire w) {
    json_t *out = json_object();
    struct wire_field f;
    charge(r, &w);
    charge(r, &w);
    json_array_append_new(r->spans, out);
    json_array_append(r->resources, r->resource);
    if (json_array_size(r->spans) > OTLP_SPANS_MAX)
        fault(r, "there are too many spans in one request");
    while (!r->why && wire_next(&w, &f))
        span_field(r, out, &f);
    if (w.bad)
        fault(r, "a span is cut off");
    if (!json_object_get(out, "status"))
        json_object_set_new(out, "status", json_object());
}

static void scope(struct read *r, struct wire w) {
    struct wire_field f;
    while (!r->why && wire_next(&w, &f))
        if (f.number == 2 && f.type == 2)
            span(r, f.sub);
    if (w.bad)
        fault(r, "it is cut off");
}

static void drop(void *tree) {
    json_decref(tree);
}

/* The resource (field 1) may stand behind its spans (2). */
static void sender(struct read *r, struct wire w) {
    struct wire again = w;
    struct wire_field f;
    r->senders++;
    r->resource = NULL;
    while (!r->why && wire_next(&again, &f))
        if (f.number == 1 && f.type == 2) {
            r->resource = key_values(r, f.sub, 1, 1);
            arena_defer(r->c->arena, drop, r->resource);
        }
    if (!r->resource) {
        r->resource = json_array();
        arena_defer(r->c->arena, drop, r->resource);
    }
    while (!r->why && wire_next(&w, &f))
        if (f.number == 2 && f.type == 2)
            scope(r, f.sub);
    if (again.bad)
        fault(r, "it is cut off");
}

int otlp_from_protobuf(struct ctx *c, const void *data, size_t n, struct otlp *out) {
    struct read r = {.c = c, .spans = json_array(), .resources = json_array()};
    struct wire w = wire_over(data, n);
    struct wire_field f;
    arena_defer(c->arena, drop, r.spans);
    arena_defer(c->arena, drop, r.resources);
    while (!r.why && wire_next(&w, &f))
        if (f.number == 1 && f.type == 2)
            sender(&r, f.sub);
    if (w.bad)
        fault(&r, "it is cut off");
    *out = (struct otlp){.spans = r.spans, .resources = r.resources, .senders = r.senders};
    return r.why ? fail(c, r.large ? ERR_TOO_LARGE : ERR_INVALID,
                        "Invalid OpenTelemetry protobuf format: %s.", r.why)
                 : 0;
}
