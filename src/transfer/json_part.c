/* SPDX-License-Identifier: Apache-2.0 */
#include "json_part.h"

#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/genai/copy.h"
#include "quern/json/json_out.h"

const char *json_part(struct ctx *c, const json_t *v, json_type must) {
    if (!v || json_is_null(v))
        return NULL;
    if (must != JSON_NULL && json_typeof(v) != must) {
        (void)fail(c, ERR_INVALID, "One of its parts must be a JSON %s.",
                   must == JSON_ARRAY ? "list" : "object");
        return NULL;
    }
    return json_text(c->arena, v, JSON_TIGHT);
}

const char *json_part_text(struct ctx *c, const char *text, json_type must) {
    json_error_t e;
    json_t *v = text ? json_loads(text, JSON_DECODE_ANY, &e) : NULL;
    const char *out = json_part(c, v, must);
    if (text && !v)
        (void)fail(c, ERR_INVALID, "One of its parts is no JSON that can be kept: %.100s", e.text);
    json_decref(v);
    return out;
}

const char *json_part_filled(const char *part) {
    return part && (str_eq(part, "{}") || str_eq(part, "[]")) ? NULL : part;
}

int json_parts_evaluation(struct ctx *c, struct copy_evaluation *e) {
    for (size_t i = 0; i < e->nrecords; i++) {
        struct copy_record *r = &e->records[i];
        const char *inputs = json_part_text(c, r->inputs, JSON_OBJECT);
        const char *tags = json_part_text(c, r->tags, JSON_OBJECT);
        r->inputs = inputs ? inputs : "{}";
        r->tags = tags ? tags : "{}";
        r->outputs = json_part_text(c, r->outputs, JSON_NULL);
        r->expectations = json_part_text(c, r->expectations, JSON_NULL);
        r->source = json_part_filled(json_part_text(c, r->source, JSON_OBJECT));
    }
    return c->err.code ? -c->err.code : 0;
}
