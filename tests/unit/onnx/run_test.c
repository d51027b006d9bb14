/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime itself: opened by dlopen, small models loaded and run. Without a library the test is
 * skipped (exit code 77). QUERN_ONNX_LIB names one; else QUERN_ONNX_PLACES holds globs. */
#include <glob.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "check.h"
#include "model_maker.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "quern/onnx/onnx.h"

static const int64_t rows3[] = {-1, 3}, any1[] = {-1};

static struct onnx_session *loaded(struct ctx *c, struct buf *model) {
    struct onnx_session *s = NULL;
    int rc = onnx_load(c, model->data, model->len, &s);
    CHECK_INT(rc, 0);
    if (rc < 0)
        printf("  %s\n", c->err.message);
    buf_free(model);
    return s;
}

static struct buf sum_model(int type) {
    struct buf g = {0}, node = pb_node("Add", NULL, "A", "B", "C");
    pb_message(&g, 1, &node);
    pb_value(&g, 11, "A", type, rows3, 2);
    pb_value(&g, 11, "B", type, rows3, 2);
    pb_value(&g, 12, "C", type, rows3, 2);
    return pb_model(&g);
}

static struct buf identity_model(int type) {
    struct buf g = {0}, node = pb_node("Identity", NULL, "X", NULL, "Y");
    pb_message(&g, 1, &node);
    pb_value(&g, 11, "X", type, any1, 1);
    pb_value(&g, 12, "Y", type, any1, 1);
    return pb_model(&g);
}

