/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a span of MLflow's table. What is taken has ids and JSON, and goes out and in again
 * without a change. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/trace/copy.h"
#include "span_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void holds(bool yes) {
    if (!yes)
        abort();
}

static bool is_id(const char *id) {
    return strlen(id) == 16 && strspn(id, "0123456789abcdef") == 16;
}

static void whole(const struct copy_span *s) {
    json_t *tree = json_loads(s->content, JSON_REJECT_DUPLICATES, NULL);
    holds(json_is_object(tree));
    json_decref(tree);
    holds(is_id(s->id) && (!s->parent || is_id(s->parent)) && s->name && s->type);
    holds(str_eq(s->status, "UNSET") || str_eq(s->status, "OK") || str_eq(s->status, "ERROR"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ctx c;
    struct copy_span one, two;
    ctx_begin(&c);
    const char *text = arena_strndup(c.arena, (const char *)data, size);
    int rc = span_from_mlflow(&c, text, &one);
    if (rc == 0) {
        whole(&one);
        const char *out = span_to_mlflow(&c, &one);
        holds(span_from_mlflow(&c, out, &two) == 0);
        whole(&two);
        holds(str_eq(one.content, two.content) && str_eq(one.id, two.id));
        holds(!one.parent == !two.parent && (!one.parent || str_eq(one.parent, two.parent)));
        holds(str_eq(one.name, two.name) && str_eq(one.type, two.type));
        holds(str_eq(one.status, two.status));
        holds(one.start_ns == two.start_ns && one.end_ns == two.end_ns);
        holds(str_eq(out, span_to_mlflow(&c, &two)));
    } else {
        holds(rc == -ERR_INVALID && c.err.message &&
              utf8_valid(c.err.message, strlen(c.err.message)));
    }
    /* What stands here may have come in by any door. */
    struct copy_span any = {.content = text};
    json_t *tree = json_loads(span_to_mlflow(&c, &any), 0, NULL);
    holds(json_is_object(tree));
    json_decref(tree);
    ctx_end(&c);
    return 0;
}
