/* SPDX-License-Identifier: Apache-2.0 */
#include "oip_scan.h"

#include <stdlib.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

#define X(rest) "{\"inputs\":[{\"name\":\"X\"," rest "}]}"
#define FP(shape, data) X("\"shape\":" shape ",\"datatype\":\"FP32\",\"data\":" data)

static const struct {
    const char *text;
    size_t count;
    double first, last;
} good[] = {
    {FP("[1,4]", "[5.1,3.5,1.4,0.2]"), 4, 5.1, 0.2},
    {FP("[1,4]", "[[5.1,3.5,1.4,0.2]]"), 4, 5.1, 0.2},
    {FP("[2,2]", "[[1,2],[3,4]]"), 4, 1, 4},
    {FP("[2,1,2]", "[[[1,2]],[[3,-4e1]]]"), 4, 1, -40},
    {FP("[4]", " [ 1 , 2 ,\n3,\t4 ] "), 4, 1, 4},
    {FP("[0,4]", "[]"), 0, 0, 0},
    {FP("[2,0]", "[[],[]]"), 0, 0, 0},
    {FP("[]", "[7]"), 1, 7, 7},
    {FP("[1]", "[null]"), 1, NAN, NAN},
    {X("\"data\":[1,2],\"datatype\":\"FP32\",\"shape\":[2]"), 2, 1, 2},
    {"{\"inputs\":[{\"data\":[[1],[2]],\"shape\":[2,1],\"datatype\":\"FP32\",\"name\":\"X\"}]}", 2,
     1, 2},
    {"{\"model_name\":\"m\",\"x\":{\"a\":[1,{\"b\":null}]},\"parameters\":{\"content_type\":\"np\"}"
     ","
     "\"inputs\":[{\"name\":\"\\u0058\",\"extra\":[],\"shape\":[1],\"datatype\":\"FP32\",\"data\":["
     "1]}],"
     "\"outputs\":[]}",
     1, 1, 1},
};

static int scan(struct ctx *c, const char *text, struct oip_request *q) {
    ctx_begin(c);
    /* A copy of exactly this length: a read past its NUL shows under the address sanitizer. */
    char *copy = arena_strdup(c->arena, text);
    return oip_scan(c, copy, strlen(copy), "", 0, q);
}

static void valid(void) {
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct ctx c;
        struct oip_request q;
        int rc = scan(&c, good[i].text, &q);
        CHECK_INT(rc, 0);
        if (rc < 0) {
            printf("  %s: %s\n", good[i].text, c.err.message);
        } else {
            const struct tensor *t = &q.inputs[0];
            CHECK_STR(t->name, "X");
            CHECK_INT(q.ninputs, 1);
            CHECK_INT(t->count, good[i].count);
            CHECK(q.wanted == NULL);
            const float *data = t->data;
            if (t->count && isnan(good[i].first))
                CHECK(isnan(data[0]));
            else if (t->count)
                CHECK(data[0] == (float)good[i].first && data[t->count - 1] == (float)good[i].last);
        }
        ctx_end(&c);
    }
}