static void sums(void) {
    struct ctx c;
    struct buf m = sum_model(1);
    ctx_begin(&c);
    struct onnx_session *s = loaded(&c, &m);
    REQUIRE(s);
    const struct tensor_spec *in, *out;
    CHECK_INT(onnx_inputs(s, &in), 2);
    CHECK_INT(onnx_outputs(s, &out), 1);
    CHECK(in[0].dtype == DT_FP32 && in[0].rank == 2 && in[0].shape[0] == -1 && in[0].shape[1] == 3);
    CHECK_STR(in[1].name, "B");
    CHECK_STR(onnx_metadata(s), "{\"producer\":\"model-maker\",\"graph\":\"g\",\"version\":7,"
                                "\"custom\":{\"author\":\"quern\"}}");
    float a[] = {1, 2, 3, 4, 5, NAN}, b[] = {10, 20, 30, 40, 50, 60};
    struct tensor t[] = {
        {.name = "B", .dtype = DT_FP32, .rank = 2, .shape = {2, 3}, .count = 6, .data = b},
        {.name = "A", .dtype = DT_FP32, .rank = 2, .shape = {2, 3}, .count = 6, .data = a}};
    struct tensor *o = NULL;
    size_t n = 0;
    CHECK_INT(onnx_run(&c, s, t, 2, NULL, &o, &n), 0);
    CHECK(n == 1 && o[0].count == 6 && o[0].shape[0] == 2 && o[0].shape[1] == 3);
    CHECK_STR(o[0].name, "C");
    CHECK(((float *)o[0].data)[4] == 55 && isnan(((float *)o[0].data)[5]));
    const char *wanted[] = {"C", NULL}, *wrong[] = {"D", NULL}, *twice[] = {"C", "C", NULL};
    CHECK_INT(onnx_run(&c, s, t, 2, wanted, &o, &n), 0);
    CHECK_INT(n, 1);
    t[0].shape[0] = t[1].shape[0] = 0;
    t[0].count = t[1].count = 0;
    CHECK_INT(onnx_run(&c, s, t, 2, NULL, &o, &n), 0);
    CHECK(o[0].count == 0 && o[0].shape[0] == 0);
    t[0].shape[0] = t[1].shape[0] = 2;
    t[0].count = t[1].count = 6;
    const struct {
        struct tensor first;
        size_t n;
        const char *const *wanted;
        const char *says;
    } bad[] = {
        {t[0], 1, NULL, "input 'A' (FP32) is missing"},
        {t[1], 2, NULL, "input 'A' is given twice"},
        {t[0], 2, wrong, "no output 'D'; it has 'C'"},
        {t[0], 2, twice, "asked for twice"},
        {{.name = "Z", .dtype = DT_FP32}, 2, NULL, "no input 'Z'; it has 'A', 'B'"},
        {{.name = "B", .dtype = DT_FP64, .rank = 2, .shape = {2, 3}, .count = 6, .data = b},
         2,
         NULL,
         "input 'B' is FP64; the model wants FP32"},
        {{.name = "B", .dtype = DT_FP32, .rank = 1, .shape = {6}, .count = 6, .data = b},
         2,
         NULL,
         "input 'B' has shape [6]; the model wants [-1,3]"},
        {{.name = "B", .dtype = DT_FP32, .rank = 2, .shape = {3, 2}, .count = 6, .data = b},
         2,
         NULL,
         "has shape [3,2]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct tensor u[] = {bad[i].first, t[1]};
        err_clear(&c);
        CHECK_INT(onnx_run(&c, s, u, bad[i].n, bad[i].wanted, &o, &n), -ERR_INVALID);
        CHECK_HAS(c.err.message, bad[i].says);
    }
    /* What only the runtime can know: the two do not broadcast. */
    struct tensor u[] = {t[0], t[1]};
    u[0].shape[0] = 1;
    u[0].count = 3;
    u[1].shape[0] = 2;
    err_clear(&c);
    CHECK_INT(onnx_run(&c, s, u, 2, NULL, &o, &n), 0); /* one row spreads over two */
    onnx_free(s);
    ctx_end(&c);
}

static void types(void) {
    static const struct {
        int onnx;
        enum dtype dtype;
    } rows[] = {{1, DT_FP32},    {11, DT_FP64},   {2, DT_UINT8}, {3, DT_INT8}, {4, DT_UINT16},
                {5, DT_INT16},   {6, DT_INT32},   {7, DT_INT64}, {9, DT_BOOL}, {10, DT_FP16},
                {12, DT_UINT32}, {13, DT_UINT64}, {16, DT_BF16}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        struct buf m = identity_model(rows[i].onnx);
        unsigned char data[32] = {1, 0, 1, 1, 0, 0, 1, 0, 1};
        ctx_begin(&c);
        struct onnx_session *s = loaded(&c, &m);
        REQUIRE(s);
        const struct tensor_spec *in;
        onnx_inputs(s, &in);
        CHECK_STR(dtype_name(in[0].dtype), dtype_name(rows[i].dtype));
        struct tensor t = {
            .name = "X", .dtype = rows[i].dtype, .rank = 1, .shape = {4}, .count = 4, .data = data};
        struct tensor *o;
        size_t n;
        CHECK_INT(onnx_run(&c, s, &t, 1, NULL, &o, &n), 0);
        CHECK(o[0].dtype == rows[i].dtype &&
              memcmp(o[0].data, data, 4 * dtype_size(rows[i].dtype)) == 0);
        onnx_free(s);
        ctx_end(&c);
    }
}

static void strings(void) {
    struct ctx c;
    struct buf m = identity_model(8);
    ctx_begin(&c);
    struct onnx_session *s = loaded(&c, &m);
    REQUIRE(s);
    struct bytes data[] = {
        {"", 0}, {"a\0b", 3}, {"\xC3\xBC", 2}, {"long enough to leave any small buffer", 37}};
    struct tensor t = {
        .name = "X", .dtype = DT_BYTES, .rank = 1, .shape = {4}, .count = 4, .data = data};
    struct tensor *o;
    size_t n;
    CHECK_INT(onnx_run(&c, s, &t, 1, NULL, &o, &n), 0);
    for (size_t i = 0; i < 4; i++) {
        const struct bytes *b = (struct bytes *)o[0].data + i;
        CHECK(b->len == data[i].len && memcmp(b->data, data[i].data, b->len) == 0);
    }
    t.count = 0;
    t.shape[0] = 0;
    CHECK_INT(onnx_run(&c, s, &t, 1, NULL, &o, &n), 0);
    CHECK(o[0].count == 0 && o[0].dtype == DT_BYTES);
    onnx_free(s);
    ctx_end(&c);
}

static void zipmap(bool texts) {
    static const char *const names[] = {"zebra", "ant", "mole"};
    static const int64_t numbers[] = {10, -5, 7};
    struct ctx c;
    struct buf g = {0}, node = pb_node("ZipMap", "ai.onnx.ml", "P", NULL, "Z");
    pb_attribute(&node, texts ? "classlabels_strings" : "classlabels_int64s", texts ? names : NULL,
                 numbers, 3);
    pb_message(&g, 1, &node);
    pb_value(&g, 11, "P", 1, rows3, 2);
    pb_zipmap_value(&g, "Z", texts ? 8 : 7);
    struct buf m = pb_model(&g);
    ctx_begin(&c);
    struct onnx_session *s = loaded(&c, &m);
    REQUIRE(s);
    const struct tensor_spec *out;
    onnx_outputs(s, &out);
    CHECK(out[0].rank == 2 && out[0].dtype == DT_FP32);
    float p[] = {1, 2, 3, 4, 5, 6};
    struct tensor t = {
        .name = "P", .dtype = DT_FP32, .rank = 2, .shape = {2, 3}, .count = 6, .data = p};
    struct tensor *o;
    size_t n;
    CHECK_INT(onnx_run(&c, s, &t, 1, NULL, &o, &n), 0);
    CHECK(n == 1 && o[0].rank == 2 && o[0].shape[0] == 2 && o[0].shape[1] == 3 && o[0].count == 6);
    /* Maps are sorted by key; the numbers must have gone with their keys. */
    static const char *const sorted_texts[] = {"ant", "mole", "zebra"}, *const sorted_numbers[] = {
                                                                            "-5", "7", "10"};
    static const float want[] = {2, 3, 1, 5, 6, 4};
    for (size_t i = 0; i < 3; i++)
        CHECK_STR(o[0].classes[i], texts ? sorted_texts[i] : sorted_numbers[i]);
    CHECK(memcmp(o[0].data, want, sizeof want) == 0);
    t.shape[0] = 0;
    t.count = 0;
    CHECK_INT(onnx_run(&c, s, &t, 1, NULL, &o, &n), 0);
    CHECK_INT(o[0].count, 0);
    onnx_free(s);
    ctx_end(&c);
}

static void zipmap_strings(void) {
    zipmap(true);
}

static void zipmap_numbers(void) {
    zipmap(false);
}

static void refused(void) {
    struct buf good = sum_model(1), odd = {0},
               node = pb_node("Nonsense", "nowhere", "X", NULL, "Y");
    pb_message(&odd, 1, &node);
    pb_value(&odd, 11, "X", 1, any1, 1);
    pb_value(&odd, 12, "Y", 1, any1, 1);
    struct buf unknown = pb_model(&odd);
    const struct {
        const void *data;
        size_t n;
    } rows[] = {{"", 0},
                {"not a model at all", 18},
                {good.data, good.len / 2},
                {good.data, good.len - 1},
                {unknown.data, unknown.len}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        struct onnx_session *s;
        ctx_begin(&c);
        CHECK_INT(onnx_load(&c, rows[i].data, rows[i].n, &s), -ERR_UNPROCESSABLE);
        CHECK_HAS(c.err.message, "model");
        CHECK(s == NULL);
        ctx_end(&c);
    }
    struct ctx c;
    struct onnx_session *s;
    ctx_begin(&c);
    CHECK_INT(onnx_load_file(&c, "/nonexistent/dir/model.onnx", &s), -ERR_UNPROCESSABLE);
    CHECK(!strstr(c.err.message, "nonexistent/dir/"));
    ctx_end(&c);
    buf_free(&good);
    buf_free(&unknown);
}

/* A graph that makes up its output's shape out of the numbers it is given. */
static void swollen(void) {
    struct ctx c;
    struct buf g = {0}, node = pb_node("ConstantOfShape", NULL, "X", NULL, "Y");
    static const int64_t two[] = {-1, -1};
    pb_message(&g, 1, &node);
    pb_value(&g, 11, "X", 7, any1, 1);
    pb_value(&g, 12, "Y", 1, two, 2);
    struct buf m = pb_model(&g);
    ctx_begin(&c);
    struct onnx_session *s = loaded(&c, &m);
    REQUIRE(s);
    static const struct {
        int64_t shape[2];
        int code;
    } rows[] = {{{4, 4}, 0},
                {{0, 4}, 0},
                {{1 << 14, 1 << 12}, ERR_UNPROCESSABLE}, /* 256 MiB */
                {{1 << 30, 0}, ERR_UNPROCESSABLE}};      /* a gigabyte of "[]" once printed */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t x[2] = {rows[i].shape[0], rows[i].shape[1]};
        struct tensor t = {
            .name = "X", .dtype = DT_INT64, .rank = 1, .shape = {2}, .count = 2, .data = x};
        struct tensor *o;
        size_t n;
        err_clear(&c);
        CHECK_INT(-onnx_run(&c, s, &t, 1, NULL, &o, &n), rows[i].code);
        if (rows[i].code)
            CHECK_HAS(c.err.message, "MiB of outputs");
    }
    onnx_free(s);
    ctx_end(&c);
}

