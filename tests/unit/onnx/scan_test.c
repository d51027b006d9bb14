/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "model_maker.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/onnx/onnx.h"

static struct buf tensor_at(const char *location) {
    struct buf t = {0}, where = {0}, offset = {0};
    pb_text(&t, 8, "W");
    pb_text(&offset, 1, "offset");
    pb_text(&offset, 2, "0");
    pb_message(&t, 13, &offset);
    pb_text(&where, 1, "location");
    pb_text(&where, 2, location);
    pb_message(&t, 13, &where);
    pb_int(&t, 14, 1);
    return t;
}

/* The tensor as an initializer, as an attribute, and in a graph within an attribute. */
static struct buf model_with(const char *location, int where) {
    struct buf g = {0}, t = tensor_at(location), a = {0}, n = {0}, inner = {0};
    if (where == 0) {
        pb_message(&g, 5, &t);
    } else if (where == 1) {
        pb_message(&a, 5, &t);
        pb_message(&n, 5, &a);
        pb_message(&g, 1, &n);
    } else {
        pb_message(&inner, 5, &t);
        pb_message(&a, 6, &inner);
        pb_message(&n, 5, &a);
        pb_message(&g, 1, &n);
    }
    return pb_model(&g);
}

static void externals(void) {
    for (int where = 0; where < 3; where++) {
        struct ctx c;
        struct onnx_scan s;
        struct buf m = model_with("w/eights.bin", where);
        ctx_begin(&c);
        CHECK_INT(onnx_scan(&c, m.data, m.len, &s), 0);
        CHECK_INT(s.nexternal, 1);
        CHECK_STR(s.nexternal ? s.external[0] : "", "w/eights.bin");
        CHECK_STR(s.producer, "model-maker");
        CHECK_INT(s.ir_version, 8);
        ctx_end(&c);
        buf_free(&m);
    }
}

static void hostile(void) {
    static const char *const places[] = {"/etc/passwd", "../x", "a/../b", "./x", "a//b",
                                         "a/",          "",     "a\\b",   "..",  "\xff"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        for (int where = 0; where < 3; where++) {
            struct ctx c;
            struct onnx_scan s;
            struct buf m = model_with(places[i], where);
            ctx_begin(&c);
            CHECK_INT(onnx_scan(&c, m.data, m.len, &s), -ERR_UNPROCESSABLE);
            CHECK_HAS(c.err.message, "plain relative");
            ctx_end(&c);
            buf_free(&m);
        }
}

static void broken(void) {
    struct buf m = model_with("w.bin", 2);
    for (size_t n = 0; n < m.len; n++) { /* cut anywhere: an answer, and no read behind the end */
        struct ctx c;
        struct onnx_scan s;
        ctx_begin(&c);
        char *copy = arena_dup(c.arena, m.data, n ? n : 1);
        int rc = onnx_scan(&c, copy, n, &s);
        CHECK(rc == 0 || rc == -ERR_UNPROCESSABLE);
        ctx_end(&c);
    }
    buf_free(&m);
    struct ctx c;
    struct onnx_scan s;
    ctx_begin(&c);
    static const char endless[] = "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    CHECK_INT(onnx_scan(&c, endless, sizeof endless - 1, &s), -ERR_UNPROCESSABLE);
    err_clear(&c);
    CHECK_INT(onnx_scan(&c, "\x08\x08", 2, &s), -ERR_UNPROCESSABLE);
    CHECK_HAS(c.err.message, "no graph");
    ctx_end(&c);
    struct buf g = {0};
    for (int i = 0; i < 100; i++) { /* graph in attribute in node in graph ... */
        struct buf a = {0}, n = {0}, outer = {0};
        pb_message(&a, 6, &g);
        pb_message(&n, 5, &a);
        pb_message(&outer, 1, &n);
        g = outer;
    }
    m = pb_model(&g);
    ctx_begin(&c);
    CHECK_INT(onnx_scan(&c, m.data, m.len, &s), -ERR_UNPROCESSABLE);
    CHECK_HAS(c.err.message, "nested too deep");
    ctx_end(&c);
    buf_free(&m);
}

static void dtypes(void) {
    enum dtype t;
    for (int i = 0; i < DT_COUNT; i++) {
        CHECK_INT(dtype_parse(dtype_name((enum dtype)i), &t), 0);
        CHECK_INT(t, i);
        CHECK(dtype_size(t) > 0);
    }
    CHECK_INT(dtype_parse("fp32", &t), -1);
    CHECK_INT(dtype_parse("", &t), -1);
}

int main(void) {
    RUN(externals);
    RUN(hostile);
    RUN(broken);
    RUN(dtypes);
    return CHECK_END();
}
