/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/json/json_in.h"

#include <jansson.h>
#include <stdio.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"

struct metric {
    const char *key;
    struct opt_f64 value;
    struct opt_i64 timestamp, step;
};
SHAPE(shape_metric, "Metric", struct metric, FIELD(struct metric, key, T_STR, F_REQUIRED, "Name"),
      FIELD(struct metric, value, T_F64, F_REQUIRED | F_NONFINITE, "Value"),
      FIELD(struct metric, timestamp, T_I64, F_REQUIRED, "Milliseconds"),
      FIELD(struct metric, step, T_I64, 0, "Step"));

struct deep {
    const char *name;
};
SHAPE(shape_deep, "Deep", struct deep,
      FIELD_MAX(struct deep, name, T_STR, F_REQUIRED, 2, 5, "Name"));

static const char *const states[] = {"RUNNING", "SCHEDULED", "FINISHED", NULL};
static const char *const zero_based[] = {"STATE_UNSPECIFIED", "READY", NULL};

struct all {
    const char *run_id, *comment, *status, *state, *version;
    struct opt_i64 max_results, limited;
    struct opt_f64 ratio, plain;
    struct opt_bool flag;
    struct deep *deep;
    struct list metrics;
    struct strs run_ids;
    json_t *any;
    struct pairs tags;
    struct fpairs scores;
};
static const struct field all_fields[] = {
    {.name = "run_id", .type = T_STR, .offset = offsetof(struct all, run_id), .alias = "run_uuid"},
    FIELD(struct all, comment, T_STR, F_EMPTY_OK, ""),
    FIELD_ENUM(struct all, status, 0, states, ""),
    FIELD_ENUM(struct all, state, 0, zero_based, ""),
    FIELD(struct all, version, T_STR, F_NUMBER_TEXT, ""),
    FIELD(struct all, max_results, T_I64, 0, ""),
    FIELD_MAX(struct all, limited, T_I64, 0, 1, 50, ""),
    FIELD(struct all, ratio, T_F64, F_NONFINITE, ""),
    FIELD(struct all, plain, T_F64, 0, ""),
    FIELD(struct all, flag, T_BOOL, 0, ""),
    FIELD_SUB(struct all, deep, T_OBJ, 0, &shape_deep, ""),
    FIELD_SUB(struct all, metrics, T_LIST, 0, &shape_metric, ""),
    FIELD(struct all, run_ids, T_STRS, 0, ""),
    FIELD(struct all, any, T_JSON, 0, ""),
    FIELD(struct all, tags, T_MAP, 0, ""),
    FIELD(struct all, scores, T_FMAP, F_NONFINITE, ""),
};
static const struct shape shape_all = {"All", sizeof(struct all), all_fields, ARRAY_LEN(all_fields),
                                       false};
static const struct shape shape_strict = {"Strict", sizeof(struct all), all_fields,
                                          ARRAY_LEN(all_fields), true};

static struct ctx c;
static struct all out;

static int decode_as(enum dialect d, const struct shape *shape, const char *text) {
    json_t *tree;
    err_clear(&c);
    out = (struct all){0};
    int r = json_parse(&c, d, text, strlen(text), &tree);
    return r < 0 ? r : json_decode(&c, d, shape, tree, NULL, NULL, &out);
}

static int mlflow(const char *text) {
    return decode_as(DIALECT_MLFLOW, &shape_all, text);
}

static int own(const char *text) {
    return decode_as(DIALECT_PROBLEM, &shape_all, text);
}

#define MORE ". See the API docs for more information about request parameters."

