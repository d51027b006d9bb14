/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "made.h"
#include "quern/rollout/bandit.h"

/* Every way in which a policy can be wrong, with the member that the error names. */
static const struct {
    const char *arms, *json, *field, *words;
} bad[] = {
    {"a=-1", "{}", "/arms/0/weight", "between 0"},
    {"a=0 b=0", "{}", "/arms", "above 0"},
    {"a=nan b=1", "{}", "/arms/0/weight", "between 0"},
    {"a=inf b=1", "{}", "/arms/0/weight", "between 0"},
    {"a=1 a=1", "{}", "/arms/1/name", "Two arms"},
    {"a=1 b=1", "{\"split\": {\"by\": \"sex\"}}", "/split/by", ""},
    {"a=1 b=1", "{\"split\": {\"by\": \"key\"}}", "/split/key", "needs 'key'"},
    {"a=1 b=1", "{\"split\": {\"by\": \"random\", \"salt\": \"x\"}}", "/split/by", "belong"},
    {"a=1 b=1", "{\"split\": {\"key\": {}}}", "/split/key", "Exactly one"},
    {"a=1 b=1", "{\"split\": {\"key\": {\"header\": \"x\", \"field\": \"y\"}}}", "/split/key",
     "Exactly one"},
    {"a=1 b=1", "{\"split\": {\"key\": {\"header\": \"x\"}, \"missing\": \"c\"}}", "/split/missing",
     "called 'c'"},
    {"a=1 b=1", "{\"split\": {\"key\": {\"header\": \"x\"}, \"salt\": \"\"}}", "/split/salt", ""},
    {"a=1 b=1", "{\"split\": {\"weigth\": 1}}", "/split/weigth", ""},
    {"a=1 b=1", "{\"rules\": [{\"arm\": \"b\"}]}", "/rules/0", "percent"},
    {"a=1 b=1", "{\"rules\": [{\"percent\": 5}]}", "/rules/0/arm", ""},
    {"a=1 b=1", "{\"rules\": [{\"arm\": \"c\", \"percent\": 5}]}", "/rules/0/arm", "called 'c'"},
    {"a=1 b=1", "{\"rules\": [{\"arm\": \"b\", \"percent\": 101}]}", "/rules/0/percent", "100"},
    {"a=1 b=1", "{\"rules\": [{\"arm\": \"b\", \"percent\": -1}]}", "/rules/0/percent", "100"},
    {"a=1 b=1", "{\"rules\": [{\"arm\": \"b\", \"equals\": \"x\"}]}", "/rules/0", "test needs"},
    {"a=1 b=1", "{\"rules\": [{\"arm\": \"b\", \"header\": \"x\"}]}", "/rules/0", "Exactly one"},
    {"a=1 b=1",
     "{\"rules\": [{\"arm\": \"b\", \"header\": \"x\", \"equals\": \"1\", \"prefix\": \"2\"}]}",
     "/rules/0", "Exactly one"},
    {"a=1 b=1",
     "{\"rules\": [{\"arm\": \"b\", \"header\": \"x\", \"field\": \"y\", \"equals\": \"1\"}]}",
     "/rules/0", "Exactly one"},
    {"a=1 b=1", "{\"holdout\": {\"percent\": 200, \"arm\": \"a\"}}", "/holdout/percent", "100"},
    {"a=1 b=1", "{\"holdout\": {\"arm\": \"a\"}}", "/holdout/percent", ""},
    {"a=1 b=1", "{\"holdout\": {\"percent\": 5}}", "/holdout", "Exactly one"},
    {"a=1 b=1", "{\"holdout\": {\"percent\": 5, \"arm\": \"c\"}}", "/holdout/arm", "called 'c'"},
    {"a=1 b=1", "{\"holdout\": {\"percent\": 5, \"outputs\": []}}", "/holdout/outputs", "list"},
    {"a=1 b=1", "{\"holdout\": {\"percent\": 5, \"outputs\": [{\"name\": \"y\"}]}}",
     "/holdout/outputs/0", "datatype"},
    {"a=1 b=1", "{\"shadows\": [{\"arm\": \"c\"}]}", "/shadows/0/arm", "called 'c'"},
    {"a=1 b=1", "{\"shadows\": [{\"arm\": \"b\", \"percent\": 1e9}]}", "/shadows/0/percent", "100"},
    {"a=1 b=1", "{\"shadows\": [{\"arm\": \"b\"}, {\"arm\": \"b\"}]}", "/shadows/1/arm", "already"},
    {"a=1 b=1", "{\"bandit\": {}}", "/bandit/algorithm", ""},
    {"a=1 b=1", "{\"bandit\": {\"algorithm\": \"exp3\"}}", "/bandit/algorithm", ""},
    {"a=1", "{\"bandit\": {\"algorithm\": \"ucb1\"}}", "/bandit/arms", "2 arms"},
    {"a=1 b=1", "{\"bandit\": {\"algorithm\": \"ucb1\", \"arms\": [\"a\", \"c\"]}}",
     "/bandit/arms/1", "called 'c'"},
    {"a=1 b=1", "{\"bandit\": {\"algorithm\": \"ucb1\", \"arms\": [\"a\", \"a\"]}}",
     "/bandit/arms/1", "twice"},
    {"a=1 b=1", "{\"bandit\": {\"algorithm\": \"ucb1\", \"epsilon\": 0.1}}", "/bandit/epsilon",
     "another algorithm"},
    {"a=1 b=1", "{\"bandit\": {\"algorithm\": \"epsilon_greedy\", \"epsilon\": 1.5}}",
     "/bandit/epsilon", "between"},
    {"a=1 b=1", "{\"bandit\": {\"algorithm\": \"thompson\", \"prior_beta\": 0}}",
     "/bandit/prior_beta", "between"},
    {"a=1 b=1", "{\"bandit\": {\"algorithm\": \"thompson\", \"floor\": 0.6}}", "/bandit/floor",
     "between"},
    {"a=1 b=1", "{\"bandit\": {\"algorithm\": \"thompson\", \"half_life_s\": 0}}",
     "/bandit/half_life_s", ""},
    {"a=1 b=1", "{\"bandit\": {\"algorithm\": \"ucb1\", \"key\": {\"header\": \"x\"}}}",
     "/bandit/key", "chance"},
    {"a=1 b=1", "{\"bandit\": {\"algorithm\": \"ucb1\", \"context\": {}}}", "/bandit/context",
     "Exactly one"},
    {"a=1 b=1",
     "{\"bandit\": {\"algorithm\": \"ucb1\"}, \"canary\": {\"arm\": \"b\", \"steps\": "
     "[{\"percent\": 5, \"seconds\": 1}]}}",
     "/canary", "bandit"},
#define CANARY(rest) "{\"canary\": {\"arm\": \"b\", " rest "}}"
#define STEP "\"steps\": [{\"percent\": 5, \"seconds\": 1}]"
    {"a=1 b=1", "{\"canary\": {\"arm\": \"c\", " STEP "}}", "/canary/arm", "called 'c'"},
    {"a=1 b=1", CANARY("\"steps\": []"), "/canary/steps", ""},
    {"a=1 b=1", "{\"canary\": {\"arm\": \"b\"}}", "/canary/steps", ""},
    {"a=1 b=1", CANARY("\"steps\": [{\"percent\": 500, \"seconds\": 1}]"),
     "/canary/steps/0/percent", "100"},
    {"a=1 b=1", CANARY("\"steps\": [{\"percent\": 5}]"), "/canary/steps/0", "seconds"},
    {"a=1 b=1", CANARY("\"steps\": [{\"percent\": 5, \"seconds\": -1}]"), "/canary/steps/0/seconds",
     ""},
    {"a=1 b=1", CANARY("\"steps\": [{\"percent\": 0, \"requests\": 9}]"),
     "/canary/steps/0/requests", "never"},
    {"a=1 b=1",
     CANARY("\"steps\": [{\"percent\": 5, \"seconds\": 1}, {\"percent\": 5, \"seconds\": 1}]"),
     "/canary/steps/1/percent", "above"},
    {"a=1 b=1", CANARY("\"baseline\": \"b\", " STEP), "/canary/baseline", "another"},
    {"a=1 b=1 c=1", CANARY(STEP), "/canary/baseline", "named"},
    {"a=1 b=1", CANARY("\"baseline\": \"z\", " STEP), "/canary/baseline", "called 'z'"},
    {"a=1 b=1", CANARY(STEP ", \"min_requests\": 0"), "/canary/min_requests", ""},
    {"a=1 b=1", CANARY(STEP ", \"on_end\": \"pray\""), "/canary/on_end", ""},
#define WHEN(rest) CANARY(STEP ", \"abort_when\": [{" rest "}]")
    {"a=1 b=1", WHEN("\"metric\": \"mood\""), "/canary/abort_when/0/metric", ""},
    {"a=1 b=1", WHEN("\"metric\": \"error_rate\""), "/canary/abort_when/0", "Exactly one"},
    {"a=1 b=1", WHEN("\"metric\": \"error_rate\", \"above\": 1, \"below\": 2"),
     "/canary/abort_when/0", "Exactly one"},
    {"a=1 b=1", WHEN("\"metric\": \"error_rate\", \"above\": -1"), "/canary/abort_when/0/above",
     "0 or above"},
    {"a=1 b=1", WHEN("\"metric\": \"error_rate\", \"below\": 0"), "/canary/abort_when/0/below",
     "above 0"},
    {"a=1 b=1", WHEN("\"metric\": \"error_rate\", \"quantile\": 0.5, \"above\": 1"),
     "/canary/abort_when/0/quantile", "latency_ms"},
    {"a=1 b=1", WHEN("\"metric\": \"latency_ms\", \"quantile\": 99, \"above\": 1"),
     "/canary/abort_when/0/quantile", "at most 1"},
    {"a=1 b=1", WHEN("\"metric\": \"monitor\", \"above\": 1"), "/canary/abort_when/0/monitor",
     "name"},
    {"a=1 b=1", WHEN("\"metric\": \"nan_rate\", \"monitor\": \"m\", \"above\": 1"),
     "/canary/abort_when/0/monitor", "name"},
    {"a=1 b=1", WHEN("\"metric\": \"monitor\", \"monitor\": \"m\", \"worse_than_baseline_by\": 1"),
     "/canary/abort_when/0/worse_than_baseline_by", "baseline"},
    {"a=1 b=1", WHEN("\"metric\": \"latency_ms\", \"worse_than_baseline_by\": -1"),
     "/canary/abort_when/0/worse_than_baseline_by", "0 or above"},
#define WINDOW(rest) "{\"schedule\": [{" rest "}]}"
    {"a=1 b=1", WINDOW("\"arm\": \"a\""), "/schedule/0", "from"},
    {"a=1 b=1", WINDOW("\"from\": \"09:00\", \"until\": \"17:00\""), "/schedule/0", "Exactly one"},
    {"a=1 b=1", WINDOW("\"from\": \"09:00\", \"until\": \"09:00\", \"arm\": \"a\""),
     "/schedule/0/until", "empty"},
    {"a=1 b=1", WINDOW("\"from\": \"25:00\", \"until\": \"09:00\", \"arm\": \"a\""),
     "/schedule/0/from", "RFC 3339"},
    {"a=1 b=1", WINDOW("\"from\": \"9\", \"arm\": \"a\""), "/schedule/0/from", "RFC 3339"},
    {"a=1 b=1",
     WINDOW("\"from\": \"2026-02-01T00:00:00Z\", \"until\": \"2026-01-01T00:00:00Z\", \"arm\": "
            "\"a\""),
     "/schedule/0/until", "before it begins"},
    {"a=1 b=1", WINDOW("\"until\": \"2026-01-01T00:00:00Z\", \"days\": [\"mon\"], \"arm\": \"a\""),
     "/schedule/0", "belong"},
    {"a=1 b=1",
     WINDOW("\"from\": \"09:00\", \"until\": \"17:00\", \"days\": [\"moon\"], \"arm\": \"a\""),
     "/schedule/0/days/0", "mon"},
    {"a=1 b=1",
     WINDOW("\"from\": \"09:00\", \"until\": \"17:00\", \"offset\": \"+15:00\", \"arm\": \"a\""),
     "/schedule/0/offset", "14"},
    {"a=1 b=1", WINDOW("\"from\": \"09:00\", \"until\": \"17:00\", \"arm\": \"c\""),
     "/schedule/0/arm", "called 'c'"},
    {"a=1 b=1", WINDOW("\"from\": \"09:00\", \"until\": \"17:00\", \"weights\": {\"c\": 1}"),
     "/schedule/0/weights/c", "called 'c'"},
    {"a=1 b=1", WINDOW("\"from\": \"09:00\", \"until\": \"17:00\", \"weights\": {\"a\": -1}"),
     "/schedule/0/weights/a", "between"},
    {"a=1 b=1", WINDOW("\"from\": \"09:00\", \"until\": \"17:00\", \"weights\": {\"a\": 0}"),
     "/schedule/0/weights", "above 0"},
};

