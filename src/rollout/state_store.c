/* SPDX-License-Identifier: Apache-2.0 */
/* State store: counts, bandits and canaries as rows. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/rollout/canary.h"
#include "quern/rollout/policy.h"
#include "quern/rollout/rollout.h"
#include "sample_text.h"

/* ---- writing ---- */

static int save_arm(struct ctx *c, const struct rollout_rows *r, const struct rollout_arm_row *a) {
    return db_exec(c,
                   "INSERT INTO endpoint_arm_count (project_id, endpoint, arm, requests, errors, "
                   "nan, latency) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project_id, endpoint, "
                   "arm) DO UPDATE SET requests = excluded.requests, errors = excluded.errors, "
                   "nan = excluded.nan, latency = excluded.latency",
                   "issiiis", r->project, r->endpoint, a->arm, (int64_t)a->sample.requests,
                   (int64_t)a->sample.errors, (int64_t)a->sample.nan,
                   steps_text(c->arena, &a->sample));
}

static int save_cell(struct ctx *c, const struct rollout_rows *r,
                     const struct rollout_bandit_row *b) {
    return db_exec(
        c,
        "INSERT INTO endpoint_bandit (project_id, endpoint, context, arm, name, plays, rewards, "
        "reward_sum, weight, value, then_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
        "(project_id, endpoint, context, arm) DO UPDATE SET name = excluded.name, plays = "
        "excluded.plays, rewards = excluded.rewards, reward_sum = excluded.reward_sum, weight = "
        "excluded.weight, value = excluded.value, then_ms = excluded.then_ms",
        "isissiidddi", r->project, r->endpoint, (int64_t)b->context, b->arm, b->name,
        (int64_t)b->cell.plays, (int64_t)b->cell.rewards, b->cell.reward_sum, b->cell.weight,
        b->cell.value, b->cell.then_ms);
}

static int save_run(struct ctx *c, const struct rollout_rows *r, const struct canary_run *run) {
    return db_exec(
        c,
        "INSERT INTO endpoint_canary (project_id, endpoint, definition, state, step, since_ms, "
        "reason, arm_base, baseline_base) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
        "(project_id, endpoint) DO UPDATE SET definition = excluded.definition, state = "
        "excluded.state, step = excluded.step, since_ms = excluded.since_ms, reason = "
        "excluded.reason, arm_base = excluded.arm_base, baseline_base = excluded.baseline_base",
        "isssiisss", r->project, r->endpoint,
        arena_printf(c->arena, "%016" PRIx64, run->definition), canary_phase_text(run->phase),
        (int64_t)run->step, run->since_ms, run->reason, sample_text(c->arena, &run->arm),
        sample_text(c->arena, &run->baseline));
}

int rollout_save(struct ctx *c, const struct rollout_rows *r) {
    bool same = false;
    int64_t one = 0;
    int rc = db_get_i64(c,
                        "SELECT 1 FROM endpoint WHERE project_id = ? AND name = ? AND created_ms "
                        "= ? AND state <> 'deleted'",
                        &one, &same, "isi", r->project, r->endpoint, r->born_ms);
    if (rc < 0 || !same)
        return rc;
    for (size_t i = 0; rc == 0 && i < r->narms; i++)
        rc = save_arm(c, r, &r->arms[i]);
    if (rc == 0 && r->bandit_anew)
        rc = db_exec(c, "DELETE FROM endpoint_bandit WHERE project_id = ? AND endpoint = ?", "is",
                     r->project, r->endpoint);
    for (size_t i = 0; rc == 0 && i < r->nbandit; i++)
        rc = save_cell(c, r, &r->bandit[i]);
    if (rc == 0 && r->run)
        rc = save_run(c, r, r->run);
    return rc;
}

int rollout_forget(struct ctx *c, const char *endpoint) {
    int rc = db_exec(c, "DELETE FROM endpoint_arm_count WHERE project_id = ? AND endpoint = ?",
                     "is", c->project, endpoint);
    if (rc == 0)
        rc = db_exec(c, "DELETE FROM endpoint_bandit WHERE project_id = ? AND endpoint = ?", "is",
                     c->project, endpoint);
    if (rc == 0)
        rc = db_exec(c, "DELETE FROM endpoint_canary WHERE project_id = ? AND endpoint = ?", "is",
                     c->project, endpoint);
    return rc;
}

