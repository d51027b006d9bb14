/* SPDX-License-Identifier: Apache-2.0 */
#include "json_fault.h"

#include <jansson.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"

#define SHOWN_POINTS 200 /* of an offending value */

static void put_dotted(struct buf *b, const struct place *at) {
    if (!at)
        return;
    put_dotted(b, at->up);
    if (!at->name)
        buf_printf(b, "[%zu]", at->index);
    else
        buf_printf(b, "%s%s", b->len ? "." : "", at->name);
}

static void put_pointer(struct buf *b, const struct place *at) {
    if (!at)
        return;
    put_pointer(b, at->up);
    buf_putc(b, '/');
    if (!at->name) {
        buf_printf(b, "%zu", at->index);
        return;
    }
    for (const char *p = at->name; *p; p++) {
        if (*p == '~')
            buf_puts(b, "~0");
        else if (*p == '/')
            buf_puts(b, "~1");
        else
            buf_putc(b, *p);
    }
}

static const char *place_text(struct ctx *c, enum dialect d, const struct place *at) {
    struct buf b = {0};
    buf_puts(&b, "");
    if (d == DIALECT_MLFLOW)
        put_dotted(&b, at);
    else
        put_pointer(&b, at);
    if (!b.len)
        buf_puts(&b, d == DIALECT_MLFLOW ? "body" : "/");
    const char *text = arena_strdup(c->arena, b.data);
    buf_free(&b);
    return text;
}

static const char *value_text(struct ctx *c, struct given got) {
    struct buf b = {0};
    struct json_writer w;
    jw_init(&w, &b);
    if (got.tree)
        jw_tree(&w, got.tree);
    else
        jw_str(&w, got.text);
    char *text = arena_strdup(c->arena, b.data);
    buf_free(&b);
    size_t shown = utf8_prefix(text, SHOWN_POINTS);
    if (text[shown])
        text = arena_printf(c->arena, "%.*s...", (int)shown, text);
    return text;
}

const char *json_python_type(const struct json_t *v) {
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "dict";
    case JSON_ARRAY:
        return "list";
    case JSON_STRING:
        return "str";
    case JSON_INTEGER:
        return "int";
    case JSON_REAL:
        return "float";
    case JSON_TRUE:
    case JSON_FALSE:
        return "bool";
    case JSON_NULL:
        break;
    }
    return "NoneType";
}

static const char *python_type(struct given got) {
    return got.tree ? json_python_type(got.tree) : "str";
}

int fault_missing(struct ctx *c, enum dialect d, const struct place *at) {
    const char *where = place_text(c, d, at);
    if (d == DIALECT_MLFLOW)
        return fail_field(c, ERR_INVALID, where,
                          "Missing value for required parameter '%s'. See the API docs for more "
                          "information about request parameters.",
                          where);
    return fail_field(c, ERR_INVALID, where, "%s is missing or empty; it is required", where);
}

int fault_value(struct ctx *c, enum dialect d, const struct place *at, struct given got,
                const char *wanted) {
    const char *where = place_text(c, d, at), *value = value_text(c, got);
    if (d == DIALECT_MLFLOW)
        return fail_field(c, ERR_INVALID, where,
                          "Invalid value %s for parameter '%s' supplied:  Hint: Value was of type "
                          "'%s'. See the API docs for more information about request parameters.",
                          value, where, python_type(got));
    return fail_field(c, ERR_INVALID, where, "%s is %s; %s is wanted", where, value, wanted);
}

int fault_long(struct ctx *c, enum dialect d, const struct place *at, long long limit,
               const char *unit) {
    const char *where = place_text(c, d, at);
    if (d == DIALECT_MLFLOW)
        return fail_field(c, ERR_INVALID, where, "'%s' exceeds the maximum length of %lld %s",
                          where, limit, unit);
    return fail_field(c, ERR_INVALID, where, "%s is longer than %lld %s", where, limit, unit);
}

int fault_unknown(struct ctx *c, enum dialect d, const struct place *at,
                  const struct shape *shape) {
    const char *where = place_text(c, d, at);
    struct buf known = {0};
    for (size_t i = 0; i < shape->n; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", shape->fields[i].name);
    int r = fail_field(c, ERR_INVALID, where, "%s is not known here; known are: %s", where,
                       known.len ? known.data : "none");
    buf_free(&known);
    return r;
}
