/* SPDX-License-Identifier: Apache-2.0 */
#include "substitution.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "json_value.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define RESULT_CAP ((size_t)1 << 20)

static const char PATH_CHARS[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.[]/";

/* One piece of the text: literal bytes, or a path. Advances *at; false at the end. */
static int piece(struct ctx *c, const char **at, const char **literal, size_t *n, char **path) {
    const char *s = *at, *open = strstr(s, "${");
    *path = NULL;
    *literal = s;
    if (!open) {
        *n = strlen(s);
        *at = s + *n;
        return 0;
    }
    if (open > s && open[-1] == '$') {
        *n = (size_t)(open - s); /* keeps one '$'; the brace follows as a literal */
        *at = open + 1;
        return 0;
    }
    if (open > s) {
        *n = (size_t)(open - s);
        *at = open;
        return 0;
    }
    size_t length = strspn(s + 2, PATH_CHARS);
    if (length == 0 || s[2 + length] != '}') {
        return fail(c, ERR_INVALID,
                    "\"%.*s\" is no placeholder; write ${params.name}, or $${ for a literal ${",
                    (int)utf8_prefix(s, length + 4 > 60 ? 60 : length + 4), s);
    }
    *path = arena_strndup(c->arena, s + 2, length);
    *n = 0;
    *at = s + length + 3;
    return 0;
}

int substitution_paths(struct ctx *c, const char *text, int (*fn)(void *arg, const char *path),
                       void *arg) {
    int rc = 0;
    while (rc == 0 && *text) {
        const char *literal;
        char *path;
        size_t n;
        rc = piece(c, &text, &literal, &n, &path);
        if (rc == 0 && path) {
            rc = fn(arg, path);
        }
    }
    return rc;
}

static int lookup(struct ctx *c, json_t *root, const char *path, json_t **out) {
    *out = json_walk(root, path);
    return *out ? 0 : fail(c, ERR_INVALID, "${%s} has no value", path);
}

int substitute_text(struct ctx *c, const char *text, struct json_t *root, char **out) {
    struct buf b = {0};
    int rc = 0;
    *out = NULL;
    while (rc == 0 && *text) {
        const char *literal;
        char *path;
        size_t n;
        json_t *value;
        rc = piece(c, &text, &literal, &n, &path);
        if (rc == 0 && path && (rc = lookup(c, root, path, &value)) == 0) {
            buf_puts(&b, json_argument(c, value));
        } else if (rc == 0) {
            buf_put(&b, literal, n);
        }
        if (rc == 0 && b.len > RESULT_CAP) {
            rc = fail(c, ERR_TOO_LARGE, "a value of more than 1 MiB");
        }
    }
    *out = rc ? NULL : arena_strndup(c->arena, b.data ? b.data : "", b.len);
    buf_free(&b);
    return rc;
}

static int substitute_string(struct ctx *c, const char *text, json_t *root, json_t **out) {
    size_t n = strlen(text);
    if (n > 3 && strncmp(text, "${", 2) == 0 && strspn(text + 2, PATH_CHARS) == n - 3 &&
        text[n - 1] == '}') {
        json_t *value = NULL;
        int rc = lookup(c, root, arena_strndup(c->arena, text + 2, n - 3), &value);
        *out = json_incref(value);
        return rc;
    }
    char *result;
    int rc = substitute_text(c, text, root, &result);
    *out = rc ? NULL : json_string(result);
    return rc;
}

/* *out is a new reference. */
static int substitute(struct ctx *c, json_t *tree, json_t *root, json_t **out) {
    int rc = 0;
    json_t *item;
    *out = NULL;
    if (json_is_string(tree)) {
        return substitute_string(c, json_string_value(tree), root, out);
    }
    if (json_is_array(tree)) {
        json_t *list = json_array();
        for (size_t i = 0; rc == 0 && i < json_array_size(tree); i++) {
            rc = substitute(c, json_array_get(tree, i), root, &item);
            if (rc == 0) {
                json_array_append_new(list, item);
            }
        }
        *out = list;
    } else if (json_is_object(tree)) {
        json_t *map = json_object(), *value;
        const char *key;
        json_object_foreach(tree, key, value) {
            rc = substitute(c, value, root, &item);
            if (rc) {
                break;
            }
            json_object_set_new(map, key, item);
        }
        *out = map;
    } else {
        *out = json_incref(tree);
    }
    if (rc) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}

int substitute_tree(struct ctx *c, struct json_t *tree, struct json_t *root, struct json_t **out) {
    int rc = substitute(c, tree, root, out);
    if (rc == 0) {
        json_on_arena(c, *out);
    }
    return rc;
}
