/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/core/filter.h"

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

static struct ctx c;
static struct filter f;

static int parse(const char *text) {
    err_clear(&c);
    return filter_parse(&c, text, &f);
}

/* One clause as "entity|key|op|kind|text". */
static const char *told(size_t i) {
    static const char *const kinds[] = {"none", "number", "text", "list"};
    const struct filter_clause *k = &f.clauses[i];
    char *s = arena_printf(c.arena, "%s|%s%s|%s|%s|%s", k->entity ? k->entity : "-", k->key,
                           k->key_quoted ? "(quoted)" : "", filter_op_text(k->op), kinds[k->kind],
                           k->text ? k->text : "-");
    for (size_t n = 0; n < k->n; n++)
        s = arena_printf(c.arena, "%s,%s", s, k->items[n]);
    return s;
}

static const struct {
    const char *text, *clause;
} single[] = {
    {"metrics.acc >= 0.94", "metrics|acc|>=|number|0.94"},
    {"metrics.acc>=0.94", "metrics|acc|>=|number|0.94"},
    {"  metrics.acc\t>\n-1.5e-3 ", "metrics|acc|>|number|-1.5e-3"},
    {"params.model = 'LR'", "params|model|=|text|LR"},
    {"params.model != \"LR\"", "params|model|!=|text|LR"},
    {"params.model='LR'", "params|model|=|text|LR"},
    {"tags.mlflow.runName = 'x'", "tags|mlflow.runName|=|text|x"},
    {"tags.`my key` LIKE '%a_'", "tags|my key(quoted)|LIKE|text|%a_"},
    {"tags.\"my.key\" ilike 'a'", "tags|my.key(quoted)|ILIKE|text|a"},
    {"tags.'k' rLiKe '^a$'", "tags|k(quoted)|RLIKE|text|^a$"},
    {"`Run Name` = 'x'", "-|Run Name(quoted)|=|text|x"},
    {"attribute.`run name` = 'x'", "attribute|run name(quoted)|=|text|x"},
    {"run_id IN ('a', \"b\",'c')", "-|run_id|IN|list|-,a,b,c"},
    {"run_id in('a')", "-|run_id|IN|list|-,a"},
    {"run_id NOT  IN ('a',)", "-|run_id|NOT IN|list|-,a"},
    {"params.x IS NULL", "params|x|IS NULL|none|-"},
    {"params.x is not null", "params|x|IS NOT NULL|none|-"},
    {"params.is = 'and'", "params|is|=|text|and"},
    {"metrics.a < 5", "metrics|a|<|number|5"},
    {"metrics.a <= .5", "metrics|a|<=|number|.5"},
    {"params.x = ''", "params|x|=|text|"},
    {"params.x = 'a''b'", "params|x|=|text|a'b"},
    {"params.x = \"a'b\"", "params|x|=|text|a'b"},
    {"params.x = 'a; b, (c) AND d'", "params|x|=|text|a; b, (c) AND d"},
    {"tags.\xc3\xa9t\xc3\xa9 = '\xe2\x82\xac'", "tags|\xc3\xa9t\xc3\xa9|=|text|\xe2\x82\xac"},
    {"metrics.val/loss-1 > 1", "metrics|val/loss-1|>|number|1"},
    {"params.x = 'y' AND ", "params|x|=|text|y"},
    {"params.x = 'y' and", "params|x|=|text|y"},
};

static void single_clauses(void) {
    for (size_t i = 0; i < ARRAY_LEN(single); i++) {
        int r = parse(single[i].text);
        if (r < 0) {
            CHECK_STR(c.err.message, single[i].text);
            continue;
        }
        CHECK_INT(f.n, 1);
        CHECK_STR(told(0), single[i].clause);
    }
}

static void nothing(void) {
    f.n = 9;
    CHECK_INT(parse(NULL), 0);
    CHECK_INT(f.n, 0);
    CHECK_INT(parse(""), 0);
    CHECK_INT(parse(" \t\n"), 0);
    CHECK_INT(f.n, 0);
}

static void joined(void) {
    CHECK_INT(parse("metrics.a > 1 AND params.b = 'and' aNd tags.c IS NULL And run_id IN ('x')"),
              0);
    CHECK_INT(f.n, 4);
    CHECK_STR(told(1), "params|b|=|text|and");
    CHECK_STR(told(3), "-|run_id|IN|list|-,x");
    CHECK_INT(f.clauses[0].position, 0);
    CHECK_INT(f.clauses[1].position, 18);
    CHECK_NEAR(f.clauses[0].number, 1, 0);
    CHECK_INT(parse("a.b=1 AND a.b=1 AND a.b=1 AND a.b=1 AND a.b=1 AND a.b=1 AND a.b=1"), 0);
    CHECK_INT(f.n, 7);
}

#define INVALID "Invalid clause(s) in filter string: "
#define UNQUOTED                                                                                   \
    "Parameter value is either not quoted or unidentified quote types used for string value "

