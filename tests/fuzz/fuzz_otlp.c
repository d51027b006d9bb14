/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as spans, in both forms. What is taken is whole, what is refused says why. What a
 * convention adds comes behind what was there, and adding it twice is adding it once. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "convention.h"
#include "otlp.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Attributes that came, in their order; the type of a span may become another one. */
static void check_kept(const json_t *before, const json_t *after) {
    const json_t *was;
    size_t i;
    if (json_array_size(after) < json_array_size(before))
        abort();
    json_array_foreach(before, i, was) {
        const json_t *is = json_array_get(after, i);
        const char *key = json_string_value(json_object_get(was, "key"));
        if (!json_equal(json_object_get(was, "key"), json_object_get(is, "key")))
            abort();
        if (!str_eq(key, SPAN_TYPE) && !json_equal(was, is))
            abort();
    }
}

static void apply(struct ctx *c, json_t *span) {
    json_t *before = json_deep_copy(span), *once;
    convention_apply(c, span);
    check_kept(json_object_get(before, "attributes"), json_object_get(span, "attributes"));
    once = json_deep_copy(span);
    convention_apply(c, span);
    if (!json_equal(once, span))
        abort();
    /* Apart from attributes nothing changes. */
    json_object_del(before, "attributes");
    json_object_del(once, "attributes");
    if (!json_equal(before, once))
        abort();
    json_decref(before);
    json_decref(once);
}

static void check(struct ctx *c, int rc, const json_t *spans) {
    size_t i;
    json_t *tree;
    if (rc != 0 && !c->err.message)
        abort();
    err_clear(c);
    json_array_foreach(spans, i, tree) {
        struct span s;
        if (rc == 0)
            apply(c, tree);
        if (rc == 0 && span_read(c, tree, &s) == 0) {
            if (!s.trace_id || !s.span_id || !s.content || s.start_ns < 0)
                abort();
            (void)span_attribute_text(c, &s, "mlflow.spanInputs");
            json_t *file = span_file_form(c, s.trace_id, tree);
            if (!json_is_object(file))
                abort();
            json_decref(file);
        }
        err_clear(c);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct otlp in = {0};
    struct ctx c;
    if (size < 1)
        return 0;
    ctx_begin(&c);
    int rc = data[0] & 1 ? otlp_from_json(&c, (const char *)data + 1, size - 1, &in)
                         : otlp_from_protobuf(&c, data + 1, size - 1, &in);
    if (json_array_size(in.spans) != json_array_size(in.resources))
        abort();
    check(&c, rc, in.spans);
    ctx_end(&c);
    return 0;
}
