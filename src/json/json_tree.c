/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "json_string.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/json/json_out.h"

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_member(struct buf *b, const char *key, const json_t *v, bool first,
                       enum json_form form) {
    if (!first)
        buf_puts(b, form == JSON_SPACED ? ", " : ",");
    json_put_string(b, key, strlen(key));
    buf_puts(b, form == JSON_SPACED ? ": " : ":");
    json_put(b, v, form);
}

static void put_sorted(struct buf *b, json_t *t) {
    size_t n = 0;
    const char **keys = mem_alloc((json_object_size(t) + 1) * sizeof *keys), *key;
    json_t *v;
    json_object_foreach(t, key, v) {
        keys[n++] = key;
    }
    qsort(keys, n, sizeof *keys, by_text);
    for (size_t i = 0; i < n; i++)
        put_member(b, keys[i], json_object_get(t, keys[i]), i == 0, JSON_TIGHT_SORTED);
    free(keys);
}

static void put_object(struct buf *b, json_t *t, enum json_form form) {
    bool first = true;
    const char *key;
    json_t *v;
    buf_putc(b, '{');
    if (form == JSON_TIGHT_SORTED) {
        put_sorted(b, t);
    } else {
        json_object_foreach(t, key, v) {
            put_member(b, key, v, first, form);
            first = false;
        }
    }
    buf_putc(b, '}');
}

static void put_array(struct buf *b, const json_t *t, enum json_form form) {
    json_t *v;
    size_t i;
    buf_putc(b, '[');
    json_array_foreach(t, i, v) {
        if (i)
            buf_puts(b, form == JSON_SPACED ? ", " : ",");
        json_put(b, v, form);
    }
    buf_putc(b, ']');
}

/* Not the writer's commas: a tree may be deeper than its bits. */
void json_put(struct buf *b, const struct json_t *t, enum json_form form) {
    char text[32];
    switch (t ? json_typeof(t) : JSON_NULL) {
    case JSON_OBJECT:
        put_object(b, (json_t *)(uintptr_t)t, form);
        break;
    case JSON_ARRAY:
        put_array(b, t, form);
        break;
    case JSON_STRING:
        json_put_string(b, json_string_value(t), json_string_length(t));
        break;
    case JSON_INTEGER:
        buf_printf(b, "%lld", (long long)json_integer_value(t));
        break;
    case JSON_REAL:
        buf_put(b, text, json_double(json_real_value(t), text));
        break;
    case JSON_TRUE:
        buf_puts(b, "true");
        break;
    case JSON_FALSE:
        buf_puts(b, "false");
        break;
    case JSON_NULL:
        buf_puts(b, "null");
        break;
    }
}

char *json_text(struct arena *a, const struct json_t *tree, enum json_form form) {
    struct buf b = {0};
    json_put(&b, tree, form);
    char *out = arena_strndup(a, b.data, b.len);
    buf_free(&b);
    return out;
}

char *json_strs(struct arena *a, const char *const *items, size_t n) {
    struct buf b = {0};
    struct json_writer w;
    jw_init(&w, &b);
    jw_arr(&w);
    for (size_t i = 0; i < n; i++)
        jw_str(&w, items[i]);
    jw_arr_end(&w);
    char *out = arena_strndup(a, b.data, b.len);
    buf_free(&b);
    return out;
}