/* Goes round as often as M says. */
static struct buf loop_model(void) {
    struct buf g = {0}, body = {0}, attribute = {0};
    struct buf keep = pb_node("Identity", NULL, "c", NULL, "co");
    struct buf carry = pb_node("Identity", NULL, "a", NULL, "ao");
    pb_message(&body, 1, &keep);
    pb_message(&body, 1, &carry);
    pb_text(&body, 2, "body");
    pb_value(&body, 11, "i", 7, NULL, 0);
    pb_value(&body, 11, "c", 9, NULL, 0);
    pb_value(&body, 11, "a", 1, any1, 1);
    pb_value(&body, 12, "co", 9, NULL, 0);
    pb_value(&body, 12, "ao", 1, any1, 1);
    struct buf node = pb_node("Loop", NULL, "M", "", "Y");
    pb_text(&node, 1, "X");
    pb_text(&attribute, 1, "body");
    pb_message(&attribute, 6, &body);
    pb_int(&attribute, 20, 5);
    pb_message(&node, 5, &attribute);
    pb_message(&g, 1, &node);
    pb_value(&g, 11, "M", 7, NULL, 0);
    pb_value(&g, 11, "X", 1, any1, 1);
    pb_value(&g, 12, "Y", 1, any1, 1);
    return pb_model(&g);
}

