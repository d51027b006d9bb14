/* SPDX-License-Identifier: Apache-2.0 */
/* The direct decoder against the one over trees: whatever it takes, the other takes and sees alike.
 * Bodies are made plain and then spoiled in every way that one or two edits can. */
#include <stdlib.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"

struct inner {
    const char *key;
    struct opt_f64 value;
    struct opt_i64 timestamp, step;
};
SHAPE_LOCAL(shape_inner, "Inner", struct inner, FIELD(struct inner, key, T_STR, F_REQUIRED, ""),
            FIELD(struct inner, value, T_F64, F_REQUIRED | F_NONFINITE, ""),
            FIELD(struct inner, timestamp, T_I64, F_REQUIRED, ""),
            FIELD_MAX(struct inner, step, T_I64, 0, -5, 1000, ""));
static const char *const states[] = {"RUNNING", "FINISHED", NULL};
struct outer {
    const char *run_id, *name, *state;
    struct opt_bool flag;
    struct inner *one;
    struct list metrics;
    struct strs ids;
    struct pairs map;
};
static const struct field fields[] = {
    {.name = "run_id",
     .type = T_STR,
     .flags = F_REQUIRED,
     .offset = offsetof(struct outer, run_id),
     .alias = "run_uuid"},
    FIELD_MAX(struct outer, name, T_STR, F_NUMBER_TEXT, 1, 9, ""),
    FIELD_ENUM(struct outer, state, 0, states, ""),
    FIELD(struct outer, flag, T_BOOL, 0, ""),
    FIELD_SUB(struct outer, one, T_OBJ, 0, &shape_inner, ""),
    FIELD_SUB(struct outer, metrics, T_LIST, 0, &shape_inner, ""),
    FIELD_MAX(struct outer, ids, T_STRS, 0, 0, 4, ""),
    FIELD(struct outer, map, T_MAP, 0, ""),
};
static const struct shape loose = {"Outer", sizeof(struct outer), fields, ARRAY_LEN(fields), false};
static const struct shape strict = {"Outer", sizeof(struct outer), fields, ARRAY_LEN(fields), true};

static size_t taken, given_up, refused;

static void compare(enum dialect d, const struct shape *shape, const char *text, size_t n) {
    struct ctx c;
    struct outer direct = {0}, tree = {0}, zero = {0};
    struct json_t *t = NULL;
    const struct pairs none = {0};
    char *exact = malloc(n + 1); /* a read beyond the end shows */
    memcpy(exact, text, n);
    ctx_begin(&c);
    c.method = "POST";
    bool took = json_direct(&c, shape, exact, n, &direct);
    CHECK_INT(c.err.code, 0);
    int rc = json_parse(&c, d, exact, n, &t);
    rc = rc ? rc : json_decode(&c, d, shape, t, &none, &none, &tree);
    taken += took;
    given_up += !took && rc == 0;
    refused += rc != 0;
    if (!took) {
        CHECK(memcmp(&direct, &zero, sizeof zero) == 0);
    } else if (rc) {
        printf("taken: %.*s\n", (int)n, text);
        CHECK_STR(c.err.message, "");
    } else {
        struct buf a = {0}, b = {0};
        json_encode(&a, shape, &direct);
        json_encode(&b, shape, &tree);
        CHECK_STR(a.data, b.data);
        buf_free(&a);
        buf_free(&b);
    }
    ctx_end(&c);
    free(exact);
}

static void all_ways(const char *text, size_t n) {
    compare(DIALECT_MLFLOW, &loose, text, n);
    compare(DIALECT_PROBLEM, &strict, text, n);
}