static void test_refused(void) {
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct policy *p = NULL;
        int rc = made(bad[i].arms, bad[i].json, NULL, &p);
        if (rc == 0)
            printf("accepted: %s\n", bad[i].json);
        CHECK_INT(rc, -ERR_INVALID);
        CHECK(p == NULL);
        CHECK_STR(made_ctx.err.field, bad[i].field);
        CHECK_HAS(made_ctx.err.message, bad[i].words);
        policy_unref(p);
    }
}

static void test_too_many(void) {
    char arms[400] = "a0=1";
    for (int i = 1; i < 33; i++)
        snprintf(arms + strlen(arms), sizeof arms - strlen(arms), " a%d=1", i);
    struct policy *p = NULL;
    CHECK_INT(made(arms, "{}", NULL, &p), -ERR_INVALID);
    CHECK_STR(made_ctx.err.field, "/arms");
}

static void test_accepted(void) {
    static const char *const good[] = {
        "{}",
        "{\"split\": {\"by\": \"key\", \"key\": {\"header\": \"X-User\"}, \"salt\": \"s\", "
        "\"missing\": \"a\"}}",
        "{\"rules\": [{\"header\": \"x\", \"equals\": \"\", \"arm\": \"b\"}, {\"percent\": 3, "
        "\"arm\": \"b\"}, {\"field\": \"x\", \"in\": [\"1\", \"2\"], \"arm\": \"b\"}]}",
        "{\"holdout\": {\"percent\": 5, \"outputs\": [{\"name\": \"y\", \"datatype\": \"FP32\", "
        "\"shape\": [1], \"data\": [0.5]}]}, \"shadows\": [{\"arm\": \"b\"}]}",
        "{\"bandit\": {\"algorithm\": \"thompson\", \"context\": {\"field\": \"country\"}, "
        "\"key\": {\"header\": \"x-user\"}, \"floor\": 0.05, \"half_life_s\": 86400}}",
        CANARY(STEP ", \"abort_when\": [{\"metric\": \"latency_ms\", \"quantile\": 0.95, "
                    "\"worse_than_baseline_by\": 0.2}], \"hold_when\": [{\"metric\": "
                    "\"monitor\", \"monitor\": \"drift\", \"above\": 0.3}]"),
        WINDOW("\"from\": \"22:00\", \"until\": \"06:00\", \"days\": [\"fri\"], \"offset\": "
               "\"-05:30\", \"weights\": {\"b\": 1}"),
        WINDOW("\"until\": \"2026-01-01T00:00:00+02:00\", \"arm\": \"a\""),
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct policy *p = NULL;
        int rc = made("a=3 b=1", good[i], NULL, &p);
        if (rc)
            printf("refused: %s: %s %s\n", good[i], made_ctx.err.field, made_ctx.err.message);
        CHECK_INT(rc, 0);
        policy_unref(p);
    }
}

/* A policy that is refused leaves alone what goes on. */
static void test_refused_keeps_live(void) {
    struct live *live = live_new();
    struct policy *p = NULL, *q = NULL;
    CHECK_INT(made("a=1 b=1", "{\"bandit\": {\"algorithm\": \"ucb1\"}}", live, &p), 0);
    struct bandit *before = live_bandit(live);
    CHECK(before == policy_bandit(p));
    CHECK(made("a=1 b=1 c=1",
               "{\"bandit\": {\"algorithm\": \"ucb1\"}, \"schedule\": [{\"arm\": \"a\"}]}", live,
               &q) < 0);
    struct bandit *after = live_bandit(live);
    CHECK(before == after);
    const char *name = NULL;
    CHECK(live_arm_at(live, 2, &name) == NULL);
    bandit_unref(before);
    bandit_unref(after);
    policy_unref(p);
    live_unref(live);
}

int main(void) {
    RUN(test_refused);
    RUN(test_too_many);
    RUN(test_accepted);
    RUN(test_refused_keeps_live);
    ctx_end(&made_ctx);
    return CHECK_END();
}
