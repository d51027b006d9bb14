/* SPDX-License-Identifier: Apache-2.0 */
/* What choosing an arm costs: nanoseconds for each kind of policy, on one thread. */
#include <stdio.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/rollout/live.h"
#include "quern/rollout/policy.h"

static const struct {
    const char *what, *json;
    size_t arms;
} kinds[] = {
    {"one arm", "{}", 1},
    {"two arms by weight", "{}", 2},
    {"two arms by key", "{\"split\": {\"key\": {\"header\": \"x-user\"}}}", 2},
    {"a rule, by weight",
     "{\"rules\": [{\"header\": \"x-team\", \"equals\": \"red\", \"arm\": \"a1\"}]}", 2},
    {"holdout and split by key",
     "{\"split\": {\"key\": {\"header\": \"x-user\"}}, \"holdout\": {\"percent\": 5, \"arm\": "
     "\"a0\"}}",
     2},
    {"a shadow, by weight", "{\"shadows\": [{\"arm\": \"a1\", \"percent\": 10}]}", 2},
    {"canary by weight",
     "{\"canary\": {\"arm\": \"a1\", \"steps\": [{\"percent\": 5, \"seconds\": 60}]}}", 2},
    {"epsilon-greedy", "{\"bandit\": {\"algorithm\": \"epsilon_greedy\"}}", 2},
    {"UCB1", "{\"bandit\": {\"algorithm\": \"ucb1\"}}", 2},
    {"Thompson", "{\"bandit\": {\"algorithm\": \"thompson\"}}", 2},
    {"Thompson, segments",
     "{\"bandit\": {\"algorithm\": \"thompson\", \"context\": {\"header\": \"x-user\"}}}", 2},
};

static const char *attribute(void *arg, enum attribute_from from, const char *name) {
    (void)arg;
    return from == FROM_HEADER && strcmp(name, "x-user") == 0 ? "user-12345678" : NULL;
}

int main(void) {
    static const struct policy_arm arms[] = {{.name = "a0", .weight = 80},
                                             {.name = "a1", .weight = 20}};
    struct ctx c;
    ctx_begin(&c);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct json_t *tree = NULL;
        struct rollout_spec spec = {0};
        struct policy *p = NULL;
        if (json_parse(&c, DIALECT_PROBLEM, kinds[i].json, strlen(kinds[i].json), &tree) < 0 ||
            json_decode(&c, DIALECT_PROBLEM, &shape_rollout, tree, NULL, NULL, &spec) < 0 ||
            policy_make(&c, "iris", &spec, arms, kinds[i].arms, NULL, &p) < 0) {
            fprintf(stderr, "%s: %s\n", kinds[i].what, c.err.message);
            return 1;
        }
        unsigned got[2] = {0};
        struct choice ch = {0};
        enum { N = 2000000 };
        int64_t begin = clock_mono_ns();
        for (uint64_t k = 0; k < N; k++) {
            struct policy_request q = {.attribute = attribute,
                                       .random = k * 0x9e3779b97f4a7c15u,
                                       .now_ms = 1767225600000,
                                       .usable = UINT32_MAX};
            policy_choose(p, &q, &ch);
            policy_played(p, &ch);
            got[ch.arm & 1]++;
        }
        printf("%-26s %6.1f ns  (%u to the second arm)\n", kinds[i].what,
               (double)(clock_mono_ns() - begin) / N, got[1]);
        policy_unref(p);
    }
    ctx_end(&c);
    return 0;
}
