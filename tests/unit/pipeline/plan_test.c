/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include "check.h"
#include "definition.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

/* a -> b (three instances) -> c; d stands alone; e needs d, has a condition; f needs e. */
static const char graph[] = "name: p\nmax_parallel: %d\nparams: {go: true}\nsteps:\n"
                            "  a: {run: [x]}\n"
                            "  b: {run: [x], needs: a, foreach: [1, 2, 3]}\n"
                            "  c: {run: [x], needs: b}\n"
                            "  d: {run: [x]}\n"
                            "  e: {run: [x], needs: d, when: params.go}\n"
                            "  f: {run: [x], needs: e%s}\n";

static int condition(void *arg, size_t step) {
    (void)step;
    return *(int *)arg;
}

struct row {
    const char *states; /* letter per instance: a b b b c d e f */
    enum run_state run;
    bool cancel;
    int slots, when, max_parallel;
    const char *want; /* "verb instance" ... */
    bool after_skipped;
};

static char letter_of(enum step_state s) {
    return "pqlrsckfuxL"[s];
}

static const char *describe(struct ctx *c, const struct row *row, int64_t now, int64_t *wake) {
    struct definition *d;
    char *text = arena_printf(c->arena, graph, row->max_parallel,
                              row->after_skipped ? ", after_skipped: run" : "");
    if (definition_parse(c, text, strlen(text), &d)) {
        return c->err.message;
    }
    static const size_t steps[] = {0, 1, 1, 1, 2, 3, 4, 5};
    /* The order of the file is kept by the sort wherever needs allow it. */
    struct instance it[8];
    for (size_t i = 0; i < 8; i++) {
        it[i] = (struct instance){.step = steps[i]};
        for (int s = 0; s < STEP_STATES; s++) {
            if (letter_of((enum step_state)s) == row->states[i]) {
                it[i].state = (enum step_state)s;
            }
        }
        if (row->states[i] == 'w') { /* queued, waits for a retry at 5000 */
            it[i].state = STEP_QUEUED;
            it[i].not_before_ms = 5000;
        }
    }
    int when = row->when;
    struct plan_in in = {.d = d,
                         .instances = it,
                         .n = 8,
                         .state = row->run,
                         .cancel = row->cancel,
                         .slots = row->slots,
                         .capacity = 4,
                         .now_ms = now,
                         .when = condition,
                         .arg = &when};
    struct plan_out out;
    plan(c, &in, &out);
    *wake = out.wake_ms;
    static const char *const verbs[] = {"queue", "skip",  "upfail",  "condfail", "cancel",
                                        "stop",  "start", "running", "finish"};
    struct buf b = {0};
    for (size_t i = 0; i < out.n; i++) {
        const struct plan_action *a = &out.actions[i];
        if (a->verb == PLAN_FINISH) {
            buf_printf(&b, " finish:%s", run_state_name(a->state));
        } else if (a->verb == PLAN_RUNNING) {
            buf_puts(&b, " running");
        } else {
            buf_printf(&b, " %s%zu", verbs[a->verb], a->instance);
            if (a->because != NO_STEP) {
                buf_printf(&b, "<%s", d->steps[a->because].name);
            }
        }
    }
    const char *text_out = arena_strdup(c->arena, b.data ? b.data + 1 : "");
    buf_free(&b);
    return text_out;
}

