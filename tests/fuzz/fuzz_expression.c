/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a condition, a gate's rule and a text with placeholders, tried on a small tree of
 * values. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "definition.h"
#include "expression.h"
#include "gate.h"
#include "json_value.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "substitution.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void told(const struct ctx *c, int rc) {
    if (rc > 0 || (rc < 0 && (rc != -c->err.code || !c->err.message ||
                              !utf8_valid(c->err.message, strlen(c->err.message)))))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char values[] =
        "{\"params\":{\"n\":3,\"s\":\"${params.n}\",\"l\":[1,\"x\",null],\"b\":true},"
        "\"steps\":{\"a\":{\"metrics\":{\"m\":0.5,\"m.x\":1},\"instances\":[{\"run_id\":\"r\"}]}}}";
    static struct fpair numbers[] = {{"m", 0.5}, {"s.a.n", 1}, {"s.b.n", 2}};
    struct ctx c;
    struct expr *e = NULL;
    struct gate_rule rule;
    struct verdict v;
    bool yes;
    char *text, *out;
    ctx_begin(&c);
    text = arena_strndup(c.arena, (const char *)data, size);
    if (!utf8_valid(text, strlen(text))) { /* definitions are checked before they are taken apart */
        ctx_end(&c);
        return 0;
    }
    json_t *root = json_on_arena(&c, json_loads(values, 0, NULL));
    int rc = expr_parse(&c, text, &e);
    rc = rc ? rc : expr_test(&c, e, root, &yes);
    told(&c, rc);
    err_clear(&c);
    rc = gate_rule_parse(&c, text, &rule);
    rc = rc ? rc : gate_judge(&c, &rule, &(struct fpairs){numbers, 3}, rule.number, NULL, &v);
    told(&c, rc);
    err_clear(&c);
    told(&c, substitute_text(&c, text, root, &out));
    ctx_end(&c);
    return 0;
}