static void every_type(void) {
    CHECK_INT(own("{\"run_id\":\"r\",\"comment\":\"\",\"status\":\"FINISHED\",\"max_results\":5,"
                  "\"ratio\":0.5,\"plain\":3,\"flag\":true,\"deep\":{\"name\":\"abc\"},"
                  "\"metrics\":[{\"key\":\"m\",\"value\":1.5,\"timestamp\":7},"
                  "{\"key\":\"n\",\"value\":2,\"timestamp\":8,\"step\":-1}],"
                  "\"run_ids\":[\"a\",\"b\"],\"any\":{\"x\":[1]},\"tags\":{\"k\":\"v\"},"
                  "\"scores\":{\"auc\":0.9}}"),
              0);
    CHECK_STR(out.run_id, "r");
    CHECK_STR(out.comment, "");
    CHECK_STR(out.status, "FINISHED");
    CHECK(out.max_results.set && out.max_results.v == 5);
    CHECK(out.ratio.set && out.ratio.v == 0.5);
    CHECK(out.plain.set && out.plain.v == 3);
    CHECK(out.flag.set && out.flag.v);
    CHECK_STR(out.deep->name, "abc");
    CHECK_INT(out.metrics.n, 2);
    struct metric *m = out.metrics.items;
    CHECK_STR(m[1].key, "n");
    CHECK(m[1].step.set && m[1].step.v == -1 && !m[0].step.set);
    CHECK_INT(out.run_ids.n, 2);
    CHECK_STR(out.run_ids.items[1], "b");
    CHECK(json_is_object(out.any));
    CHECK_INT(out.tags.n, 1);
    CHECK_STR(out.tags.items[0].value, "v");
    CHECK(out.scores.items[0].value == 0.9);
}

static void absent_stays_zero(void) {
    CHECK_INT(mlflow("{\"run_id\":null,\"metrics\":null,\"flag\":null,\"any\":null}"), 0);
    CHECK(out.run_id == NULL && !out.flag.set && out.metrics.n == 0 && out.any == NULL);
    CHECK_INT(mlflow("{\"unknown\":1,\"also\":{\"x\":2}}"), 0);
    CHECK_INT(own("{\"unknown\":1}"), 0);
    CHECK_INT(own(""), 0);
}

static void mlflow_bodies_that_count_as_empty(void) {
    static const char *const texts[] = {"",         "[]", "nonsense", "{",   "{}x",
                                        "{\"a\":}", "5",  "null",     "[1]", "\"plain text\"",
                                        "\"[]\""};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        CHECK_INT(mlflow(texts[i]), 0);
    CHECK_INT(mlflow("\"{\\\"run_id\\\":\\\"twice\\\"}\""), 0);
    CHECK_STR(out.run_id, "twice");
    CHECK_INT(own("[]"), -ERR_INVALID);
    CHECK_HAS(c.err.message, "/ is []; a JSON object is wanted");
    CHECK_INT(own("\"{}\""), -ERR_INVALID);
}