static void table(void) {
    static const struct row rows[] = {
        /* Start: roots become queued and start; the run becomes running. */
        {"pppppppp", RUN_QUEUED, false, 4, 1, 0, "queue0 queue5 start0 start5 running", false},
        {"pppppppp", RUN_QUEUED, false, 1, 1, 0, "queue0 queue5 start0 running", false},
        {"pppppppp", RUN_QUEUED, false, 0, 1, 0, "queue0 queue5", false},
        {"pppppppp", RUN_QUEUED, false, 4, 1, 1, "queue0 queue5 start0 running", false},
        /* Nothing to do while all runs. */
        {"rppppr"
         "pp",
         RUN_RUNNING, false, 2, 1, 0, "", false},
        /* Fan-out after a; the limit of the run counts those under way. */
        {"sppppsss", RUN_RUNNING, false, 4, 1, 0, "queue1 queue2 queue3 start1 start2 start3",
         false},
        {"sppppsss", RUN_RUNNING, false, 2, 1, 0, "queue1 queue2 queue3 start1 start2", false},
        {"srqqpsss", RUN_RUNNING, false, 4, 1, 2, "start2", false},
        {"cppppsss", RUN_RUNNING, false, 1, 1, 0, "queue1 queue2 queue3 start1", false},
        /* The join waits for all instances. */
        {"ssrspsss", RUN_RUNNING, false, 4, 1, 0, "", false},
        {"ssccpsss", RUN_RUNNING, false, 4, 1, 0, "queue4 start4", false},
        /* One instance failed: others go on, then the join is told. */
        {"sfrspsss", RUN_RUNNING, false, 4, 1, 0, "", false},
        {"sfsspsss", RUN_RUNNING, false, 4, 1, 0, "upfail4<b finish:failed", false},
        {"sLsspsss", RUN_RUNNING, false, 4, 1, 0, "upfail4<b finish:failed", false},
        /* A failure cascades through everything behind it in one call; the rest goes on. */
        {"fppppppp", RUN_RUNNING, false, 4, 1, 0,
         "upfail1<a upfail2<a upfail3<a upfail4<b queue5 start5", false},
        {"fuuuusss", RUN_RUNNING, false, 4, 1, 0, "finish:failed", false},
        /* Conditions. */
        {"ssssss"
         "pp",
         RUN_RUNNING, false, 4, 1, 0, "queue6 start6", false},
        {"ssssss"
         "pp",
         RUN_RUNNING, false, 4, 0, 0, "skip6 skip7<e finish:succeeded", false},
        {"ssssss"
         "pp",
         RUN_RUNNING, false, 4, 0, 0, "skip6 queue7 start7", true},
        {"ssssss"
         "pp",
         RUN_RUNNING, false, 4, -1, 0, "condfail6 upfail7<e finish:failed", false},
        {"sssssfpp", RUN_RUNNING, false, 4, 1, 0, "upfail6<d upfail7<e finish:failed", false},
        /* The end. */
        {"ssssssss", RUN_RUNNING, false, 4, 1, 0, "finish:succeeded", false},
        {"cccccccc", RUN_QUEUED, false, 4, 1, 0, "finish:succeeded", false},
        {"ssssskks", RUN_RUNNING, false, 4, 1, 0, "finish:succeeded", false},
        {"ssssxsss", RUN_RUNNING, false, 4, 1, 0, "finish:failed", false},
        /* Cancel: what has not begun is cancelled, what runs is stopped, then the end. */
        {"srqlprpp", RUN_RUNNING, true, 4, 1, 0,
         "stop1 cancel2 stop3 cancel4 stop5 cancel6 cancel7", false},
        {"pppppppp", RUN_QUEUED, true, 4, 1, 0,
         "cancel0 cancel1 cancel2 cancel3 cancel4 cancel5 cancel6 cancel7 finish:cancelled", false},
        {"sxxxxxxx", RUN_RUNNING, true, 4, 1, 0, "finish:cancelled", false},
        /* Cancelled too late: all had ended. */
        {"ssssssss", RUN_RUNNING, true, 4, 1, 0, "finish:succeeded", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        int64_t wake;
        ctx_begin(&c);
        const char *got = describe(&c, &rows[i], 1000, &wake);
        CHECK_STR(got, rows[i].want);
        CHECK_INT(wake, 0);
        ctx_end(&c);
    }
}

static void waits_for_retry(void) {
    struct row row = {"wppppsss", RUN_RUNNING, false, 4, 1, 0, "", false};
    struct ctx c;
    int64_t wake;
    ctx_begin(&c);
    CHECK_STR(describe(&c, &row, 1000, &wake), "");
    CHECK_INT(wake, 5000);
    CHECK_STR(describe(&c, &row, 5000, &wake), "start0");
    CHECK_INT(wake, 0);
    ctx_end(&c);
}

static void slots_are_clamped(void) {
    struct ctx c;
    ctx_begin(&c);
    struct definition *d;
    static const char text[] =
        "name: p\nsteps: {a: {run: [x], resources: {slots: 9}}, b: {run: [x]}}\n";
    CHECK_INT(definition_parse(&c, text, strlen(text), &d), 0);
    struct instance it[] = {{.step = 0, .state = STEP_QUEUED}, {.step = 1, .state = STEP_QUEUED}};
    struct plan_in in = {
        .d = d, .instances = it, .n = 2, .state = RUN_RUNNING, .slots = 4, .capacity = 4};
    struct plan_out out;
    plan(&c, &in, &out);
    CHECK_INT(out.n, 1);
    CHECK_INT(out.actions[0].verb, PLAN_START);
    in.slots = 3;
    plan(&c, &in, &out);
    CHECK_INT(out.n, 1);
    CHECK_INT(out.actions[0].instance, 1);
    ctx_end(&c);
}

static void delays(void) {
    struct retry r = {.count = 5, .backoff_ms = 1000, .max_ms = 5000, .jitter = 0.2};
    CHECK_INT(retry_delay_ms(&r, 1, 0.5), 1000);
    CHECK_INT(retry_delay_ms(&r, 2, 0.5), 2000);
    CHECK_INT(retry_delay_ms(&r, 3, 0.5), 4000);
    CHECK_INT(retry_delay_ms(&r, 4, 0.5), 5000);
    CHECK_INT(retry_delay_ms(&r, 60, 0.5), 5000);
    CHECK_INT(retry_delay_ms(&r, 1, 0), 800);
    CHECK_INT(retry_delay_ms(&r, 1, 1), 1200);
}

/* Every move that plan can ask for is one that the life cycles declare. */
static void moves_are_declared(void) {
    static const struct {
        enum step_state from, to;
    } moves[] = {{STEP_PENDING, STEP_QUEUED},    {STEP_PENDING, STEP_SKIPPED},
                 {STEP_PENDING, STEP_FAILED},    {STEP_PENDING, STEP_UPSTREAM_FAILED},
                 {STEP_PENDING, STEP_CANCELLED}, {STEP_QUEUED, STEP_CANCELLED},
                 {STEP_QUEUED, STEP_LAUNCHING},  {STEP_QUEUED, STEP_CACHED}};
    struct ctx c;
    ctx_begin(&c);
    for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
        CHECK_INT(lifecycle_check(&c, &step_lifecycle, step_state_name(moves[i].from),
                                  step_state_name(moves[i].to)),
                  0);
    }
    CHECK(lifecycle_check(&c, &step_lifecycle, "succeeded", "running") < 0);
    err_clear(&c);
    CHECK(lifecycle_check(&c, &run_lifecycle, "succeeded", "queued") < 0);
    for (int s = 0; s < STEP_STATES; s++) {
        CHECK_INT(step_state_of(step_state_name((enum step_state)s)), s);
    }
    ctx_end(&c);
}

int main(void) {
    RUN(table);
    RUN(waits_for_retry);
    RUN(slots_are_clamped);
    RUN(delays);
    RUN(moves_are_declared);
    return CHECK_END();
}
