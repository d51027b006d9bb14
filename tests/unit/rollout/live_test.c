/* SPDX-License-Identifier: Apache-2.0 */
/* A run goes on only while it is the one that runs: the spec may change between a look at it and
 * what comes of that look. */
#include "quern/rollout/live.h"

#include <string.h>

#include "check.h"
#include "made.h"
#include "quern/rollout/policy.h"

static const char slow[] = "{\"canary\": {\"arm\": \"b\", \"steps\": [{\"percent\": 5, "
                           "\"seconds\": 1}, {\"percent\": 40, \"seconds\": 1}]}}";
static const char other[] = "{\"canary\": {\"arm\": \"b\", \"steps\": [{\"percent\": 7, "
                            "\"seconds\": 1}]}}";

static void test_move(void) {
    struct live *live = live_new();
    struct policy *p = NULL, *next = NULL;
    struct canary_run seen, got;
    CHECK_INT(made("a=1 b=0", slow, live, &p), 0);
    CHECK(live_run(live, &seen));
    seen.step = 1;
    seen.since_ms = 1000;
    CHECK(live_run_move(live, &seen, 40));
    CHECK(live_run(live, &got));
    CHECK(memcmp(&seen, &got, sizeof got) == 0);
    CHECK_NEAR(live_canary(live), 40, 0);
    CHECK(live_run_move(live, &seen, -1));
    CHECK_NEAR(live_canary(live), 40, 0);

    /* Another canary came meanwhile. */
    CHECK_INT(made("a=1 b=0", other, live, &next), 0);
    seen.step = 0;
    CHECK(!live_run_move(live, &seen, 5));
    CHECK(live_run(live, &got));
    CHECK(got.definition == policy_canary_definition(next));
    CHECK_NEAR(live_canary(live), 7, 0);
    policy_unref(next);

    /* It was taken away meanwhile. */
    CHECK_INT(made("a=1 b=0", "{}", live, &next), 0);
    CHECK(!live_run_move(live, &seen, 5));
    CHECK(!live_run(live, &got));
    CHECK(live_canary(live) < 0);
    policy_unref(next);
    policy_unref(p);
    live_unref(live);
}

int main(void) {
    RUN(test_move);
    ctx_end(&made_ctx);
    return CHECK_END();
}