static const char *const plain[] = {
    "{\"run_id\":\"a\"}",
    " {\"run_id\" : \"a\" , \"name\":\"n\"}\r\n\t ",
    "{\"run_uuid\":\"b\",\"run_id\":\"a\",\"flag\":true,\"state\":\"FINISHED\"}",
    "{\"run_id\":\"a\",\"metrics\":[]}",
    "{\"run_id\":\"a\",\"ids\":[\"x\",\"\",\"z\"],\"flag\":false}",
    "{\"run_id\":\"a\",\"one\":{\"key\":\"k\",\"value\":-0.0,\"timestamp\":0,\"step\":-5}}",
    "{\"run_id\":\"0123456789abcdef\",\"metrics\":[{\"key\":\"loss\",\"value\":0."
    "123456789012345678,"
    "\"timestamp\":1700000000000,\"step\":1},{\"key\":\"acc\",\"value\":1e-7,\"timestamp\":12,"
    "\"step\":1000},{\"step\":0,\"timestamp\":1,\"value\":3,\"key\":\"k\"}]}",
    "{\"run_id\":\"a\",\"one\":{\"key\":\"k\",\"value\":1e308,\"timestamp\":9223372036854775807}}",
    "{\"run_id\":\"a\",\"one\":{\"key\":\"k\",\"value\":123456789012345678,\"timestamp\":-1}}",
    "{\"run_id\":\"a\",\"one\":{\"key\":\"k\",\"value\":5e-324,\"timestamp\":5.0}}",
    "{\"run_id\":\"\",\"run_uuid\":\"b\"}",
    "{\"run_uuid\":\"b\"}",
    "{\"runId\":\"b\",\"unknown\":[1,{\"a\":null}]}",
    "{\"run_id\":\"a\",\"name\":12,\"map\":{\"a\":\"b\"}}",
    "{\"run_id\":\"\\u00e9\",\"name\":null}",
    "{\"run_id\":\"\xc3\xa9\",\"name\":\"\xe6\xbc\xa2\xe5\xad\x97\"}",
    "{\"run_id\":\"a\",\"one\":{\"key\":\"k\",\"value\":\"NaN\",\"timestamp\":\"7\",\"step\":1.0}}",
    "{\"run_id\":\"a\",\"one\":{\"key\":\"k\",\"value\":NaN,\"timestamp\":7}}",
};

static void examples(void) {
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        all_ways(plain[i], strlen(plain[i]));
    CHECK(taken >= 16);
    all_ways("", 0);
    all_ways("{}", 2);
    all_ways("[]", 2);
}

static void cuts(void) {
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        for (size_t n = 0; n < strlen(plain[i]); n++)
            all_ways(plain[i], n);
}

static uint64_t seed = 3;
static size_t draw(size_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(seed >> 33) % n;
}

static void edits(void) {
    static const char bytes[] = "\"\\{}[],:0123456789.eE+-tfn \nax\x01\x7f\xc3\xa9";
    static const char *const pieces[] = {"null",
                                         "true",
                                         "1e999",
                                         "00",
                                         "-",
                                         "1.",
                                         ".5",
                                         "0x1",
                                         "1e5",
                                         "\"\"",
                                         "\"run_id\":\"z\",",
                                         "\"run_uuid\":\"y\",",
                                         "{}",
                                         "[]",
                                         ",",
                                         "NaN",
                                         "-0",
                                         "99999999999999999999",
                                         "1e-400",
                                         "0.30000000000000004",
                                         "1000000000000000000000000.5",
                                         "\"step\":3,",
                                         "\\u0000",
                                         "9007199254740993"};
    char text[600];
    for (int round = 0; round < 60000; round++) {
        const char *from = plain[draw(ARRAY_LEN(plain))];
        size_t n = strlen(from);
        memcpy(text, from, n);
        for (size_t edit = 1 + draw(2); edit > 0; edit--) {
            size_t at = draw(n + 1), more = 1, gone = 0;
            const char *what = &bytes[draw(sizeof bytes - 1)];
            switch (draw(4)) {
            case 0:
                gone = at < n;
                break;
            case 1:
                break;
            case 2: /* a piece for a number or a string that is there */
                while (at < n && text[at] != ':')
                    at++;
                at += at < n;
                gone = strcspn(n > at ? (text[n] = 0, text + at) : (text[n] = 0, text + n), ",}]");
                what = pieces[draw(ARRAY_LEN(pieces))];
                more = strlen(what);
                break;
            default:
                what = pieces[draw(ARRAY_LEN(pieces))];
                more = strlen(what);
            }
            if (n + more - gone > sizeof text - 1)
                break;
            memmove(text + at + more, text + at + gone, n - at - gone);
            memcpy(text + at, what, more);
            n = n + more - gone;
        }
        all_ways(text, n);
    }
    printf("taken %zu, given up %zu, refused %zu\n", taken, given_up, refused);
    CHECK(taken > 1000);
}

/* Every digit counts: numbers as clients print them, and numbers at the edges of rounding. */
static void numbers(void) {
    char text[300];
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = (uint64_t)draw(1u << 31) << 33 ^ (uint64_t)draw(1u << 31) << 2;
        double v = (double)draw(1u << 31) / 2147483648.0;
        if (i % 4 == 0)
            memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        int n =
            snprintf(text, sizeof text,
                     "{\"run_id\":\"a\",\"one\":{\"key\":\"k\",\"timestamp\":1,\"value\":%.*g}}",
                     1 + (int)draw(19), v);
        compare(DIALECT_MLFLOW, &loose, text, (size_t)n);
    }
}

int main(void) {
    RUN(examples);
    RUN(cuts);
    RUN(edits);
    RUN(numbers);
    return CHECK_END();
}
