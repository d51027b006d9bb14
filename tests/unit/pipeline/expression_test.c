/* SPDX-License-Identifier: Apache-2.0 */
#include "expression.h"

#include <jansson.h>

#include "check.h"
#include "json_value.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "substitution.h"

static const char values[] = "{\"params\":{\"tune\":true,\"n\":3,\"name\":\"a b; $(rm) "
                             "${params.n}\",\"list\":[1,\"x\"],\"rate\":0.1,\"e\":\"\"},"
                             "\"item\":{\"depth\":4},\"steps\":{\"eval\":{\"metrics\":{\"auc\":0."
                             "99,\"val.loss\":0.5,\"val/acc\":1,"
                             "\"slices\":{\"old\":{\"acc\":0.91}}}},\"train\":{\"instances\":[{"
                             "\"run_id\":\"r0\"},{\"run_id\":\"r1\"}]}}}";

static void truth_table(void) {
    static const struct {
        const char *text;
        int want; /* 1, 0, -1 error */
        const char *error;
    } rows[] = {
        {"params.tune", 1, NULL},
        {"not params.tune", 0, NULL},
        {"!params.tune", 0, NULL},
        {"not not params.tune", 1, NULL},
        {"${params.tune} == true", 1, NULL},
        {"params.n >= 3 and steps.eval.metrics.auc > 0.98", 1, NULL},
        {"params.n > 3 or params.n < 2", 0, NULL},
        {"params.n > 3 || params.tune && true", 1, NULL},
        {"false and steps.x.y > 3", 0, NULL},
        {"(params.n == 3) != false", 1, NULL},
        {"params.n == 3.0", 1, NULL},
        {"params.n == '3'", 0, NULL},
        {"params.n != \"3\"", 1, NULL},
        {"params.name == 'zz'", 0, NULL},
        {"params.e", 0, NULL},
        {"params.missing == null", 1, NULL},
        {"params.missing", 0, NULL},
        {"params.n in [1, 2, 3]", 1, NULL},
        {"params.n not in [1, 2]", 1, NULL},
        {"'x' in params.list", 1, NULL},
        {"'b;' in params.name", 1, NULL},
        {"steps.eval.metrics.val.loss <= 0.5", 1, NULL},
        {"steps.eval.metrics.slices.old.acc < 0.92", 1, NULL},
        {"steps.train[1].run_id == 'r1'", 1, NULL},
        {"params.rate == 1e-1", 1, NULL},
        {"-1 < 0", 1, NULL},
        {"'b' > 'a'", 1, NULL},
        {"params.missing > 1", -1, "params.missing has no value to compare"},
        {"params.name > 1", -1, "cannot order"},
        {"1 in 2", -1, "wants a list"},
        {"params.n >", -1, "ends too early at character 11"},
        {"params.n = 3", -1, "write == at character 10"},
        {"params.n 3", -1, "an operator"},
        {"(params.n", -1, "\")\" was expected at character 10"},
        {"'abc", -1, "closing quote"},
        {"1x > 2", -1, "not a number"},
        {"", -1, "ends too early"},
        {"a[x]", -1, "a number in [ ]"},
        {"((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))", -1, "32 levels"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        ctx_begin(&c);
        json_t *root = json_on_arena(&c, json_loads(values, 0, NULL));
        struct expr *e;
        bool yes = false;
        int rc = expr_parse(&c, rows[i].text, &e);
        rc = rc ? rc : expr_test(&c, e, root, &yes);
        int got = rc ? -1 : yes;
        if (got != rows[i].want) {
            printf("%s: %s\n", rows[i].text, rc ? c.err.message : "");
        }
        CHECK_INT(got, rows[i].want);
        if (rows[i].error) {
            CHECK_HAS(c.err.message, rows[i].error);
        }
        ctx_end(&c);
    }
}

static void substitution(void) {
    static const struct {
        const char *text, *want;
        const char *error;
    } rows[] = {
        {"plain", "plain", NULL},
        {"n=${params.n}!", "n=3!", NULL},
        {"${params.rate}", "0.1", NULL},
        {"${item.depth}${params.n}", "43", NULL},
        {"${item}", "{\"depth\":4}", NULL},
        {"${params.list}", "[1,\"x\"]", NULL},
        {"${params.tune}", "true", NULL},
        /* What a value contains is not looked at again. */
        {"${params.name}", "a b; $(rm) ${params.n}", NULL},
        {"$${params.n} $5 $", "${params.n} $5 $", NULL},
        {"${steps.eval.metrics.val/acc}", "1", NULL},
        {"${steps.train[0].run_id}", "r0", NULL},
        {"${params.none}", NULL, "${params.none} has no value"},
        {"${params.n", NULL, "is no placeholder"},
        {"${}", NULL, "is no placeholder"},
        {"${a b}", NULL, "is no placeholder"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        ctx_begin(&c);
        json_t *root = json_on_arena(&c, json_loads(values, 0, NULL));
        char *got = NULL;
        int rc = substitute_text(&c, rows[i].text, root, &got);
        if (rows[i].error) {
            CHECK(rc < 0);
            CHECK_HAS(c.err.message, rows[i].error);
        } else {
            CHECK_STR(got, rows[i].want);
        }
        ctx_end(&c);
    }
    struct ctx c;
    ctx_begin(&c);
    json_t *root = json_on_arena(&c, json_loads(values, 0, NULL)), *out;
    json_t *tree = json_on_arena(
        &c,
        json_loads("{\"a\":[\"${params.n}\",\"x${params.n}\"],\"b\":\"${params.list}\",\"c\":7}", 0,
                   NULL));
    CHECK_INT(substitute_tree(&c, tree, root, &out), 0);
    CHECK_STR(json_canonical(&c, out), "{\"a\":[3,\"x3\"],\"b\":[1,\"x\"],\"c\":7}");
    CHECK_STR(json_argument(&c, json_on_arena(&c, json_loads("[0.1,1.1]", 0, NULL))), "[0.1,1.1]");
    ctx_end(&c);
}

static void flatten(void) {
    struct ctx c;
    ctx_begin(&c);
    struct fpairs flat;
    json_t *t = json_on_arena(
        &c,
        json_loads("{\"auc\":0.5,\"slices\":{\"a\":{\"n\":3}},\"ok\":true,\"l\":[1,2],\"t\":\"x\"}",
                   0, NULL));
    CHECK_INT(json_flatten(&c, t, &flat), 0);
    CHECK_INT(flat.n, 5);
    CHECK_STR(flat.items[1].key, "slices.a.n");
    CHECK_NEAR(flat.items[1].value, 3, 0);
    CHECK_STR(flat.items[4].key, "l.1");
    ctx_end(&c);
}

int main(void) {
    RUN(truth_table);
    RUN(substitution);
    RUN(flatten);
    return CHECK_END();
}
