/* SPDX-License-Identifier: Apache-2.0 */
/* Rules on inputs and outputs, from their JSON on. */
#include "checks.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "limit_spec.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "signature.h"

static struct ctx c;

static int decode(const struct shape *shape, const char *text, void *out) {
    struct json_t *tree;
    int rc = json_parse(&c, DIALECT_PROBLEM, text, strlen(text), &tree);
    return rc < 0 ? rc : json_decode(&c, DIALECT_PROBLEM, shape, tree, NULL, NULL, out);
}

static int spec(const char *text, struct checks_spec *out) {
    *out = (struct checks_spec){0};
    int rc = decode(&shape_checks_spec, text, out);
    return rc < 0 ? rc : checks_spec_check(&c, out);
}

/* A model with the column `x` of each type, one matrix of three columns, or one of them. */
static const struct tensor_spec matrix = {
    .name = "X", .dtype = DT_FP32, .rank = 2, .shape = {-1, 3}};
static const struct signature_column columns[] = {
    {"age", "long", true}, {"fare", "double", true}, {"kind", "integer", false}};

static struct checks *make(const char *text, const struct tensor_spec *in, size_t nin,
                           bool signature) {
    struct checks_spec s;
    err_clear(&c);
    CHECK_INT(spec(text, &s), 0);
    if (c.err.code)
        printf("  %s: %s\n", text, c.err.message);
    struct check_target target = {in, nin, signature ? columns : NULL, signature ? 3 : 0};
    return checks_make(c.arena, &s, &target);
}

static struct tensor tensor(const char *name, enum dtype t, int64_t rows, int64_t width,
                            void *data) {
    return (struct tensor){.name = name,
                           .dtype = t,
                           .rank = width ? 2 : 1,
                           .shape = {rows, width},
                           .count = (size_t)(rows * (width ? width : 1)),
                           .data = data};
}

static struct check_report report;

static int run(const struct checks *k, const struct tensor *in, size_t nin) {
    report = (struct check_report){0};
    err_clear(&c);
    return check_inputs(&c, k, in, nin, NULL, NULL, &report);
}

