/* SPDX-License-Identifier: Apache-2.0 */
/* What a replay is made of: tensors out of records, two answers compared, samples. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "capture.h"
#include "check.h"
#include "compare.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "rebuild.h"
#include "sample.h"
#include "skew.h"

static json_t *json(const char *text) {
    json_error_t e;
    json_t *t = json_loads(text, 0, &e);
    if (!t)
        printf("%s: %s\n", text, e.text);
    return t;
}

/* Every type there and back: printed as a record, rebuilt, the same bytes. */
static void test_every_type(void) {
    for (int d = 0; d < DT_COUNT; d++) {
        struct ctx c;
        unsigned char data[6 * sizeof(struct bytes)] = {0};
        struct tensor t = {.name = "t",
                           .dtype = (enum dtype)d,
                           .rank = 2,
                           .shape = {2, 3},
                           .count = 6,
                           .data = data};
        struct tensor_spec s = {.name = "t", .dtype = t.dtype, .rank = 2, .shape = {-1, 3}};
        struct replay_model m = {.inputs = &s, .ninputs = 1};
        struct tensor *out = NULL;
        struct buf text = {0};
        size_t size = dtype_size(t.dtype) * 6;
        static const uint16_t halves[] = {0x3C00, 0xC000, 0x0001, 0x7C00, 0x7BFF, 0x3555};
        static const double reals[] = {1.5, -0.1, 1e300, INFINITY, 4.9e-324, 0};
        static const float floats[] = {0.1F, -3.4e38F, 1e-45F, 16777216.0F, -INFINITY, 0};
        static const int64_t longs[] = {INT64_MIN, INT64_MAX, 9007199254740993, 0, -1, 1};
        static const uint64_t ulongs[] = {0, UINT64_MAX, 1, 9007199254740993, 2, 3};
        static const struct bytes words[] = {{"a", 1},   {"\xff\x00z", 3}, {"", 0},
                                             {"NaN", 3}, {"\"", 1},        {"\xc3\xa9", 2}};
        memset(data, 1, size);
        const void *from = d == DT_FP16 || d == DT_BF16 ? (const void *)halves
                           : d == DT_FP32               ? (const void *)floats
                           : d == DT_FP64               ? (const void *)reals
                           : d == DT_INT64              ? (const void *)longs
                           : d == DT_UINT64             ? (const void *)ulongs
                           : d == DT_BYTES              ? (const void *)words
                                                        : NULL;
        if (from)
            memcpy(data, from, size);
        capture_print_tensors(&t, 1, &text);
        json_t *tree = json(text.data);
        ctx_begin(&c);
        int rc = rebuild(&c, tree, 2, &m, &out);
        CHECK_INT(rc, 0);
        if (rc < 0) {
            printf("%s: %s\n", dtype_name(t.dtype), c.err.message);
        } else if (d == DT_BYTES) {
            const struct bytes *got = out->data;
            for (size_t i = 0; i < 6; i++)
                CHECK(got[i].len == words[i].len &&
                      memcmp(got[i].data, words[i].data, words[i].len) == 0);
        } else {
            CHECK_INT(out->count, 6);
            if (memcmp(out->data, data, size) != 0)
                printf("%s differs: %s\n", dtype_name(t.dtype), text.data);
            CHECK(memcmp(out->data, data, size) == 0);
        }
        ctx_end(&c);
        json_decref(tree);
        buf_free(&text);
    }
}

/* Floats of every size come back, in no more digits than they need. */
static void test_floats(void) {
    static const struct {
        float v;
        const char *text;
    } rows[] = {{0.1F, "0.1"},
                {5.1F, "5.1"},
                {-42, "-42.0"},
                {0, "0.0"},
                {1e6F, "1e+06"},
                {999999.94F, "999999.94"},
                {0.001F, "0.001"},
                {0.00123F, "0.00123"},
                {123456.7F, "123456.7"},
                {1e-7F, "1e-07"},
                {16777216, "16777216.0"},
                {0.3333333F, "0.3333333"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tensor t = {.name = "t", .dtype = DT_FP32, .count = 1, .data = (void *)&rows[i].v};
        struct buf text = {0};
        char want[60];
        snprintf(want, sizeof want, "{\"t\":%s}", rows[i].text);
        capture_print_tensors(&t, 1, &text);
        CHECK_STR(text.data, want);
        buf_free(&text);
    }
    uint32_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        float v, got;
        bits = bits * 1664525 + 1013904223;
        if (i % 2) /* of usual size */
            bits = (bits & 0x807FFFFF) | (uint32_t)(117 + i % 30) << 23;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        struct tensor t = {.name = "t", .dtype = DT_FP32, .count = 1, .data = &v};
        struct buf text = {0};
        capture_print_tensors(&t, 1, &text);
        got = (float)strtod(text.data + 5, NULL);
        if (got != v)
            printf("%.9g printed as %s\n", (double)v, text.data);
        CHECK(got == v);
        buf_free(&text);
    }
}

static int try(const char *inputs, int64_t rows, const struct replay_model *m, const char *why) {
    struct ctx c;
    struct tensor *out;
    json_t *tree = json(inputs);
    ctx_begin(&c);
    int rc = rebuild(&c, tree, rows, m, &out);
    CHECK_INT(rc, why ? -ERR_INVALID : 0);
    if (why && rc < 0)
        CHECK_HAS(c.err.message, why);
    ctx_end(&c);
    json_decref(tree);
    return rc;
}