static void malformed(void) {
    static const struct {
        const char *text, *part;
        bool in_mlflow;
    } rows[] = {
        {"{\"run_id\":\"a\",\"run_id\":\"b\"}", "same key twice", true},
        {"{\"any\":{\"x\":1,\"x\":2}}", "same key twice", true},
        {"{\"run_id\":\"a\\u0000b\"}", "NUL", true},
        {"{\"a\\u0000b\":1}", "NUL", true},
        {"{\"run_id\":\"\xff\"}", "UTF-8", true},
        {"{\"run_id\":\"\xed\xa0\x80\"}", "UTF-8", true},
        {"{\"run_id\":\"\\ud800\"}", "", false},
        {"{\"max_results\":9223372036854775808}", "64-bit", true},
        {"{\"ratio\":1e999}", "64-bit", true},
        {"{\"run_id\":\"a\"}{}", "further bytes", false},
        {"{\"run_id\":\"a\"", "too early", false},
        {"{\"ratio\":NaN}", "not valid JSON", false},
        {"{'run_id':1}", "not valid JSON", false},
        {"{\"run_id\":\"a\",}", "", false},
        {"{\"max_results\":01}", "", false},
        {"{\"run_id\":\"a\nb\"}", "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_INT(own(rows[i].text), -ERR_INVALID);
        CHECK_HAS(c.err.message, rows[i].part);
        CHECK_INT(mlflow(rows[i].text), rows[i].in_mlflow ? -ERR_INVALID : 0);
    }
    char text[300] = "{\"any\":";
    size_t n = strlen(text);
    memset(text + n, '[', 63);
    memset(text + n + 63, ']', 63);
    strcpy(text + n + 126, "}");
    CHECK_INT(own(text), 0);
    CHECK_INT(mlflow(text), 0);
    memset(text + n, '[', 64);
    memset(text + n + 64, ']', 64);
    strcpy(text + n + 128, "}");
    CHECK_INT(own(text), -ERR_INVALID);
    CHECK_HAS(c.err.message, "deeper than 64");
    CHECK_INT(mlflow(text), -ERR_INVALID);
    CHECK_INT(
        own("{\"run_id\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}"),
        0);
}

static void a_hundred_thousand_brackets_are_refused_quickly(void) {
    struct buf b = {0};
    for (int i = 0; i < 100000; i++)
        buf_putc(&b, '[');
    CHECK_INT(own(b.data), -ERR_INVALID);
    CHECK_INT(mlflow(b.data), -ERR_INVALID);
    buf_free(&b);
}

/* Of each of these a text that is a little too long, by what a tree of it takes. */
static void large_trees_are_refused_before_they_are_made(void) {
    static const struct {
        const char *unit;
        size_t bytes; /* with the unit's own text */
    } rows[] = {{"1,", 40 + 2},
                {"[],", 136 + 40 + 3},
                {"{},", 232 + 40 + 3},
                {"\"\",", 72 + 40 + 3},
                {"{\"a\":1},", 232 + 72 + 40 + 8}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        size_t len = strlen(rows[r].unit), most = ((size_t)256 << 20) / rows[r].bytes;
        char *text = malloc((most + 2) * len + 2);
        struct json_t *tree = NULL;
        for (size_t i = 0; i < most + 2; i++)
            memcpy(text + 1 + i * len, rows[r].unit, len);
        text[0] = '[';
        text[(most + 2) * len] = ']';
        err_clear(&c);
        CHECK_INT(json_parse(&c, DIALECT_MLFLOW, text, (most + 2) * len + 1, &tree),
                  -ERR_TOO_LARGE);
        CHECK_HAS(c.err.message, "more than 256 MiB");
        err_clear(&c);
        text[0] = text[(most + 2) * len] = '"'; /* what stands in a text counts nothing */
        if (!strchr(rows[r].unit, '"'))
            CHECK_INT(json_parse(&c, DIALECT_PROBLEM, text, (most + 2) * len + 1, &tree), 0);
        free(text);
    }
    char *fits = malloc(600001);
    struct json_t *tree = NULL;
    for (size_t i = 0; i < 200000; i++)
        memcpy(fits + i * 3, i ? ",{}" : "[{}", 3);
    fits[600000] = ']';
    CHECK_INT(json_parse(&c, DIALECT_PROBLEM, fits, 600001, &tree), 0);
    CHECK_INT((int64_t)json_array_size(tree), 200000);
    free(fits);
}

static void missing_values(void) {
    static const struct {
        const char *text, *name, *pointer;
    } rows[] = {
        {"{\"metrics\":[{}]}", "metrics[0].key", "/metrics/0/key"},
        {"{\"metrics\":[{\"key\":\"\",\"value\":1,\"timestamp\":1}]}", "metrics[0].key",
         "/metrics/0/key"},
        {"{\"metrics\":[{\"key\":\"a\",\"value\":1,\"timestamp\":1},"
         "{\"key\":\"b\",\"value\":1,\"timestamp\":null}]}",
         "metrics[1].timestamp", "/metrics/1/timestamp"},
        {"{\"deep\":{}}", "deep.name", "/deep/name"},
    };
    char want[256];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_INT(mlflow(rows[i].text), -ERR_INVALID);
        snprintf(want, sizeof want, "Missing value for required parameter '%s'" MORE, rows[i].name);
        CHECK_STR(c.err.message, want);
        CHECK_STR(c.err.field, rows[i].name);
        CHECK_INT(own(rows[i].text), -ERR_INVALID);
        CHECK_STR(c.err.field, rows[i].pointer);
        CHECK_HAS(c.err.message, "is missing or empty; it is required");
    }
}