static void test_specs(void) {
    static const struct {
        const char *text, *field, *says;
    } bad[] = {
        {"{\"inputs\":[{\"name\":\"x\",\"min\":\"a\"}]}", "checks/inputs/0/min", "a number"},
        {"{\"inputs\":[{\"name\":\"x\",\"min\":2,\"max\":1}]}", "checks/inputs/0/max", "less"},
        {"{\"inputs\":[{\"name\":\"x\",\"min\":9007199254740993,\"max\":9007199254740992}]}",
         "checks/inputs/0/max", "less"},
        {"{\"inputs\":[{\"name\":\"x\"},{\"name\":\"x\"}]}", "checks/inputs/1/name", "two rules"},
        {"{\"inputs\":[{\"name\":\"x\",\"dtype\":\"FLOAT\"}]}", "checks/inputs/0/dtype", "FLOAT"},
        {"{\"inputs\":[{\"name\":\"x\",\"categories\":[]}]}", "checks/inputs/0/categories", "list"},
        {"{\"inputs\":[{\"name\":\"x\",\"categories\":[\"a\",null]}]}",
         "checks/inputs/0/categories", "category 1"},
        {"{\"outputs\":[{\"name\":\"y\",\"tolerance\":1}]}", "checks/outputs/0/tolerance",
         "sum_to"},
        {"{\"outputs\":[{\"name\":\"y\",\"sum_to\":1,\"tolerance\":-1}]}",
         "checks/outputs/0/tolerance", "from 0"},
        {"{\"unknown\":\"maybe\"}", NULL, "unknown"},
        {"{\"inputs\":[{\"name\":\"x\",\"nan\":\"no\"}]}", NULL, "nan"},
        {"{\"input\":[]}", NULL, "input"},
        {"{\"inputs\":[{\"min\":1}]}", NULL, "name"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct checks_spec s;
        err_clear(&c);
        CHECK_INT(spec(bad[i].text, &s), -ERR_INVALID);
        if (bad[i].field)
            CHECK_STR(c.err.field, bad[i].field);
        CHECK_HAS(c.err.message, bad[i].says);
    }
    err_clear(&c);
    CHECK_INT(checks_spec_check(&c, NULL), 0);
}

static void test_integers_are_exact(void) {
    struct tensor_spec in = {.name = "x", .dtype = DT_INT64, .rank = 1, .shape = {-1}};
    int64_t v[] = {9007199254740993, 9007199254740992, 9007199254740994};
    struct tensor x = tensor("x", DT_INT64, 3, 0, v);
    const struct checks *k = make("{\"inputs\":[{\"name\":\"x\",\"min\":9007199254740993,"
                                  "\"max\":9007199254740993}]}",
                                  &in, 1, false);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_BELOW], 1);
    CHECK_INT(report.counts[CHECK_ABOVE], 1);
    CHECK_STR(c.err.message,
              "input 'x', row 1: 9007199254740992 is below the minimum of 9007199254740993");
    CHECK_STR(c.err.field, "x");

    uint64_t u[] = {UINT64_MAX, 0, 5};
    in.dtype = DT_UINT64;
    x = tensor("x", DT_UINT64, 3, 0, u);
    k = make("{\"inputs\":[{\"name\":\"x\",\"min\":-3,\"max\":9223372036854775807}]}", &in, 1,
             false);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_ABOVE], 1);
    CHECK_INT(report.counts[CHECK_BELOW], 0);
    CHECK_HAS(c.err.message, "18446744073709551615 is above");
    k = make("{\"inputs\":[{\"name\":\"x\",\"max\":-1}]}", &in, 1, false);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID); /* no unsigned number is that small */
    CHECK_INT(report.counts[CHECK_ABOVE] + report.counts[CHECK_BELOW] >= 3, 1);

    int8_t b[] = {-128, 127, 3};
    in.dtype = DT_INT8;
    x = tensor("x", DT_INT8, 3, 0, b);
    k = make("{\"inputs\":[{\"name\":\"x\",\"min\":-1.5,\"max\":3.9}]}", &in, 1, false);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_BELOW], 1);
    CHECK_INT(report.counts[CHECK_ABOVE], 1);
    k = make("{\"inputs\":[{\"name\":\"x\",\"min\":-1000,\"max\":1e30}]}", &in, 1, false);
    CHECK_INT(run(k, &x, 1), 0);
    k = make("{\"inputs\":[{\"name\":\"x\",\"min\":1e30}]}", &in, 1, false);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK(report.counts[CHECK_BELOW] == 3);
    CHECK_HAS(c.err.message, "-128 is below the minimum of 1e+30");
}

static void test_floats(void) {
    struct tensor_spec in = {.name = "x", .dtype = DT_FP32, .rank = 2, .shape = {-1, 2}};
    float v[] = {0.1F, 0.5F, NAN, 0.1000001F};
    struct tensor x = tensor("x", DT_FP32, 2, 2, v);
    const struct checks *k =
        make("{\"inputs\":[{\"name\":\"x\",\"max\":0.5,\"min\":0.1}]}", &in, 1, false);
    CHECK_INT(run(k, &x, 1), 0); /* bounds are met, NaN is allowed */
    k = make("{\"inputs\":[{\"name\":\"x\",\"max\":0.1}]}", &in, 1, false);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_ABOVE], 2);
    CHECK_STR(c.err.message, "input 'x', row 0, element 1: 0.5 is above the maximum of 0.1");
    k = make("{\"inputs\":[{\"name\":\"x\",\"nan\":\"reject\"}]}", &in, 1, false);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_NAN], 1);
    CHECK_STR(c.err.message, "input 'x', row 1, element 0: nan is not accepted");
    k = make("{\"inputs\":[{\"name\":\"x\",\"nan\":\"null\"}]}", &in, 1, false);
    CHECK_INT(run(k, &x, 1), 0);
    k = make("{\"inputs\":[{\"name\":\"x\",\"nan\":\"null\",\"required\":true}]}", &in, 1, false);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_MISSING], 1);
    k = make("{\"inputs\":[{\"name\":\"x\",\"categories\":[0.1,0.5]}]}", &in, 1, false);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_CATEGORY], 1); /* 0.1000001 alone */
    /* Half floats: 1.5 and -2. */
    uint16_t half[] = {0x3e00, 0xc000};
    in.dtype = DT_FP16;
    x = tensor("x", DT_FP16, 2, 0, half);
    k = make("{\"inputs\":[{\"name\":\"x\",\"min\":-1.9,\"max\":1.5}]}", &in, 1, false);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_BELOW], 1);
    CHECK_INT(report.counts[CHECK_ABOVE], 0);
    uint16_t brain[] = {0x3fc0, 0x7fc0}; /* 1.5, NaN */
    in.dtype = DT_BF16;
    x = tensor("x", DT_BF16, 2, 0, brain);
    k = make("{\"inputs\":[{\"name\":\"x\",\"max\":1,\"nan\":\"reject\"}]}", &in, 1, false);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_ABOVE], 1);
    CHECK_INT(report.counts[CHECK_NAN], 1);
}