static atomic_bool watching;

static void *watcher(void *arg) {
    while (atomic_load(&watching)) {
        onnx_watch();
        clock_sleep_ms(5);
    }
    return arg;
}

static int go_round(struct onnx_session *s, int64_t times) {
    struct ctx c;
    float x[] = {1.5f};
    struct tensor t[] = {
        {.name = "M", .dtype = DT_INT64, .rank = 0, .count = 1, .data = &times},
        {.name = "X", .dtype = DT_FP32, .rank = 1, .shape = {1}, .count = 1, .data = x}};
    struct tensor *o;
    size_t n;
    ctx_begin(&c);
    int rc = onnx_run(&c, s, t, 2, NULL, &o, &n);
    if (rc < 0)
        CHECK_HAS(c.err.message, "took too long");
    else
        CHECK(((float *)o[0].data)[0] == 1.5f);
    ctx_end(&c);
    return rc;
}

static void *quick_runs(void *arg) {
    for (int i = 0; i < 200; i++)
        if (go_round(arg, 10) != 0)
            return arg;
    return NULL;
}

/* A run that would not end is stopped; the thread's next runs and those of others are not. */
static void deadline(void) {
    struct ctx c;
    struct buf m = loop_model();
    pthread_t watch, other;
    void *bad;
    ctx_begin(&c);
    struct onnx_session *s = loaded(&c, &m);
    REQUIRE(s);
    CHECK_INT(go_round(s, 100), 0);
    onnx_timeout(200);
    atomic_store(&watching, true);
    pthread_create(&watch, NULL, watcher, NULL);
    pthread_create(&other, NULL, quick_runs, s);
    for (int i = 0; i < 3; i++) {
        int64_t began = clock_mono_ms();
        CHECK_INT(go_round(s, INT64_MAX), -ERR_DEADLINE);
        CHECK(clock_mono_ms() - began < 10000);
        CHECK_INT(go_round(s, 10), 0);
    }
    pthread_join(other, &bad);
    CHECK(bad == NULL);
    atomic_store(&watching, false);
    pthread_join(watch, NULL);
    onnx_timeout(0);
    onnx_free(s);
    ctx_end(&c);
}

