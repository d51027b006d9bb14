/* SPDX-License-Identifier: Apache-2.0 */
/* Revisions and state, through the database and back. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "made.h"
#include "quern/base/buf.h"
#include "quern/base/path.h"
#include "quern/db/db.h"
#include "quern/rollout/canary.h"
#include "quern/rollout/rollout.h"
#include "sample_text.h"

static struct db *db;

static int write_now(db_op *op, void *arg) {
    struct ctx c;
    ctx_begin(&c);
    int rc = db_write(db, &c, op, arg);
    if (rc)
        printf("%s\n", c.err.message ? c.err.message : "");
    ctx_end(&c);
    return rc;
}

static int make_endpoint(struct ctx *c, void *arg) { /* arg: its name */
    return db_exec(c,
                   "INSERT INTO endpoint (project_id, name, target, state, created_ms, updated_ms) "
                   "VALUES (1, ?, 'models:/m/1', 'pending', 77, 77)",
                   "s", (const char *)arg);
}

/* ---- revisions ---- */

struct put {
    int64_t number;
    const char *spec, *reason;
    int64_t restored;
};
static int put_revision(struct ctx *c, void *arg) {
    const struct put *p = arg;
    int rc = revision_record(c, "iris", p->number, p->spec);
    return rc == 0 && p->reason ? revision_explain(c, "iris", p->number, p->reason, p->restored)
                                : rc;
}

static int64_t before(void) {
    struct ctx c;
    struct revision r = {0};
    ctx_begin(&c);
    db_read_begin(db, &c);
    int rc = revision_before(&c, "iris", &r);
    db_read_end(&c);
    ctx_end(&c);
    return rc < 0 ? rc : r.number;
}

static void test_revisions(void) {
    CHECK_INT(before(), -ERR_CONFLICT);
    CHECK_INT(write_now(put_revision, &(struct put){1, "{A}", NULL, 0}), 0);
    CHECK_INT(before(), -ERR_CONFLICT);
    CHECK_INT(write_now(put_revision, &(struct put){2, "{A}", NULL, 0}), 0);
    CHECK_INT(before(), -ERR_CONFLICT); /* the same again is nothing to go back to */
    CHECK_INT(write_now(put_revision, &(struct put){3, "{B}", NULL, 0}), 0);
    CHECK_INT(before(), 2);
    CHECK_INT(write_now(put_revision, &(struct put){4, "{C}", NULL, 0}), 0);
    CHECK_INT(before(), 3);
    CHECK_INT(write_now(put_revision, &(struct put){5, "{B}", "rollback", 3}), 0);
    CHECK_INT(before(), 2); /* on backwards, not to C again */
    CHECK_INT(write_now(put_revision, &(struct put){6, "{D}", NULL, 0}), 0);
    CHECK_INT(before(), 5);
    struct ctx c;
    struct revision *list, r;
    size_t n;
    ctx_begin(&c);
    db_read_begin(db, &c);
    CHECK_INT(revision_list(&c, "iris", 3, &list, &n), 0);
    CHECK_INT(n, 3);
    CHECK_INT(list[0].number, 6);
    CHECK_STR(list[1].reason, "rollback");
    CHECK_STR(list[1].who, "daemon");
    CHECK_INT(list[1].restored, 3);
    CHECK_INT(revision_get(&c, "iris", 4, &r), 0);
    CHECK_STR(r.spec, "{C}");
    CHECK_INT(revision_get(&c, "iris", 7, &r), -ERR_NOT_FOUND);
    db_read_end(&c);
    ctx_end(&c);
    for (int64_t i = 7; i <= 250; i++)
        CHECK_INT(write_now(put_revision, &(struct put){i, "{E}", NULL, 0}), 0);
    ctx_begin(&c);
    db_read_begin(db, &c);
    CHECK_INT(revision_list(&c, "iris", 1000, &list, &n), 0);
    CHECK_INT(n, REVISIONS_KEPT);
    CHECK_INT(list[n - 1].number, 51);
    db_read_end(&c);
    ctx_end(&c);
}

