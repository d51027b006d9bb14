/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"

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
    *out = json_text(c->arena, kept, JSON_TIGHT);
    json_decref(kept);
    return 0;
}

const char *record_inputs_hash(struct ctx *c, const struct json_t *inputs) {
    struct buf b = {0};
    char hex[65];
    if (json_is_object(inputs))
        json_put(&b, inputs, JSON_TIGHT_SORTED);
    else
        buf_puts(&b, "{}");
    sha256_hex(b.data, b.len, hex);
    buf_free(&b);
    return arena_strdup(c->arena, hex);
}

static int read_one(struct ctx *c, size_t i, const json_t *tree, struct record *out) {
    static const char *const objects[] = {"inputs", "expectations", "tags"};
    const json_t *inputs = json_object_get(tree, "inputs");
    const json_t *outputs = json_object_get(tree, "outputs");
    int rc = json_is_object(tree) ? 0 : wrong(c, i, "", "an object");
    for (size_t k = 0; k < ARRAY_LEN(objects) && rc == 0; k++)
        rc = object_check(c, i, tree, objects[k]);
    *out = (struct record){.tree = tree};
    rc = rc ? rc : read_source(c, i, tree, &out->source);
    if (rc != 0)
        return rc;
    out->inputs = json_is_object(inputs) ? json_text(c->arena, inputs, JSON_TIGHT) : "{}";
    out->inputs_sha256 = record_inputs_hash(c, inputs);
    out->outputs = !outputs                ? "{}"
                   : json_is_null(outputs) ? NULL
                                           : json_text(c->arena, outputs, JSON_TIGHT);
    out->user = json_string_value(json_object_get(json_object_get(tree, "tags"), "mlflow.user"));
    return 0;
}

/* Says also what the parser found, of the text in place of a body. */
static int no_list(struct ctx *c) {
    static const char body[] = "The body ";
    const char *why = c->err.message;
    if (why)
        why =
            arena_printf(c->arena, "; it %s", str_starts(why, body) ? why + sizeof body - 1 : why);
    err_clear(c);
    return fail_field(c, ERR_INVALID, "records",
                      "Invalid value for parameter 'records' supplied: it must be the text of a "
                      "JSON list of records%s.",
                      why ? why : "");
}

int records_read(struct ctx *c, const char *text, struct records *out) {
    struct json_t *tree = NULL;
    const json_t *one;
    size_t i;
    int rc = json_parse(c, DIALECT_PROBLEM, text, strlen(text), &tree);
    if (rc == -ERR_TOO_LARGE)
        return rc;
    if (rc != 0 || !json_is_array(tree))
        return no_list(c);
    if (json_array_size(tree) > RECORDS_MAX)
        return fail_field(
            c, ERR_TOO_LARGE, "records",
            "Invalid value for parameter 'records' supplied: it holds %zu records, at "
            "most %d are allowed at once.",
            json_array_size(tree), RECORDS_MAX);
    out->n = json_array_size(tree);
    out->items = ARENA_ARRAY(c->arena, struct record, out->n + 1);
    json_array_foreach(tree, i, one) {
        if (rc == 0)
            rc = read_one(c, i, one, &out->items[i]);
    }
    return rc;
}