static void test_texts(void) {
    struct tensor_spec in[] = {{.name = "sex", .dtype = DT_BYTES, .rank = 2, .shape = {-1, 1}},
                               {.name = "n", .dtype = DT_BOOL, .rank = 1, .shape = {-1}}};
    struct bytes v[] = {{"f", 1}, {"m", 1}, {"secret", 6}, {"", 0}};
    unsigned char yes[] = {1, 0, 1, 1};
    struct tensor x[] = {tensor("n", DT_BOOL, 4, 0, yes), tensor("sex", DT_BYTES, 4, 1, v)};
    const struct checks *k =
        make("{\"inputs\":[{\"name\":\"sex\",\"categories\":[\"m\",\"f\",\"\"]},"
             "{\"name\":\"n\",\"categories\":[true]}]}",
             in, 2, false);
    CHECK_INT(run(k, x, 2), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_CATEGORY], 2);
    CHECK_STR(c.err.message,
              "input 'sex', row 2: the text is none of the allowed categories"); /* not which */
    v[2] = (struct bytes){"m", 1};
    yes[1] = 1;
    CHECK_INT(run(k, x, 2), 0);
}

static void test_columns(void) {
    float v[] = {30, 7.25F, 1, 41, NAN, 2, -1, 8, 2.5F};
    struct tensor x = tensor("X", DT_FP32, 3, 3, v);
    const struct checks *k =
        make("{\"inputs\":[{\"name\":\"age\",\"min\":0,\"max\":40}]}", &matrix, 1, true);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_ABOVE], 1);
    CHECK_INT(report.counts[CHECK_BELOW], 1);
    CHECK_STR(c.err.message, "column 'age', row 2: -1 is below the minimum of 0");
    CHECK_STR(c.err.field, "age");
    /* From the signature: kind is whole, fare may be NaN. */
    k = make("{\"signature\":true}", &matrix, 1, true);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_FRACTION], 1);
    CHECK_HAS(c.err.message, "column 'kind', row 2: 2.5 is not a whole number");
    v[8] = 3e9F; /* whole, but no MLflow integer */
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_ABOVE], 1);
    CHECK_INT(report.counts[CHECK_MISSING], 0);
    v[8] = NAN; /* optional */
    CHECK_INT(run(k, &x, 1), 0);
    v[0] = NAN; /* a long that is required */
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_INT(report.counts[CHECK_MISSING], 1);
    v[0] = 30;
    /* A declared rule stands in place of the signature's. */
    k = make("{\"signature\":true,\"inputs\":[{\"name\":\"kind\",\"max\":9}]}", &matrix, 1, true);
    v[8] = 2.5F;
    CHECK_INT(run(k, &x, 1), 0);
    /* Fewer columns than the signature says: the model itself will complain. */
    struct tensor narrow = tensor("X", DT_FP32, 2, 2, v);
    CHECK_INT(run(k, &narrow, 1), 0);
    struct tensor empty = tensor("X", DT_FP32, 0, 3, v);
    CHECK_INT(run(k, &empty, 1), 0);
}

static const char *two_names(const void *request, size_t i) {
    const char *const *names = request;
    return names[i];
}