/* ---- state ---- */

static const char spec[] = "{\"bandit\": {\"algorithm\": \"thompson\", \"context\": {\"header\": "
                           "\"x-country\"}}}";
static const char canary_json[] = "{\"canary\": {\"arm\": \"b\", \"steps\": [{\"percent\": 5, "
                                  "\"seconds\": 1}, {\"percent\": 40, \"seconds\": 1}]}}";

static int save(struct ctx *c, void *arg) {
    return rollout_save(c, arg);
}

static void load(struct policy *p) {
    struct ctx c;
    ctx_begin(&c);
    db_read_begin(db, &c);
    CHECK_INT(rollout_load(&c, 1, "flower", p), 0);
    db_read_end(&c);
    ctx_end(&c);
}

static void test_counts_and_bandit(void) {
    struct policy *p = NULL, *back = NULL;
    CHECK_INT(made("a=1 b=1", spec, NULL, &p), 0);
    unsigned x = bandit_context(policy_bandit(p), "NO", true);
    for (int i = 0; i < 1000; i++) {
        arm_stats_add(policy_stats(p, 0), (enum arm_outcome)(i % 3), i * i);
        bandit_play(policy_bandit(p), x, 1);
        bandit_reward(policy_bandit(p), x, 1, i / 1000.0, 1000 + i);
    }
    struct rollout_arm_row arm = {.arm = "a"};
    arm_stats_read(policy_stats(p, 0), &arm.sample);
    struct rollout_bandit_row cell = {.context = x, .arm = "b", .name = "NO"};
    bandit_read(policy_bandit(p), x, 1, &cell.cell);
    struct rollout_rows rows = {.project = 1,
                                .born_ms = 77,
                                .endpoint = "flower",
                                .arms = &arm,
                                .narms = 1,
                                .bandit = &cell,
                                .nbandit = 1};
    CHECK_INT(write_now(save, &rows), 0);
    CHECK_INT(write_now(save, &rows), 0); /* twice is once */
    CHECK_INT(made("a=1 b=1", spec, NULL, &back), 0);
    load(back);
    struct arm_sample was, is;
    arm_stats_read(policy_stats(p, 0), &was);
    arm_stats_read(policy_stats(back, 0), &is);
    CHECK(memcmp(&was, &is, sizeof was) == 0);
    struct bandit_cell again;
    bandit_read(policy_bandit(back), x, 1, &again);
    CHECK(memcmp(&cell.cell, &again, sizeof again) == 0);
    CHECK_STR(bandit_context_name(policy_bandit(back), x), "NO");
    policy_unref(back);

    /* An endpoint made anew under the name is not touched by what was counted of the old one. */
    rows.born_ms = 78;
    rows.bandit_anew = true;
    arm.sample.requests = 5;
    CHECK_INT(write_now(save, &rows), 0);
    CHECK_INT(made("a=1 b=1", spec, NULL, &back), 0);
    load(back);
    arm_stats_read(policy_stats(back, 0), &is);
    CHECK_INT(is.requests, 1000);
    policy_unref(back);
    policy_unref(p);
}

