/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/rollout/canary.h"

#include "check.h"

static const struct canary_step steps[] = {
    {.percent = 5, .ms = 60000, .requests = 200},
    {.percent = 50, .ms = 0, .requests = 1000},
    {.percent = 100, .ms = 30000, .requests = 0},
};
static const struct canary_when aborts[] = {
    {.metric = CANARY_ERROR_RATE, .above_set = true, .above = 0.1},
    {.metric = CANARY_ERROR_RATE, .worse_set = true, .worse = 0.02},
    {.metric = CANARY_LATENCY_MS, .quantile = 0.9, .worse_set = true, .worse = 0.5},
    {.metric = CANARY_NAN_RATE, .above_set = true, .above = 0},
    {.metric = CANARY_MONITOR, .monitor = "auc", .below_set = true, .below = 0.7},
};
static const struct canary_when holds[] = {
    {.metric = CANARY_LATENCY_MS, .quantile = 0.5, .above_set = true, .above = 50},
};

/* Figures: requests, errors, nan, and one latency for all, of canary and baseline. */
struct figures {
    unsigned n, errors, nan;
    int64_t us;
};

static double monitor_value;
static bool monitor(void *arg, const char *name, double *value) {
    (void)arg;
    CHECK_STR(name, "auc");
    *value = monitor_value;
    return monitor_value >= 0;
}

static struct arm_sample sample(const struct figures *f) {
    static struct arm_stats s;
    memset(&s, 0, sizeof s);
    for (unsigned i = 0; i < f->n; i++)
        arm_stats_add(&s,
                      i < f->errors            ? ARM_ERROR
                      : i < f->errors + f->nan ? ARM_NAN
                                               : ARM_OK,
                      f->us);
    struct arm_sample out;
    arm_stats_read(&s, &out);
    return out;
}

static const struct {
    const char *what;
    unsigned naborts, nholds;
    bool hold_at_end;
    size_t step;
    int64_t passed;
    struct figures arm, base;
    double monitor; /* below 0: none */
    enum canary_action want;
    const char *reason;
} table[] = {
    /* Without rules only time and requests count. */
    {"start", 0, 0, 0, 0, 0, {0}, {0}, -1, CANARY_HOLD, "0.0 of 60.0 seconds"},
    {"time, no requests", 0, 0, 0, 0, 60000, {0}, {0}, -1, CANARY_HOLD, "0 of 200 requests"},
    {"requests, no time", 0, 0, 0, 0, 59999, {9999, 0, 0, 0}, {0}, -1, CANARY_HOLD, "seconds"},
    {"one short", 0, 0, 0, 0, 60000, {199, 0, 0, 0}, {0}, -1, CANARY_HOLD, "199 of 200"},
    {"both", 0, 0, 0, 0, 60000, {200, 0, 0, 0}, {0}, -1, CANARY_ADVANCE, "50 percent next"},
    {"requests alone", 0, 0, 0, 1, 0, {1000, 0, 0, 0}, {0}, -1, CANARY_ADVANCE, "100 percent next"},
    {"time alone", 0, 0, 0, 2, 30000, {0}, {0}, -1, CANARY_PROMOTE, "All 3 steps"},
    {"end waits", 0, 0, 1, 2, 30000, {0}, {0}, -1, CANARY_HOLD, "waits for a call"},
    {"clock went back", 0, 0, 0, 2, -99999, {0}, {0}, -1, CANARY_HOLD, "0.0 of 30.0"},
    {"step past the end", 0, 0, 0, 7, 30000, {0}, {0}, -1, CANARY_PROMOTE, "All 3 steps"},
    /* An absolute bound. */
    {"few requests", 1, 0, 0, 0, 1, {99, 99, 0, 0}, {0}, -1, CANARY_HOLD, "seconds"},
    {"few requests at the end",
     1,
     0,
     0,
     2,
     30000,
     {99, 99, 0, 0},
     {0},
     -1,
     CANARY_HOLD,
     "99 of 100 requests that error_rate"},
    {"aborts at once",
     1,
     0,
     0,
     0,
     1,
     {100, 11, 0, 0},
     {0},
     -1,
     CANARY_ROLLBACK,
     "error_rate is 0.11, above 0.1"},
    {"just at the bound", 1, 0, 0, 0, 60000, {200, 20, 0, 0}, {0}, -1, CANARY_ADVANCE, ""},
    {"aborts in the last step",
     1,
     0,
     0,
     2,
     90000,
     {100, 50, 0, 0},
     {0},
     -1,
     CANARY_ROLLBACK,
     "Step 3 of 3"},
    /* Against the baseline. */
    {"baseline is as bad",
     2,
     0,
     0,
     0,
     60000,
     {1000, 90, 0, 0},
     {1000, 80, 0, 0},
     -1,
     CANARY_ADVANCE,
     ""},
    {"worse",
     2,
     0,
     0,
     0,
     1,
     {1000, 50, 0, 0},
     {1000, 29, 0, 0},
     -1,
     CANARY_ROLLBACK,
     "the baseline's 0.029"},
    {"baseline not known",
     2,
     0,
     0,
     0,
     60000,
     {1000, 50, 0, 0},
     {99, 0, 0, 0},
     -1,
     CANARY_HOLD,
     "99 of 100 requests of the baseline"},
    {"absolute bound needs no baseline",
     2,
     0,
     0,
     0,
     1,
     {1000, 500, 0, 0},
     {0},
     -1,
     CANARY_ROLLBACK,
     "above 0.1"},
    {"no baseline at 100 percent",
     2,
     0,
     0,
     2,
     30000,
     {1000, 50, 0, 0},
     {0},
     -1,
     CANARY_PROMOTE,
     ""},
    {"slow",
     3,
     0,
     0,
     0,
     1,
     {100, 0, 0, 16000},
     {100, 0, 0, 10000},
     -1,
     CANARY_ROLLBACK,
     "latency_ms is 16"},
    {"not too slow",
     3,
     0,
     0,
     0,
     60000,
     {200, 0, 0, 14000},
     {200, 0, 0, 10000},
     -1,
     CANARY_ADVANCE,
     ""},
    {"NaN", 4, 0, 0, 0, 1, {100, 0, 1, 10}, {100, 0, 0, 10}, -1, CANARY_ROLLBACK, "nan_rate"},
    /* A monitor. */
    {"no value yet",
     5,
     0,
     0,
     0,
     60000,
     {200, 0, 0, 10},
     {200, 0, 0, 10},
     -1,
     CANARY_HOLD,
     "monitor auc has no value yet"},
    {"good value", 5, 0, 0, 0, 60000, {200, 0, 0, 10}, {200, 0, 0, 10}, 0.8, CANARY_ADVANCE, ""},
    {"bad value", 5, 0, 0, 0, 1, {0}, {0}, 0.6, CANARY_ROLLBACK, "auc is 0.6, below 0.7"},
    {"known fault before unknown",
     5,
     0,
     0,
     0,
     1,
     {100, 90, 0, 10},
     {0},
     -1,
     CANARY_ROLLBACK,
     "error_rate"},
    /* Holding. */
    {"held",
     5,
     1,
     0,
     0,
     99999,
     {200, 0, 0, 60000},
     {200, 0, 0, 60000},
     0.8,
     CANARY_HOLD,
     "is held: latency_ms"},
    {"abort before hold",
     5,
     1,
     0,
     0,
     99999,
     {200, 100, 0, 60000},
     {200, 0, 0, 60000},
     0.8,
     CANARY_ROLLBACK,
     "error_rate"},
    {"hold not known", 0, 1, 0, 2, 30000, {99, 0, 0, 10}, {0}, -1, CANARY_HOLD, "waits"},
};

