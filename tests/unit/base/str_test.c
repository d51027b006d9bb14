/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/str.h"

#include <stdint.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/id.h"

static void equality(void) {
    CHECK(str_eq(NULL, NULL));
    CHECK(!str_eq(NULL, ""));
    CHECK(!str_eq("", NULL));
    CHECK(str_eq("a", "a"));
    CHECK(str_ieq("AbC-9", "aBc-9"));
    CHECK(!str_ieq("abc", "ab"));
    CHECK(!str_ieq("\xc3\x84", "\xc3\xa4")); /* ASCII alone is folded */
    CHECK(!str_ieq("@", "`"));
    CHECK(str_starts("abc", "ab") && !str_starts("a", "ab") && str_starts("a", ""));
    CHECK(str_ends("abc", "bc") && !str_ends("c", "bc") && str_ends("c", ""));
}

static void integers(void) {
    int64_t v = 7;
    CHECK(str_to_i64("9223372036854775807", &v));
    CHECK(v == INT64_MAX);
    CHECK(str_to_i64("-9223372036854775808", &v));
    CHECK(v == INT64_MIN);
    CHECK(str_to_i64("-0", &v));
    CHECK_INT(v, 0);
    v = 7;
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "0x10",
                                      "1.0",
                                      "1e3",
                                      "--1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999",
                                      "\xd9\xa1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK(!str_to_i64(bad[i], &v));
        CHECK_INT(v, 7);
    }
    uint64_t u = 3;
    CHECK(str_to_u64("18446744073709551615", &u));
    CHECK(u == UINT64_MAX);
    CHECK(!str_to_u64("18446744073709551616", &u));
    CHECK(!str_to_u64("-1", &u));
    CHECK(u == UINT64_MAX);
}

static void doubles(void) {
    double v = 7;
    CHECK(str_to_f64("0.1", &v) && v == 0.1);
    CHECK(str_to_f64("-1.5e-3", &v) && v == -1.5e-3);
    CHECK(str_to_f64(".5", &v) && v == 0.5);
    CHECK(str_to_f64("5.", &v) && v == 5.0);
    CHECK(str_to_f64("+2", &v) && v == 2.0);
    CHECK(str_to_f64("1.7976931348623157e308", &v) && v == 1.7976931348623157e308);
    CHECK(str_to_f64("5e-324", &v) && v > 0);
    v = 7;
    static const char *const bad[] = {"",    ".",   "-",     "e5",        "1e",
                                      "1e+", "nan", "inf",   "-Infinity", "0x1p3",
                                      " 1",  "1 ",  "1e400", "1,5",       "1f"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK(!str_to_f64(bad[i], &v));
        CHECK(v == 7);
    }
}

static void sizes_and_times(void) {
    uint64_t b = 1;
    CHECK(str_to_bytes("64", &b) && b == 64);
    CHECK(str_to_bytes("64K", &b) && b == 65536);
    CHECK(str_to_bytes("16M", &b) && b == 16u << 20);
    CHECK(str_to_bytes("2G", &b) && b == 2ull << 30);
    b = 1;
    CHECK(!str_to_bytes("2g", &b) && !str_to_bytes("", &b) && !str_to_bytes("G", &b));
    CHECK(!str_to_bytes("18446744073709551615K", &b) && !str_to_bytes("1 K", &b));
    CHECK(!str_to_bytes("-1", &b) && !str_to_bytes("99999999999999999999999999K", &b));
    CHECK(b == 1);
    int64_t ms = 1;
    CHECK(str_to_ms("250ms", &ms) && ms == 250);
    CHECK(str_to_ms("10s", &ms) && ms == 10000);
    CHECK(str_to_ms("5m", &ms) && ms == 300000);
    CHECK(str_to_ms("2h", &ms) && ms == 7200000);
    CHECK(str_to_ms("1d", &ms) && ms == 86400000);
    ms = 1;
    CHECK(!str_to_ms("10", &ms) && !str_to_ms("s", &ms) && !str_to_ms("1w", &ms));
    CHECK(!str_to_ms("9223372036854775807d", &ms) && !str_to_ms("-1s", &ms));
    CHECK_INT(ms, 1);
}