/* ---- reading ---- */

static int load_arms(struct ctx *c, int64_t project, const char *endpoint, struct live *live) {
    struct stmt *st = db_query(c,
                               "SELECT arm, requests, errors, nan, latency FROM endpoint_arm_count "
                               "WHERE project_id = ? AND endpoint = ?",
                               "is", project, endpoint);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct arm_sample s = {.requests = (uint64_t)stmt_i64(st, 1),
                               .errors = (uint64_t)stmt_i64(st, 2),
                               .nan = (uint64_t)stmt_i64(st, 3)};
        steps_parse(stmt_text(c, st, 4), &s);
        arm_stats_put_back(live_arm(live, stmt_text(c, st, 0)), &s);
    }
    return rc;
}

static int load_bandit(struct ctx *c, int64_t project, const char *endpoint, struct bandit *b) {
    struct stmt *st = db_query(c,
                               "SELECT context, arm, name, plays, rewards, reward_sum, weight, "
                               "value, then_ms FROM endpoint_bandit WHERE project_id = ? AND "
                               "endpoint = ? ORDER BY context",
                               "is", project, endpoint);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct bandit_cell cell = {.plays = (uint64_t)stmt_i64(st, 3),
                                   .rewards = (uint64_t)stmt_i64(st, 4),
                                   .reward_sum = stmt_f64(st, 5),
                                   .weight = stmt_f64(st, 6),
                                   .value = stmt_f64(st, 7),
                                   .then_ms = stmt_i64(st, 8)};
        int arm = bandit_arm_index(b, stmt_text(c, st, 1));
        int64_t context = stmt_i64(st, 0);
        if (arm >= 0 && context >= 0 && context <= BANDIT_CONTEXTS)
            bandit_restore(b, (unsigned)context, stmt_text(c, st, 2), (unsigned)arm, &cell);
    }
    return rc;
}

/* The canary goes on where it was if it is the same; else it begins now. */
static int load_run(struct ctx *c, int64_t project, const char *endpoint, struct policy *p) {
    const struct canary *y = policy_canary(p);
    struct live *live = policy_live(p);
    struct canary_run run = {0};
    struct stmt *st = db_query(c,
                               "SELECT definition, state, step, since_ms, reason, arm_base, "
                               "baseline_base FROM endpoint_canary WHERE project_id = ? AND "
                               "endpoint = ?",
                               "is", project, endpoint);
    int rc = stmt_next(st);
    bool found = rc > 0;
    if (found) {
        run.definition = strtoull(stmt_text(c, st, 0), NULL, 16);
        for (run.phase = PHASE_RUNNING; run.phase < PHASE_ROLLED_BACK; run.phase++)
            if (str_eq(stmt_text(c, st, 1), canary_phase_text(run.phase)))
                break;
        run.step = (size_t)stmt_i64(st, 2);
        run.since_ms = stmt_i64(st, 3);
        str_copy(run.reason, sizeof run.reason, stmt_text(c, st, 4));
        sample_parse(stmt_text(c, st, 5), &run.arm);
        sample_parse(stmt_text(c, st, 6), &run.baseline);
        stmt_end(st);
        rc = 0;
    }
    if (rc < 0)
        return rc;
    bool ended = run.phase > PHASE_WAITING;
    if (!y && found && ended)
        live_run_set(live, &run);
    if (!y)
        return 0;
    if (found && !ended && run.definition == policy_canary_definition(p) && run.step < y->nsteps) {
        live_run_set(live, &run);
        live_canary_set(live, y->steps[run.step].percent);
        return 0;
    }
    live_run(live, &run);
    arm_stats_read(policy_stats(p, y->arm), &run.arm);
    arm_stats_read(policy_stats(p, y->baseline), &run.baseline);
    live_run_set(live, &run);
    return 0;
}

int rollout_load(struct ctx *c, int64_t project, const char *endpoint, struct policy *p) {
    int rc = load_arms(c, project, endpoint, policy_live(p));
    if (rc == 0 && policy_bandit(p))
        rc = load_bandit(c, project, endpoint, policy_bandit(p));
    if (rc == 0)
        rc = load_run(c, project, endpoint, p);
    return rc;
}
