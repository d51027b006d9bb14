/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/json/json_in.h"

static const char *text_of(struct ctx *c, const json_t *v, size_t flags) {
    char *text = json_dumps(v, flags | JSON_ENCODE_ANY);
    if (!text)
        mem_die();
    const char *out = arena_strdup(c->arena, text);
    free(text);
    return out;
}

static int wrong(struct ctx *c, size_t i, const char *member, const char *must) {
    return fail_field(c, ERR_INVALID, "records",
                      "Invalid value for parameter 'records' supplied: [%zu]%s must be %s.", i,
                      member, must);
}

static int object_check(struct ctx *c, size_t i, const json_t *tree, const char *name) {
    const json_t *v = json_object_get(tree, name);
    return !v || json_is_null(v) || json_is_object(v)
               ? 0
               : wrong(c, i, arena_printf(c->arena, ".%s", name), "an object");
}

static int read_source(struct ctx *c, size_t i, const json_t *tree, const char **out) {
    static const char *const types[] = {"UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE"};
    const json_t *source = json_object_get(tree, "source");
    const char *told = json_string_value(json_object_get(source, "source_type")), *type = NULL;
    json_t *data = json_object_get(source, "source_data");
    int rc = object_check(c, i, tree, "source");
    *out = NULL;
    if (rc != 0 || !json_is_object(source) || json_object_size(source) == 0)
        return rc;
    for (size_t k = 0; k < ARRAY_LEN(types); k++)
        type = told && strcasecmp(types[k], told) == 0 ? types[k] : type;
    if (!type)
        return fail_field(c, ERR_INVALID, "records",
                          "Invalid dataset record source type: %.100s. Valid source types: "
                          "['UNSPECIFIED', 'TRACE', 'HUMAN', 'DOCUMENT', 'CODE'] (record %zu)",
                          told ? told : "none", i);
    if (data && !json_is_null(data) && !json_is_object(data))
        return wrong(c, i, ".source.source_data", "an object");
    json_t *kept = json_pack("{s:s}", "source_type", type);
    json_object_set_new(kept, "source_data",
                        json_is_object(data) ? json_incref(data) : json_object());
    *out = text_of(c, kept, JSON_COMPACT);
    json_decref(kept);
    return 0;
}

static int read_one(struct ctx *c, size_t i, const json_t *tree, struct record *out) {
    static const char *const objects[] = {"inputs", "expectations", "tags"};
    const json_t *inputs = json_object_get(tree, "inputs");
    const json_t *outputs = json_object_get(tree, "outputs");
    char hex[65];
    int rc = json_is_object(tree) ? 0 : wrong(c, i, "", "an object");
    for (size_t k = 0; k < ARRAY_LEN(objects) && rc == 0; k++)
        rc = object_check(c, i, tree, objects[k]);
    *out = (struct record){.tree = tree};
    rc = rc ? rc : read_source(c, i, tree, &out->source);
    if (rc != 0)
        return rc;
    out->inputs = json_is_object(inputs) ? text_of(c, inputs, JSON_SORT_KEYS | JSON_COMPACT) : "{}";
    sha256_hex(out->inputs, strlen(out->inputs), hex);
    out->inputs_sha256 = arena_strdup(c->arena, hex);
    out->outputs = !outputs                ? "{}"
                   : json_is_null(outputs) ? NULL
                                           : text_of(c, outputs, JSON_COMPACT);
    out->user = json_string_value(json_object_get(json_object_get(tree, "tags"), "mlflow.user"));
    return 0;
}

int records_read(struct ctx *c, const char *text, struct records *out) {
    struct json_t *tree = NULL;
    const json_t *one;
    size_t i;
    int rc = json_parse(c, DIALECT_PROBLEM, text, strlen(text), &tree);
    if (rc != 0 || !json_is_array(tree)) {
        err_clear(c);
        return fail_field(c, ERR_INVALID, "records",
                          "Invalid value for parameter 'records' supplied: it must be the text of "
                          "a JSON list of records.");
    }
    out->n = json_array_size(tree);
    out->items = ARENA_ARRAY(c->arena, struct record, out->n + 1);
    json_array_foreach(tree, i, one) {
        if (rc == 0)
            rc = read_one(c, i, one, &out->items[i]);
    }
    return rc;
}
