/* SPDX-License-Identifier: Apache-2.0 */
#include "document.h"

#include <string.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/http/route.h"
#include "schema.h"

static struct ctx c;

static int parse(const char *text, struct gql_definition **all) {
    err_clear(&c);
    return gql_parse(&c, text, strlen(text), all);
}

static void put_value(struct buf *b, const struct gql_value *v) {
    static const char *const kinds[] = {"null", "bool", "int",  "float", "string",
                                        "enum", "var",  "list", "object"};
    buf_printf(b, "%s%s%s", v->name ? v->name : "", v->name ? ":" : "", kinds[v->kind]);
    if (v->text)
        buf_printf(b, "=%s", v->text);
    if (v->kind == GQL_LIST || v->kind == GQL_OBJECT) {
        buf_putc(b, '(');
        for (const struct gql_value *i = v->first; i; i = i->next) {
            put_value(b, i);
            buf_puts(b, i->next ? " " : "");
        }
        buf_putc(b, ')');
    }
}

static void put_set(struct buf *b, const struct gql_selection *s) {
    for (; s; s = s->next) {
        buf_puts(b, s->kind == GQL_SPREAD ? "..." : s->kind == GQL_INLINE ? "...on " : "");
        buf_printf(b, "%s%s%s", s->alias ? s->alias : "", s->alias ? ":" : "",
                   s->name ? s->name : "-");
        for (const struct gql_value *a = s->arguments; a; a = a->next) {
            buf_putc(b, '[');
            put_value(b, a);
            buf_putc(b, ']');
        }
        for (const struct gql_directive *d = s->directives; d; d = d->next)
            buf_printf(b, "@%s", d->name);
        if (s->first) {
            buf_putc(b, '{');
            put_set(b, s->first);
            buf_putc(b, '}');
        }
        buf_puts(b, s->next ? " " : "");
    }
}

/* The tree in one line. */
static const char *told(const char *text) {
    struct gql_definition *all = NULL;
    struct buf b = {0};
    if (parse(text, &all) != 0)
        return c.err.message;
    for (const struct gql_definition *d = all; d; d = d->next) {
        buf_printf(&b, "%s %s ",
                   d->fragment   ? "fragment"
                   : d->mutation ? "mutation"
                                 : "query",
                   d->name ? d->name : "-");
        for (const struct gql_variable *v = d->variables; v; v = v->next)
            buf_printf(&b, "$%s %s%s ", v->name, v->type, v->fallback ? " default" : "");
        put_set(&b, d->first);
        buf_puts(&b, d->next ? "; " : "");
    }
    const char *out = arena_strdup(c.arena, b.data);
    buf_free(&b);
    return out;
}

static void reads_documents(void) {
    static const struct {
        const char *text, *tree;
    } rows[] = {
        {"{a}", "query - a"},
        {"{a,b # note\n c}", "query - a b c"},
        {"query Q($x: T!, $y: [T!]! = [1]) @component(name: \"n\") {a(i: $x)}",
         "query Q $x T! $y [T!]! default a[i:var=x]"},
        {"mutation {k: f(i: {a: 1, b: [1.5e3, -2, null], c: \"q\\\"\\u00e9\\n\", d: ON})}",
         "mutation - k:f[i:object(a:int=1 b:list(float=1.5e3 int=-2 null=null) "
         "c:string=q\"\xc3\xa9\n d:enum=ON)]"},
        {"{a {...F ... on T {b} ... @skip(if: true) {c}}} fragment F on T {d}",
         "query - a{...F ...on T{b} ...on -@skip{c}}; fragment F d"},
        {"{on query fragment mutation true: null}", "query - on query fragment mutation true:null"},
        {"\xEF\xBB\xBF{a}", "query - a"},
        {"{a(s: \"\\ud83d\\ude00\")}", "query - a[s:string=\xf0\x9f\x98\x80]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_STR(told(rows[i].text), rows[i].tree);
}

static void refuses_documents(void) {
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "Syntax Error: Unexpected <EOF> at line 1, column 1."},
        {"{", "Expected Name"},
        {"{}", "Expected Name at line 1, column 2."},
        {"{a", "Expected Name"},
        {"{\n  a(x 1)}", "Expected ':' at line 2, column 7."},
        {"{a(x: )}", "Expected a value"},
        {"{a(x: 01)}", "Invalid number"},
        {"{a(x: 1.)}", "Invalid number"},
        {"{a(x: 1x)}", "Invalid number"},
        {"{a(x: \"b)}", "Unterminated string"},
        {"{a(x: \"\\q\")}", "Invalid escape"},
        {"{a(x: \"\\u0000\")}", "Invalid escape"},
        {"{a(x: \"\\ud800\")}", "Invalid escape"},
        {"{a(x: \"\"\"b\"\"\")}", "Block strings"},
        {"subscription {a}", "Expected query, mutation or fragment"},
        {"{a} ?", "Unexpected character at line 1, column 5."},
        {"fragment F {a}", "Expected 'on'"},
        {"query ($x T) {a}", "Expected ':'"},
    };
    struct gql_definition *all;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_INT(parse(rows[i].text, &all), -ERR_INVALID);
        CHECK_HAS(c.err.message, rows[i].message);
    }
    char deep[400] = "{a(x: ";
    memset(deep + 6, '[', 100);
    CHECK_INT(parse(deep, &all), -ERR_INVALID);
    CHECK_HAS(c.err.message, "Nested too deeply");
    char *big = arena_alloc(c.arena, GQL_TEXT_MAX + 2);
    memset(big, ' ', GQL_TEXT_MAX + 1);
    CHECK_INT(parse(big, &all), -ERR_INVALID);
    CHECK_HAS(c.err.message, "at most 16384 are taken");
}

