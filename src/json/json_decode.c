/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "json_fault.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"

struct decoder {
    struct ctx *c;
    enum dialect d;
};

static int decode_object(struct decoder *x, const struct shape *shape, json_t *object,
                         const struct place *at, char *out);

static bool mlflow(const struct decoder *x) {
    return x->d == DIALECT_MLFLOW;
}

/* experiment_id to experimentId; false when there is nothing to change. */
static bool camel(const char *snake, char *out, size_t size) {
    size_t o = 0;
    bool up = false, changed = false;
    for (; *snake; snake++) {
        if (*snake == '_' && o > 0) {
            up = changed = true;
            continue;
        }
        if (o + 1 >= size)
            return false;
        out[o++] = up && *snake >= 'a' && *snake <= 'z' ? (char)(*snake - 'a' + 'A') : *snake;
        up = false;
    }
    out[o] = '\0';
    return changed;
}

static bool filled(const json_t *v) {
    return v && !json_is_null(v) && !(json_is_string(v) && json_string_length(v) == 0);
}

/* The member under any of its names. A filled one wins over an empty one. */
static json_t *member(const struct decoder *x, const struct field *f, json_t *object) {
    char other[128];
    json_t *v = json_object_get(object, f->name), *alias = NULL;
    if (!filled(v) && f->alias)
        alias = json_object_get(object, f->alias);
    if (!filled(v) && !filled(alias) && mlflow(x) && camel(f->name, other, sizeof other)) {
        json_t *c = json_object_get(object, other);
        if (filled(c) || !v)
            v = c ? c : v;
    }
    if (!filled(v) && filled(alias))
        v = alias;
    return v ? v : alias;
}

static int64_t range_low(const struct field *f) {
    return f->min || f->max ? f->min : INT64_MIN;
}

static int64_t range_high(const struct field *f) {
    return f->max ? f->max : INT64_MAX;
}

static const char *integer_wanted(struct ctx *c, const struct field *f) {
    if (!f->min && !f->max)
        return "a 64-bit integer";
    if (!f->max)
        return arena_printf(c->arena, "an integer of at least %lld", (long long)f->min);
    return arena_printf(c->arena, "an integer between %lld and %lld", (long long)f->min,
                        (long long)f->max);
}

static int put_i64(struct decoder *x, const struct field *f, const struct place *at,
                   struct given got, int64_t v, char *slot) {
    if (v < range_low(f) || v > range_high(f))
        return fault_value(x->c, x->d, at, got, integer_wanted(x->c, f));
    *(struct opt_i64 *)slot = SET_I64(v);
    return 0;
}

static int take_i64(struct decoder *x, const struct field *f, json_t *v, const struct place *at,
                    char *slot) {
    struct given got = {.tree = v};
    int64_t n;
    if (json_is_integer(v))
        return put_i64(x, f, at, got, json_integer_value(v), slot);
    if (json_is_real(v)) {
        double r = json_real_value(v);
        /* 2^63 itself is a double, INT64_MAX is not. */
        if (r == trunc(r) && r >= -0x1p63 && r < 0x1p63)
            return put_i64(x, f, at, got, (int64_t)r, slot);
    }
    if (mlflow(x) && json_is_string(v) && str_to_i64(json_string_value(v), &n))
        return put_i64(x, f, at, got, n, slot);
    return fault_value(x->c, x->d, at, got, integer_wanted(x->c, f));
}

static bool nonfinite(const char *s, double *out) {
    if (str_eq(s, "NaN"))
        *out = NAN;
    else if (str_eq(s, "Infinity"))
        *out = INFINITY;
    else if (str_eq(s, "-Infinity"))
        *out = -INFINITY;
    else
        return false;
    return true;
}

static bool text_double(const struct decoder *x, unsigned flags, const char *s, bool query,
                        double *out) {
    if ((mlflow(x) || query) && str_to_f64(s, out))
        return true;
    return (flags & F_NONFINITE) && nonfinite(s, out);
}

