/* SPDX-License-Identifier: Apache-2.0 */
/* What an endpoint's rollout has come to: canary, counts by arm, bandits. */
#include <math.h>
#include <string.h>

#include "doors.h"
#include "endpoint.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/rollout/arm_stats.h"
#include "quern/rollout/canary.h"
#include "quern/rollout/live.h"
#include "quern/rollout/policy.h"
#include "quern/rollout/rollout.h"
#include "snapshot.h"

struct figures_out {
    struct opt_i64 requests, errors, nan;
    struct opt_f64 error_rate, nan_rate, p50_ms, p90_ms, p99_ms;
};
struct rollout_arm_out {
    const char *name;
    struct opt_f64 weight;
    struct opt_bool answers, gone;
    struct figures_out *total, *step;
};
struct canary_out {
    const char *state, *arm, *baseline, *reason;
    struct opt_i64 step, steps, since_ms;
    struct opt_f64 percent;
};
struct bandit_arm_out {
    const char *name;
    struct opt_i64 plays, rewards;
    struct opt_f64 mean, weight;
};
struct bandit_context_out {
    struct opt_i64 number;
    const char *name;
    struct list arms;
};
struct bandit_out {
    const char *algorithm;
    struct list contexts;
};
struct rollout_out {
    const char *endpoint;
    struct opt_i64 revision;
    struct list arms;
    struct canary_out *canary;
    struct bandit_out *bandit;
};

struct monitor_in {
    const char *name, *monitor;
    struct opt_f64 value;
    struct opt_i64 ttl_s;
};

#define MONITOR_TTL_S 600

