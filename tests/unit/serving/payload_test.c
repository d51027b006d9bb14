/* SPDX-License-Identifier: Apache-2.0 */
#include "payload.h"

#include "check.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

/* Three models: one matrix, one input per column, one list of texts. */
static const struct tensor_spec matrix[] = {
    {.name = "X", .dtype = DT_FP32, .rank = 2, .shape = {-1, 3}}};
static const struct tensor_spec columns[] = {
    {.name = "age", .dtype = DT_INT64, .rank = 2, .shape = {-1, 1}},
    {.name = "pay", .dtype = DT_FP64, .rank = 2, .shape = {-1, 1}},
    {.name = "city", .dtype = DT_BYTES, .rank = 2, .shape = {-1, 1}},
    {.name = "on", .dtype = DT_BOOL, .rank = 2, .shape = {-1, 1}}};
static const struct tensor_spec texts[] = {
    {.name = "text", .dtype = DT_BYTES, .rank = 1, .shape = {-1}}};
static const char *const names[] = {"a", "b", "c"};
static const struct model_inputs plain = {matrix, 1, NULL, 0}, named = {matrix, 1, names, 3},
                                 table = {columns, 4, NULL, 0}, list = {texts, 1, NULL, 0};

static int bind(struct ctx *c, const char *type, const char *body, const struct model_inputs *m,
                struct tensor **t) {
    struct payload p;
    ctx_begin(c);
    char *copy = arena_strdup(c->arena, body);
    int rc = payload_scan(c, type, copy, strlen(copy), &p);
    return rc < 0 ? rc : payload_bind(c, &p, m, t);
}

static void matrix_is(const char *type, const char *body, const struct model_inputs *m,
                      size_t rows) {
    struct ctx c;
    struct tensor *t;
    int rc = bind(&c, type, body, m, &t);
    CHECK_INT(rc, 0);
    if (rc < 0) {
        printf("  %s: %s\n", body, c.err.message);
    } else {
        CHECK(t->rank == 2 && t->shape[0] == (int64_t)rows && t->shape[1] == 3);
        for (size_t i = 0; i < t->count; i++)
            if (((float *)t->data)[i] != (float)(i + 1))
                printf("  %s: element %zu is %g\n", body, i, (double)((float *)t->data)[i]);
        for (size_t i = 0; i < t->count; i++)
            CHECK(((float *)t->data)[i] == (float)(i + 1));
    }
    ctx_end(&c);
}

static void forms(void) {
    static const char *const json[] = {
        ("{\"dataframe_split\":{\"columns\":[\"a\",\"b\",\"c\"],\"index\":[0,1],\"data\":[[1,2,3],["
         "4,5,6]]}}"),
        "{\"dataframe_split\":{\"data\":[[1,2,3],[4,5.0,6e0]],\"columns\":[\"a\",\"b\",\"c\"]}}",
        "{\"dataframe_split\":{\"columns\":[0,1,2],\"data\":[[1,2,3],[4,5,6]]}}",
        "{\"dataframe_split\":{\"data\":[[1,2,3],[4,5,6]]}}",
        "{\"dataframe_records\":[{\"a\":1,\"b\":2,\"c\":3},{\"a\":4,\"b\":5,\"c\":6}]}",
        "{\"dataframe_records\":[{\"a\":1,\"b\":2,\"c\":3},{\"c\":6,\"a\":4,\"b\":5}]}",
        "{\"instances\":[[1,2,3],[4,5,6]]}",
        "{\"instances\":[{\"a\":1,\"b\":2,\"c\":3},{\"a\":4,\"b\":5,\"c\":6}]}",
        "{\"instances\":[{\"X\":[1,2,3]},{\"X\":[4,5,6]}]}",
        "{\"inputs\":[[1,2,3],[4,5,6]],\"params\":{\"x\":[1]}}",
        "{\"inputs\":{\"X\":[[1,2,3],[4,5,6]]}}",
        "{\"inputs\":{\"a\":[1,4],\"b\":[2,5],\"c\":[3,6]}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(json); i++) {
        matrix_is("application/json", json[i], &plain, 2);
        matrix_is("", json[i], &named, 2);
    }
    static const char *const csv[] = {"a,b,c\n1,2,3\n4,5,6\n", "a,b,c\r\n1,2,3\r\n4,5,6",
                                      ("\xEF\xBB\xBF"
                                       "a,b,c\n\n1, 2 ,3\n\n4,5,+6\n\n"),
                                      "\"a\",\"b\",\"c\"\n\"1\",\"2\",\"3\"\n4,5,6\n"};
    for (size_t i = 0; i < ARRAY_LEN(csv); i++) {
        matrix_is("text/csv", csv[i], &plain, 2);
        matrix_is("text/csv; charset=UTF-8", csv[i], &named, 2);
    }
    /* The signature's names decide the order; what it does not name is left out. */
    matrix_is(
        "application/json",
        "{\"dataframe_records\":[{\"c\":3,\"x\":\"t\",\"b\":2,\"a\":1},{\"b\":5,\"c\":6,\"a\":4}]}",
        &named, 2);
    matrix_is("text/csv", "c,junk,a,b\n3,q,1,2\n6,r,4,5\n", &named, 2);
    matrix_is("application/json",
              "{\"dataframe_split\":{\"columns\":[\"a\",\"b\",\"c\"],\"data\":[]}}", &plain, 0);
}

