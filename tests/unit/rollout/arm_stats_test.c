/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/rollout/arm_stats.h"

#include <pthread.h>
#include <stdlib.h>

#include "check.h"

static void test_quantiles(void) {
    static struct arm_stats s;
    struct arm_sample at;
    arm_stats_read(&s, &at);
    CHECK(isnan(arm_sample_quantile(&at, 0.5)));
    CHECK(isnan(arm_sample_error_rate(&at)));
    /* 1 to 100000 us, each once: a quantile is known, and at most 6.25 % too high. */
    for (int64_t us = 1; us <= 100000; us++)
        arm_stats_add(&s, ARM_OK, us);
    arm_stats_read(&s, &at);
    static const double qs[] = {0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
    for (size_t i = 0; i < sizeof qs / sizeof qs[0]; i++) {
        double want = ceil(qs[i] * 100000) / 1000, got = arm_sample_quantile(&at, qs[i]);
        if (got < want || got > want * 1.0625)
            printf("quantile %g: %g, want %g\n", qs[i], got, want);
        CHECK(got >= want && got <= want * 1.0625);
    }
}

static void test_ends(void) {
    static struct arm_stats s;
    struct arm_sample at;
    arm_stats_add(&s, ARM_OK, -5);
    arm_stats_read(&s, &at);
    CHECK_NEAR(arm_sample_quantile(&at, 1), 0, 0);
    arm_stats_add(&s, ARM_OK, INT64_MAX);
    arm_stats_read(&s, &at);
    CHECK(arm_sample_quantile(&at, 1) > 100000);
    CHECK_INT(at.requests, 2);
}

static void test_since(void) {
    static struct arm_stats s;
    struct arm_sample then, now;
    for (int i = 0; i < 10; i++)
        arm_stats_add(&s, ARM_ERROR, 1000000);
    arm_stats_read(&s, &then);
    for (int i = 0; i < 4; i++)
        arm_stats_add(&s, i == 0 ? ARM_NAN : ARM_OK, 10);
    arm_stats_read(&s, &now);
    arm_sample_since(&now, &then);
    CHECK_INT(now.requests, 4);
    CHECK_INT(now.errors, 0);
    CHECK_NEAR(arm_sample_nan_rate(&now), 0.25, 0);
    CHECK_NEAR(arm_sample_quantile(&now, 1), 0.010, 1e-9);
    /* Counts that went back count from 0. */
    struct arm_sample reset = {.requests = 3};
    arm_sample_since(&reset, &then);
    CHECK_INT(reset.requests, 3);
}

static struct arm_stats shared;
static void *adds(void *arg) {
    unsigned seed = *(unsigned *)arg;
    for (int i = 0; i < 100000; i++)
        arm_stats_add(&shared, (enum arm_outcome)(i % 3), rand_r(&seed) % 100000);
    return NULL;
}

static void test_threads(void) {
    pthread_t t[4];
    unsigned seeds[4] = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, adds, &seeds[i]);
    struct arm_sample at;
    for (int i = 0; i < 1000; i++) {
        arm_stats_read(&shared, &at);
        if (at.errors + at.nan > at.requests)
            CHECK_INT(at.errors + at.nan, at.requests);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    arm_stats_read(&shared, &at);
    CHECK_INT(at.requests, 400000);
    CHECK_INT(at.errors, 4 * 33333);
    CHECK_INT(at.nan, 4 * 33333);
    uint64_t sum = 0;
    for (int i = 0; i < ARM_STEPS; i++)
        sum += at.steps[i];
    CHECK_INT(sum, 400000);
}

int main(void) {
    RUN(test_quantiles);
    RUN(test_ends);
    RUN(test_since);
    RUN(test_threads);
    return CHECK_END();
}