static void utf8(void) {
    static const char *const good[] = {"",
                                       "plain",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "eight bytes and \xc3\xa9 more"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2 ",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xe2\x82",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xfe",
                                      "12345678\xe2\x28\xa1",
                                      "\xf0\x90\x80",
                                      "\xe2\x82\xac\x82"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (!utf8_valid(good[i], strlen(good[i])))
            CHECK_STR(good[i], "valid");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK(!utf8_valid(bad[i], strlen(bad[i])));
    CHECK(utf8_valid("a\0b", 3));
    CHECK_INT(utf8_count("a\xc3\xa9\xf0\x9f\x98\x80z"), 4);
    CHECK_INT(utf8_prefix("a\xc3\xa9\xf0\x9f\x98\x80z", 0), 0);
    CHECK_INT(utf8_prefix("a\xc3\xa9\xf0\x9f\x98\x80z", 2), 3);
    CHECK_INT(utf8_prefix("a\xc3\xa9\xf0\x9f\x98\x80z", 3), 7);
    CHECK_INT(utf8_prefix("a\xc3\xa9\xf0\x9f\x98\x80z", 9), 8);
}

static void hexadecimal(void) {
    char text[9];
    unsigned char bytes[4] = {0};
    hex_encode("\x00\x7f\xff\x10", 4, text);
    CHECK_STR(text, "007fff10");
    CHECK(hex_decode("007FfF10", 8, bytes));
    CHECK(memcmp(bytes, "\x00\x7f\xff\x10", 4) == 0);
    CHECK(!hex_decode("00f", 3, bytes));
    CHECK(!hex_decode("0g", 2, bytes));
    CHECK(hex_decode("", 0, bytes));
}

static void base64(void) {
    struct arena *a = arena_new();
    static const struct {
        const char *plain, *coded;
    } rows[] = {{"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"},
                {"\xff\xfe\xfb", "//77"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = 99;
        CHECK_STR(base64_encode(a, rows[i].plain, strlen(rows[i].plain)), rows[i].coded);
        unsigned char *back = base64_decode(a, rows[i].coded, &n);
        CHECK_INT(n, strlen(rows[i].plain));
        CHECK(back && memcmp(back, rows[i].plain, n) == 0);
    }
    static const char *const bad[] = {"Z",    "Zg",     "Zg=",  "Zh==",     "Zm9=", "====",
                                      "Z===", "Zm9v\n", "Zm 9", "Zg==Zg==", "_-77", "=Zg="};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        size_t n;
        if (base64_decode(a, bad[i], &n))
            CHECK_STR(bad[i], "refused");
    }
    CHECK_STR(base64_hex(a, "AP8Q", 3), "00ff10");
    CHECK(!base64_hex(a, "AP8Q", 2) && !base64_hex(a, "A", 1) && !base64_hex(a, NULL, 0));
    arena_free(a);
}

static char *decoded(struct arena *a, const char *s, bool plus) {
    return url_decode(a, s, strlen(s), plus);
}

static void urls(void) {
    struct arena *a = arena_new();
    CHECK_STR(decoded(a, "a%2Fb+c", false), "a/b+c");
    CHECK_STR(decoded(a, "a%2fb+c", true), "a/b c");
    CHECK_STR(decoded(a, "%252e", false), "%2e"); /* one pass only */
    CHECK(!decoded(a, "%", false));
    CHECK(!decoded(a, "%1", false));
    CHECK(!decoded(a, "%zz", false));
    CHECK(!decoded(a, "a%00b", false));
    CHECK(!url_decode(a, "a\0b", 3, false));
    CHECK_STR(url_decode(a, "abcdef", 3, false), "abc");
    CHECK_STR(url_encode(a, "a b/\xc3\xa9~-._", false), "a%20b%2F%C3%A9~-._");
    CHECK_STR(url_encode(a, "a/b?", true), "a/b%3F");
    arena_free(a);
}

static void copies(void) {
    char small[4] = "xxx";
    CHECK(str_copy(small, sizeof small, "abc"));
    CHECK_STR(small, "abc");
    CHECK(!str_copy(small, sizeof small, "abcd"));
    CHECK_STR(small, "abc");
    CHECK(!str_copy(small, 0, "z"));
    CHECK_STR(small, "abc");
}

static void identifiers(void) {
    char a[33], b[33], uuid[37], word[101];
    id_hex32(a);
    id_hex32(b);
    CHECK_INT(strlen(a), 32);
    CHECK_INT(strspn(a, "0123456789abcdef"), 32);
    CHECK(strcmp(a, b) != 0);
    CHECK_INT(a[12], '4');
    CHECK(strchr("89ab", a[16]) != NULL);
    id_uuid(uuid);
    CHECK_INT(strlen(uuid), 36);
    CHECK(uuid[8] == '-' && uuid[13] == '-' && uuid[14] == '4' && uuid[18] == '-' &&
          uuid[23] == '-');
    id_base62(word, 100);
    CHECK_INT(strlen(word), 100);
    CHECK_INT(strspn(word, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), 100);
    id_base62(word, 0);
    CHECK_STR(word, "");
}

static void times(void) {
    char text[32];
    clock_format_ms(0, text);
    CHECK_STR(text, "1970-01-01T00:00:00.000Z");
    clock_format_ms(1767319445678, text);
    CHECK_STR(text, "2026-01-02T02:04:05.678Z");
    clock_format_ms(-1, text);
    CHECK_STR(text, "1969-12-31T23:59:59.999Z");
    clock_format_ms(INT64_MAX, text);
    CHECK(strlen(text) < 32);
    int64_t before = clock_mono_ms();
    clock_sleep_ms(20);
    CHECK(clock_mono_ms() - before >= 20);
    clock_sleep_ms(-5);
}

int main(void) {
    RUN(equality);
    RUN(integers);
    RUN(doubles);
    RUN(sizes_and_times);
    RUN(utf8);
    RUN(hexadecimal);
    RUN(base64);
    RUN(urls);
    RUN(copies);
    RUN(identifiers);
    RUN(times);
    return CHECK_END();
}