static int take_double(struct decoder *x, unsigned flags, json_t *v, const struct place *at,
                       double *out) {
    if (json_is_integer(v))
        *out = (double)json_integer_value(v);
    else if (json_is_real(v))
        *out = json_real_value(v);
    else if (!json_is_string(v) || !text_double(x, flags, json_string_value(v), false, out))
        return fault_value(x->c, x->d, at, (struct given){.tree = v},
                           flags & F_NONFINITE ? "a number, \"NaN\", \"Infinity\" or \"-Infinity\""
                                               : "a finite number");
    return 0;
}

static int put_str(struct decoder *x, const struct field *f, const char *s, const struct place *at,
                   struct given got, char *slot) {
    if (f->min || f->max) {
        int64_t points = (int64_t)utf8_count(s);
        if (f->max && points > f->max)
            return fault_long(x->c, x->d, at, (long long)f->max, "characters");
        if (points < f->min)
            return fault_value(
                x->c, x->d, at, got,
                arena_printf(x->c->arena, "a text of at least %lld characters", (long long)f->min));
    }
    *(const char **)slot = s;
    return 0;
}

static int take_str(struct decoder *x, const struct field *f, json_t *v, const struct place *at,
                    char *slot) {
    struct given got = {.tree = v};
    if (json_is_string(v))
        return put_str(x, f, json_string_value(v), at, got, slot);
    if ((f->flags & F_NUMBER_TEXT) && json_is_number(v)) {
        char text[32];
        if (json_is_integer(v))
            return put_str(x, f,
                           arena_printf(x->c->arena, "%lld", (long long)json_integer_value(v)), at,
                           got, slot);
        json_double(json_real_value(v), text);
        return put_str(x, f, arena_strdup(x->c->arena, text), at, got, slot);
    }
    return fault_value(x->c, x->d, at, got, "a string");
}

/* Enumerations of protocol buffers count from 1, or from 0 where the first is ..._UNSPECIFIED. */
static const char *enum_by_number(const struct field *f, int64_t number) {
    int64_t first = f->names[0] && str_ends(f->names[0], "UNSPECIFIED") ? 0 : 1;
    for (int64_t i = 0; f->names[i]; i++)
        if (i + first == number)
            return f->names[i];
    return NULL;
}

static int take_enum(struct decoder *x, const struct field *f, struct given got,
                     const struct place *at, char *slot) {
    const char *text = got.tree ? json_string_value(got.tree) : got.text;
    const char *name = NULL;
    int64_t number;
    for (size_t i = 0; text && f->names[i]; i++)
        if (str_eq(f->names[i], text))
            name = f->names[i];
    if (!name && mlflow(x) && got.tree && json_is_integer(got.tree))
        name = enum_by_number(f, json_integer_value(got.tree));
    if (!name && mlflow(x) && text && str_to_i64(text, &number))
        name = enum_by_number(f, number);
    if (name) {
        *(const char **)slot = name;
        return 0;
    }
    char *wanted = arena_strdup(x->c->arena, "one of");
    for (size_t i = 0; f->names[i]; i++)
        wanted = arena_printf(x->c->arena, "%s%s %s", wanted, i ? "," : "", f->names[i]);
    return fault_value(x->c, x->d, at, got, wanted);
}

static int check_count(struct decoder *x, const struct field *f, const struct place *at,
                       json_t *array) {
    int64_t n = (int64_t)json_array_size(array);
    if (f->max && n > f->max)
        return fault_long(x->c, x->d, at, (long long)f->max, "items");
    if ((f->min || f->max) && n < f->min)
        return fault_value(
            x->c, x->d, at, (struct given){.tree = array},
            arena_printf(x->c->arena, "a list of at least %lld items", (long long)f->min));
    return 0;
}

static int take_list(struct decoder *x, const struct field *f, json_t *v, const struct place *at,
                     char *slot) {
    if (!json_is_array(v))
        return fault_value(x->c, x->d, at, (struct given){.tree = v}, "a list of objects");
    int r = check_count(x, f, at, v);
    struct list *list = (struct list *)slot;
    size_t n = json_array_size(v);
    if (r == 0)
        list->items = arena_alloc_n(x->c->arena, n, f->sub->size);
    for (size_t i = 0; i < n && r == 0; i++) {
        struct place here = {.up = at, .index = i};
        json_t *item = json_array_get(v, i);
        if (!json_is_object(item))
            return fault_value(x->c, x->d, &here, (struct given){.tree = item}, "an object");
        r = decode_object(x, f->sub, item, &here, (char *)list->items + i * f->sub->size);
        list->n = i + 1;
    }
    return r;
}

