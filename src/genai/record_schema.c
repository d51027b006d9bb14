/* SPDX-License-Identifier: Apache-2.0 */
#include "record_schema.h"

#include <jansson.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "record.h"

static const char *const parts[] = {"inputs", "outputs", "expectations"};

static void drop(void *tree) {
    json_decref(tree);
}

struct json_t *schema_open(struct ctx *c, const char *text) {
    json_t *schema = text ? json_loads(text, 0, NULL) : NULL;
    if (!schema)
        schema = json_pack("{s:{},s:{},s:{},s:s}", parts[0], parts[1], parts[2], "version", "1.0");
    arena_defer(c->arena, drop, schema);
    return schema;
}

static const char *type_name(const json_t *v) {
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "integer";
    case JSON_REAL:
        return "float";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    default:
        return "null";
    }
}

static void learn(json_t *schema, const char *part, json_t *of) {
    json_t *fields = json_object_get(schema, part), *v;
    const char *key;
    if (json_is_object(of)) {
        json_object_foreach(of, key, v) {
            if (json_is_object(fields) && json_object_size(fields) < SCHEMA_FIELDS_MAX &&
                strlen(key) <= SCHEMA_NAME_MAX && !json_object_get(fields, key))
                json_object_set_new(fields, key, json_string(type_name(v)));
        }
    } else if (of && !json_is_null(of) && json_is_object(fields) && json_object_size(fields) == 0) {
        json_object_set_new(schema, part, json_string(type_name(of)));
    }
}

void schema_learn(struct json_t *schema, const struct json_t *record) {
    for (size_t p = 0; p < ARRAY_LEN(parts); p++)
        learn(schema, parts[p], json_object_get(record, parts[p]));
}
