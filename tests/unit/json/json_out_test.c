/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/json/json_out.h"

#include <float.h>
#include <jansson.h>
#include <stdlib.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/id.h"
#include "quern/core/ctx.h"
#include "quern/json/json_error.h"

static const char *of_double(double v) {
    static char out[32];
    size_t n = json_double(v, out);
    return strlen(out) == n ? out : "wrong length";
}

static void doubles(void) {
    CHECK_STR(of_double(3), "3.0");
    CHECK_STR(of_double(0), "0.0");
    CHECK_STR(of_double(-0.0), "-0.0");
    CHECK_STR(of_double(-7), "-7.0");
    CHECK_STR(of_double(0.1), "0.1");
    CHECK_STR(of_double(0.1 + 0.2), "0.30000000000000004");
    CHECK_STR(of_double(1.0 / 3), "0.3333333333333333");
    CHECK_STR(of_double(1e15), "1e+15");
    CHECK_STR(of_double(123456789012345), "123456789012345.0");
    CHECK_STR(of_double(1e30), "1e+30");
    CHECK_STR(of_double(1e-5), "1e-05");
    CHECK_STR(of_double(DBL_MAX), "1.7976931348623157e+308");
    CHECK_STR(of_double(-DBL_MAX), "-1.7976931348623157e+308");
    CHECK_STR(of_double(DBL_MIN), "2.2250738585072014e-308");
    CHECK_STR(of_double(5e-324), "5e-324");
    CHECK_STR(of_double(9007199254740993.0), "9007199254740992.0");
    CHECK_STR(of_double((double)NAN), "\"NaN\"");
    CHECK_STR(of_double((double)INFINITY), "\"Infinity\"");
    CHECK_STR(of_double(-(double)INFINITY), "\"-Infinity\"");
}

static void random_doubles_come_back(void) {
    size_t bad = 0;
    for (int i = 0; i < 20000; i++) {
        double v;
        id_random(&v, sizeof v);
        if (!isfinite(v))
            continue;
        bad += strtod(of_double(v), NULL) != v;
    }
    CHECK_INT(bad, 0);
}

static void writer(void) {
    struct buf b = {0};
    struct json_writer w;
    jw_init(&w, &b);
    jw_obj(&w);
    jw_key_str(&w, "a", "x");
    jw_key_str(&w, "left out", NULL);
    jw_key(&w, "list");
    jw_arr(&w);
    jw_i64(&w, INT64_MIN);
    jw_f64(&w, 0.5);
    jw_bool(&w, true);
    jw_null(&w);
    jw_str(&w, NULL);
    jw_arr(&w);
    jw_arr_end(&w);
    jw_obj(&w);
    jw_obj_end(&w);
    jw_raw(&w, "{\"r\":1}", 7);
    jw_strn(&w, "abc", 2);
    jw_arr_end(&w);
    jw_key_i64(&w, "i", 7);
    jw_key_f64(&w, "f", 7);
    jw_key_bool(&w, "b", false);
    jw_obj_end(&w);
    CHECK_STR(b.data, "{\"a\":\"x\",\"list\":[-9223372036854775808,0.5,true,null,null,[],{},"
                      "{\"r\":1},\"ab\"],\"i\":7,\"f\":7.0,\"b\":false}");
    CHECK_INT(w.depth, 0);
    buf_free(&b);
}

static void a_buffer_emptied_midway_keeps_its_commas(void) {
    struct buf b = {0};
    struct json_writer w;
    jw_init(&w, &b);
    jw_arr(&w);
    jw_i64(&w, 1);
    buf_clear(&b);
    jw_i64(&w, 2);
    CHECK_STR(b.data, ",2");
    buf_clear(&b);
    jw_arr_end(&w);
    CHECK_STR(b.data, "]");
    buf_free(&b);
}

static void nesting_past_the_bits(void) {
    struct buf b = {0};
    struct json_writer w;
    jw_init(&w, &b);
    for (int i = 0; i < 100; i++) {
        jw_arr(&w);
        jw_i64(&w, i);
    }
    for (int i = 0; i < 100; i++) {
        jw_str(&w, "[");
        jw_arr_end(&w);
    }
    json_t *t = json_loadb(b.data, b.len, 0, NULL);
    CHECK(t != NULL);
    json_decref(t);
    buf_free(&b);
}