static int take_strs(struct decoder *x, const struct field *f, json_t *v, const struct place *at,
                     char *slot) {
    if (!json_is_array(v))
        return fault_value(x->c, x->d, at, (struct given){.tree = v}, "a list of strings");
    int r = check_count(x, f, at, v);
    if (r < 0)
        return r;
    struct strs *strs = (struct strs *)slot;
    size_t n = json_array_size(v);
    strs->items = ARENA_ARRAY(x->c->arena, const char *, n);
    for (size_t i = 0; i < n; i++) {
        json_t *item = json_array_get(v, i);
        struct place here = {.up = at, .index = i};
        if (!json_is_string(item))
            return fault_value(x->c, x->d, &here, (struct given){.tree = item}, "a string");
        strs->items[strs->n++] = json_string_value(item);
    }
    return 0;
}

static int take_map(struct decoder *x, json_t *v, const struct place *at, char *slot) {
    if (!json_is_object(v))
        return fault_value(x->c, x->d, at, (struct given){.tree = v}, "an object of strings");
    struct pairs *pairs = (struct pairs *)slot;
    pairs->items = ARENA_ARRAY(x->c->arena, struct pair, json_object_size(v));
    const char *key;
    json_t *item;
    json_object_foreach(v, key, item) {
        struct place here = {.up = at, .name = key};
        if (!json_is_string(item))
            return fault_value(x->c, x->d, &here, (struct given){.tree = item}, "a string");
        pairs->items[pairs->n++] = (struct pair){key, json_string_value(item)};
    }
    return 0;
}

static int take_fmap(struct decoder *x, const struct field *f, json_t *v, const struct place *at,
                     char *slot) {
    if (!json_is_object(v))
        return fault_value(x->c, x->d, at, (struct given){.tree = v}, "an object of numbers");
    struct fpairs *pairs = (struct fpairs *)slot;
    pairs->items = ARENA_ARRAY(x->c->arena, struct fpair, json_object_size(v));
    const char *key;
    json_t *item;
    json_object_foreach(v, key, item) {
        struct place here = {.up = at, .name = key};
        double number;
        int r = take_double(x, f->flags, item, &here, &number);
        if (r < 0)
            return r;
        pairs->items[pairs->n++] = (struct fpair){key, number};
    }
    return 0;
}

static int take(struct decoder *x, const struct field *f, json_t *v, const struct place *at,
                char *slot) {
    struct given got = {.tree = v};
    double number;
    int r;
    switch (f->type) {
    case T_STR:
        return take_str(x, f, v, at, slot);
    case T_I64:
        return take_i64(x, f, v, at, slot);
    case T_F64:
        r = take_double(x, f->flags, v, at, &number);
        if (r == 0)
            *(struct opt_f64 *)slot = SET_F64(number);
        return r;
    case T_BOOL:
        if (!json_is_boolean(v))
            return fault_value(x->c, x->d, at, got, "true or false");
        *(struct opt_bool *)slot = SET_BOOL(json_is_true(v));
        return 0;
    case T_ENUM:
        return take_enum(x, f, got, at, slot);
    case T_OBJ:
        if (!json_is_object(v))
            return fault_value(x->c, x->d, at, got, "an object");
        *(void **)slot = arena_alloc(x->c->arena, f->sub->size);
        return decode_object(x, f->sub, v, at, *(char **)slot);
    case T_LIST:
        return take_list(x, f, v, at, slot);
    case T_STRS:
        return take_strs(x, f, v, at, slot);
    case T_JSON:
        *(json_t **)slot = v;
        return 0;
    case T_MAP:
        return take_map(x, v, at, slot);
    case T_FMAP:
        return take_fmap(x, f, v, at, slot);
    }
    return fail(x->c, ERR_INTERNAL, "field %s has no known type", f->name);
}