static void *runner(void *arg) {
    struct onnx_session *s = arg;
    for (int k = 0; k < 300; k++) {
        struct ctx c;
        float a[] = {(float)k, 2, 3}, b[] = {1, 1, 1};
        struct tensor t[] = {
            {.name = "A", .dtype = DT_FP32, .rank = 2, .shape = {1, 3}, .count = 3, .data = a},
            {.name = "B", .dtype = DT_FP32, .rank = 2, .shape = {1, 3}, .count = 3, .data = b}};
        struct tensor *o;
        size_t n;
        ctx_begin(&c);
        int rc = onnx_run(&c, s, t, 2, NULL, &o, &n);
        bool right = rc == 0 && ((float *)o[0].data)[0] == (float)k + 1;
        ctx_end(&c);
        if (!right)
            return s;
    }
    return NULL;
}

static void threads(void) {
    struct ctx c;
    struct buf m = sum_model(1);
    ctx_begin(&c);
    struct onnx_session *s = loaded(&c, &m);
    REQUIRE(s);
    pthread_t t[4];
    for (size_t i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, runner, s);
    for (size_t i = 0; i < 4; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        CHECK(bad == NULL);
    }
    onnx_free(s);
    ctx_end(&c);
}

static bool open_library(struct buf *why) {
    const char *one = getenv("QUERN_ONNX_LIB"), *places = getenv("QUERN_ONNX_PLACES");
    if (one && *one)
        return onnx_open(one, NULL, why) == 0;
    char *copy = mem_strdup(places ? places : "");
    bool found = false;
    for (char *save, *p = strtok_r(copy, ":", &save); p && !found; p = strtok_r(NULL, ":", &save)) {
        glob_t g;
        if (glob(p, 0, NULL, &g) == 0)
            for (size_t i = 0; i < g.gl_pathc && !found; i++)
                found = onnx_open(g.gl_pathv[i], NULL, why) == 0;
        globfree(&g);
    }
    free(copy);
    return found;
}

int main(void) {
    struct buf why = {0};
    struct ctx c;
    struct onnx_session *s;
    const char *const nowhere[] = {"/nonexistent/libonnxruntime.so", "libm.so.6", NULL};
    CHECK_INT(onnx_open(NULL, nowhere, &why), -1);
    CHECK_HAS(why.data, "is not ONNX Runtime");
    CHECK(!onnx_ready());
    ctx_begin(&c);
    CHECK_INT(onnx_load(&c, "x", 1, &s), -ERR_NOT_READY);
    ctx_end(&c);
    buf_clear(&why);
    if (!open_library(&why)) {
        printf("skipped: no ONNX Runtime (%s)\n", why.data ? why.data : "no place given");
        buf_free(&why);
        return check_failures ? 1 : 77;
    }
    buf_free(&why);
    printf("ONNX Runtime %s\n", onnx_version());
    RUN(sums);
    RUN(types);
    RUN(strings);
    RUN(zipmap_strings);
    RUN(zipmap_numbers);
    RUN(refused);
    RUN(swollen);
    RUN(deadline);
    RUN(threads);
    return CHECK_END();
}