SHAPE_STRICT(shape_monitor_value, "MonitorValue", struct monitor_in,
             FIELD(struct monitor_in, name, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
             FIELD(struct monitor_in, monitor, T_STR, F_PATH | F_REQUIRED, "The monitor's name"),
             FIELD(struct monitor_in, value, T_F64, F_REQUIRED, "Its value now"),
             FIELD_MAX(struct monitor_in, ttl_s, T_I64, 0, 1, 31536000,
                       "Seconds for which it holds; 600 when absent"));
SHAPE_LOCAL(shape_figures, "ArmFigures", struct figures_out,
            FIELD(struct figures_out, requests, T_I64, F_ALWAYS, "Answered or failed"),
            FIELD(struct figures_out, errors, T_I64, F_ALWAYS, "Of them failed"),
            FIELD(struct figures_out, nan, T_I64, F_ALWAYS, "Of them with NaN or infinities"),
            FIELD(struct figures_out, error_rate, T_F64, 0, "0 to 1"),
            FIELD(struct figures_out, nan_rate, T_F64, 0, "0 to 1"),
            FIELD(struct figures_out, p50_ms, T_F64, 0, "Latency, milliseconds"),
            FIELD(struct figures_out, p90_ms, T_F64, 0, "Latency, milliseconds"),
            FIELD(struct figures_out, p99_ms, T_F64, 0, "Latency, milliseconds"));
SHAPE_LOCAL(shape_rollout_arm, "RolloutArm", struct rollout_arm_out,
            FIELD(struct rollout_arm_out, name, T_STR, F_ALWAYS, "The arm's name"),
            FIELD(struct rollout_arm_out, weight, T_F64, 0, "Of the spec"),
            FIELD(struct rollout_arm_out, answers, T_BOOL, 0, "It has a model"),
            FIELD(struct rollout_arm_out, gone, T_BOOL, 0, "No longer in the spec"),
            FIELD_SUB(struct rollout_arm_out, total, T_OBJ, 0, &shape_figures,
                      "Since the endpoint was made"),
            FIELD_SUB(struct rollout_arm_out, step, T_OBJ, 0, &shape_figures,
                      "Since the canary's step began, of its two arms"));
SHAPE_LOCAL(shape_canary_out, "CanaryState", struct canary_out,
            FIELD(struct canary_out, state, T_STR, F_ALWAYS,
                  "running, waiting (for :promote), promoted or rolled_back"),
            FIELD(struct canary_out, arm, T_STR, 0, "The arm whose share grows"),
            FIELD(struct canary_out, baseline, T_STR, 0, "The arm it is compared with"),
            FIELD(struct canary_out, step, T_I64, F_ALWAYS, "From 1"),
            FIELD(struct canary_out, steps, T_I64, 0, "How many there are"),
            FIELD(struct canary_out, percent, T_F64, 0, "Its share now"),
            FIELD(struct canary_out, since_ms, T_I64, 0, "When the step began"),
            FIELD(struct canary_out, reason, T_STR, F_ALWAYS, "Why it is so, a sentence"));
SHAPE_LOCAL(shape_bandit_arm, "BanditArm", struct bandit_arm_out,
            FIELD(struct bandit_arm_out, name, T_STR, F_ALWAYS, "The arm's name"),
            FIELD(struct bandit_arm_out, plays, T_I64, F_ALWAYS, "Times that it was chosen"),
            FIELD(struct bandit_arm_out, rewards, T_I64, F_ALWAYS, "Rewards that came"),
            FIELD(struct bandit_arm_out, mean, T_F64, 0, "Of the rewards"),
            FIELD(struct bandit_arm_out, weight, T_F64, 0,
                  "Rewards as they count after forgetting, when the last one came"));
SHAPE_LOCAL(shape_bandit_context, "BanditContext", struct bandit_context_out,
            FIELD(struct bandit_context_out, number, T_I64, F_ALWAYS, "0 is all others"),
            FIELD(struct bandit_context_out, name, T_STR, F_ALWAYS, "The segment"),
            FIELD_SUB(struct bandit_context_out, arms, T_LIST, F_ALWAYS, &shape_bandit_arm,
                      "What is known of each arm"));
SHAPE_LOCAL(shape_bandit_out, "BanditState", struct bandit_out,
            FIELD(struct bandit_out, algorithm, T_STR, F_ALWAYS, "As in the spec"),
            FIELD_SUB(struct bandit_out, contexts, T_LIST, F_ALWAYS, &shape_bandit_context,
                      "By segment"));
SHAPE(shape_rollout_out, "RolloutState", struct rollout_out,
      FIELD(struct rollout_out, endpoint, T_STR, F_ALWAYS, "The endpoint's name"),
      FIELD(struct rollout_out, revision, T_I64, F_ALWAYS, "Revision that is in force"),
      FIELD_SUB(struct rollout_out, arms, T_LIST, F_ALWAYS, &shape_rollout_arm, "By arm"),
      FIELD_SUB(struct rollout_out, canary, T_OBJ, 0, &shape_canary_out,
                "The canary, or how the last one ended"),
      FIELD_SUB(struct rollout_out, bandit, T_OBJ, 0, &shape_bandit_out, "The bandit"));

static struct opt_f64 known(double v) {
    return isnan(v) ? (struct opt_f64){0} : SET_F64(v);
}

static struct figures_out *figures(struct ctx *c, const struct arm_sample *s) {
    struct figures_out *f = ARENA_NEW(c->arena, struct figures_out);
    *f = (struct figures_out){.requests = SET_I64((int64_t)s->requests),
                              .errors = SET_I64((int64_t)s->errors),
                              .nan = SET_I64((int64_t)s->nan),
                              .error_rate = known(arm_sample_error_rate(s)),
                              .nan_rate = known(arm_sample_nan_rate(s)),
                              .p50_ms = known(arm_sample_quantile(s, 0.5)),
                              .p90_ms = known(arm_sample_quantile(s, 0.9)),
                              .p99_ms = known(arm_sample_quantile(s, 0.99))};
    return f;
}

static const struct arm_sample *base_of(const struct canary *y, const struct canary_run *run,
                                        unsigned arm) {
    if (!y || run->phase > PHASE_WAITING)
        return NULL;
    return arm == y->arm ? &run->arm : arm == y->baseline ? &run->baseline : NULL;
}

static void put_arms(struct ctx *c, const struct entry *e, const struct canary_run *run,
                     struct rollout_out *out) {
    const struct policy *p = e->plan->policy;
    const struct canary *y = run ? policy_canary(p) : NULL;
    const struct arm_spec *specs = e->plan->spec.arms.items;
    struct rollout_arm_out *items = NULL;
    const char *name;
    size_t n = 0, cap = 0;
    struct arm_stats *s;
    for (size_t i = 0; (s = live_arm_at(policy_live(p), i, &name)); i++) {
        struct arm_sample now, step;
        items = arena_room(c->arena, items, n, &cap, sizeof *items);
        struct rollout_arm_out *a = &items[n++];
        int arm = policy_arm_index(p, name);
        arm_stats_read(s, &now);
        a->name = arena_strdup(c->arena, name);
        a->total = figures(c, &now);
        if (arm < 0) {
            a->gone = SET_BOOL(true);
            continue;
        }
        if ((size_t)arm < e->plan->spec.arms.n)
            a->weight = specs[arm].weight;
        if ((size_t)arm < e->narms)
            a->answers = SET_BOOL(e->arms[arm].model != NULL || e->arms[arm].idle);
        const struct arm_sample *base = run ? base_of(y, run, (unsigned)arm) : NULL;
        if (base) {
            step = now;
            arm_sample_since(&step, base);
            a->step = figures(c, &step);
        }
    }
    out->arms = (struct list){items, n};
}

static struct canary_out *canary_state(struct ctx *c, const struct policy *p,
                                       const struct canary_run *run) {
    const struct canary *y = policy_canary(p);
    struct canary_out *o = ARENA_NEW(c->arena, struct canary_out);
    o->state = canary_phase_text(run->phase);
    o->step = SET_I64((int64_t)run->step + 1);
    o->reason = arena_strdup(c->arena, run->reason);
    if (run->since_ms)
        o->since_ms = SET_I64(run->since_ms);
    if (!y || run->phase > PHASE_WAITING)
        return o;
    o->arm = arena_strdup(c->arena, policy_arm_name(p, y->arm));
    o->baseline = arena_strdup(c->arena, policy_arm_name(p, y->baseline));
    o->steps = SET_I64((int64_t)y->nsteps);
    o->percent = SET_F64(live_canary(policy_live(p)));
    return o;
}

static struct bandit_out *bandit_state(struct ctx *c, struct bandit *b) {
    static const char *const algorithms[] = {"epsilon_greedy", "ucb1", "thompson"};
    const struct bandit_config *config = bandit_config(b);
    unsigned n = bandit_contexts(b), used = 0;
    struct bandit_out *o = ARENA_NEW(c->arena, struct bandit_out);
    struct bandit_context_out *contexts = ARENA_ARRAY(c->arena, struct bandit_context_out, n);
    for (unsigned x = 0; x < n; x++) {
        if (!bandit_context_used(b, x))
            continue;
        struct bandit_arm_out *arms = ARENA_ARRAY(c->arena, struct bandit_arm_out, config->arms);
        for (unsigned i = 0; i < config->arms; i++) {
            struct bandit_cell cell;
            bandit_read(b, x, i, &cell);
            arms[i] = (struct bandit_arm_out){.name = arena_strdup(c->arena, bandit_arm_name(b, i)),
                                              .plays = SET_I64((int64_t)cell.plays),
                                              .rewards = SET_I64((int64_t)cell.rewards),
                                              .mean = known(bandit_cell_mean(&cell))};
            if (config->half_life_ms > 0)
                arms[i].weight = SET_F64(cell.weight);
        }
        contexts[used++] =
            (struct bandit_context_out){.number = SET_I64(x),
                                        .name = arena_strdup(c->arena, bandit_context_name(b, x)),
                                        .arms = {arms, config->arms}};
    }
    o->algorithm = algorithms[config->kind];
    o->contexts = (struct list){contexts, used};
    return o;
}

int endpoint_api_rollout(struct ctx *c, const void *in_, void *out_) {
    const struct endpoint_name_in *in = in_;
    struct rollout_out *out = out_;
    struct canary_run run;
    const struct snapshot *s = snapshot_enter();
    const struct entry *e = s ? snapshot_find(s, c->project, in->name) : NULL;
    if (!e || !e->plan || !e->plan->policy) {
        struct endpoint row;
        snapshot_leave();
        int rc = endpoint_get(c, in->name, &row);
        return rc < 0 ? rc
                      : fail(c, ERR_NOT_READY, "endpoint '%s' was not looked at yet", in->name);
    }
    const struct policy *p = e->plan->policy;
    bool known_run = live_run(policy_live(p), &run);
    out->endpoint = in->name;
    out->revision = SET_I64(e->plan->revision);
    put_arms(c, e, known_run ? &run : NULL, out);
    if (known_run)
        out->canary = canary_state(c, p, &run);
    if (policy_bandit(p))
        out->bandit = bandit_state(c, policy_bandit(p));
    snapshot_leave();
    return 0;
}

int endpoint_api_monitor(struct ctx *c, const void *in_, void *out) {
    const struct monitor_in *in = in_;
    int64_t ttl = in->ttl_s.set ? in->ttl_s.v : MONITOR_TTL_S;
    int rc = 0;
    (void)out;
    if (strlen(in->monitor) > 128)
        return fail_field(c, ERR_INVALID, "monitor", "a monitor's name has 128 bytes at most");
    const struct snapshot *s = snapshot_enter();
    const struct entry *e = s ? snapshot_find(s, c->project, in->name) : NULL;
    if (!e || !e->plan || !e->plan->policy)
        rc = fail(c, ERR_NOT_FOUND, "no endpoint '%.200s'", in->name);
    else if (!live_monitor_set(policy_live(e->plan->policy), in->monitor, in->value.v, c->now_ms,
                               c->now_ms + ttl * 1000))
        rc = fail(c, ERR_CONFLICT, "endpoint '%.200s' has %d monitors already", in->name,
                  LIVE_MONITORS_MAX);
    snapshot_leave();
    return rc;
}
