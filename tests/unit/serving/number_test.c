/* SPDX-License-Identifier: Apache-2.0 */
#include "number.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>

#include "check.h"

static uint64_t state = 88172645463325252u;

static uint64_t random_bits(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t bits_of(double v) {
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return b;
}

static int wrong;

/* `more` bytes of other text follow: with many, the fast way is open. */
static void same_before(const char *text, size_t more, double want) {
    char whole[512];
    struct number n;
    size_t len = strlen(text);
    memcpy(whole, text, len);
    memset(whole + len, ',', more);
    whole[len + more] = 0;
    const char *end = number_scan(whole, whole + len + more, &n);
    check_count++;
    bool plain = !strpbrk(text, ".eE"), huge = fabs(want) > 1.8e19;
    if (end == whole + len && bits_of(n.value) == bits_of(want) && (huge || n.integer == plain))
        return;
    check_failures++;
    if (wrong++ < 10)
        printf("%s and %zu bytes: read as %.17g (%s), want %.17g\n", text, more, n.value,
               end ? "ended" : "refused", want);
}

static void same_as_library(const char *text) {
    double want = strtod(text, NULL);
    if (strlen(text) > 400)
        return;
    same_before(text, 0, want);
    same_before(text, 1, want);
    same_before(text, 60, want);
}

static void edges(void) {
    static const char *const texts[] = {
        "0",
        "-0",
        "0.0",
        "-0.0",
        "1",
        "-1",
        "10",
        "0.1",
        "0.2",
        "0.3",
        "1e22",
        "1e23",
        "1e-22",
        "9007199254740992",
        "9007199254740993",
        "9007199254740993.0",
        "9007199254740995",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999",
        "123456789012345678901234567890",
        "0.000000000000000000000000001",
        "1e-27",
        "1e27",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "4.9406564584124654e-324",
        "2e-324",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "1e400",
        "-1e400",
        "1e-400",
        "0e999999999999",
        "1E5",
        "1e+5",
        "1E-5",
        "5.1",
        "3.5",
        "1.4",
        "0.30000000000000004",
        "1.0000000000000002",
        "179769313486231580793e289",
        "6929495644600919.5",
        "3.5844466002796428e+298",
        "0.1000000000000000055511151231257827021181583404541015625",
        "100000000000000000000000000000000000000000000000000.5e-49",
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        same_as_library(texts[i]);
}

static void at_random(void) {
    char text[64];
    for (int i = 0; i < 400000; i++) {
        uint64_t b = random_bits();
        double v;
        memcpy(&v, &b, sizeof v);
        if (!isfinite(v))
            continue;
        snprintf(text, sizeof text, "%.*g", 1 + i % 20, v);
        same_as_library(text);
        /* Numbers as tables hold them: few digits before the point, many behind. */
        double w = ((double)(b >> 11) / 9007199254740992.0 - 0.5) * pow(10, i % 12);
        snprintf(text, sizeof text, "%.*g", 1 + i % 19, w);
        same_as_library(text);
        snprintf(text, sizeof text, "%llu.%llue%d", (unsigned long long)(b % 1000000),
                 (unsigned long long)(b >> 40), i % 60 - 30);
        same_as_library(text);
    }
}

static void grammar(void) {
    static const char *const bad[] = {"",     "-",   "+1",  ".5",  "5.",  "01",
                                      "-01",  "00",  "1e",  "1e+", "e5",  "0x10",
                                      "1.e5", "nan", "inf", "--1", "-.5", "- 1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct number n;
        const char *end = number_scan(bad[i], bad[i] + strlen(bad[i]), &n);
        CHECK(!end || (size_t)(end - bad[i]) < strlen(bad[i]));
    }
    struct number n;
    const char *text = "12,5";
    CHECK(number_scan(text, text + 4, &n) == text + 2);
    CHECK(n.integer && n.magnitude == 12 && !n.negative);
    CHECK(number_scan("12345", (const char *)"12345", &n) == NULL || true);
    text = "12345"; /* digits behind the end are somebody else's bytes */
    CHECK(number_scan(text, text + 3, &n) == NULL);
    text = "1.0";
    CHECK(number_scan(text, text + 3, &n) == NULL || !n.integer);
}

static const char *store(const char *text, enum dtype t, bool strict, int64_t *out) {
    struct number n;
    unsigned char element[8] = {0};
    number_scan(text, text + strlen(text), &n);
    const char *wants = number_store(&n, t, strict, element);
    memcpy(out, element, 8);
    return wants;
}

static void ranges(void) {
    int64_t v;
    CHECK(!store("127", DT_INT8, true, &v) && (v & 0xFF) == 127);
    CHECK(!store("-128", DT_INT8, true, &v) && (int8_t)v == -128);
    CHECK_HAS(store("128", DT_INT8, true, &v), "range");
    CHECK_HAS(store("-129", DT_INT8, true, &v), "range");
    CHECK_HAS(store("-1", DT_UINT8, true, &v), "range");
    CHECK(!store("-0", DT_UINT8, true, &v) && v == 0);
    CHECK(!store("9223372036854775807", DT_INT64, true, &v) && v == INT64_MAX);
    CHECK(!store("-9223372036854775808", DT_INT64, true, &v) && v == INT64_MIN);
    CHECK_HAS(store("9223372036854775808", DT_INT64, true, &v), "range");
    CHECK(!store("18446744073709551615", DT_UINT64, true, &v) && (uint64_t)v == UINT64_MAX);
    CHECK_HAS(store("18446744073709551616", DT_UINT64, true, &v), "integer");
    CHECK_HAS(store("1.0", DT_INT32, true, &v), "wants an integer");
    CHECK(!store("1.0", DT_INT32, false, &v) && (int32_t)v == 1);
    CHECK(!store("1e3", DT_INT32, false, &v) && (int32_t)v == 1000);
    CHECK(!store("-2.0", DT_INT32, false, &v) && (int32_t)v == -2);
    CHECK_HAS(store("1.5", DT_INT32, false, &v), "wants an integer");
    CHECK_HAS(store("1e300", DT_INT64, false, &v), "integer");
    CHECK_HAS(store("1e39", DT_FP32, true, &v), "range");
    CHECK_HAS(store("1e999", DT_FP64, true, &v), "range");
    CHECK_HAS(store("1", DT_BOOL, true, &v), "true or false");
    CHECK_HAS(store("1", DT_BYTES, true, &v), "string");
}

/* The fewest digits with which the library finds the float again. */
static int fewest(float v) {
    char text[40];
    for (int digits = 1; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, (double)v);
        if (strtof(text, NULL) == v)
            return digits;
    }
    return 9;
}

static int digits_in(const char *text) {
    int n = 0, zeros = 0;
    bool lead = true;
    for (const char *p = text; *p && *p != 'e'; p++) {
        if (!isdigit((unsigned char)*p))
            continue;
        if (*p == '0' && lead)
            continue;
        lead = false;
        zeros = *p == '0' ? zeros + 1 : 0;
        n++;
    }
    return n - zeros;
}

static void one_float(float v) {
    char text[40];
    size_t n = number_print_f32(v, text);
    text[n] = 0;
    struct number back;
    check_count++;
    bool json = number_scan(text, text + n, &back) == text + n && !back.integer;
    bool same = strtof(text, NULL) == v && (float)back.value == v &&
                signbit(v) == signbit((float)back.value);
    /* A decimal exactly between two floats is not used, so large integers may take more digits. */
    bool odd = fabsf(v) >= 16777216.0f || fabsf(v) < 1e-30f;
    bool small = n <= 24 && (odd || digits_in(text) <= fewest(v));
    if (json && same && small)
        return;
    check_failures++;
    if (wrong++ < 10)
        printf("%.9g printed as %s (json %d, same %d, small %d)\n", (double)v, text, json, same,
               small);
}

static void floats(void) {
    static const struct {
        float v;
        const char *text;
    } rows[] = {{0, "0.0"},
                {-0.0f, "-0.0"},
                {1, "1.0"},
                {-1, "-1.0"},
                {0.1f, "0.1"},
                {100, "100.0"},
                {0.5f, "0.5"},
                {123456, "123456.0"},
                {16777216, "16777216.0"},
                {1e-7f, "1e-07"},
                {0.33333334f, "0.33333334"},
                {1e20f, "1e+20"},
                {3.4028235e38f, "3.4028235e+38"},
                {0.001f, "0.001"},
                {9.999999e-6f, "9.999999e-06"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[40];
        text[number_print_f32(rows[i].v, text)] = 0;
        CHECK_STR(text, rows[i].text);
    }
    for (int i = 0; i < 500000; i++) {
        uint32_t b = (uint32_t)random_bits();
        float v;
        memcpy(&v, &b, sizeof v);
        if (isfinite(v))
            one_float(v);
        one_float((float)((double)(random_bits() >> 11) / 9007199254740992.0)); /* probabilities */
        one_float((float)((double)(b % 100000) / 1000.0));
    }
    for (int e = -149; e <= 127; e++) {
        float v = ldexpf(1, e);
        one_float(v);
        one_float(nextafterf(v, 0));
        one_float(nextafterf(v, 2 * v));
    }
}

int main(void) {
    RUN(edges);
    RUN(at_random);
    RUN(grammar);
    RUN(ranges);
    RUN(floats);
    return CHECK_END();
}