static const struct {
    const char *text, *says;
} bad[] = {
    {"", "empty"},
    {"   ", "empty"},
    {"[]", "an array"},
    {"\"x\"", "a string"},
    {"{", "byte 1: it ends"},
    {"{}", "no inputs"},
    {"{\"inputs\":null}", "inputs is null"},
    {"{\"inputs\":[1]}", "inputs[0] is a number"},
    {"{\"inputs\":[]} x", "follows"},
    {"{\"inputs\":[],}", "name in double quotes"},
    {"{\"inputs\":[],\"inputs\":[]}", "twice"},
    {"{\"id\":1,\"inputs\":[]}", "id is a number"},
    {"{'inputs':[]}", "byte 1"},
    {"{\"inputs\" []}", "':'"},
    {"{\"inputs\":[]", "ends"},
    {"{\"a\":tru,\"inputs\":[]}", "true or false"},
    {"{\"a\":nul}", "null"},
    {"{\"a\":\"\x01\"}", "control character"},
    {"{\"a\":\"\\x\"}", "escape"},
    {"{\"a\":\"\\ud800\"}", "escape"},
    {"{\"a\":\"\\udc00\"}", "escape"},
    {"{\"a\":\"\\u12\"}", "escape"},
    {"{\"a\":\"\xff\"}", "UTF-8"},
    {"{\"a\":\"abc", "does not end"},
    {"{\"a\":\"abc\\", "does not end"},
    {"{\"a\":01}", "number"},
    {"{\"a\":1.}", "number"},
    {"{\"a\":NaN}", "NaN"},
    {"{\"a\":-Infinity}", "number"},
    {X("\"shape\":[1],\"datatype\":\"FP32\""), "neither data nor"},
    {X("\"shape\":[1],\"data\":[1]"), "input 'X' has no datatype"},
    {X("\"datatype\":\"FP32\",\"data\":[1]"), "input 'X' has no shape"},
    {"{\"inputs\":[{\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]}]}", "input '#0' has no name"},
    {X("\"name\":\"Y\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]"),
     "name stands there twice"},
    {X("\"shape\":[1],\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]"),
     "shape stands there twice"},
    {X("\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1],\"data\":[1]"), "data stands there twice"},
    {X("\"shape\":[1],\"datatype\":\"fp32\",\"data\":[1]"), "datatype 'fp32' is none of"},
    {X("\"shape\":[1],\"datatype\":5,\"data\":[1]"), "datatype is a number"},
    {X("\"shape\":1,\"datatype\":\"FP32\",\"data\":[1]"), "shape is a number"},
    {FP("[\"1\"]", "[1]"), "shape holds a string"},
    {FP("[-1]", "[1]"), "shape holds -1"},
    {FP("[1.5]", "[1]"), "no size"},
    {FP("[99999999999999999999]", "[1]"), "no size"},
    {FP("[4294967296,4294967296,4294967296]", "[1]"), "too large"},
    {FP("[1000000]", "[1]"), "more than the body can hold"},
    {FP("[2000000000,0]", "[]"), "its shape is empty, but its other sizes are too large"},
    {FP("[0,4294967296,4294967296,4294967296]", "[]"), "other sizes are too large"},
    {FP("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[1]"), "more than 16 dimensions"},
    {FP("[2]", "[1]"), "data holds 1 elements; its shape wants 2"},
    {FP("[2]", "[1,2,3]"), "more than the 2 elements"},
    {FP("[2]", "[[1,2]]"), "element 0 is an array"},
    {FP("[2,2]", "[[1,2]]"), "1 entries along axis 0; its shape wants 2"},
    {FP("[2,2]", "[[1,2],[3,4],[5,6]]"), "more than 2 entries along axis 0"},
    {FP("[2,2]", "[[1,2],[3]]"), "a row of data holds 1 elements; its shape wants 2"},
    {FP("[2,2]", "[[1,2],3]"), "neither flat nor nested"},
    {FP("[2]", "[1,\"2\"]"), "element 1 is a string; FP32 wants a number"},
    {FP("[2]", "[1,true]"), "element 1 is a boolean"},
    {FP("[2]", "[1,{}]"), "element 1 is an object"},
    {FP("[1]", "[1e39]"), "out of the range of FP32"},
    {FP("[1]", "[NaN]"), "NaN"},
    {FP("[1]", "[Infinity]"), "NaN and Infinity"},
    {FP("[1]", "7"), "data is a number"},
    {FP("[2]", "[1 2]"), "',' or ']'"},
    {FP("[1]", "[0x1]"), "',' or ']'"},
    {X("\"shape\":[1],\"datatype\":\"INT64\",\"data\":[1.0]"),
     "element 0 is 1.0; INT64 wants an integer"},
    {X("\"shape\":[1],\"datatype\":\"UINT8\",\"data\":[256]"),
     "element 0 is 256; UINT8 wants an integer in its range"},
    {X("\"shape\":[1],\"datatype\":\"INT8\",\"data\":[null]"), "element 0 is null"},
    {X("\"shape\":[1],\"datatype\":\"BOOL\",\"data\":[1]"), "BOOL wants true or false"},
    {X("\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[1]"), "BYTES wants a string"},
    {X("\"shape\":[1],\"datatype\":\"FP16\",\"data\":[1]"), "FP16 cannot be told in JSON"},
    {X("\"shape\":[1],\"datatype\":\"FP32\",\"parameters\":{\"binary_data_size\":4}"),
     "0 bytes are left"},
    {X("\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1],\"parameters\":{\"binary_data_size\":4}"),
     "both data"},
    {X("\"shape\":[1],\"datatype\":\"FP32\",\"parameters\":{\"binary_data_size\":-4}"),
     "binary_data_size must be a whole number"},
    {"{\"inputs\":[],\"outputs\":[{}]}", "has no name"},
    {"{\"inputs\":[],\"outputs\":[{\"name\":5}]}", "name is a number"},
    {"{\"inputs\":[],\"outputs\":[{\"name\":\"y\",\"parameters\":{\"classification\":true}}]}",
     "classification"},
    {"{\"inputs\":[{\"name\":\"a\\u0000b\"}]}", "NUL"},
};

