/* SPDX-License-Identifier: Apache-2.0 */
#include "signature.h"

#include <jansson.h>
#include <string.h>
#include <yaml.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"

/* The scalar at signature.inputs of a YAML mapping, as JSON text; NULL when there is none. */
static char *inputs_text(struct ctx *c, const char *yaml, size_t n) {
    yaml_parser_t parser;
    yaml_event_t event;
    char *found = NULL;
    unsigned depth = 0, keys = 0; /* of the mapping under way: even = a key comes */
    bool in_signature = false, want = false, done = false;
    if (!yaml_parser_initialize(&parser))
        return NULL;
    yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, n);
    while (!done && yaml_parser_parse(&parser, &event)) {
        const char *value =
            event.type == YAML_SCALAR_EVENT ? (char *)event.data.scalar.value : NULL;
        bool here = depth == (in_signature ? 2u : 1u); /* the level whose keys matter */
        switch (event.type) {
        case YAML_MAPPING_START_EVENT:
        case YAML_SEQUENCE_START_EVENT:
            if (depth == 1 && keys % 2 == 1 && want && event.type == YAML_MAPPING_START_EVENT) {
                in_signature = true;
                keys = 0;
            } else if (depth > 0 && here) {
                keys++; /* a nested value counts as the value of its key */
            }
            want = false;
            depth++;
            break;
        case YAML_MAPPING_END_EVENT:
        case YAML_SEQUENCE_END_EVENT:
            depth--;
            done = in_signature && depth == 1;
            break;
        case YAML_SCALAR_EVENT:
            if (!here)
                break;
            if (keys % 2 == 1 && want && in_signature) {
                found = arena_strdup(c->arena, value);
                done = true;
            }
            want = keys % 2 == 0 && strcmp(value, in_signature ? "inputs" : "signature") == 0;
            keys++;
            break;
        case YAML_ALIAS_EVENT:
            keys += here;
            break;
        case YAML_NO_EVENT:
        case YAML_STREAM_END_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            done = true;
            break;
        default:
            break;
        }
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return found;
}

/* Older files say "required", newer ones "optional" where it may be absent. */
static bool is_required(const json_t *column) {
    const json_t *required = json_object_get(column, "required");
    return required ? !json_is_false(required) : !json_is_true(json_object_get(column, "optional"));
}

void signature_columns(struct ctx *c, struct arena *a, const char *mlmodel, size_t n,
                       struct signature_column **columns, size_t *ncolumns) {
    *columns = NULL;
    *ncolumns = 0;
    char *text = inputs_text(c, mlmodel, n);
    json_t *tree = text ? json_loads(text, 0, NULL) : NULL;
    size_t count = json_array_size(tree);
    struct signature_column *list = ARENA_ARRAY(a, struct signature_column, count ? count : 1);
    size_t i = 0;
    for (; i < count; i++) {
        json_t *column = json_array_get(tree, i);
        const char *name = json_string_value(json_object_get(column, "name"));
        const char *type = json_string_value(json_object_get(column, "type"));
        if (!name || !type || strcmp(type, "tensor") == 0)
            break; /* a tensor signature names whole inputs, not columns */
        list[i] = (struct signature_column){.name = arena_strdup(a, name),
                                            .type = arena_strdup(a, type),
                                            .required = is_required(column)};
    }
    if (i == count && count > 0) {
        *columns = list;
        *ncolumns = count;
    }
    json_decref(tree);
}