static void test_table(void) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct canary y = {.steps = steps,
                           .nsteps = 3,
                           .min_requests = 100,
                           .abort_when = aborts,
                           .naborts = table[i].naborts,
                           .hold_when = holds,
                           .nholds = table[i].nholds,
                           .promote_at_end = !table[i].hold_at_end};
        struct arm_sample arm = sample(&table[i].arm), base = sample(&table[i].base);
        struct canary_figures f = {.arm = &arm, .baseline = &base, .monitor = monitor};
        struct canary_state state = {.step = table[i].step, .since_ms = 5000000};
        struct canary_decision d;
        monitor_value = table[i].monitor;
        canary_next(&y, &state, &f, state.since_ms + table[i].passed, &d);
        if (d.action != table[i].want)
            printf("%s: %s\n", table[i].what, d.reason);
        CHECK_INT(d.action, table[i].want);
        CHECK_HAS(d.reason, table[i].reason);
        CHECK_INT(d.ended, table[i].hold_at_end);
    }
}

/* All small cases against the rule as docs/rollout.md words it. */
static void test_every_case(void) {
    static const struct canary_when abort[] = {
        {.metric = CANARY_ERROR_RATE, .above_set = true, .above = 0.5}};
    static const struct canary_when hold[] = {
        {.metric = CANARY_NAN_RATE, .above_set = true, .above = 0.5}};
    static const struct canary_step two[] = {{.percent = 10, .ms = 10, .requests = 4},
                                             {.percent = 20, .ms = 10, .requests = 4}};
    struct canary y = {.steps = two,
                       .nsteps = 2,
                       .min_requests = 3,
                       .abort_when = abort,
                       .naborts = 1,
                       .hold_when = hold,
                       .nholds = 1,
                       .promote_at_end = true};
    struct arm_sample base = {0};
    unsigned seen[4] = {0};
    for (size_t step = 0; step < 2; step++)
        for (unsigned n = 0; n <= 6; n++)
            for (unsigned e = 0; e <= n; e++)
                for (unsigned nan = 0; e + nan <= n; nan++)
                    for (int64_t t = 8; t <= 12; t++) {
                        struct arm_sample arm = {.requests = n, .errors = e, .nan = nan};
                        struct canary_figures f = {.arm = &arm, .baseline = &base};
                        struct canary_state state = {.step = step, .since_ms = 1000};
                        struct canary_decision d;
                        canary_next(&y, &state, &f, 1000 + t, &d);
                        enum canary_action want = n >= 3 && 2 * e > n     ? CANARY_ROLLBACK
                                                  : n >= 3 && 2 * nan > n ? CANARY_HOLD
                                                  : t < 10 || n < 4       ? CANARY_HOLD
                                                  : step == 0             ? CANARY_ADVANCE
                                                                          : CANARY_PROMOTE;
                        CHECK_INT(d.action, want);
                        CHECK(d.reason[0]);
                        seen[d.action]++;
                    }
    for (int i = 0; i < 4; i++)
        CHECK(seen[i] > 10);
}

int main(void) {
    RUN(test_table);
    RUN(test_every_case);
    return CHECK_END();
}
