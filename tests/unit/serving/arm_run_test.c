/* SPDX-License-Identifier: Apache-2.0 */
/* Kept answers: whose they are, and which checks they passed. */
#include "arm_run.h"

#include <stdlib.h>

#include "cache.h"
#include "check.h"
#include "checks.h"
#include "fit.h"
#include "model.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "snapshot.h"

static unsigned runs;

/* Answers what its state points to. */
static int run(struct ctx *c, const struct model *m, const struct tensor *in, size_t nin,
               const char *const *wanted, struct tensor **out, size_t *nout) {
    (void)in;
    (void)nin;
    (void)wanted;
    *out = ARENA_NEW(c->arena, struct tensor);
    **out = (struct tensor){
        .name = "Y", .dtype = DT_INT64, .rank = 1, .shape = {1}, .count = 1, .data = m->state};
    *nout = 1;
    runs++;
    return 0;
}
static const struct runtime fixed = {.name = "fixed", .run = run};

static int64_t answer(const struct plan *p, const struct model *m, struct arm_live *live) {
    struct ctx c;
    struct fit *f = fit_new("e", "a", (struct plan *)p, m, live);
    struct entry e = {.name = "e", .plan = (struct plan *)p};
    struct entry_arm arm = {.name = "a", .model = (struct model *)m, .live = live, .fit = f};
    struct request q = {0};
    struct answer a = {0};
    float x = 1;
    struct tensor in = {
        .name = "X", .dtype = DT_FP32, .rank = 1, .shape = {1}, .count = 1, .data = &x};
    ctx_begin(&c);
    CHECK_INT(arm_run(&c, &e, &arm, &q, &in, 1, &a), 0);
    int64_t y = a.n ? *(const int64_t *)a.outputs[0].data : -1;
    ctx_end(&c);
    fit_unref(f);
    return y;
}

static void test_whose(void) {
    int64_t one = 1, two = 2;
    struct cache_spec kept = {.bytes = SET_I64(1 << 20)};
    struct plan p = {.spec.cache = &kept, .refs = 1};
    struct arm_live live = {.refs = 1};
    struct model a = {.runtime = &fixed,
                      .state = &one,
                      .version_text = "1",
                      .sha256 = "f00d",
                      .made_of = "{\"command\":[\"one\"]}"};
    struct model b = a;
    plan_keep(&p, NULL);
    CHECK_INT(answer(&p, &a, &live), 1);
    CHECK_INT(answer(&p, &a, &live), 1);
    CHECK_INT(runs, 1);
    /* The same files under another command. */
    b.state = &two;
    b.made_of = "{\"command\":[\"two\"]}";
    CHECK_INT(answer(&p, &b, &live), 2);
    CHECK_INT(answer(&p, &a, &live), 1);
    CHECK_INT(runs, 2);
    cache_unref(p.cache);
}

static void test_checks_of_their_time(void) {
    struct ctx c;
    struct cache_spec kept = {.bytes = SET_I64(1 << 20)};
    struct json_t *tree = NULL;
    static const char text[] = "{\"outputs\": [{\"name\": \"Y\", \"max\": 1}]}";
    struct checks_spec checks = {0}, again = {0}, none = {0};
    ctx_begin(&c);
    CHECK_INT(json_parse(&c, DIALECT_PROBLEM, text, sizeof text - 1, &tree), 0);
    CHECK_INT(json_decode(&c, DIALECT_PROBLEM, &shape_checks_spec, tree, NULL, NULL, &checks), 0);
    CHECK_INT(json_decode(&c, DIALECT_PROBLEM, &shape_checks_spec, tree, NULL, NULL, &again), 0);
    struct plan first = {.spec.cache = &kept};
    struct plan stricter = {.spec.cache = &kept, .spec.checks = &checks};
    struct plan same = {.spec.cache = &kept, .spec.checks = &again};
    struct plan looser = {.spec.cache = &kept, .spec.checks = &none};
    plan_keep(&first, NULL);
    plan_keep(&stricter, &first);
    plan_keep(&same, &stricter);
    plan_keep(&looser, &same);
    CHECK(stricter.cache != first.cache);
    CHECK(same.cache == stricter.cache);
    CHECK(looser.cache != same.cache);
    cache_unref(first.cache);
    cache_unref(stricter.cache);
    cache_unref(same.cache);
    cache_unref(looser.cache);
    ctx_end(&c);
}

int main(void) {
    RUN(test_whose);
    RUN(test_checks_of_their_time);
    return CHECK_END();
}
