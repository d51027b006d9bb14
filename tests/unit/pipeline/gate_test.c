/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"

#include "check.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

static struct fpair numbers[] = {{"roc_auc", 0.985},
                                 {"slices.old.accuracy", 0.95},
                                 {"slices.young.accuracy", 0.88},
                                 {"slices.young.n", 40},
                                 {"val/loss", 0.2},
                                 {"bad", NAN}};
static const struct fpairs metrics = {.items = numbers, .n = ARRAY_LEN(numbers)};

static void patterns(void) {
    static const struct {
        const char *pattern, *name;
        bool want;
    } rows[] = {{"a", "a", true},
                {"a", "ab", false},
                {"ab", "a", false},
                {"*", "", true},
                {"*", "x.y", true},
                {"a*", "a", true},
                {"*.acc", "x.y.acc", true},
                {"*.acc", "acc", false},
                {"s.*.n", "s.a.b.n", true},
                {"s.*.n", "s.n", false},
                {"a*b*c", "aXbYbc", true},
                {"a*b*c", "aXbYbcd", false},
                {"**a", "ba", true},
                {"", "", true},
                {"", "a", false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (metric_matches(rows[i].pattern, rows[i].name) != rows[i].want) {
            printf("%s against %s\n", rows[i].pattern, rows[i].name);
        }
        CHECK_INT(metric_matches(rows[i].pattern, rows[i].name), rows[i].want);
    }
}

static void limits(void) {
    static const struct {
        const char *rule;
        bool passed;
        size_t n;
        const char *reason;
    } rows[] = {
        {"roc_auc >= 0.98", true, 1, "roc_auc is 0.985"},
        {"roc_auc >= 0.985", true, 1, "roc_auc is 0.985"},
        {"roc_auc > 0.985", false, 1, "roc_auc is 0.985, wanted > 0.985"},
        {"roc_auc<=1", true, 1, "roc_auc is 0.985"},
        {"slices.*.accuracy >= 0.8", true, 2, "2 metrics hold"},
        {"slices.*.accuracy >= 0.9", false, 2, "slices.young.accuracy is 0.88, wanted >= 0.9"},
        {"slices.*.accuracy >= 0.99", false, 2,
         "slices.old.accuracy is 0.95, wanted >= 0.99 (and 1 more)"},
        {"`val/loss` < 0.3", true, 1, "val/loss is 0.2"},
        {"val/loss < 0.1", false, 1, "val/loss is 0.2, wanted < 0.1"},
        {"nothing > 0", false, 0, "no metric matches nothing"},
        {"bad > 0", false, 1, "bad is"},
        {"bad != 0", false, 1, "bad is"},
        {"slices.young.n == 40", true, 1, "slices.young.n is 40.0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        struct gate_rule rule;
        struct verdict v;
        ctx_begin(&c);
        CHECK_INT(gate_rule_parse(&c, rows[i].rule, &rule), 0);
        CHECK_INT(gate_judge(&c, &rule, &metrics, rule.number, NULL, &v), 0);
        CHECK_INT(v.passed, rows[i].passed);
        CHECK_INT(v.n, rows[i].n);
        CHECK_HAS(v.reason, rows[i].reason);
        ctx_end(&c);
    }
}

static void champions(void) {
    struct gate_rule up = {.metric = "roc_auc", .model = "models:/m@champion"};
    struct gate_rule equal = up, margin = up,
                     down = {.metric = "val/loss", .model = "models:/m@x", .min = true},
                     lacks = {.metric = "f1", .model = "models:/m@x"};
    equal.or_equal = true;
    margin.margin = 0.01;
    const struct champion none = {0},
                          same = {.exists = true, .name = "m/1", .same_evaluation = true},
                          unmeasured = {.exists = true, .name = "m/1"};
    struct {
        const struct gate_rule *rule;
        struct champion champion;
        bool passed;
        const char *reason;
    } rows[] = {
        {&up, none, true, "there is no models:/m@champion yet"},
        {&up, same, true, "this is m/1 itself"},
        {&up, unmeasured, false, "m/1 has no metric roc_auc to compare with"},
        {&up,
         {.exists = true, .name = "m/1", .measured = true, .value = 0.98},
         true,
         "roc_auc is 0.985, m/1 has 0.98"},
        {&up,
         {.exists = true, .name = "m/1", .measured = true, .value = 0.985},
         false,
         "roc_auc is 0.985, not better than m/1 (0.985)"},
        {&equal,
         {.exists = true, .name = "m/1", .measured = true, .value = 0.985},
         true,
         "m/1 has"},
        {&equal,
         {.exists = true, .name = "m/1", .measured = true, .value = 0.99},
         false,
         "worse than"},
        {&margin,
         {.exists = true, .name = "m/1", .measured = true, .value = 0.98},
         false,
         "by at least 0.01"},
        {&margin,
         {.exists = true, .name = "m/1", .measured = true, .value = 0.9},
         true,
         "m/1 has 0.9"},
        {&down,
         {.exists = true, .name = "m/1", .measured = true, .value = 0.3},
         true,
         "val/loss is 0.2"},
        {&down,
         {.exists = true, .name = "m/1", .measured = true, .value = 0.1},
         false,
         "not better"},
        {&lacks, none, false, "there is no metric f1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        struct verdict v;
        ctx_begin(&c);
        CHECK_INT(gate_judge(&c, rows[i].rule, &metrics, 0, &rows[i].champion, &v), 0);
        CHECK_INT(v.passed, rows[i].passed);
        CHECK_HAS(v.reason, rows[i].reason);
        ctx_end(&c);
    }
}

static void refused(void) {
    static const char *const rules[] = {"",       "roc_auc", "roc_auc >=", ">= 3",
                                        "a => 3", "a >= b",  "`a >= 3",    "a >= 3 or b > 2"};
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        struct ctx c;
        struct gate_rule rule;
        ctx_begin(&c);
        CHECK_INT(gate_rule_parse(&c, rules[i], &rule), -ERR_INVALID);
        CHECK(c.err.message != NULL);
        ctx_end(&c);
    }
}

int main(void) {
    RUN(patterns);
    RUN(limits);
    RUN(champions);
    RUN(refused);
    return CHECK_END();
}