static int bounds(const char *text) {
    struct gql_definition *all = NULL;
    CHECK_INT(parse(text, &all), 0);
    return gql_bounds(&c, all, all);
}

static void bounds_what_runs(void) {
    CHECK_INT(bounds("{a{b{c{d{e{f{g{h{i{j}}}}}}}}}}"), 0);
    CHECK_INT(bounds("{a{b{c{d{e{f{g{h{i{j{k}}}}}}}}}}}"), -ERR_INVALID);
    CHECK_HAS(c.err.message, "maximum depth of 10");
    CHECK_INT(bounds("{a b c d e f g h i j}"), 0);
    CHECK_INT(bounds("{a b c d e f g h i j k}"), -ERR_INVALID);
    CHECK_HAS(c.err.message, "at most 10 root fields, got 11");
    CHECK_INT(bounds("{x{a:a b:a c:a d:a e:a f:a g:a h:a i:a j:a k:a}}"), -ERR_INVALID);
    CHECK_HAS(c.err.message, "at most 10 aliases");
    CHECK_INT(bounds("{...F} fragment F on T {x {...F}}"), -ERR_INVALID);
    CHECK_HAS(c.err.message, "within itself");
    CHECK_INT(bounds("{...G}"), -ERR_INVALID);
    CHECK_HAS(c.err.message, "Unknown fragment 'G'");
    /* Ten fragments of ten spreads each would be 10^10 selections. */
    struct buf b = {0};
    buf_puts(&b, "{x{...F0}}");
    for (int i = 0; i < 10; i++) {
        buf_printf(&b, " fragment F%d on T {", i);
        for (int k = 0; k < 10; k++)
            buf_printf(&b, "...F%d ", i + 1);
        buf_puts(&b, "}");
    }
    buf_puts(&b, " fragment F10 on T {y}");
    CHECK_INT(bounds(b.data), -ERR_INVALID);
    CHECK_HAS(c.err.message, "maximum total selections of 1000");
    buf_free(&b);
}

/* Every name of the schema leads to a row that reads. */
static void schema_stands_on_rows(void) {
    static const char *const roots[] = {
        "mlflowGetExperiment", "mlflowGetRun",     "mlflowGetMetricHistoryBulkInterval",
        "mlflowListArtifacts", "mlflowSearchRuns", "mlflowSearchModelVersions"};
    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        const struct gql_read *r = gql_read(NULL, false, roots[i]);
        REQUIRE(r != NULL);
        const struct route *row = gql_route(r->route);
        REQUIRE(row != NULL && row->out != NULL && row->in != NULL);
        CHECK_INT(row->lane, LANE_READ);
    }
    CHECK(gql_read(NULL, true, "mlflowSearchDatasets") != NULL);
    CHECK(gql_read(NULL, false, "mlflowSearchDatasets") == NULL);
    CHECK(gql_read(NULL, true, "mlflowGetRun") == NULL);
    CHECK(gql_route(gql_read(NULL, true, "mlflowSearchDatasets")->route) != NULL);
    const char *below[] = {"experiment", "modelVersions"};
    for (size_t i = 0; i < ARRAY_LEN(below); i++) {
        const struct gql_read *r = gql_read("Run", false, below[i]);
        REQUIRE(r != NULL && gql_route(r->route) != NULL);
        CHECK(gql_member(gql_route(r->route)->out, r->name) != NULL);
    }
}

int main(void) {
    ctx_begin(&c);
    RUN(reads_documents);
    RUN(refuses_documents);
    RUN(bounds_what_runs);
    RUN(schema_stands_on_rows);
    ctx_end(&c);
    return CHECK_END();
}