static void test_canary_goes_on(void) {
    struct policy *p = NULL, *back = NULL, *other = NULL;
    struct canary_run run, got;
    CHECK_INT(made("a=1 b=0", canary_json, NULL, &p), 0);
    CHECK(live_run(policy_live(p), &run));
    CHECK_INT(run.step, 0);
    CHECK_NEAR(live_canary(policy_live(p)), 5, 0);
    run.step = 1;
    run.since_ms = 123456;
    run.arm.requests = 42;
    run.arm.steps[3] = 7;
    strcpy(run.reason, "Step 1 of 2 is done.");
    struct rollout_rows rows = {.project = 1, .born_ms = 77, .endpoint = "flower", .run = &run};
    CHECK_INT(write_now(save, &rows), 0);
    CHECK_INT(made("a=1 b=0", canary_json, NULL, &back), 0);
    load(back);
    CHECK(live_run(policy_live(back), &got));
    CHECK(memcmp(&run, &got, sizeof run) == 0);
    CHECK_NEAR(live_canary(policy_live(back)), 40, 0);
    policy_unref(back);

    /* Another canary begins at its first step, from the counts of now. */
    CHECK_INT(made("a=1 b=0",
                   "{\"canary\": {\"arm\": \"b\", \"steps\": [{\"percent\": 7, \"seconds\": 1}]}}",
                   NULL, &other),
              0);
    load(other);
    CHECK(live_run(policy_live(other), &got));
    CHECK_INT(got.step, 0);
    CHECK_NEAR(live_canary(policy_live(other)), 7, 0);
    CHECK_INT(got.baseline.requests, 1000); /* of arm a, from the test before */
    policy_unref(other);

    /* One that ended is still told of. */
    run.phase = PHASE_ROLLED_BACK;
    CHECK_INT(write_now(save, &rows), 0);
    CHECK_INT(made("a=1 b=0", "{}", NULL, &other), 0);
    load(other);
    CHECK(live_run(policy_live(other), &got));
    CHECK_INT(got.phase, PHASE_ROLLED_BACK);
    CHECK(live_canary(policy_live(other)) < 0);
    policy_unref(other);
    policy_unref(p);
}

static int forget(struct ctx *c, void *arg) {
    (void)arg;
    return rollout_forget(c, "flower");
}

static void test_forget(void) {
    struct policy *p = NULL;
    struct arm_sample is;
    CHECK_INT(write_now(forget, NULL), 0);
    CHECK_INT(made("a=1 b=1", spec, NULL, &p), 0);
    load(p);
    arm_stats_read(policy_stats(p, 0), &is);
    CHECK_INT(is.requests, 0);
    CHECK_INT(bandit_contexts(policy_bandit(p)), 1);
    policy_unref(p);
}

static void test_sample_text(void) {
    struct ctx c;
    struct arm_sample s = {.requests = UINT64_MAX, .errors = 1, .nan = 2}, t;
    ctx_begin(&c);
    s.steps[0] = 1;
    s.steps[383] = 9;
    CHECK_STR(sample_text(c.arena, &s), "18446744073709551615 1 2 0:1 383:9");
    CHECK(sample_parse(sample_text(c.arena, &s), &t));
    CHECK(memcmp(&s, &t, sizeof s) == 0);
    static const char *const bad[] = {"",        "1",           "1 2",           "x",
                                      "1 2 3 4", "1 2 3 384:1", "1 2 3 1:1,2:2", "1 2 3 1:"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(!sample_parse(bad[i], &t));
        CHECK_INT(t.requests, 0);
    }
    CHECK(sample_parse("1 2 3", &t));
    ctx_end(&c);
}

int main(void) {
    static char root[] = "/tmp/quern-rollout-XXXXXX";
    struct buf error = {0};
    struct dir *dir, *tmp;
    if (!mkdtemp(root) || dir_open(root, false, &dir) != 0)
        return 1;
    struct db_options o = {
        .dir = dir, .queue = 64, .batch = 16, .wal_soft = 4 << 20, .wal_hard = 64 << 20};
    if (db_open(&o, &db, &error) != 0) {
        printf("%s\n", error.data);
        return 1;
    }
    CHECK_INT(write_now(make_endpoint, (char[]){"iris"}), 0);
    CHECK_INT(write_now(make_endpoint, (char[]){"flower"}), 0);
    RUN(test_sample_text);
    RUN(test_revisions);
    RUN(test_counts_and_bandit);
    RUN(test_canary_goes_on);
    RUN(test_forget);
    ctx_end(&made_ctx);
    db_thread_end(db);
    db_close(db);
    dir_close(dir);
    if (dir_open("/tmp", false, &tmp) == 0) {
        dir_remove_tree(tmp, root + 5);
        dir_close(tmp);
    }
    return CHECK_END();
}
