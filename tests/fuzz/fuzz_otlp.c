/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as spans, in both forms. What is taken is whole, what is refused says why. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "otlp.h"
#include "quern/core/ctx.h"
#include "span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct ctx *c, int rc, const json_t *spans) {
    size_t i;
    json_t *tree;
    if (rc != 0 && !c->err.message)
        abort();
    err_clear(c);
    json_array_foreach(spans, i, tree) {
        struct span s;
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