static void test_names(void) {
    float v[] = {1, 2, 3};
    struct tensor x = tensor("X", DT_FP32, 1, 3, v);
    const char *const names[] = {"age", "fare", "kind", "colour", NULL};
    const struct checks *k = make("{\"unknown\":\"reject\"}", &matrix, 1, true);
    report = (struct check_report){0};
    err_clear(&c);
    CHECK_INT(check_inputs(&c, k, &x, 1, two_names, names, &report), -ERR_INVALID);
    CHECK_STR(c.err.message, "the model takes no column 'colour'");
    CHECK_INT(report.counts[CHECK_UNKNOWN], 1);
    err_clear(&c);
    CHECK_INT(check_inputs(&c, k, &x, 1, two_names, names + 4, &report), 0);
    k = make("{\"inputs\":[{\"name\":\"colour\",\"required\":true}]}", &matrix, 1, true);
    CHECK_INT(check_inputs(&c, k, &x, 1, two_names, names, &report), 0); /* the model or not */
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_STR(c.err.message, "input 'colour' is missing");
    k = make("{\"inputs\":[{\"name\":\"X\",\"dtype\":\"FP64\"}]}", &matrix, 1, true);
    CHECK_INT(run(k, &x, 1), -ERR_INVALID);
    CHECK_STR(c.err.message, "input 'X' must be FP64; the model takes it as FP32");
    CHECK_INT(report.counts[CHECK_DTYPE], 1);
}

static int out(const char *text, struct tensor *t, size_t n) {
    const struct checks *k = make(text, NULL, 0, false);
    report = (struct check_report){0};
    err_clear(&c);
    return check_outputs(&c, k, t, n, &report);
}

static void test_outputs(void) {
    float p[] = {0.25F, 0.75F, 0.5F, 0.6F, NAN, 1};
    double d[] = {1, INFINITY, -INFINITY};
    struct tensor t[] = {tensor("p", DT_FP32, 3, 2, p), tensor("d", DT_FP64, 3, 0, d)};
    CHECK_INT(out("{\"outputs\":[{\"name\":\"p\"},{\"name\":\"none\",\"min\":1}]}", t, 2), 0);
    CHECK_INT(report.counts[CHECK_OUTPUT_NAN], 1); /* counted all the same */
    CHECK_INT(out("{\"outputs\":[{\"name\":\"p\",\"nan\":\"error\"}]}", t, 2), -ERR_UNPROCESSABLE);
    CHECK_STR(c.err.message, "output 'p', row 2, element 0: nan is no number that can be used");
    CHECK(!report.degrade);
    CHECK_INT(out("{\"outputs\":[{\"name\":\"d\",\"nan\":\"degrade\"}]}", t, 2),
              -ERR_UNPROCESSABLE);
    CHECK(report.degrade);
    CHECK_INT(report.counts[CHECK_OUTPUT_NAN], 2);
    CHECK_INT(out("{\"outputs\":[{\"name\":\"p\",\"sum_to\":1}]}", t, 1), -ERR_UNPROCESSABLE);
    CHECK_INT(report.counts[CHECK_OUTPUT_SUM], 2);
    CHECK_STR(c.err.message, "output 'p', row 1: does not add up to 1 +- 0.001");
    CHECK(!report.degrade);
    CHECK_INT(out("{\"outputs\":[{\"name\":\"p\",\"sum_to\":1,\"tolerance\":0.2,"
                  "\"action\":\"degrade\"}]}",
                  t, 1),
              -ERR_UNPROCESSABLE);
    CHECK_INT(report.counts[CHECK_OUTPUT_SUM], 1);
    CHECK(report.degrade);
    CHECK_INT(out("{\"outputs\":[{\"name\":\"p\",\"max\":0.6,\"min\":0.5}]}", t, 1),
              -ERR_UNPROCESSABLE);
    CHECK_INT(report.counts[CHECK_OUTPUT_BELOW], 1);
    CHECK_INT(report.counts[CHECK_OUTPUT_ABOVE], 2); /* 0.6 itself is met, as FP32 */
    CHECK_INT(out("{\"outputs\":[{\"name\":\"d\",\"nan\":\"null\"}]}", t, 2), 0);
    CHECK(isnan(d[1]) && isnan(d[2]) && d[0] == 1);
}