static void columns_of_all_kinds(const char *type, const char *body) {
    struct ctx c;
    struct tensor *t;
    int rc = bind(&c, type, body, &table, &t);
    CHECK_INT(rc, 0);
    if (rc < 0) {
        printf("  %s: %s\n", body, c.err.message);
    } else {
        for (int i = 0; i < 4; i++)
            CHECK(t[i].rank == 2 && t[i].shape[0] == 2 && t[i].shape[1] == 1);
        CHECK_INT(((int64_t *)t[0].data)[0], 9007199254740993);
        CHECK_INT(((int64_t *)t[0].data)[1], -4);
        CHECK(((double *)t[1].data)[0] == 0.1);
        CHECK(isnan(((double *)t[1].data)[1]));
        const struct bytes *b = t[2].data;
        CHECK(b[0].len == 8 && memcmp(b[0].data, "K\xC3\xB6ln \"x", 8) == 0);
        CHECK(b[1].len == 3 && memcmp(b[1].data, "a,b", 3) == 0);
        CHECK(((char *)t[3].data)[0] == 1 && ((char *)t[3].data)[1] == 0);
    }
    ctx_end(&c);
}

static void kinds(void) {
    columns_of_all_kinds(
        "application/json",
        "{\"dataframe_split\":{\"columns\":[\"age\",\"pay\",\"city\",\"on\"],\"data\":"
        "[[9007199254740993,0.1,\"K\\u00f6ln \\\"x\",true],[-4,null,\"a,b\",false]]}}");
    columns_of_all_kinds(
        "application/json",
        "{\"dataframe_records\":[{\"on\":true,\"city\":\"K\xC3\xB6ln \\\"x\",\"pay\":0.1,"
        "\"age\":9007199254740993},{\"age\":-4.0,\"city\":\"a,b\",\"on\":false}]}");
    columns_of_all_kinds("text/csv",
                         "age,pay,city,on\n9007199254740993,0.1,\"K\xC3\xB6ln \"\"x\",True\n"
                         "-4,NaN,\"a,b\",false\n");
    columns_of_all_kinds("application/json",
                         "{\"instances\":[[9007199254740993,0.1,\"K\xC3\xB6ln \\\"x\",true],"
                         "[-4,null,\"a,b\",false]]}");
    struct ctx c;
    struct tensor *t;
    CHECK_INT(bind(&c, "text/csv", "words\none\n\"\"\n", &list, &t), 0);
    CHECK(t->rank == 1 && t->count == 2 && ((struct bytes *)t->data)[1].len == 0);
    ctx_end(&c);
    CHECK_INT(bind(&c, "", "{\"inputs\":[\"a\",\"b\"]}", &list, &t), 0);
    CHECK(t->rank == 1 && t->count == 2);
    ctx_end(&c);
}