static void test_rebuild(void) {
    static const char *const features[] = {"a", "b"};
    struct tensor_spec matrix = {.name = "X", .dtype = DT_FP32, .rank = 2, .shape = {-1, 2}};
    struct replay_model columns = {
        .inputs = &matrix, .ninputs = 1, .features = features, .nfeatures = 2};
    struct replay_model plain = {.inputs = &matrix, .ninputs = 1};
    struct tensor_spec two[] = {{.name = "a", .dtype = DT_INT8, .rank = 2, .shape = {-1, 1}},
                                {.name = "b", .dtype = DT_BYTES, .rank = 1, .shape = {-1}}};
    struct replay_model each = {.inputs = two, .ninputs = 2};
    try("{\"a\":[1,2],\"b\":[3,4]}", 2, &columns, NULL);
    try("{\"a\":[1,2]}", 2, &columns, "column 'b' was not kept");
    try("{\"a\":[1,2],\"b\":[\"x\",4]}", 2, &columns, "no FP32");
    try("{\"other\":[[1,2],[3,4]]}", 2, &plain, NULL); /* one input each */
    try("{\"X\":[[1,2,3]]}", 1, &plain, "another shape");
    try("{\"X\":[[1,2],[3]]}", 2, &plain, "no FP32");
    try("{\"X\":[1,2]}", 2, &plain, "another shape");
    try("{}", 1, &plain, "were not kept");
    try("{\"a\":[1,2],\"b\":[[\"x\"],[\"y\"]]}", 2, &each, NULL);
    try("{\"a\":[1,200],\"b\":[\"x\",\"y\"]}", 2, &each, "no INT8");
    try("{\"a\":[1,1.5],\"b\":[\"x\",\"y\"]}", 2, &each, "no INT8");
    try("{\"a\":[1,2]}", 2, &each, "input 'b' was not kept");
}

static void test_compare(void) {
    struct compare k;
    struct buf text = {0};
    struct json_writer w;
    compare_begin(&k, 1e-3);
    json_t *a = json("{\"label\":[0,1,1],\"p\":[[0.5,0.5],[0.1,0.9],[0.2,0.8]]}");
    json_t *b = json("{\"label\":[0,1,0],\"p\":[[0.5001,0.4999],[0.1,0.9],[0.7,0.3]]}");
    json_t *odd = json("{\"label\":[0,1]}"), *truth = json("[0,0,1]");
    compare_add(&k, "one", a, b, 3);
    compare_judge(&k, "one", a, b, truth, 3);
    CHECK_INT(k.rows, 3);
    CHECK_INT(k.agreed, 2);
    CHECK_INT(k.odd, 0);
    CHECK_INT(k.judged, 3);
    CHECK_INT(k.both, 1);
    CHECK_INT(k.neither, 1);
    CHECK_INT(k.regressed, 1);
    compare_add(&k, "two", odd, a, 3);
    CHECK_INT(k.odd, 3);
    compare_add(&k, "three", a, a, 3);
    CHECK_INT(k.agreed, 5);
    jw_init(&w, &text);
    jw_obj(&w);
    compare_write(&k, &w);
    jw_obj_end(&w);
    CHECK_HAS(text.data, "\"1 -> 0\":1");
    CHECK_HAS(text.data, "\"regressions\":[\"one\"]");
    CHECK_HAS(text.data, "\"max\":0.5");
    CHECK_HAS(text.data, "\"p\":{\"values\":12");
    json_t *t = json(text.data);
    CHECK(t != NULL);
    json_decref(t);
    compare_end(&k);
    buf_free(&text);
    json_decref(a);
    json_decref(b);
    json_decref(odd);
    json_decref(truth);
}

static void test_sample(void) {
    struct sample a = {0}, b = {0}, shifted = {0};
    for (int i = 0; i < 100000; i++) {
        double v = (double)(i * 7919 % 100000) / 100000;
        sample_add(&a, v);
        sample_add(&b, (double)(i * (int64_t)104729 % 100000) / 100000);
        sample_add(&shifted, v + 0.5);
    }
    sample_add(&a, NAN);
    CHECK_INT(a.n, 100000);
    CHECK_INT(a.kept, SAMPLE_MOST);
    CHECK_NEAR(sample_mean(&a), 0.5, 1e-4);
    CHECK_NEAR(sample_quantile(&a, 0.5), 0.5, 0.02);
    CHECK_NEAR(sample_quantile(&a, 0.99), 0.99, 0.01);
    CHECK_NEAR(sample_deviation(&a), 0.2887, 1e-3);
    CHECK(sample_psi(&a, &b) < 0.02);
    CHECK(sample_psi(&a, &shifted) > 1);
    sample_free(&a);
    sample_free(&b);
    sample_free(&shifted);
}

static void test_skew(void) {
    struct skew s = {0};
    struct buf text = {0};
    struct json_writer w;
    json_t *a = json("{\"x\":[1.0,2.0],\"city\":[\"Ulm\",\"Bonn\"],\"m\":[[\"NaN\"],[3]]}");
    json_t *b = json("{\"x\":[10.0],\"city\":[\"Kiel\"]}");
    skew_add(&s, a, false);
    skew_add(&s, b, true);
    jw_init(&w, &text);
    jw_obj(&w);
    skew_write(&s, &w);
    jw_obj_end(&w);
    CHECK_HAS(text.data, "\"x\":{\"values\":2,\"missing\":0,\"mean\":1.5");
    CHECK_HAS(text.data,
              "\"city\":{\"values\":2,\"missing\":0,\"distinct\":2,\"reference\":{\"values\":1");
    CHECK_HAS(text.data, "\"m\":{\"values\":2,\"missing\":1,\"mean\":3.0");
    skew_free(&s);
    buf_free(&text);
    json_decref(a);
    json_decref(b);
}

int main(void) {
    RUN(test_every_type);
    RUN(test_floats);
    RUN(test_rebuild);
    RUN(test_compare);
    RUN(test_sample);
    RUN(test_skew);
    return CHECK_END();
}