static void wrong_values(void) {
    static const struct {
        const char *text, *json, *name, *type;
    } rows[] = {
        {"{\"run_id\":5}", "5", "run_id", "int"},
        {"{\"run_id\":1.5}", "1.5", "run_id", "float"},
        {"{\"run_id\":[\"a\"]}", "[\"a\"]", "run_id", "list"},
        {"{\"max_results\":\"x\"}", "\"x\"", "max_results", "str"},
        {"{\"max_results\":\"1.5\"}", "\"1.5\"", "max_results", "str"},
        {"{\"max_results\":1.5}", "1.5", "max_results", "float"},
        {"{\"max_results\":1e19}", "1e+19", "max_results", "float"},
        {"{\"max_results\":true}", "true", "max_results", "bool"},
        {"{\"limited\":51}", "51", "limited", "int"},
        {"{\"limited\":0}", "0", "limited", "int"},
        {"{\"limited\":\"51\"}", "\"51\"", "limited", "str"},
        {"{\"ratio\":\"x\"}", "\"x\"", "ratio", "str"},
        {"{\"ratio\":\"nan\"}", "\"nan\"", "ratio", "str"},
        {"{\"ratio\":false}", "false", "ratio", "bool"},
        {"{\"plain\":\"NaN\"}", "\"NaN\"", "plain", "str"},
        {"{\"flag\":\"true\"}", "\"true\"", "flag", "str"},
        {"{\"flag\":1}", "1", "flag", "int"},
        {"{\"status\":\"BOGUS\"}", "\"BOGUS\"", "status", "str"},
        {"{\"status\":\"running\"}", "\"running\"", "status", "str"},
        {"{\"status\":4}", "4", "status", "int"},
        {"{\"status\":0}", "0", "status", "int"},
        {"{\"deep\":[]}", "[]", "deep", "list"},
        {"{\"deep\":{\"name\":{}}}", "{}", "deep.name", "dict"},
        {"{\"deep\":{\"name\":\"a\"}}", "\"a\"", "deep.name", "str"},
        {"{\"metrics\":{}}", "{}", "metrics", "dict"},
        {"{\"metrics\":\"x\"}", "\"x\"", "metrics", "str"},
        {"{\"metrics\":[1]}", "1", "metrics[0]", "int"},
        {"{\"metrics\":[null]}", "null", "metrics[0]", "NoneType"},
        {"{\"metrics\":[{\"key\":\"a\",\"value\":\"x\",\"timestamp\":1}]}", "\"x\"",
         "metrics[0].value", "str"},
        {"{\"metrics\":[{\"key\":\"a\",\"value\":1,\"timestamp\":1.5}]}", "1.5",
         "metrics[0].timestamp", "float"},
        {"{\"run_ids\":\"a\"}", "\"a\"", "run_ids", "str"},
        {"{\"run_ids\":[\"a\",1]}", "1", "run_ids[1]", "int"},
        {"{\"tags\":{\"k\":1}}", "1", "tags.k", "int"},
        {"{\"tags\":[]}", "[]", "tags", "list"},
        {"{\"scores\":{\"k\":\"v\"}}", "\"v\"", "scores.k", "str"},
    };
    char want[400];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_INT(mlflow(rows[i].text), -ERR_INVALID);
        snprintf(want, sizeof want,
                 "Invalid value %s for parameter '%s' supplied:  Hint: Value was of type '%s'" MORE,
                 rows[i].json, rows[i].name, rows[i].type);
        CHECK_STR(c.err.message, want);
        CHECK_STR(c.err.field, rows[i].name);
        CHECK_INT(own(rows[i].text), -ERR_INVALID);
        CHECK(c.err.field && c.err.field[0] == '/');
    }
    CHECK_INT(own("{\"limited\":51}"), -ERR_INVALID);
    CHECK_STR(c.err.message, "/limited is 51; an integer between 1 and 50 is wanted");
    CHECK_INT(own("{\"status\":\"x\"}"), -ERR_INVALID);
    CHECK_STR(c.err.message, "/status is \"x\"; one of RUNNING, SCHEDULED, FINISHED is wanted");
    CHECK_INT(own("{\"tags\":{\"a/b~c\":1}}"), -ERR_INVALID);
    CHECK_STR(c.err.field, "/tags/a~1b~0c");
    CHECK_INT(mlflow("{\"deep\":{\"name\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}}"),
              -ERR_INVALID);
    CHECK_STR(c.err.message, "'deep.name' exceeds the maximum length of 5 characters");
    CHECK_INT(mlflow("{\"deep\":{\"name\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}}"), 0);
}

