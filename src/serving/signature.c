/* SPDX-License-Identifier: Apache-2.0 */
#include "signature.h"

#include <jansson.h>
#include <string.h>
#include <yaml.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"

/* The scalar at signature.MEMBER of a YAML mapping, JSON text; NULL when there is none. */
static char *member_text(struct ctx *c, const char *member, const char *yaml, size_t n) {
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
            want = keys % 2 == 0 && strcmp(value, in_signature ? member : "signature") == 0;
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
    char *text = member_text(c, "inputs", mlmodel, n);
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

static bool type_of(const char *type, enum dtype *out) {
    static const struct {
        const char *name;
        enum dtype dtype;
    } rows[] = {
        {"boolean", DT_BOOL},  {"integer", DT_INT32}, {"long", DT_INT64},    {"float", DT_FP32},
        {"double", DT_FP64},   {"string", DT_BYTES},  {"binary", DT_BYTES},  {"datetime", DT_BYTES},
        {"bool", DT_BOOL},     {"uint8", DT_UINT8},   {"uint16", DT_UINT16}, {"uint32", DT_UINT32},
        {"uint64", DT_UINT64}, {"int8", DT_INT8},     {"int16", DT_INT16},   {"int32", DT_INT32},
        {"int64", DT_INT64},   {"float16", DT_FP16},  {"float32", DT_FP32},  {"float64", DT_FP64},
        {"str", DT_BYTES},     {"object", DT_BYTES}};
    for (size_t i = 0; type && i < ARRAY_LEN(rows); i++)
        if (strcmp(type, rows[i].name) == 0) {
            *out = rows[i].dtype;
            return true;
        }
    return false;
}

static int read_tensor(struct ctx *c, json_t *declared, struct tensor_spec *out) {
    json_t *spec = json_object_get(declared, "tensor-spec");
    json_t *shape = json_object_get(spec, "shape"), *d;
    size_t i;
    out->rank = json_array_size(shape);
    if (!type_of(json_string_value(json_object_get(spec, "dtype")), &out->dtype) ||
        out->rank > TENSOR_MAX_RANK)
        return fail(c, ERR_UNPROCESSABLE,
                    "the model's signature holds a tensor whose dtype or shape is not known here");
    json_array_foreach(shape, i, d) {
        out->shape[i] = json_integer_value(d) < 0 ? -1 : json_integer_value(d);
    }
    return 0;
}

int signature_specs(struct ctx *c, struct arena *a, const char *member, const char *mlmodel,
                    size_t n, struct signature_specs *out) {
    *out = (struct signature_specs){0};
    char *text = member_text(c, member, mlmodel, n);
    json_t *tree = text ? json_loads(text, 0, NULL) : NULL, *declared;
    size_t count = json_array_size(tree), i;
    struct tensor_spec *specs = ARENA_ARRAY(a, struct tensor_spec, count ? count : 1);
    int rc = 0;
    json_array_foreach(tree, i, declared) {
        struct tensor_spec *spec = &specs[i];
        const char *name = json_string_value(json_object_get(declared, "name"));
        const char *type = json_string_value(json_object_get(declared, "type"));
        bool tensor = type && strcmp(type, "tensor") == 0;
        out->columns = out->columns || !tensor;
        out->named = out->named || name;
        spec->name = name ? arena_strdup(a, name) : arena_printf(a, "%zu", i);
        if (tensor) {
            rc = read_tensor(c, declared, spec);
        } else {
            spec->rank = 1;
            spec->shape[0] = -1;
            if (!type_of(type, &spec->dtype))
                rc = fail(c, ERR_UNPROCESSABLE,
                          "%s '%.100s' of the model's signature has type '%.40s', which no tensor "
                          "has",
                          member, spec->name, type ? type : "");
        }
        if (rc < 0)
            break;
    }
    json_decref(tree);
    out->specs = specs;
    out->n = count;
    return rc;
}

bool signature_of_tensors(struct ctx *c, const char *mlmodel, size_t n) {
    char *text = member_text(c, "inputs", mlmodel, n);
    json_t *tree = text ? json_loads(text, 0, NULL) : NULL;
    const char *type = json_string_value(json_object_get(json_array_get(tree, 0), "type"));
    bool yes = type && strcmp(type, "tensor") == 0;
    json_decref(tree);
    return yes;
}

const char *signature_params(struct ctx *c, struct arena *a, const char *mlmodel, size_t n) {
    char *text = member_text(c, "params", mlmodel, n);
    json_t *tree = text ? json_loads(text, 0, NULL) : NULL;
    bool list = json_array_size(tree) > 0;
    json_decref(tree);
    return list ? arena_strdup(a, text) : NULL;
}