/* With much text behind them plain numbers are read another way; the words are the same. */
static void invalid_with_more(void) {
    char text[600];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct ctx c;
        struct oip_request q;
        if (strstr(bad[i].says, "byte 1: it ends")) /* it tells the byte behind the blanks */
            continue;
        snprintf(text, sizeof text, "%s%60s", bad[i].text, "");
        CHECK_INT(scan(&c, text, &q), -ERR_INVALID);
        CHECK_HAS(c.err.message, bad[i].says);
        ctx_end(&c);
    }
}

/* A body of many numbers, right but for one place. */
static void long_rows(void) {
    static const struct {
        const char *odd; /* in the place of one number */
        const char *says;
    } rows[] = {
        {"-0.5", NULL},
        {"12345678.12345678901", NULL},
        {"1e-3", NULL},
        {" 7\n", NULL},
        {"null", NULL},
        {"01.5", "number"},
        {"1.", "number"},
        {"-", "number"},
        {"", "element 57"},
        {"1.5.5", "',' or ']'"},
        {"\"1\"", "element 57 is a string"},
        {"1e40", "element 57 is out of the range of FP32"},
        {"1,2", "holds more than"},
        {"1],[2", "holds"},
    };
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        char text[4096];
        size_t at =
            (size_t)snprintf(text, sizeof text, "%s",
                             "{\"inputs\":[{\"name\":\"X\",\"datatype\":\"FP32\",\"shape\":[4,30],"
                             "\"data\":[");
        for (int i = 0; i < 120; i++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%s%s",
                                   i == 0        ? "["
                                   : i % 30 == 0 ? "],["
                                                 : ",",
                                   i % 2 ? " " : "", i == 57 ? rows[r].odd : "0.1234567");
        snprintf(text + at, sizeof text - at, "]]}]}");
        struct ctx c;
        struct oip_request q;
        int rc = scan(&c, text, &q);
        CHECK_INT(rc, rows[r].says ? -ERR_INVALID : 0);
        if (rc == 0 && !rows[r].says) {
            const float *data = q.inputs[0].data;
            float want = strtof(rows[r].odd, NULL);
            CHECK(data[0] == 0.1234567f && data[56] == 0.1234567f && data[119] == 0.1234567f);
            CHECK(rows[r].odd[0] == 'n' ? isnan(data[57]) : data[57] == want);
        } else if (rows[r].says && *rows[r].says) {
            CHECK_HAS(c.err.message, rows[r].says);
        }
        ctx_end(&c);
    }
}

static void invalid(void) {
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct ctx c;
        struct oip_request q;
        int rc = scan(&c, bad[i].text, &q);
        CHECK_INT(rc, -ERR_INVALID);
        if (rc == 0 || !strstr(c.err.message, bad[i].says))
            printf("  %s:\n", bad[i].text);
        CHECK_HAS(c.err.message, bad[i].says);
        ctx_end(&c);
    }
}

/* Every beginning of a request is refused, and none reads past its end. */
static void cut_short(void) {
    const char *text =
        "{\"id\":\"\\u00e9\\ud83d\\ude00\",\"parameters\":{\"a\":true},\"inputs\":[{\"name\":\"X\","
        "\"shape\":[2,2],\"datatype\":\"FP32\",\"data\":[[1.5e3,-2],[null,0.25]]},{\"name\":\"S\","
        "\"datatype\":\"BYTES\",\"data\":[\"a\\n\"],\"shape\":[1]}],\"outputs\":[{\"name\":\"y\"}]"
        "}";
    for (size_t n = 0; n <= strlen(text); n++) {
        struct ctx c;
        struct oip_request q;
        ctx_begin(&c);
        char *copy = arena_strndup(c.arena, text, n);
        int rc = oip_scan(&c, copy, n, "", 0, &q);
        CHECK_INT(rc, n == strlen(text) ? 0 : -ERR_INVALID);
        ctx_end(&c);
    }
}