static const struct {
    const char *text, *message;
} refused[] = {
    {"metrics.A > 0.1 OR params.B = 'LR'", INVALID "'OR'"},
    {"metrics.A > 0.1 NAND params.B = 'LR'", INVALID "'NAND'"},
    {"metrics.A > 0.1 AND (params.B = 'LR')", INVALID "'('"},
    {"(metrics.A > 0.1)", INVALID},
    {"`metrics.A > 0.1", INVALID},
    {"param`.A > 0.1", INVALID},
    {"`dummy.A > 0.1", INVALID},
    {"dummy`.A > 0.1", INVALID},
    {"params.'acc = LR", INVALID},
    {"tags.acc = LR'", INVALID},
    {"tags.acc = \"LR", INVALID},
    {"params.acc = 'LR' !=", INVALID "'!='"},
    {"params.acc LR !=", INVALID "'params.acc LR'"},
    {"metrics.acc !=", INVALID},
    {"metrics.acc", INVALID "'metrics.acc'"},
    {"1.0 > metrics.acc", INVALID "'1.0'"},
    {"'a' = params.x", UNQUOTED "params.x"},
    {"attribute.status IS 'true'", INVALID},
    {"attribute.status IS NOT 'x'", INVALID},
    {"a BETWEEN 1 AND 2", INVALID "'a BETWEEN'"},
    {"NOT a = 1", INVALID},
    {"AND a = 1", INVALID},
    {"a.b = 1 AND AND a.c = 2", INVALID},
    {"a.b = 1;", INVALID "';'"},
    {";", INVALID},
    {".b = 1", INVALID},
    {"a. = 1", INVALID},
    {"a.`` = 1", INVALID},
    {"a.b == 1", INVALID},
    {"a.b <> 1", INVALID},
    {"a.b => 1", INVALID},
    {"a.b = ('x')", INVALID},
    {"a.b IN 'x'", INVALID},
    {"a.b IN ('x'", INVALID},
    {"a.b IN ('x' 'y')", INVALID},
    {"a.b IN ((\'x\'))", "While parsing a list in the query, expected string value"},
    {"a.b IN (1, 2)", "While parsing a list in the query, expected string value"},
    {"a.b IN ()", "expected a non-empty list of string values, but got empty list"},
    {"a.b NOT LIKE 'x'", INVALID},
    {"metric.acc >= 0.94; metrics.rmse < 1", "Search filter contained multiple expression"},
    {"metric.acc = LR", UNQUOTED "LR."},
    {"params.acc = `LR`", UNQUOTED "`LR`"},
    {"a.b = 0x10", UNQUOTED},
    {"a.b = 1.2.3", UNQUOTED},
    {"a.b = nan", UNQUOTED "nan"},
    {"a.b = 1e999", UNQUOTED},
    {"a.b \\ 1", INVALID},
};

static void refusals(void) {
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        int r = parse(refused[i].text);
        if (r != -ERR_INVALID)
            CHECK_STR(refused[i].text, "refused");
        else
            CHECK_HAS(c.err.message, refused[i].message);
    }
    parse("a.b = 1 AND  x.y ~ 3");
    CHECK_HAS(c.err.message, "(at byte 13)");
}

static void order(void) {
    static const struct {
        const char *text, *entity, *key;
        bool desc;
    } good[] = {
        {"metrics.acc", "metrics", "acc", false},
        {"metrics.acc ASC", "metrics", "acc", false},
        {" metrics.`a b`   desc ", "metrics", "a b", true},
        {"start_time DESC", NULL, "start_time", true},
        {"`Start Time` Asc", NULL, "Start Time", false},
        {"tags.\"x.y\" dEsC", "tags", "x.y", true},
        {"desc", NULL, "desc", false},
        {"tags.mlflow.user", "tags", "mlflow.user", false},
    };
    struct order_term o;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        err_clear(&c);
        CHECK_INT(order_parse(&c, good[i].text, &o), 0);
        CHECK_STR(o.entity, good[i].entity);
        CHECK_STR(o.key, good[i].key);
        CHECK_INT(o.desc, good[i].desc);
    }
    static const struct {
        const char *text, *message;
    } bad[] = {
        {NULL, "Invalid order_by clause ''. Could not be parsed."},
        {"", "Invalid order_by clause ''. Could not be parsed."},
        {"  ", "Could not be parsed."},
        {"a.b, c.d", "Invalid order_by clause 'a.b, c.d'. Could not be parsed."},
        {"a.b ASC, c.d", "Could not be parsed."},
        {"a.b ASCE", "Invalid ordering key in order_by clause 'a.b ASCE'."},
        {"a.b DESC LAST", "Could not be parsed."},
        {"a.b > 1", "Could not be parsed."},
        {"a.`b", "Could not be parsed."},
        {"a.", "Could not be parsed."},
        {"5", "Could not be parsed."},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err_clear(&c);
        CHECK_INT(order_parse(&c, bad[i].text, &o), -ERR_INVALID);
        CHECK_HAS(c.err.message, bad[i].message);
    }
}

static void operators_have_texts(void) {
    CHECK_STR(filter_op_text(OP_EQ), "=");
    CHECK_STR(filter_op_text(OP_NOT_IN), "NOT IN");
    CHECK_STR(filter_op_text(OP_NOT_NULL), "IS NOT NULL");
    CHECK_STR(filter_op_text((enum filter_op)99), "?");
}

int main(void) {
    ctx_begin(&c);
    RUN(single_clauses);
    RUN(nothing);
    RUN(joined);
    RUN(refusals);
    RUN(order);
    RUN(operators_have_texts);
    ctx_end(&c);
    return CHECK_END();
}