static bool member_known(const struct decoder *x, const struct shape *shape, const char *key) {
    char other[128];
    for (size_t i = 0; i < shape->n; i++) {
        const struct field *f = &shape->fields[i];
        if (str_eq(f->name, key) || str_eq(f->alias, key))
            return true;
        if (mlflow(x) && camel(f->name, other, sizeof other) && str_eq(other, key))
            return true;
    }
    return false;
}

static int check_unknown(struct decoder *x, const struct shape *shape, json_t *object,
                         const struct place *at) {
    if (!shape->strict || mlflow(x) || x->d == DIALECT_OIP)
        return 0;
    const char *key;
    json_t *v;
    json_object_foreach(object, key, v) {
        struct place here = {.up = at, .name = key};
        if (!member_known(x, shape, key))
            return fault_unknown(x->c, x->d, &here, shape);
    }
    return 0;
}

static int take_member(struct decoder *x, const struct field *f, json_t *object,
                       const struct place *here, char *out) {
    json_t *v = object ? member(x, f, object) : NULL;
    bool absent = !v || json_is_null(v);
    if (f->flags & F_REQUIRED) {
        bool empty = !absent && json_is_string(v) && json_string_length(v) == 0;
        if (absent || (empty && !(f->flags & F_EMPTY_OK)))
            return fault_missing(x->c, x->d, here);
    }
    /* protobuf's parser takes "" for no enumerator at all; nobody means it. */
    return absent ? 0 : take(x, f, v, here, out + f->offset);
}

static int decode_object(struct decoder *x, const struct shape *shape, json_t *object,
                         const struct place *at, char *out) {
    int r = check_unknown(x, shape, object, at);
    for (size_t i = 0; i < shape->n && r == 0; i++) {
        struct place here = {.up = at, .name = shape->fields[i].name};
        r = take_member(x, &shape->fields[i], object, &here, out);
    }
    return r;
}

/* ---- query and path parameters: text ---- */

static bool pair_named(const struct decoder *x, const struct field *f, const char *key) {
    char other[128];
    if (str_eq(key, f->name) || (f->alias && str_eq(key, f->alias)))
        return true;
    return mlflow(x) && camel(f->name, other, sizeof other) && str_eq(key, other);
}

static const struct pair *find_pair(const struct decoder *x, const struct field *f,
                                    const struct pairs *pairs, size_t *count) {
    const struct pair *first = NULL;
    *count = 0;
    for (size_t i = 0; pairs && i < pairs->n; i++) {
        if (!pair_named(x, f, pairs->items[i].key))
            continue;
        if (!first || !*first->value)
            first = &pairs->items[i];
        ++*count;
    }
    return first;
}

static int take_text(struct decoder *x, const struct field *f, const char *text,
                     const struct place *at, char *slot) {
    struct given got = {.text = text};
    int64_t n;
    double number;
    switch (f->type) {
    case T_STR:
        return put_str(x, f, text, at, got, slot);
    case T_I64:
        return str_to_i64(text, &n) ? put_i64(x, f, at, got, n, slot)
                                    : fault_value(x->c, x->d, at, got, integer_wanted(x->c, f));
    case T_F64:
        if (!text_double(x, f->flags, text, true, &number))
            return fault_value(x->c, x->d, at, got, "a number");
        *(struct opt_f64 *)slot = SET_F64(number);
        return 0;
    case T_BOOL:
        if (!str_ieq(text, "true") && !str_ieq(text, "false"))
            return mlflow(x) ? fail_field(x->c, ERR_INVALID, f->name,
                                          "Invalid boolean value '%s' for parameter '%s'; it must "
                                          "be true or false",
                                          text, f->name)
                             : fault_value(x->c, x->d, at, got, "true or false");
        *(struct opt_bool *)slot = SET_BOOL(str_ieq(text, "true"));
        return 0;
    case T_ENUM:
        return take_enum(x, f, got, at, slot);
    default:
        return fault_value(x->c, x->d, at, got, "a value in the body");
    }
}