static void deep(void) {
    char text[4096];
    for (int n = 60; n <= 70; n += 10) {
        size_t at = (size_t)snprintf(text, sizeof text, "{\"a\":");
        memset(text + at, '[', (size_t)n);
        memset(text + at + n, ']', (size_t)n);
        snprintf(text + at + 2 * n, 64, ",\"inputs\":[]}");
        struct ctx c;
        struct oip_request q;
        CHECK_INT(scan(&c, text, &q), n < 64 ? 0 : -ERR_INVALID);
        if (n > 64)
            CHECK_HAS(c.err.message, "deeper than 64");
        ctx_end(&c);
    }
}

static void strings(void) {
    struct ctx c;
    struct oip_request q;
    int rc = scan(&c,
                  "{\"id\":\"x\\\"1\",\"inputs\":[{\"name\":\"S\",\"shape\":[4],\"datatype\":"
                  "\"BYTES\",\"data\":"
                  "[\"plain\",\"\\u00fc\\n\\/\",\"\\ud83d\\ude00\",\"a\\u0000b\"]}]}",
                  &q);
    CHECK_INT(rc, 0);
    if (rc == 0) {
        const struct bytes *b = q.inputs[0].data;
        CHECK(q.id.len == 3 && memcmp(q.id.data, "x\"1", 3) == 0);
        CHECK(b[0].len == 5 && memcmp(b[0].data, "plain", 5) == 0);
        CHECK(b[1].len == 4 && memcmp(b[1].data, "\xC3\xBC\n/", 4) == 0);
        CHECK(b[2].len == 4 && memcmp(b[2].data, "\xF0\x9F\x98\x80", 4) == 0);
        CHECK(b[3].len == 3 && memcmp(b[3].data, "a\0b", 3) == 0);
    }
    ctx_end(&c);
}

#define RAW(type, shape, size)                                                                     \
    "{\"inputs\":[{\"name\":\"X\",\"shape\":" shape ",\"datatype\":\"" type                        \
    "\",\"parameters\":{\"binary_data_size\":" size                                                \
    "}}],\"parameters\":{\"binary_data_output\":true},"                                            \
    "\"outputs\":[{\"name\":\"y\",\"parameters\":{\"binary_data\":false}}]}"

static int raw(struct ctx *c, const char *json, const char *bytes, size_t n,
               struct oip_request *q) {
    ctx_begin(c);
    char *copy = arena_dup(c->arena, bytes, n ? n : 1);
    return oip_scan(c, json, strlen(json), copy, n, q);
}

static void binary(void) {
    struct ctx c;
    struct oip_request q;
    float f[2] = {1.5f, -2};
    CHECK_INT(raw(&c, RAW("FP32", "[2]", "8"), (const char *)f, 8, &q), 0);
    CHECK(memcmp(q.inputs[0].data, f, 8) == 0);
    CHECK(q.binary && q.nwanted == 1 && q.outputs[0].form == OIP_FORM_JSON);
    CHECK_STR(q.wanted[0], "y");
    ctx_end(&c);
    CHECK_INT(raw(&c, RAW("BYTES", "[2]", "11"), "\2\0\0\0ab\1\0\0\0z", 11, &q), 0);
    const struct bytes *b = q.inputs[0].data;
    CHECK(b[0].len == 2 && memcmp(b[0].data, "ab", 2) == 0 && b[1].len == 1 && b[1].data[0] == 'z');
    ctx_end(&c);
    CHECK_INT(raw(&c, RAW("FP16", "[1]", "2"), "\0\x3c", 2, &q), 0);
    ctx_end(&c);
    static const struct {
        const char *json, *bytes;
        size_t n;
        const char *says;
    } rows[] = {
        {RAW("FP32", "[2]", "8"), "1234567", 7, "7 bytes are left"},
        {RAW("FP32", "[2]", "7"), "1234567", 7, "want 8"},
        {RAW("FP32", "[2]", "8"), "12345678x", 9, "belong to no input"},
        {RAW("BOOL", "[2]", "2"), "\1\2", 2, "element 1 is byte 2"},
        {RAW("BYTES", "[1]", "5"), "\2\0\0\0a", 5, "longer than the binary data"},
        {RAW("BYTES", "[1]", "6"), "\1\0\0\0az", 6, "1 bytes follow"},
        {RAW("BYTES", "[3]", "8"), "\0\0\0\0\0\0\0\0", 8, "too few"},
        {RAW("BYTES", "[1]", "5"),
         "\xff\xff\xff\xff"
         "a",
         5, "longer"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_INT(raw(&c, rows[i].json, rows[i].bytes, rows[i].n, &q), -ERR_INVALID);
        CHECK_HAS(c.err.message, rows[i].says);
        ctx_end(&c);
    }
}

static const char *custom(const struct oip_parameters *p, const char *key) {
    static char text[64];
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].key.len == strlen(key) &&
            memcmp(p->items[i].key.data, key, strlen(key)) == 0) {
            snprintf(text, sizeof(text), "%.*s", (int)p->items[i].text.len, p->items[i].text.data);
            return text;
        }
    return "(none)";
}

