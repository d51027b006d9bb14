/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor_print.h"

#include <stdlib.h>

#include "check.h"
#include "oip_classify.h"
#include "oip_print.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

static const char *const classes[] = {"no", "y\"es"};

static const char *done(struct text *o) {
    text_put(o, "", 1); /* its NUL */
    return o->data;
}

static void values(void) {
    struct arena *a = arena_new();
    float f[] = {0.25f, NAN, INFINITY, -INFINITY, -0.0f, 1e-7f};
    double d[] = {0.1, NAN, 5e-324};
    int64_t i[] = {INT64_MIN, 0, INT64_MAX};
    uint64_t u[] = {UINT64_MAX};
    uint8_t b[] = {1, 0};
    uint16_t h[] = {0x3C00, 0xC000, 0x0001, 0x7C00, 0x7E00};
    uint16_t bf[] = {0x3FC0};
    struct bytes s[] = {{"a\"\\\n\x01", 5}, {"\xC3\xBC", 2}, {"\xFF!", 2}, {"", 0}};
    const struct {
        struct tensor t;
        const char *text;
    } rows[] = {
        {{.dtype = DT_FP32, .count = 6, .data = f}, "[0.25,null,null,null,-0.0,1e-07]"},
        {{.dtype = DT_FP64, .count = 3, .data = d}, "[0.1,null,5e-324]"},
        {{.dtype = DT_INT64, .count = 3, .data = i},
         "[-9223372036854775808,0,9223372036854775807]"},
        {{.dtype = DT_UINT64, .count = 1, .data = u}, "[18446744073709551615]"},
        {{.dtype = DT_BOOL, .count = 2, .data = b}, "[true,false]"},
        {{.dtype = DT_UINT8, .count = 2, .data = b}, "[1,0]"},
        {{.dtype = DT_FP16, .count = 5, .data = h}, "[1.0,-2.0,5.9604645e-08,null,null]"},
        {{.dtype = DT_BF16, .count = 1, .data = bf}, "[1.5]"},
        {{.dtype = DT_BYTES, .count = 4, .data = s},
         "[\"a\\\"\\\\\\n\\u0001\",\"\xC3\xBC\",\"\\ufffd!\",\"\"]"},
        {{.dtype = DT_FP32, .count = 0, .data = f}, "[]"},
    };
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        struct text o;
        text_init(&o, a, 1); /* grows at every step */
        text_flat(&o, &rows[k].t);
        CHECK_STR(done(&o), rows[k].text);
    }
    arena_free(a);
}

