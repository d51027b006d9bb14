/* SPDX-License-Identifier: Apache-2.0 */
#include "params.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"

static bool is_integer(const json_t *v, json_int_t least, json_int_t most) {
    return json_is_integer(v) && json_integer_value(v) >= least && json_integer_value(v) <= most;
}

/* As MLflow widens: integers to floats, never the other way, and nothing else. */
static bool fits(const char *type, const json_t *v) {
    if (strcmp(type, "boolean") == 0)
        return json_is_boolean(v);
    if (strcmp(type, "integer") == 0)
        return is_integer(v, INT32_MIN, INT32_MAX);
    if (strcmp(type, "long") == 0)
        return json_is_integer(v);
    if (strcmp(type, "float") == 0 || strcmp(type, "double") == 0)
        return json_is_number(v);
    if (strcmp(type, "string") == 0 || strcmp(type, "datetime") == 0 || strcmp(type, "binary") == 0)
        return json_is_string(v);
    return json_is_object(v); /* "object" */
}

static int check(struct ctx *c, const char *name, const char *type, bool list, const json_t *v) {
    if (!list)
        return fits(type, v) ? 0
                             : fail_field(c, ERR_INVALID, name,
                                          "param '%s' must be of type %s, as the model's "
                                          "signature says",
                                          name, type);
    if (!json_is_array(v))
        return fail_field(c, ERR_INVALID, name, "param '%s' must be a list of type %s", name, type);
    size_t i;
    json_t *item;
    json_array_foreach(v, i, item) {
        if (!fits(type, item))
            return fail_field(c, ERR_INVALID, name, "param '%s': element %zu must be of type %s",
                              name, i, type);
    }
    return 0;
}

static int resolve(struct ctx *c, const json_t *schema, const json_t *given, json_t *result) {
    size_t i;
    json_t *spec;
    json_array_foreach(schema, i, spec) {
        const char *name = json_string_value(json_object_get(spec, "name"));
        const char *type = json_string_value(json_object_get(spec, "type"));
        if (!name || !type)
            continue;
        json_t *value = json_object_get(given, name);
        if (value && !json_is_null(value)) {
            int rc = check(c, name, type, json_is_array(json_object_get(spec, "shape")), value);
            if (rc < 0)
                return rc;
        } else {
            value = json_object_get(spec, "default");
        }
        if (value)
            json_object_set(result, name, value);
    }
    return 0;
}

int params_resolve(struct ctx *c, const char *schema, struct bytes given, const char **out) {
    json_t *declared = json_loads(schema, 0, NULL), *result = json_object();
    json_t *tree = given.data ? json_loadb(given.data, given.len, JSON_DECODE_ANY, NULL) : NULL;
    *out = NULL;
    int rc = 0;
    if (given.data && !tree) /* its grammar was checked: a number too large, or a NUL in a text */
        rc = fail_field(c, ERR_INVALID, "params", "params hold a value that cannot be told");
    if (rc == 0)
        rc = resolve(c, declared, tree, result);
    char *text = rc == 0 ? json_dumps(result, JSON_COMPACT) : NULL;
    if (text)
        *out = arena_strdup(c->arena, text);
    free(text);
    json_decref(declared);
    json_decref(result);
    json_decref(tree);
    return rc;
}

const char *params_text(struct ctx *c, struct bytes given, const char *name) {
    json_t *tree = json_loadb(given.data, given.len, 0, NULL);
    json_t *v = json_object_get(tree, name);
    const char *text = NULL;
    if (json_is_string(v)) {
        text = arena_strdup(c->arena, json_string_value(v));
    } else if (json_is_number(v) || json_is_boolean(v)) {
        char *literal = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        text = arena_strdup(c->arena, literal);
        free(literal);
    }
    json_decref(tree);
    return text;
}