static const struct {
    const char *type, *body;
    const struct model_inputs *model;
    int code;
    const char *says;
} bad[] = {
    {"application/xml", "{}", &plain, ERR_MEDIA_TYPE, "application/xml"},
    {"text/csv; header=absent", "a\n1", &plain, ERR_MEDIA_TYPE, "charset"},
    {"application/json; charset=latin1", "{}", &plain, ERR_MEDIA_TYPE, "charset"},
    {"", "", &plain, ERR_BAD_REQUEST, "empty"},
    {"", "[1]", &plain, ERR_BAD_REQUEST, "an array"},
    {"", "{}", &plain, ERR_BAD_REQUEST, "no input"},
    {"", "{\"signature_name\":\"x\",\"inputs\":[[1,2,3]]}", &plain, ERR_BAD_REQUEST,
     "signature_name is not taken"},
    {"", "{\"params\":[1],\"inputs\":[[1,2,3]]}", &plain, ERR_BAD_REQUEST, "params is an array"},
    {"", "{\"params\":{\"a\":},\"inputs\":[[1,2,3]]}", &plain, ERR_BAD_REQUEST, "not JSON"},
    {"", "{\"inputs\":[[1,2,3]],\"instances\":[[1,2,3]]}", &plain, ERR_BAD_REQUEST,
     "more than one"},
    {"", "{\"inputs\":[[1,2,3]]", &plain, ERR_BAD_REQUEST, "ends"},
    {"", "{\"inputs\":[[1,2,3]]}}", &plain, ERR_BAD_REQUEST, "follows"},
    {"", "{\"inputs\":5}", &plain, ERR_BAD_REQUEST, "a number"},
    {"", "{\"inputs\":[[1,2],[3]]}", &plain, ERR_BAD_REQUEST, "same length"},
    {"", "{\"inputs\":[[1,2],3]}", &plain, ERR_BAD_REQUEST, "same length"},
    {"", "{\"inputs\":[1,[2]]}", &plain, ERR_BAD_REQUEST, "same length"},
    {"", "{\"inputs\":[[1,2,{}]]}", &plain, ERR_BAD_REQUEST, "an object stands"},
    {"", "{\"inputs\":[[1,2,\"3\"]]}", &plain, ERR_BAD_REQUEST,
     "row 0 is a string; FP32 wants a number"},
    {"", "{\"inputs\":[[1,2,true]]}", &plain, ERR_BAD_REQUEST, "row 0 is true"},
    {"", "{\"inputs\":{\"Y\":[[1,2,3]]}}", &plain, ERR_BAD_REQUEST, "holds lists"},
    {"", "{\"inputs\":{\"X\":[[1,2,3]],\"Y\":[1]}}", &plain, ERR_BAD_REQUEST,
     "the model has one input, 'X'"},
    {"", "{\"inputs\":{\"a\":[1],\"b\":[1,2]}}", &plain, ERR_BAD_REQUEST,
     "inputs.b has 2 rows, inputs.a has 1"},
    {"", "{\"inputs\":{\"a\":1}}", &plain, ERR_BAD_REQUEST, "single value"},
    {"", "{\"dataframe_split\":[1]}", &plain, ERR_BAD_REQUEST, "must be an object"},
    {"", "{\"dataframe_split\":{\"columns\":[\"a\"]}}", &plain, ERR_BAD_REQUEST, "no data"},
    {"", "{\"dataframe_split\":{\"columns\":[\"a\"],\"data\":[[1,2]]}}", &plain, ERR_BAD_REQUEST,
     "1 columns, but its rows hold 2"},
    {"", "{\"dataframe_split\":{\"columns\":[\"a\"],\"data\":[1]}}", &plain, ERR_BAD_REQUEST,
     "list of rows"},
    {"", "{\"dataframe_split\":{\"columns\":[\"a\"],\"data\":[[[1]]]}}", &plain, ERR_BAD_REQUEST,
     "list of rows"},
    {"", "{\"dataframe_split\":{\"columns\":[null],\"data\":[[1]]}}", &plain, ERR_BAD_REQUEST,
     "columns[0] is null"},
    {"", "{\"dataframe_split\":{\"columns\":[\"a\",\"b\"],\"data\":[[1,2]]}}", &plain,
     ERR_BAD_REQUEST, "has 2 columns; input 'X' of the model wants 3"},
    {"", "{\"dataframe_split\":{\"columns\":[\"a\",\"b\"],\"data\":[[1,2]]}}", &named, ERR_INVALID,
     "column 'c' is missing; the request has 'a', 'b'"},
    {"", "{\"dataframe_records\":[1]}", &plain, ERR_BAD_REQUEST,
     "dataframe_records[0] is a number"},
    {"", "{\"dataframe_records\":{}}", &plain, ERR_BAD_REQUEST, "list of objects"},
    {"", "{\"dataframe_records\":[{\"a\":1,\"a\":2}]}", &plain, ERR_BAD_REQUEST,
     "column 'a' twice"},
    {"", "{\"dataframe_records\":[{\"a\":[1]},{}]}", &plain, ERR_BAD_REQUEST, "same length"},
    {"", "{\"dataframe_records\":[{\"age\":1.5,\"pay\":1,\"city\":\"x\",\"on\":true}]}", &table,
     ERR_BAD_REQUEST, "column 'age', row 0 is 1.5; INT64 wants an integer"},
    {"", "{\"dataframe_records\":[{\"age\":null,\"pay\":1,\"city\":\"x\",\"on\":true}]}", &table,
     ERR_BAD_REQUEST, "column 'age', row 0 is null; INT64 must not be missing"},
    {"", "{\"dataframe_records\":[{\"age\":1,\"pay\":1,\"city\":7,\"on\":true}]}", &table,
     ERR_BAD_REQUEST, "column 'city', row 0 is 7; BYTES wants a string"},
    {"", "{\"dataframe_records\":[{\"age\":1,\"pay\":1,\"city\":\"x\",\"on\":2}]}", &table,
     ERR_BAD_REQUEST, "BOOL wants true or false"},
    {"", "{\"instances\":[[1,2,3]]}", &table, ERR_BAD_REQUEST, "rows of 4 values"},
    {"text/csv", "", &plain, ERR_BAD_REQUEST, "empty"},
    {"text/csv", "\n\r\n", &plain, ERR_BAD_REQUEST, "empty"},
    {"text/csv", "a,b,c\n1,2\n", &plain, ERR_BAD_REQUEST, "line 2 has 2 fields; its header has 3"},
    {"text/csv", "a,b,c\n1,\"2\n3", &plain, ERR_BAD_REQUEST, "does not end"},
    {"text/csv", "a,b,c\n1,2\"x,3", &plain, ERR_BAD_REQUEST, "quote stands inside"},
    {"text/csv", "a,b,c\n1,\"2\"x,3", &plain, ERR_BAD_REQUEST, "quote stands inside"},
    {"text/csv", "a,b,c\n1,two,3", &plain, ERR_BAD_REQUEST, "column 'b', row 0"},
    {"text/csv", "a,b,c\n1,0x2,3", &plain, ERR_BAD_REQUEST, "wants a number"},
    {"text/csv", "a,\xff", &plain, ERR_BAD_REQUEST, "UTF-8"},
};