static void strings(void) {
    struct buf b = {0};
    struct json_writer w;
    jw_init(&w, &b);
    jw_str(&w, "\" \\ / \b \f \n \r \t \x01 \x1f \x7f \xc3\xa9 \xf0\x9f\x98\x80");
    CHECK_STR(b.data, "\"\\\" \\\\ / \\u0008 \\u000c \\n \\r \\t \\u0001 \\u001f \x7f \xc3\xa9 "
                      "\xf0\x9f\x98\x80\"");
    buf_clear(&b);
    jw_init(&w, &b);
    jw_str(&w, "ok\xff\"\xc3\xa9\xe2\x82");
    CHECK_STR(b.data, "\"ok\xef\xbf\xbd\\\"\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"");
    buf_clear(&b);
    jw_init(&w, &b);
    jw_strn(&w, "a\0b", 3);
    CHECK_STR(b.data, "\"a\\u0000b\"");
    buf_free(&b);
}

static void trees(void) {
    static const char text[] =
        "{\"a\":[1,2.0,0.1,\"x\\\"\",true,false,null,[],{}],\"b\":{\"c\":-1}}";
    json_t *t = json_loads(text, 0, NULL);
    struct buf b = {0};
    struct json_writer w;
    jw_init(&w, &b);
    jw_tree(&w, t);
    CHECK_STR(b.data, text);
    buf_clear(&b);
    jw_init(&w, &b);
    jw_tree(&w, NULL);
    CHECK_STR(b.data, "null");
    json_decref(t);
    buf_free(&b);
}

struct sub {
    const char *key;
};
SHAPE(shape_sub, "Sub", struct sub, FIELD(struct sub, key, T_STR, 0, ""));
struct reply_all {
    const char *text, *always, *status;
    struct opt_i64 i, i_always;
    struct opt_f64 f;
    struct opt_bool b;
    struct sub *obj;
    struct list list, list_always;
    struct strs strs;
    json_t *any;
    struct pairs map, map_always;
    struct fpairs fmap;
};
static const char *const names[] = {"READY", NULL};
SHAPE(shape_reply_all, "ReplyAll", struct reply_all, FIELD(struct reply_all, text, T_STR, 0, ""),
      FIELD(struct reply_all, always, T_STR, F_ALWAYS, ""),
      FIELD_ENUM(struct reply_all, status, 0, names, ""), FIELD(struct reply_all, i, T_I64, 0, ""),
      FIELD(struct reply_all, i_always, T_I64, F_ALWAYS, ""),
      FIELD(struct reply_all, f, T_F64, 0, ""), FIELD(struct reply_all, b, T_BOOL, 0, ""),
      FIELD_SUB(struct reply_all, obj, T_OBJ, 0, &shape_sub, ""),
      FIELD_SUB(struct reply_all, list, T_LIST, 0, &shape_sub, ""),
      FIELD_SUB(struct reply_all, list_always, T_LIST, F_ALWAYS, &shape_sub, ""),
      FIELD(struct reply_all, strs, T_STRS, 0, ""), FIELD(struct reply_all, any, T_JSON, 0, ""),
      FIELD(struct reply_all, map, T_MAP, 0, ""),
      FIELD(struct reply_all, map_always, T_MAP, F_ALWAYS, ""),
      FIELD(struct reply_all, fmap, T_FMAP, 0, ""));

static void shapes(void) {
    struct buf b = {0};
    struct reply_all r = {0};
    json_encode(&b, &shape_reply_all, &r);
    CHECK_STR(b.data, "{\"always\":null,\"i_always\":null,\"list_always\":[],\"map_always\":{}}");
    buf_clear(&b);
    struct sub subs[2] = {{"a"}, {NULL}};
    const char *texts[] = {"x", "y"};
    struct pair pair = {"k", "v"};
    struct fpair fpair = {"k", (double)NAN};
    r = (struct reply_all){
        .text = "",
        .always = "w",
        .status = "READY",
        .i = SET_I64(0),
        .i_always = SET_I64(-1),
        .f = SET_F64(2),
        .b = SET_BOOL(false),
        .obj = &subs[0],
        .list = {subs, 2},
        .strs = {texts, 2},
        .any = json_integer(9),
        .map = {&pair, 1},
        .fmap = {&fpair, 1},
    };
    json_encode(&b, &shape_reply_all, &r);
    CHECK_STR(b.data,
              "{\"text\":\"\",\"always\":\"w\",\"status\":\"READY\",\"i\":0,\"i_always\":-1,"
              "\"f\":2.0,\"b\":false,\"obj\":{\"key\":\"a\"},\"list\":[{\"key\":\"a\"},{}],"
              "\"list_always\":[],\"strs\":[\"x\",\"y\"],\"any\":9,\"map\":{\"k\":\"v\"},"
              "\"map_always\":{},\"fmap\":{\"k\":\"NaN\"}}");
    json_decref(r.any);
    buf_clear(&b);
    json_encode(&b, &shape_empty, &r);
    CHECK_STR(b.data, "{}");
    buf_free(&b);
}

static void errors(void) {
    struct ctx c;
    struct buf b = {0};
    ctx_begin(&c);
    c.request_id = "req-9";
    c.path = "/api/v1/x";
    fail_field(&c, ERR_NOT_FOUND, "/name", "No \"x\"");
    CHECK_STR(json_error(DIALECT_MLFLOW, &c, &b), "application/json");
    CHECK_STR(b.data, "{\"error_code\":\"RESOURCE_DOES_NOT_EXIST\",\"message\":\"No \\\"x\\\"\"}");
    buf_clear(&b);
    json_error(DIALECT_SCORING, &c, &b);
    CHECK_STR(b.data, "{\"error_code\":\"BAD_REQUEST\",\"message\":\"No \\\"x\\\"\"}");
    buf_clear(&b);
    CHECK_STR(json_error(DIALECT_OIP, &c, &b), "application/json");
    CHECK_STR(b.data, "{\"error\":\"No \\\"x\\\"\"}");
    buf_clear(&b);
    CHECK_STR(json_error(DIALECT_TEXT, &c, &b), "text/plain; charset=utf-8");
    CHECK_STR(b.data, "No \"x\"\n");
    buf_clear(&b);
    CHECK_STR(json_error(DIALECT_PROBLEM, &c, &b), "application/problem+json");
    CHECK_STR(b.data,
              "{\"type\":\"urn:quern:error:not-found\",\"title\":\"Not found\",\"status\":404,"
              "\"detail\":\"No \\\"x\\\"\",\"instance\":\"/api/v1/x\",\"field\":\"/name\","
              "\"request_id\":\"req-9\"}");
    err_clear(&c);
    fail(&c, ERR_INTERNAL, "SELECT secret FROM t");
    for (int d = DIALECT_PROBLEM; d <= DIALECT_SCORING; d++) {
        buf_clear(&b);
        json_error((enum dialect)d, &c, &b);
        CHECK_HAS(b.data, "Internal error; see the log for request req-9");
        CHECK(!strstr(b.data, "SELECT"));
    }
    buf_clear(&b);
    json_error(DIALECT_SCORING, &c, &b);
    CHECK_HAS(b.data, "\"INTERNAL_ERROR\"");
    err_clear(&c);
    buf_clear(&b);
    json_error(DIALECT_MLFLOW, &c, &b); /* nobody filled the slot */
    CHECK_HAS(b.data, "\"INTERNAL_ERROR\"");
    buf_free(&b);
    ctx_end(&c);
}

static void texts_of_trees(void) {
    struct arena *a = arena_new();
    json_t *t = json_loads(
        "{\"b\": 1.1, \"a\": [0.1, 1.0, 1e22, 7, null, true, {\"z\": \"\\n\", \"y\": {}}]}", 0,
        NULL);
    CHECK_STR(json_text(a, t, JSON_TIGHT),
              "{\"b\":1.1,\"a\":[0.1,1.0,1e+22,7,null,true,{\"z\":\"\\n\",\"y\":{}}]}");
    CHECK_STR(json_text(a, t, JSON_TIGHT_SORTED),
              "{\"a\":[0.1,1.0,1e+22,7,null,true,{\"y\":{},\"z\":\"\\n\"}],\"b\":1.1}");
    CHECK_STR(json_text(a, t, JSON_SPACED),
              "{\"b\": 1.1, \"a\": [0.1, 1.0, 1e+22, 7, null, true, {\"z\": \"\\n\", \"y\": {}}]}");
    CHECK_STR(json_text(a, NULL, JSON_TIGHT), "null");
    json_decref(t);
    arena_free(a);
}

int main(void) {
    RUN(doubles);
    RUN(random_doubles_come_back);
    RUN(writer);
    RUN(a_buffer_emptied_midway_keeps_its_commas);
    RUN(nesting_past_the_bits);
    RUN(strings);
    RUN(trees);
    RUN(texts_of_trees);
    RUN(shapes);
    RUN(errors);
    return CHECK_END();
}