static void test_limits(void) {
    struct batching_spec b = {0};
    struct limits_spec l = {0};
    struct cache_spec k = {0};
    CHECK_INT(decode(&shape_batching_spec, "{\"max_rows\":32,\"preferred\":[8,16]}", &b), 0);
    CHECK_INT(batching_spec_check(&c, &b), 0);
    struct batch_limits limits = batching_of(&b);
    CHECK_INT(limits.max_rows, 32);
    CHECK_INT(limits.max_delay_us, 0);
    CHECK_INT(limits.npreferred, 2);
    CHECK_INT(limits.preferred[1], 16);
    CHECK_INT(limits_of(NULL, NULL, 64).concurrency, 8);
    CHECK_INT(limits_of(NULL, NULL, 64).queue, 256);
    CHECK_INT(limits_of(NULL, &b, 48).concurrency, 48);
    CHECK_INT(limits_of(NULL, &b, 1000).concurrency, 64);
    CHECK_INT(decode(&shape_limits_spec, "{\"concurrency\":2,\"queue\":0}", &l), 0);
    CHECK_INT(limits_of(&l, &b, 48).concurrency, 2);
    CHECK_INT(limits_of(&l, &b, 48).queue, 0);
    static const char *const bad[] = {"[8,8]", "[16,8]", "[64]", "[0]", "[1.5]", "[\"8\"]", "8"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        b = (struct batching_spec){0};
        err_clear(&c);
        CHECK_INT(decode(&shape_batching_spec,
                         arena_printf(c.arena, "{\"max_rows\":32,\"preferred\":%s}", bad[i]), &b),
                  0);
        CHECK_INT(batching_spec_check(&c, &b), -ERR_INVALID);
        CHECK_STR(c.err.field, "batching/preferred");
    }
    err_clear(&c);
    CHECK_INT(decode(&shape_batching_spec, "{\"max_rows\":1}", &b), -ERR_INVALID);
    err_clear(&c);
    CHECK_INT(decode(&shape_limits_spec, "{\"concurrency\":0}", &l), -ERR_INVALID);
    err_clear(&c);
    CHECK_INT(decode(&shape_cache_spec, "{\"bytes\":1000}", &k), -ERR_INVALID);
    err_clear(&c);
    CHECK_INT(decode(&shape_cache_spec, "{\"bytes\":1048576,\"ttl_ms\":5}", &k), 0);
    CHECK_INT(k.ttl_ms.v, 5);
}

static void test_signature(void) {
    static const char mlmodel[] =
        "flavors: {}\nsignature:\n  inputs: '[{\"type\": \"long\", \"name\": \"a\", \"required\": "
        "true}, {\"type\": \"double\", \"name\": \"b\", \"required\": false}, {\"type\": "
        "\"string\", \"name\": \"c\"}]'\n  outputs: null\n";
    struct signature_column *list;
    size_t n;
    signature_columns(&c, c.arena, mlmodel, sizeof mlmodel - 1, &list, &n);
    CHECK_INT(n, 3);
    if (n != 3)
        return;
    CHECK_STR(list[0].type, "long");
    CHECK(list[0].required && !list[1].required && list[2].required);
    CHECK_STR(list[2].name, "c");
}

/* How long a million values take; printed, not judged. */
static void test_speed(void) {
    size_t n = 1000000;
    float *v = mem_alloc(n * sizeof *v);
    struct tensor x = tensor("X", DT_FP32, (int64_t)n / 3, 3, v);
    struct tensor_spec in = {.name = "X", .dtype = DT_FP32, .rank = 2, .shape = {-1, 3}};
    const struct checks *k = make(
        "{\"inputs\":[{\"name\":\"X\",\"min\":-1,\"max\":1,\"nan\":\"reject\"}]}", &in, 1, false);
    int64_t began = clock_mono_ns();
    CHECK_INT(run(k, &x, 1), 0);
    printf("     %zu values in %.2f ms\n", n, (double)(clock_mono_ns() - began) / 1e6);
    free(v);
}

int main(void) {
    ctx_begin(&c);
    RUN(test_specs);
    RUN(test_integers_are_exact);
    RUN(test_floats);
    RUN(test_texts);
    RUN(test_columns);
    RUN(test_names);
    RUN(test_outputs);
    RUN(test_limits);
    RUN(test_signature);
    RUN(test_speed);
    ctx_end(&c);
    return CHECK_END();
}