static void refused(void) {
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct ctx c;
        struct tensor *t;
        int rc = bind(&c, bad[i].type, bad[i].body, bad[i].model, &t);
        CHECK_INT(-rc, bad[i].code);
        if (rc == 0 || !strstr(c.err.message, bad[i].says))
            printf("  %s:\n", bad[i].body);
        CHECK_HAS(c.err.message, bad[i].says);
        ctx_end(&c);
    }
}

/* Rows with many columns, in an order that defeats every guess, stay quick. */
static void wide(void) {
    struct ctx c;
    struct payload p;
    ctx_begin(&c);
    size_t n = 4000, at = 0, cap = n * 2 * 16 + 64;
    char *text = arena_alloc(c.arena, cap);
    at += (size_t)snprintf(text, cap, "{\"dataframe_records\":[");
    for (int row = 0; row < 2; row++) {
        for (size_t i = 0; i < n; i++)
            at += (size_t)snprintf(text + at, cap - at, "%s\"c%zu\":%d",
                                   i     ? ","
                                   : row ? ",{"
                                         : "{",
                                   row ? n - 1 - i : i, row);
        at += (size_t)snprintf(text + at, cap - at, "}");
    }
    at += (size_t)snprintf(text + at, cap - at, "]}");
    CHECK_INT(payload_scan(&c, "", text, at, &p), 0);
    CHECK(p.n == n && p.rows == 2);
    CHECK(p.columns[n - 1].cells[1].magnitude == 1);
    ctx_end(&c);
}

/* Many columns named once and many rows that name none: their product must not be made. */
static void sparse(void) {
    for (int last = 0; last < 2; last++) {
        struct ctx c;
        struct payload p;
        ctx_begin(&c);
        size_t width = 1500, rows = 1500, at = 0, cap = width * 16 + rows * 4 + 64;
        char *text = arena_alloc(c.arena, cap);
        at += (size_t)snprintf(text, cap, "{\"dataframe_records\":[");
        for (size_t r = 0; last && r < rows; r++)
            at += (size_t)snprintf(text + at, cap - at, "{},");
        for (size_t i = 0; i < width; i++)
            at += (size_t)snprintf(text + at, cap - at, "%s\"c%zu\":1", i ? "," : "{", i);
        for (size_t r = 0; !last && r < rows; r++)
            at += (size_t)snprintf(text + at, cap - at, r ? ",{}" : "},{}");
        at += (size_t)snprintf(text + at, cap - at, last ? "}]}" : "]}");
        CHECK_INT(payload_scan(&c, "", text, at, &p), -ERR_BAD_REQUEST);
        CHECK_HAS(c.err.message, "lack too many");
        ctx_end(&c);
    }
}

static void cut_short(void) {
    const char *text = "{\"dataframe_split\":{\"columns\":[\"a\",\"b\"],\"index\":[0],\"data\":[[1."
                       "5,\"x\\n\"],[null,true]]},"
                       "\"params\":{\"k\":[]}}";
    for (size_t n = 0; n < strlen(text); n++) {
        struct ctx c;
        struct payload p;
        ctx_begin(&c);
        char *copy = arena_strndup(c.arena, text, n);
        CHECK(payload_scan(&c, "", copy, n, &p) < 0);
        ctx_end(&c);
    }
}

int main(void) {
    RUN(forms);
    RUN(kinds);
    RUN(refused);
    RUN(wide);
    RUN(sparse);
    RUN(cut_short);
    return CHECK_END();
}
