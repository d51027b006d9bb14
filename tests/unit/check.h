/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TESTS_CHECK_H
#define QUERN_TESTS_CHECK_H
/* Check: a test program is a list of functions; every failed check prints file, line and values,
 * and the program ends with 1. CHECK never stops the test, REQUIRE leaves the function. */
#include <math.h>
#include <stdio.h>
#include <string.h>

static _Atomic int check_failures; /* atomic: listeners and handlers check as well */
static _Atomic int check_count;

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        check_count++;                                                                             \
        if (!(cond)) {                                                                             \
            check_failures++;                                                                      \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #cond);                            \
        }                                                                                          \
    } while (0)
#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        check_count++;                                                                             \
        if (!(cond)) {                                                                             \
            check_failures++;                                                                      \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #cond);                            \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define CHECK_INT(got, want)                                                                       \
    do {                                                                                           \
        long long g_ = (long long)(got), w_ = (long long)(want);                                   \
        check_count++;                                                                             \
        if (g_ != w_) {                                                                            \
            check_failures++;                                                                      \
            printf("%s:%d: %s is %lld, want %lld\n", __FILE__, __LINE__, #got, g_, w_);            \
        }                                                                                          \
    } while (0)
#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        const char *g_ = (got), *w_ = (want);                                                      \
        check_count++;                                                                             \
        if (!g_ || !w_ ? g_ != w_ : strcmp(g_, w_) != 0) {                                         \
            check_failures++;                                                                      \
            printf("%s:%d: %s is\n  %s\nwant\n  %s\n", __FILE__, __LINE__, #got,                   \
                   g_ ? g_ : "(null)", w_ ? w_ : "(null)");                                        \
        }                                                                                          \
    } while (0)
#define CHECK_HAS(got, part)                                                                       \
    do {                                                                                           \
        const char *g_ = (got), *p_ = (part);                                                      \
        check_count++;                                                                             \
        if (!g_ || !strstr(g_, p_)) {                                                              \
            check_failures++;                                                                      \
            printf("%s:%d: %s is\n  %s\nwithout\n  %s\n", __FILE__, __LINE__, #got,                \
                   g_ ? g_ : "(null)", p_);                                                        \
        }                                                                                          \
    } while (0)
#define CHECK_NEAR(got, want, eps)                                                                 \
    do {                                                                                           \
        double g_ = (got), w_ = (want);                                                            \
        check_count++;                                                                             \
        if (!(fabs(g_ - w_) <= (eps))) {                                                           \
            check_failures++;                                                                      \
            printf("%s:%d: %s is %.17g, want %.17g\n", __FILE__, __LINE__, #got, g_, w_);          \
        }                                                                                          \
    } while (0)
#define RUN(test)                                                                                  \
    do {                                                                                           \
        int before_ = check_failures;                                                              \
        test();                                                                                    \
        printf("%s %s\n", check_failures == before_ ? "ok  " : "FAIL", #test);                     \
    } while (0)
/* The program's result: a test that drops it could not fail. */
#define CHECK_END() check_end()
__attribute__((warn_unused_result, unused)) static int check_end(void) {
    printf("%d checks, %d failed\n", check_count, check_failures);
    return check_failures ? 1 : 0;
}

#endif