static void parameters(void) {
    struct ctx c;
    struct oip_request q;
    CHECK_INT(
        scan(&c,
             "{\"inputs\":[],\"parameters\":{\"timeout\":1500,\"priority\":2,\"sequence_id\":0,"
             "\"sequence_start\":true,\"sequence_end\":false,\"headers\":{\"a\":1},\"user\":"
             "\"u\\\"1\",\"age\":-4.50,\"vip\":true,\"none\":null},\"outputs\":[{\"name\":\"y\","
             "\"parameters\":{\"classification\":3,\"binary_data\":true}}]}",
             &q),
        0);
    CHECK_INT(q.parameters.timeout_us, 1500);
    CHECK_INT(q.parameters.n, 3);
    CHECK_STR(custom(&q.parameters, "user"), "u\"1");
    CHECK_STR(custom(&q.parameters, "age"), "-4.50");
    CHECK_STR(custom(&q.parameters, "vip"), "true");
    CHECK_STR(custom(&q.parameters, "priority"), "(none)");
    CHECK(q.nwanted == 1 && q.outputs[0].classes == 3 && q.outputs[0].form == OIP_FORM_BINARY);
    ctx_end(&c);
    static const struct {
        const char *member, *says;
    } rows[] = {
        {"\"timeout\":-1", "timeout must be a whole number"},
        {"\"timeout\":\"soon\"", "timeout is a string"},
        {"\"priority\":1.5", "priority must be a whole number"},
        {"\"sequence_start\":1", "sequence_start is a number"},
        {"\"sequence_id\":true", "sequence_id is a boolean"},
        {"\"binary_data_output\":\"yes\"", "binary_data_output is a string"},
        {"\"timeout\":1e400", "timeout must be a whole number"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[200];
        snprintf(text, sizeof(text), "{\"inputs\":[],\"parameters\":{%s}}", rows[i].member);
        CHECK_INT(scan(&c, text, &q), -ERR_INVALID);
        CHECK_HAS(c.err.message, rows[i].says);
        ctx_end(&c);
    }
}

/* Texts whose content_type says that they are base64. */
static void base64(void) {
#define B64(data)                                                                                  \
    X("\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":{\"content_type\":\"base64\"},"         \
      "\"data\":[\"" data "\"]")
    static const struct {
        const char *text, *bytes;
        size_t n;
    } rows[] = {{B64("aGk="), "hi", 2},       {B64("aGk"), "hi", 2},
                {B64("aG\\nk=\\n"), "hi", 2}, {B64(""), "", 0},
                {B64("AP8="), "\0\xff", 2},   {B64("a"), NULL, 0},
                {B64("aGk=="), NULL, 0},      {B64("aGl="), NULL, 0},
                {B64("a*k="), NULL, 0},       {B64("aG\\u0000k="), NULL, 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        struct oip_request q;
        int rc = scan(&c, rows[i].text, &q);
        CHECK_INT(rc, rows[i].bytes ? 0 : -ERR_INVALID);
        if (rc == 0 && rows[i].bytes) {
            const struct bytes *b = q.inputs[0].data;
            CHECK_INT(b->len, rows[i].n);
            CHECK(b->len == rows[i].n && memcmp(b->data, rows[i].bytes, b->len) == 0);
        } else if (rc < 0) {
            CHECK_HAS(c.err.message, "not base64");
        }
        ctx_end(&c);
    }
}

int main(void) {
    RUN(parameters);
    RUN(base64);
    RUN(valid);
    RUN(invalid);
    RUN(invalid_with_more);
    RUN(long_rows);
    RUN(cut_short);
    RUN(deep);
    RUN(strings);
    RUN(binary);
    return CHECK_END();
}