static void nested(void) {
    struct arena *a = arena_new();
    int32_t data[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct tensor t = {.dtype = DT_INT32, .count = 8, .data = data, .rank = 3, .shape = {2, 2, 2}};
    struct text o;
    text_init(&o, a, 16);
    CHECK_INT(text_nested(&o, &t, 0, 0), 8);
    CHECK_STR(done(&o), "[[[1,2],[3,4]],[[5,6],[7,8]]]");
    t = (struct tensor){.dtype = DT_INT32,
                        .count = 4,
                        .data = data,
                        .rank = 2,
                        .shape = {2, 2},
                        .classes = classes};
    text_init(&o, a, 16);
    text_nested(&o, &t, 0, 0);
    CHECK_STR(done(&o), "[{\"no\":1,\"y\\\"es\":2},{\"no\":3,\"y\\\"es\":4}]");
    text_init(&o, a, 16);
    text_nested(&o, &t, 1, 2);
    CHECK_STR(done(&o), "{\"no\":3,\"y\\\"es\":4}");
    t = (struct tensor){.dtype = DT_INT32, .count = 1, .data = data, .rank = 0};
    text_init(&o, a, 16);
    text_nested(&o, &t, 0, 0);
    CHECK_STR(done(&o), "1");
    t = (struct tensor){.dtype = DT_INT32, .count = 0, .data = data, .rank = 2, .shape = {0, 3}};
    text_init(&o, a, 16);
    text_nested(&o, &t, 0, 0);
    CHECK_STR(done(&o), "[]");
    arena_free(a);
}

static void answers(void) {
    struct ctx c;
    float p[] = {0.75f, 0.25f};
    int64_t label[] = {1};
    uint16_t half[] = {0};
    struct tensor out[] = {
        {.name = "label", .dtype = DT_INT64, .rank = 1, .shape = {1}, .count = 1, .data = label},
        {.name = "p",
         .dtype = DT_FP32,
         .rank = 2,
         .shape = {1, 2},
         .count = 2,
         .data = p,
         .classes = classes}};
    struct oip_answer a = {.model_name = "m", .model_version = "3", .outputs = out, .n = 2};
    struct oip_request q = {.id = {"x\"1", 3}};
    ctx_begin(&c);
    CHECK_INT(oip_print(&c, &q, &a), 0);
    CHECK_STR(c.reply.content_type, "application/json");
    CHECK_STR(arena_strndup(c.arena, c.reply.bytes, c.reply.len),
              "{\"model_name\":\"m\",\"model_version\":\"3\",\"id\":\"x\\\"1\",\"outputs\":["
              "{\"name\":\"label\",\"datatype\":\"INT64\",\"shape\":[1],\"data\":[1]},"
              "{\"name\":\"p\",\"datatype\":\"FP32\",\"shape\":[1,2],\"parameters\":{\"labels\":"
              "\"[\\\"no\\\",\\\"y\\\\\\\"es\\\"]\"},\"data\":[0.75,0.25]}]}");
    ctx_end(&c);
    ctx_begin(&c);
    q = (struct oip_request){.binary = true};
    out[1].classes = NULL;
    CHECK_INT(oip_print(&c, &q, &a), 0);
    CHECK_STR(c.reply.content_type, "application/octet-stream");
    CHECK_STR(c.reply.headers->name, "Inference-Header-Content-Length");
    size_t head = (size_t)atoi(c.reply.headers->value);
    CHECK_INT(c.reply.len, head + 16);
    CHECK(memcmp(c.reply.bytes + head, label, 8) == 0 &&
          memcmp(c.reply.bytes + head + 8, p, 8) == 0);
    CHECK_HAS(arena_strndup(c.arena, c.reply.bytes, head),
              "\"parameters\":{\"binary_data_size\":8}}");
    ctx_end(&c);
    ctx_begin(&c);
    q = (struct oip_request){0};
    out[0] = (struct tensor){
        .name = "h", .dtype = DT_FP16, .rank = 1, .shape = {1}, .count = 1, .data = half};
    CHECK_INT(oip_print(&c, &q, &a), -ERR_INVALID);
    CHECK_HAS(c.err.message, "binary");
    ctx_end(&c);
}

/* The best classes of each row; ties by index, NaN last. */
static void classified(void) {
    static const char *const names[] = {"cat", "dog", "eel"};
    float f[] = {0.25f, 0.5f, 0.25f, NAN, -1, 7};
    struct tensor t = {.name = "y",
                       .dtype = DT_FP32,
                       .rank = 2,
                       .shape = {2, 3},
                       .count = 6,
                       .data = f,
                       .classes = names};
    const struct {
        uint64_t k;
        const char *text;
    } rows[] = {
        {1, "[\"0.5:1:dog\",\"7.0:2:eel\"]"},
        {2, "[\"0.5:1:dog\",\"0.25:0:cat\",\"7.0:2:eel\",\"-1.0:1:dog\"]"},
        {99, "[\"0.5:1:dog\",\"0.25:0:cat\",\"0.25:2:eel\",\"7.0:2:eel\",\"-1.0:1:dog\","
             "\"null:0:cat\"]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        struct text o;
        ctx_begin(&c);
        struct tensor copy = t;
        CHECK_INT(oip_classify(&c, rows[i].k, &copy), 0);
        CHECK_INT(copy.dtype, DT_BYTES);
        CHECK_INT(copy.shape[1], rows[i].k < 3 ? (int64_t)rows[i].k : 3);
        text_init(&o, c.arena, 8);
        text_flat(&o, &copy);
        CHECK_STR(done(&o), rows[i].text);
        ctx_end(&c);
    }
    struct ctx c;
    ctx_begin(&c);
    struct bytes text = {"a", 1};
    struct tensor texts = {
        .name = "s", .dtype = DT_BYTES, .rank = 1, .shape = {1}, .count = 1, .data = &text};
    CHECK_INT(oip_classify(&c, 1, &texts), -ERR_INVALID);
    int64_t i = 3;
    struct tensor empty = {.name = "e", .dtype = DT_INT64, .rank = 2, .shape = {0, 4}, .data = &i};
    CHECK_INT(oip_classify(&c, 2, &empty), 0);
    CHECK_INT(empty.count, 0);
    ctx_end(&c);
}

int main(void) {
    RUN(classified);
    RUN(values);
    RUN(nested);
    RUN(answers);
    return CHECK_END();
}
