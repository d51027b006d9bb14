/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "run_search.h"

/* Makes a run of experiment 0 named `name`, with more data as JSON text of a batch. */
static const char *make(const char *name, int start, const char *batch) {
    const char *id = fx_text(
        fx_call("runs.create", "{\"experiment_id\":\"0\",\"run_name\":\"%s\",\"start_time\":%d}",
                name, start),
        "run_id");
    if (*batch)
        CHECK_STR(fx_call("runs.log_batch", "{\"run_id\":\"%s\",%s}", id, batch), "{}");
    return id;
}

#define M(v) "\"metrics\":[{\"key\":\"m\",\"value\":" v ",\"timestamp\":1}]"
#define P(k, v) "\"params\":[{\"key\":\"" k "\",\"value\":\"" v "\"}]"
#define T(k, v) "\"tags\":[{\"key\":\"" k "\",\"value\":\"" v "\"}]"

/* Names of the runs found, in order, blank-separated; or the whole answer of a failure. */
static const char *names(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *names(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *rest = arena_vprintf(fx_keep, fmt, ap);
    va_end(ap);
    const char *json = fx_call("runs.search", "{\"experiment_ids\":[\"0\"]%s}", rest);
    if (fx_status != 200)
        return json;
    const char *out = "";
    for (const char *p = json; (p = strstr(p, "\"run_name\":\"")); p++)
        out = arena_printf(fx_keep, "%s%s%.*s", out, *out ? " " : "", (int)strcspn(p + 12, "\""),
                           p + 12);
    return out;
}
#define FILTER(f) ",\"filter\":\"" f "\",\"order_by\":[\"run_name\"]"
#define ORDER(o) ",\"order_by\":[" o "]"

static bool world(void) {
    if (!fx_begin())
        return false;
    make("a", 10, M("1") "," P("p", "x") "," T("t", "Abc"));
    make("b", 10, M("2") "," P("p", "y") "," T("t", "abd"));
    make("c", 30, M("\"NaN\"") "," P("p", "X"));
    make("d", 40, M("\"Infinity\""));
    make("e", 50, M("\"-Infinity\""));
    make("f", 60, T("u", "1"));
    make("g", 70, "");
    return true;
}

static void orders(void) {
    REQUIRE(world());
    CHECK_STR(names(ORDER("\"metrics.m\"")), "e a b d c g f");
    CHECK_STR(names(ORDER("\"metrics.m DESC\"")), "d b a e c g f");
    CHECK_STR(names(ORDER("\"metrics.m desc\"")), "d b a e c g f");
    CHECK_STR(names(ORDER("\"metrics.m ASC\",\"params.p\"")), "e a b d c g f");
    CHECK_STR(names(ORDER("\"params.p\"")), "c a b g f e d");
    CHECK_STR(names(ORDER("\"params.p DESC\"")), "b a c g f e d");
    CHECK_STR(names(ORDER("\"tags.t\"")), "a b g f e d c");
    CHECK_STR(names(ORDER("\"start_time\",\"run_name DESC\"")), "b a c d e f g");
    CHECK_STR(names(ORDER("\"attributes.run_name DESC\"")), "g f e d c b a");
    CHECK_STR(names(ORDER("\"metrics.none\",\"run_name\"")), "a b c d e f g");
    const char *plain = names(",\"filter\":\"\"");
    CHECK(!strcmp(plain, "g f e d c a b") || !strcmp(plain, "g f e d c b a"));
    /* pages in every phase of the walk */
    for (int n = 1; n <= 7; n++) {
        const char *token = "", *seen = "";
        for (int guard = 0; guard < 9; guard++) {
            const char *json =
                fx_call("runs.search",
                        "{\"experiment_ids\":[\"0\"],\"order_by\":[\"metrics.m DESC\"],"
                        "\"max_results\":%d,\"page_token\":\"%s\"}",
                        n, token);
            int count = 0;
            for (const char *p = json; (p = strstr(p, "\"run_name\":\"")); p++, count++)
                seen = arena_printf(fx_keep, "%s%.1s", seen, p + 12);
            CHECK(count <= n);
            token = fx_text(json, "next_page_token");
            if (!*token)
                break;
        }
        CHECK_STR(seen, "dbaecgf");
    }
    fx_end();
}

static void conditions(void) {
    REQUIRE(world());
    CHECK_STR(names(FILTER("metrics.m > 1")), "b d");
    CHECK_STR(names(FILTER("metric.m >= 1")), "a b d");
    CHECK_STR(names(FILTER("metrics.`m` < 1")), "e");
    CHECK_STR(names(FILTER("metrics.m != 1")), "b c d e");
    CHECK_STR(names(FILTER("metrics.m = 0")), "");
    CHECK_STR(names(FILTER("metrics.m = 1.7976931348623157e308")), "d");
    CHECK_STR(names(FILTER("metrics.none = 0")), "");
    CHECK_STR(names(FILTER("metrics.m > 0 AND metrics.m < 2")), "a");
    CHECK_STR(names(FILTER("metrics.m > 0 and params.p = 'y' AND ")), "b");
    CHECK_STR(names(FILTER("params.p = 'x'")), "a");
    CHECK_STR(names(FILTER("parameters.p != 'x'")), "b c");
    CHECK_STR(names(FILTER("params.p LIKE 'X'")), "c");
    CHECK_STR(names(FILTER("param.p ILIKE 'x'")), "a c");
    CHECK_STR(names(FILTER("params.p IS NULL")), "d e f g");
    CHECK_STR(names(FILTER("params.p is not null")), "a b c");
    CHECK_STR(names(FILTER("params.none IS NULL")), "a b c d e f g");
    CHECK_STR(names(FILTER("params.none IS NOT NULL")), "");
    CHECK_STR(names(FILTER("tags.t LIKE 'A%%'")), "a");
    CHECK_STR(names(FILTER("tag.t ILIKE 'ab_'")), "a b");
    CHECK_STR(names(FILTER("tags.mlflow.runName = 'c'")), "c");
    CHECK_STR(names(FILTER("tags.\\\"u\\\" = \\\"1\\\"")), "f");
    CHECK_STR(names(FILTER("run_name = 'd'")), "d");
    CHECK_STR(names(FILTER("attributes.`run name` LIKE 'd'")), "d");
    CHECK_STR(names(FILTER("attr.run_name != 'd' AND run.run_name ILIKE '%%'")), "a b c e f g");
    CHECK_STR(names(FILTER("start_time >= 40 AND created < 60")), "d e");
    CHECK_STR(names(FILTER("end_time > 0")), "");
    CHECK_STR(names(FILTER("status = 'RUNNING' AND start_time = 70")), "g");
    CHECK_STR(names(FILTER("status = 'running'")), "");
    const char *id = fx_text(
        fx_call("runs.search", "{\"experiment_ids\":[\"0\"],\"filter\":\"run_name = 'e'\"}"),
        "run_id");
    CHECK_STR(names(",\"filter\":\"run_id IN ('%s', 'x')\"", id), "e");
    CHECK_STR(names(",\"filter\":\"attributes.run_id = '%s'\"", id), "e");
    CHECK_STR(names(",\"filter\":\"run_id NOT IN ('%s')\",\"order_by\":[\"run_name\"]", id),
              "a b c d f g");
    CHECK_STR(names(",\"filter\":\"artifact_uri LIKE '%%%s%%'\"", id), "e");
    fx_end();
}

static void refusals(void) {
    REQUIRE(world());
#define REFUSED(f, words)                                                                          \
    do {                                                                                           \
        CHECK_HAS(names(FILTER(f)), words);                                                        \
        CHECK_INT(fx_status, 400);                                                                 \
    } while (0)
    REFUSED("params.p > 'x'", "Invalid comparator '>' not one of '{");
    REFUSED("metrics.m LIKE 'x'", "Invalid comparator 'LIKE' not one of");
    REFUSED("metrics.m = 'x'", "Expected numeric value type for metric. Found 'x'");
    REFUSED("start_time = '5'",
            "Expected numeric value type for numeric attribute: start_time. Found '5'");
    REFUSED("params.p = 5",
            "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 5");
    REFUSED("params.p = x",
            "Parameter value is either not quoted or unidentified quote types used for "
            "string value x. Use either single or double quotes.");
    REFUSED("foo.p = 'x'",
            "Invalid entity type 'foo'. Valid values are ['metric', 'parameter', 'tag', "
            "'attribute', 'dataset']");
    REFUSED("Attributes.run_id = 'x'", "Invalid entity type 'Attributes'");
    REFUSED("foo = 'x'", "Invalid attribute key 'foo' specified. Valid keys are '{");
    REFUSED("lifecycle_stage = 'active'", "Invalid attribute key 'lifecycle_stage'");
    REFUSED("run_name IN ('a')", "Only the 'run_id' attribute supports comparison with a list");
    REFUSED("run_id IN ()", "expected a non-empty list of string values, but got empty list");
    REFUSED("metrics.m > 1 OR metrics.m < 0", "Invalid clause(s) in filter string: 'OR'");
    REFUSED("dataset.foo = 'x'", "Invalid dataset key 'foo'");
    CHECK_HAS(names(ORDER("\"foo\"")), "Invalid attribute key 'foo'");
    CHECK_HAS(names(ORDER("\"dataset.name\"")), "Invalid identifier type 'dataset'");
    CHECK_HAS(names(ORDER("\"\"")), "Could not be parsed");
    CHECK_HAS(names(ORDER("\"metrics.m UP\"")), "Invalid ordering key in order_by clause");
    CHECK_HAS(names(ORDER("\"metrics.m\",\"metric.m DESC\"")),
              "`order_by` contains duplicate fields");
    CHECK_INT(fx_status, 400);
    CHECK_HAS(names(",\"max_results\":50001"), "Invalid value 50001 for parameter 'max_results'");
    CHECK_HAS(names(",\"max_results\":0"), "It must be a positive integer");
    CHECK_STR(fx_call("runs.search", "{}"), "{}");
    struct buf many = {0};
    for (int i = 0; i < 100; i++)
        buf_printf(&many, "%smetrics.m%d > 0", i ? " AND " : "", i);
    CHECK_STR(names(",\"filter\":\"%s\"", many.data), "");
    CHECK_HAS(
        names(",\"filter\":\"%s AND metrics.m > 0\"", many.data),
        "Invalid value for parameter 'filter' supplied: it holds 101 clauses, at most 100 are "
        "allowed");
    buf_clear(&many);
    for (int i = 0; i < 100; i++)
        buf_printf(&many, "%smetrics.m <= 2", i ? " AND " : "");
    CHECK_STR(names(",\"filter\":\"%s\",\"order_by\":[\"run_name\"]", many.data), "a b e");
    buf_clear(&many);
    for (int i = 0; i < 20; i++)
        buf_printf(&many, "%s\"metrics.m%d\"", i ? "," : "", i);
    CHECK_INT(strlen(names(",\"order_by\":[%s]", many.data)), 13);
    CHECK_HAS(names(",\"order_by\":[%s,\"metrics.m\"]", many.data), "it holds 21 keys, at most 20");
    buf_clear(&many);
    buf_puts(&many, "'x'");
    for (int i = 0; i < 20000; i++)
        buf_puts(&many, ",'y'");
    CHECK_STR(names(",\"filter\":\"run_id IN (%s)\"", many.data), "");
    buf_free(&many);
    /* an offset of 9223372036854775807 */
    CHECK_STR(names(",\"page_token\":\"eyJvZmZzZXQiOiA5MjIzMzcyMDM2ODU0Nzc1ODA3fQ==\"%s",
                    FILTER("metrics.m > 0")),
              "");
    CHECK_INT(fx_status, 200);
    CHECK_STR(fx_call("runs.search", "{\"experiment_ids\":[\"x\",\"99\"]}"), "{}");
    fx_end();
}

static void views_and_data(void) {
    REQUIRE(world());
    const char *id = fx_text(
        fx_call("runs.search", "{\"experiment_ids\":[\"0\"],\"filter\":\"run_name = 'b'\"}"),
        "run_id");
    CHECK_STR(
        fx_call("runs.log_inputs",
                "{\"run_id\":\"%s\",\"datasets\":[{\"tags\":[{\"key\":\"mlflow.data.context\","
                "\"value\":\"training\"},{\"key\":\"z\",\"value\":\"1\"}],\"dataset\":{\"name\":"
                "\"iris\",\"digest\":\"d1\",\"source_type\":\"local\",\"source\":\"s\"}},"
                "{\"dataset\":{\"name\":\"wine\",\"digest\":\"d2\"}}],\"models\":[{\"model_id\":"
                "\"m-1\"}]}",
                id),
        "{}");
    CHECK_STR(fx_call("runs.outputs",
                      "{\"run_id\":\"%s\",\"models\":[{\"model_id\":\"m-2\",\"step\":3}]}", id),
              "{}");
    const char *run = fx_call("runs.get", "{\"run_id\":\"%s\"}", id);
    CHECK_HAS(
        run, "\"inputs\":{\"dataset_inputs\":[{\"tags\":[{\"key\":\"mlflow.data.context\","
             "\"value\":\"training\"},{\"key\":\"z\",\"value\":\"1\"}],\"dataset\":{\"name\":"
             "\"iris\",\"digest\":\"d1\",\"source_type\":\"local\",\"source\":\"s\"}},"
             "{\"dataset\":{\"name\":\"wine\",\"digest\":\"d2\"}}],\"model_inputs\":[{\"model_id\":"
             "\"m-1\"}]},\"outputs\":{\"model_outputs\":[{\"model_id\":\"m-2\",\"step\":3}]}");
    CHECK_STR(names(FILTER("dataset.name = 'iris'")), "b");
    CHECK_STR(names(FILTER("datasets.digest IN ('d2', 'd9')")), "b");
    CHECK_STR(names(FILTER("dataset.context = 'training' AND dataset.name LIKE 'w%%'")), "b");
    CHECK_STR(names(FILTER("dataset.context = 'eval'")), "");
    const char *sets = fx_call("experiments.search_datasets", "{\"experiment_ids\":[\"0\"]}");
    CHECK_HAS(
        sets,
        "{\"experiment_id\":\"0\",\"name\":\"iris\",\"digest\":\"d1\",\"context\":\"training\"}");
    CHECK_HAS(sets, "{\"experiment_id\":\"0\",\"name\":\"wine\",\"digest\":\"d2\"}");
    CHECK_HAS(fx_call("experiments.search_datasets", "{}"), "INVALID_PARAMETER_VALUE");
    fx_call("runs.delete", "{\"run_id\":\"%s\"}", id);
    CHECK_STR(names(FILTER("metrics.m >= 1")), "a d");
    CHECK_STR(names(",\"run_view_type\":\"DELETED_ONLY\""), "b");
    CHECK_STR(names(",\"run_view_type\":\"ALL\"" FILTER("metrics.m >= 1")), "a b d");
    CHECK_STR(names(",\"run_view_type\":3" ORDER("\"metrics.m\"")), "e a b d c g f");
    /* two experiments have different numbers for the same name */
    fx_call("experiments.create", "{\"name\":\"other\"}");
    const char *far =
        fx_text(fx_call("runs.create", "{\"experiment_id\":\"1\",\"run_name\":\"h\"}"), "run_id");
    fx_call("runs.log_batch",
            "{\"run_id\":\"%s\",\"metrics\":[{\"key\":\"pad\",\"value\":1,"
            "\"timestamp\":1},{\"key\":\"m\",\"value\":1.5,\"timestamp\":1}]}",
            far);
    const char *both = fx_call("runs.search", "{\"experiment_ids\":[\"0\",\"1\",\"0\"],\"filter\":"
                                              "\"metrics.m > 0\",\"order_by\":[\"metrics.m\"]}");
    const char *a = strstr(both, "\"run_name\":\"a\""), *h = strstr(both, "\"run_name\":\"h\""),
               *d = strstr(both, "\"run_name\":\"d\"");
    CHECK(a && h && d && a < h && h < d);
    fx_end();
}

/* All ways to the rows give the same rows, whatever the filter, order, page and view. */
static unsigned seed = 12345;
static unsigned dice(unsigned n) {
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % n;
}

static void compare(struct ctx *c, const struct run_search *in) {
    struct search_plan p;
    struct list plain = {0}, other;
    REQUIRE(run_search_plan(c, in, &p) == 0);
    if (p.nothing)
        return;
    CHECK(run_search_sorted(c, &p, NULL, 0, &plain) >= 0);
    for (enum walk_way way = WALK_ADAPTS; way <= WALK_TURNS && run_search_walkable(&p); way++) {
        other = (struct list){0};
        CHECK(run_search_walk(c, &p, way, &other) >= 0);
        CHECK_INT(other.n, plain.n);
        if (other.n == plain.n && plain.n)
            CHECK(!memcmp(other.items, plain.items, plain.n * sizeof(int64_t)));
    }
    int64_t *rows = NULL;
    size_t n = 0;
    CHECK_INT(run_search_rows(c, &p, &rows, &n), 0);
    CHECK(n == plain.n && (!n || !memcmp(rows, plain.items, n * sizeof *rows)));
}

static void ways_agree(void) {
    REQUIRE(fx_begin());
    static const char *const values[] = {"1", "2", "2", "3", "-1", "\"NaN\"", "\"Infinity\"", "0"};
    static const char *const filters[] = {
        "",
        "metrics.m > 1",
        "metrics.m <= 2 AND metrics.n != 1",
        "params.p = 'a'",
        "params.p = 'a' AND metrics.m >= 0",
        "tags.t != 'a' AND metrics.n < 3",
        "metrics.n = 0",
        "params.p IS NULL AND metrics.n >= 0",
        "params.p LIKE 'a%' AND tags.t ILIKE 'A' AND start_time > 5",
        "run_name = 'r' AND status = 'RUNNING' AND tags.t IS NOT NULL",
        "status = 'FINISHED'",
        "params.p != 'a' AND params.p != 'b'",
    };
    static const char *const orders[] = {"metrics.m",     "metrics.m DESC", "metrics.n",
                                         "params.p DESC", "start_time",     "tags.t",
                                         "status DESC",   "run_name",       "end_time"};
    /* longer than what an index holds whole, alike at first */
    static const char *const lengthy[] = {
        "0123456789012345678901234567890123456789012345678901234567890123456789",
        "0123456789012345678901234567890123456789012345678901234567890123456788",
        "012345678901234567890123456789012345678901234567890123456789012"};
    for (int i = 0; i < 150; i++) {
        struct buf b = {0};
        buf_puts(&b, "\"metrics\":[");
        if (dice(3))
            buf_printf(&b, "{\"key\":\"m\",\"value\":%s,\"timestamp\":1}", values[dice(8)]);
        if (dice(2))
            buf_printf(&b, "%s{\"key\":\"n\",\"value\":%s,\"timestamp\":1}",
                       b.data[b.len - 1] == '}' ? "," : "", values[dice(8)]);
        buf_puts(&b, "],\"params\":[");
        if (dice(3))
            buf_printf(&b, "{\"key\":\"p\",\"value\":\"%c%s\"}", 'a' + (char)dice(3),
                       dice(4) ? "" : lengthy[dice(3)]);
        buf_puts(&b, "],\"tags\":[");
        if (dice(3))
            buf_printf(&b, "{\"key\":\"t\",\"value\":\"%c\"}", 'a' + (char)dice(3));
        buf_puts(&b, "]");
        const char *id = make("r", (int)dice(20), b.data);
        buf_free(&b);
        if (dice(3) == 0)
            fx_call("runs.update", "{\"run_id\":\"%s\",\"status\":\"%s\",\"end_time\":%u}", id,
                    dice(2) ? "FINISHED" : "FAILED", dice(50));
        if (dice(4) == 0)
            fx_call("runs.delete", "{\"run_id\":\"%s\"}", id);
    }
    struct ctx c;
    ctx_begin(&c);
    REQUIRE(db_read_begin(fx_db, &c) == 0);
    static const char *const views[] = {"ACTIVE_ONLY", "DELETED_ONLY", "ALL"};
    static const char *const tokens[] = {"", "eyJvZmZzZXQiOiA1fQ==", "eyJvZmZzZXQiOiA1MH0="};
    const char *zero = "0";
    for (int i = 0; i < 600; i++) {
        unsigned first = dice(9), second = dice(9);
        const char *by[2] = {orders[first], orders[second]};
        bool two = first != second && first + second != 1 && dice(2); /* 0 and 1: one key */
        struct run_search in = {
            .experiment_ids = {.items = &zero, .n = 1},
            .order_by = {.items = by, .n = dice(5) ? 1 + (size_t)two : 0},
            .filter = filters[dice(12)],
            .run_view_type = views[dice(3)],
            .page_token = tokens[dice(3)],
            .max_results = SET_I64(1 + dice(40)),
        };
        compare(&c, &in);
    }
    db_read_end(&c);
    ctx_end(&c);
    fx_end();
}

int main(void) {
    RUN(orders);
    RUN(conditions);
    RUN(refusals);
    RUN(views_and_data);
    RUN(ways_agree);
    return CHECK_END();
}