static int take_pairs(struct decoder *x, const struct field *f, const struct pairs *pairs,
                      const struct pair *first, size_t count, const struct place *at, char *out) {
    char *slot = out + f->offset;
    for (size_t i = 0; i < pairs->n; i++)
        if (pair_named(x, f, pairs->items[i].key) &&
            !utf8_valid(pairs->items[i].value, strlen(pairs->items[i].value)))
            return fail_field(x->c, ERR_INVALID, f->name, "The parameter '%s' is not UTF-8",
                              f->name);
    if (f->type == T_STRS) {
        struct strs *strs = (struct strs *)slot;
        if (f->max && (int64_t)count > f->max)
            return fault_long(x->c, x->d, at, (long long)f->max, "items");
        strs->items = ARENA_ARRAY(x->c->arena, const char *, count);
        for (size_t i = 0; i < pairs->n; i++)
            if (pair_named(x, f, pairs->items[i].key))
                strs->items[strs->n++] = pairs->items[i].value;
        return 0;
    }
    if (count > 1 && !mlflow(x))
        return fail_field(x->c, ERR_INVALID, f->name, "The parameter '%s' is given %zu times",
                          f->name, count);
    bool empty = !*first->value;
    if (empty && (f->flags & F_REQUIRED) && !(f->flags & F_EMPTY_OK))
        return fault_missing(x->c, x->d, at);
    /* "?max_results=" means nothing rather than a broken number. */
    if (empty && f->type != T_STR)
        return (f->flags & F_REQUIRED) ? fault_missing(x->c, x->d, at) : 0;
    return take_text(x, f, first->value, at, slot);
}

static int check_query(struct decoder *x, const struct shape *shape, const struct pairs *query,
                       bool all) {
    if (!shape->strict || mlflow(x) || x->d == DIALECT_OIP)
        return 0;
    for (size_t i = 0; query && i < query->n; i++) {
        bool known = false;
        for (size_t k = 0; k < shape->n && !known; k++)
            known = (all || (shape->fields[k].flags & F_QUERY)) &&
                    !(shape->fields[k].flags & F_PATH) &&
                    pair_named(x, &shape->fields[k], query->items[i].key);
        struct place here = {.name = query->items[i].key};
        if (!known && utf8_valid(here.name, strlen(here.name)))
            return fault_unknown(x->c, x->d, &here, shape);
        if (!known)
            return fail(x->c, ERR_INVALID, "A query parameter's name is not UTF-8");
    }
    return 0;
}

int json_decode(struct ctx *c, enum dialect d, const struct shape *shape, json_t *body,
                const struct pairs *query, const struct pairs *path, void *out) {
    struct decoder x = {.c = c, .d = d};
    /* Without pairs it is no request that is decoded but a tree that some handler holds. */
    bool get = query && (str_eq(c->method, "GET") || str_eq(c->method, "HEAD"));
    /* With arguments in the query string, a GET's body means nothing. */
    bool from_query = get && ((query && query->n > 0) || d != DIALECT_MLFLOW);
    if (from_query)
        body = NULL;
    if (body && !json_is_object(body)) {
        if (d != DIALECT_MLFLOW)
            return fault_value(c, d, NULL, (struct given){.tree = body}, "a JSON object");
        body = NULL;
    }
    int r = check_query(&x, shape, query, from_query);
    if (r == 0 && body)
        r = check_unknown(&x, shape, body, NULL);
    for (size_t i = 0; i < shape->n && r == 0; i++) {
        const struct field *f = &shape->fields[i];
        struct place here = {.name = f->name};
        size_t count = 0;
        const struct pairs *from = path;
        const struct pair *p = f->flags & F_PATH ? find_pair(&x, f, path, &count) : NULL;
        if (!p && (from_query || (f->flags & F_QUERY))) {
            from = query;
            p = find_pair(&x, f, query, &count);
        }
        if (p) {
            r = take_pairs(&x, f, from, p, count, &here, out);
            continue;
        }
        /* A parameter of the query string is not looked for in the body, except by MLflow's
         * clients, who put everything in either. */
        bool in_body = !(f->flags & F_QUERY) || d == DIALECT_MLFLOW;
        r = take_member(&x, f, in_body ? body : NULL, &here, out);
    }
    return r;
}