static void a_long_wrong_value_is_shown_in_part(void) {
    struct buf b = {0};
    buf_puts(&b, "{\"max_results\":\"");
    for (int i = 0; i < 5000; i++)
        buf_puts(&b, "\xc3\xa9");
    buf_puts(&b, "\"}");
    CHECK_INT(mlflow(b.data), -ERR_INVALID);
    CHECK(strlen(c.err.message) < 700);
    CHECK_HAS(c.err.message, "\xc3\xa9... for parameter");
    buf_free(&b);
}

static void what_mlflow_alone_accepts(void) {
    static const struct {
        const char *text;
        bool also_own;
    } rows[] = {
        {"{\"max_results\":\"5\"}", false}, {"{\"max_results\":5.0}", true},
        {"{\"ratio\":\"1.5\"}", false},     {"{\"ratio\":\"NaN\"}", true},
        {"{\"status\":1}", false},          {"{\"status\":\"3\"}", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_INT(mlflow(rows[i].text), 0);
        CHECK_INT(own(rows[i].text), rows[i].also_own ? 0 : -ERR_INVALID);
    }
    CHECK_INT(mlflow("{\"maxResults\":7,\"runId\":\"r\",\"runIds\":[\"x\"]}"), 0);
    CHECK(out.max_results.v == 7 && out.run_ids.n == 1);
    CHECK_STR(out.run_id, "r");
    CHECK_INT(own("{\"maxResults\":7}"), 0);
    CHECK(!out.max_results.set);
    CHECK_INT(mlflow("{\"status\":3,\"state\":1}"), 0);
    CHECK_STR(out.status, "FINISHED");
    CHECK_STR(out.state, "READY");
    CHECK_INT(mlflow("{\"state\":0}"), 0);
    CHECK_STR(out.state, "STATE_UNSPECIFIED");
}

static void aliases(void) {
    CHECK_INT(mlflow("{\"run_uuid\":\"old\"}"), 0);
    CHECK_STR(out.run_id, "old");
    CHECK_INT(mlflow("{\"run_id\":\"\",\"run_uuid\":\"old\"}"), 0);
    CHECK_STR(out.run_id, "old");
    CHECK_INT(mlflow("{\"run_id\":\"new\",\"run_uuid\":\"old\"}"), 0);
    CHECK_STR(out.run_id, "new");
}

static void non_finite_numbers(void) {
    CHECK_INT(mlflow("{\"ratio\": NaN}"), 0);
    CHECK(out.ratio.set && isnan(out.ratio.v));
    CHECK_INT(mlflow("{\"ratio\":-Infinity,\"comment\":\"NaN \\\" Infinity\"}"), 0);
    CHECK(isinf(out.ratio.v) && out.ratio.v < 0);
    CHECK_STR(out.comment, "NaN \" Infinity");
    CHECK_INT(mlflow("{\"scores\":{\"a\":NaN,\"b\":Infinity,\"c\":\"-Infinity\"}}"), 0);
    CHECK(isnan(out.scores.items[0].value) && isinf(out.scores.items[1].value));
    CHECK_INT(mlflow("{\"plain\":NaN}"), -ERR_INVALID);
    CHECK_INT(mlflow("{\"run_id\":\"x\",\"ratio\":Nan}"), 0); /* not JSON at all: {} */
    CHECK(out.run_id == NULL);
    CHECK_INT(own("{\"ratio\":\"Infinity\"}"), 0);
    CHECK(isinf(out.ratio.v));
}

static void integer_limits(void) {
    CHECK_INT(own("{\"max_results\":9223372036854775807}"), 0);
    CHECK(out.max_results.v == INT64_MAX);
    CHECK_INT(own("{\"max_results\":-9223372036854775808}"), 0);
    CHECK(out.max_results.v == INT64_MIN);
    CHECK_INT(mlflow("{\"max_results\":\"9223372036854775807\"}"), 0);
    CHECK(out.max_results.v == INT64_MAX);
    CHECK_INT(mlflow("{\"max_results\":\"9223372036854775808\"}"), -ERR_INVALID);
    CHECK_INT(own("{\"max_results\":9.223372036854775807e18}"), -ERR_INVALID);
    CHECK_INT(own("{\"max_results\":-9.223372036854775808e18}"), 0);
    CHECK(out.max_results.v == INT64_MIN);
}

static void numbers_as_text(void) {
    CHECK_INT(mlflow("{\"version\":3}"), 0);
    CHECK_STR(out.version, "3");
    CHECK_INT(mlflow("{\"version\":1.25}"), 0);
    CHECK_STR(out.version, "1.25");
    CHECK_INT(mlflow("{\"version\":true}"), -ERR_INVALID);
}

static void strict_shapes(void) {
    CHECK_INT(decode_as(DIALECT_PROBLEM, &shape_strict, "{\"run_id\":\"x\",\"rumid\":1}"),
              -ERR_INVALID);
    CHECK_HAS(c.err.message, "/rumid is not known here; known are: run_id, comment");
    CHECK_INT(decode_as(DIALECT_PROBLEM, &shape_strict, "{\"run_uuid\":\"x\"}"), 0);
    CHECK_INT(decode_as(DIALECT_MLFLOW, &shape_strict, "{\"rumid\":1}"), 0);
    CHECK_INT(decode_as(DIALECT_OIP, &shape_strict, "{\"rumid\":1}"), 0);
}

struct params {
    const char *name, *text, *order;
    struct opt_i64 limit;
    struct opt_bool dry;
    struct opt_f64 share;
    struct strs ids;
    const char *status;
};
SHAPE(shape_params, "Params", struct params,
      FIELD(struct params, name, T_STR, F_PATH | F_REQUIRED, ""),
      FIELD(struct params, text, T_STR, 0, ""), FIELD(struct params, order, T_STR, F_QUERY, ""),
      FIELD_MAX(struct params, limit, T_I64, F_QUERY, 1, 10, ""),
      FIELD(struct params, dry, T_BOOL, F_QUERY, ""),
      FIELD(struct params, share, T_F64, F_QUERY, ""),
      FIELD(struct params, ids, T_STRS, F_QUERY, ""),
      FIELD_ENUM(struct params, status, F_QUERY, states, ""));

static struct params p;

/* "a=1&b=2", plain text on both sides. */
static int from_query(enum dialect d, const char *method, const char *text, const char *query) {
    struct pair items[16];
    struct pairs q = {items, 0};
    char *copy = arena_strdup(c.arena, query), *rest = NULL;
    for (char *part = strtok_r(copy, "&", &rest); part; part = strtok_r(NULL, "&", &rest)) {
        char *eq = strchr(part, '=');
        *eq = '\0';
        items[q.n++] = (struct pair){part, eq + 1};
    }
    struct pair path_item = {"name", "thing"};
    struct pairs path = {&path_item, 1};
    json_t *tree = NULL;
    err_clear(&c);
    p = (struct params){0};
    c.method = method;
    int r = json_parse(&c, d, text, strlen(text), &tree);
    if (r == 0)
        r = json_decode(&c, d, &shape_params, tree, &q, &path, &p);
    c.method = "";
    return r;
}

static void query_and_path(void) {
    CHECK_INT(from_query(DIALECT_PROBLEM, "GET", "{\"name\":\"body\"}",
                         "limit=5&dry=TRUE&share=0.5&ids=a&ids=b&status=FINISHED&text=t"),
              0);
    CHECK_STR(p.name, "thing");
    CHECK_STR(p.text, "t");
    CHECK(p.limit.v == 5 && p.dry.v && p.share.v == 0.5);
    CHECK_INT(p.ids.n, 2);
    CHECK_STR(p.ids.items[1], "b");
    CHECK_STR(p.status, "FINISHED");
    CHECK_INT(from_query(DIALECT_PROBLEM, "POST", "{\"text\":\"t\",\"limit\":3}", "order=x"), 0);
    CHECK_STR(p.text, "t");
    CHECK_STR(p.order, "x");
    CHECK(!p.limit.set); /* a query parameter is not read from the body */
    CHECK_INT(from_query(DIALECT_PROBLEM, "POST", "{}", "text=t"), 0);
    CHECK(p.text == NULL); /* nor the other way round */
    CHECK_INT(from_query(DIALECT_PROBLEM, "GET", "{\"text\":\"body\"}", ""), 0);
    CHECK(p.text == NULL);
    CHECK_INT(from_query(DIALECT_MLFLOW, "GET", "{\"text\":\"body\",\"limit\":4}", ""), 0);
    CHECK_STR(p.text, "body");
    CHECK(p.limit.v == 4);
    CHECK_INT(from_query(DIALECT_MLFLOW, "GET", "{\"text\":\"body\"}", "limit=4"), 0);
    CHECK(p.text == NULL && p.limit.v == 4);
    CHECK_INT(from_query(DIALECT_MLFLOW, "GET", "", "limit=&dry=False&text="), 0);
    CHECK(!p.limit.set && p.dry.set && !p.dry.v);
    CHECK_STR(p.text, "");
}

static void query_faults(void) {
    CHECK_INT(from_query(DIALECT_MLFLOW, "GET", "", "limit=abc"), -ERR_INVALID);
    CHECK_STR(c.err.message,
              "Invalid value \"abc\" for parameter 'limit' supplied:  Hint: Value was of type "
              "'str'" MORE);
    CHECK_INT(from_query(DIALECT_MLFLOW, "GET", "", "limit=11"), -ERR_INVALID);
    CHECK_HAS(c.err.message, "Hint: Value was of type 'str'");
    CHECK_INT(from_query(DIALECT_MLFLOW, "GET", "", "dry=yes"), -ERR_INVALID);
    CHECK_HAS(c.err.message, "Invalid boolean value");
    CHECK_INT(from_query(DIALECT_PROBLEM, "GET", "", "dry=1"), -ERR_INVALID);
    CHECK_INT(from_query(DIALECT_PROBLEM, "GET", "", "share=NaN"), -ERR_INVALID);
    CHECK_INT(from_query(DIALECT_PROBLEM, "GET", "", "status=x"), -ERR_INVALID);
    CHECK_INT(from_query(DIALECT_PROBLEM, "GET", "", "limit=1&limit=2"), -ERR_INVALID);
    CHECK_HAS(c.err.message, "given 2 times");
    CHECK_INT(from_query(DIALECT_MLFLOW, "GET", "", "limit=1&limit=2"), 0);
    CHECK_INT(p.limit.v, 1);
    CHECK_INT(from_query(DIALECT_PROBLEM, "GET", "", "text=\xff"), -ERR_INVALID);
    CHECK_HAS(c.err.message, "not UTF-8");
}

/* A pipeline's stored settings are decoded while a GET is answered. */
static void a_tree_of_the_handlers_own(void) {
    json_t *tree = NULL;
    err_clear(&c);
    c.method = "GET";
    REQUIRE(json_parse(&c, DIALECT_PROBLEM, "{\"name\":\"abc\"}", 14, &tree) == 0);
    struct deep d = {0};
    CHECK_INT(json_decode(&c, DIALECT_PROBLEM, &shape_deep, tree, NULL, NULL, &d), 0);
    CHECK_STR(d.name, "abc");
    c.method = "";
}

int main(void) {
    ctx_begin(&c);
    RUN(every_type);
    RUN(absent_stays_zero);
    RUN(mlflow_bodies_that_count_as_empty);
    RUN(malformed);
    RUN(a_hundred_thousand_brackets_are_refused_quickly);
    RUN(large_trees_are_refused_before_they_are_made);
    RUN(missing_values);
    RUN(wrong_values);
    RUN(a_long_wrong_value_is_shown_in_part);
    RUN(what_mlflow_alone_accepts);
    RUN(aliases);
    RUN(non_finite_numbers);
    RUN(integer_limits);
    RUN(numbers_as_text);
    RUN(strict_shapes);
    RUN(query_and_path);
    RUN(query_faults);
    RUN(a_tree_of_the_handlers_own);
    ctx_end(&c);
    return CHECK_END();
}
