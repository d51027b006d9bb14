/* SPDX-License-Identifier: Apache-2.0 */
/* Dry run: which arm would answer, and why, by an endpoint's spec or by another one. Changes
 * nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chance.h"
#include "doors.h"
#include "endpoint.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/registry/registry.h"
#include "quern/rollout/live.h"
#include "quern/rollout/policy.h"
#include "quern/trace/timestamp.h"
#include "snapshot.h"
#include "spec.h"

#define KEYS 10000

struct sample_in {
    struct pairs headers, parameters, fields;
    const char *arm;
};
struct dry_run_in {
    const char *name, *at;
    struct endpoint_spec *spec;
    struct list samples;
    struct opt_i64 keys;
    struct opt_f64 canary_percent;
};
struct sample_out {
    const char *arm, *reason, *error;
    struct opt_i64 rule;
    struct opt_bool constant;
    struct strs shadows;
};
struct dry_run_out {
    const char *endpoint;
    struct list samples;
    struct opt_i64 keys;
    struct fpairs shares, reasons;
};

SHAPE_LOCAL(shape_sample_in, "DryRunSample", struct sample_in,
            FIELD(struct sample_in, headers, T_MAP, 0, "Headers of the request"),
            FIELD(struct sample_in, parameters, T_MAP, 0, "Its parameters"),
            FIELD(struct sample_in, fields, T_MAP, 0, "Columns of its first row, as text"),
            FIELD(struct sample_in, arm, T_STR, 0, "Arm that the caller names"));
SHAPE_STRICT(shape_dry_run, "DryRun", struct dry_run_in,
             FIELD(struct dry_run_in, name, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
             FIELD_SUB(struct dry_run_in, spec, T_OBJ, 0, &shape_endpoint_spec,
                       "The spec that is tried; the endpoint's own when absent"),
             {.name = "samples",
              .type = T_LIST,
              .offset = offsetof(struct dry_run_in, samples),
              .sub = &shape_sample_in,
              .max = 1000,
              .doc = "Requests to choose for"},
             FIELD_MAX(struct dry_run_in, keys, T_I64, 0, 1, 50000,
                       "Made-up requests for the shares, each with keys of its own; 10000 when "
                       "absent"),
             FIELD(struct dry_run_in, canary_percent, T_F64, 0,
                   "The canary's share; as it is now, or its first step's, when absent"),
             FIELD(struct dry_run_in, at, T_STR, 0, "RFC 3339: when; now when absent"));
SHAPE_LOCAL(shape_sample_out, "DryRunChoice", struct sample_out,
            FIELD(struct sample_out, arm, T_STR, 0, "The arm that would answer"),
            FIELD(struct sample_out, reason, T_STR, 0, "Why"),
            FIELD(struct sample_out, rule, T_I64, 0, "Number of the rule or window, from 0"),
            FIELD(struct sample_out, constant, T_BOOL, 0, "The holdout's constant would answer"),
            FIELD(struct sample_out, shadows, T_STRS, 0, "Arms that would get a copy"),
            FIELD(struct sample_out, error, T_STR, 0, "Why there is no answer"));
SHAPE(shape_dry_run_out, "DryRunOutcome", struct dry_run_out,
      FIELD(struct dry_run_out, endpoint, T_STR, F_ALWAYS, "The endpoint's name"),
      FIELD_SUB(struct dry_run_out, samples, T_LIST, F_ALWAYS, &shape_sample_out, "In their order"),
      FIELD(struct dry_run_out, keys, T_I64, F_ALWAYS, "Made-up requests"),
      FIELD(struct dry_run_out, shares, T_FMAP, F_ALWAYS, "Of them by arm, 0 to 1"),
      FIELD(struct dry_run_out, reasons, T_FMAP, F_ALWAYS, "Of them by reason, 0 to 1"));

/* Attributes of a sample, or made up ones: every name that is asked for has the same text. */
struct attributes {
    const struct sample_in *sample;
    char key[32];
};

static const char *attribute(void *arg, enum attribute_from from, const char *name) {
    const struct attributes *a = arg;
    if (!a->sample)
        return a->key;
    const struct pairs *p = from == FROM_HEADER      ? &a->sample->headers
                            : from == FROM_PARAMETER ? &a->sample->parameters
                                                     : &a->sample->fields;
    for (size_t i = 0; i < p->n; i++)
        if (from == FROM_HEADER ? str_ieq(p->items[i].key, name) : str_eq(p->items[i].key, name))
            return p->items[i].value;
    return NULL;
}

static enum choice_result choose(const struct policy *p, struct attributes *a, const char *forced,
                                 int64_t now_ms, struct choice *ch) {
    struct policy_request q = {.attribute = attribute,
                               .arg = a,
                               .forced = forced,
                               .random = chance_u64(),
                               .now_ms = now_ms,
                               .usable = UINT32_MAX,
                               .trial = true};
    return policy_choose(p, &q, ch);
}

static void try_sample(struct ctx *c, const struct policy *p, const struct sample_in *in,
                       int64_t now_ms, struct sample_out *out) {
    struct attributes a = {.sample = in};
    struct choice ch;
    switch (choose(p, &a, in->arm, now_ms, &ch)) {
    case CHOICE_OK:
        break;
    case CHOICE_NO_ARM:
        out->error = arena_printf(c->arena, "There is no arm '%.64s'.", in->arm);
        return;
    case CHOICE_NOT_FORCE:
        out->error = "A request may not name its arm here.";
        return;
    case CHOICE_NONE:
        out->error = "No arm can answer.";
        return;
    }
    out->reason = choice_reason_text(ch.reason);
    if (ch.reason == REASON_RULE || ch.reason == REASON_SCHEDULE)
        out->rule = SET_I64(ch.rule);
    if (ch.constant)
        out->constant = SET_BOOL(true);
    else
        out->arm = arena_strdup(c->arena, policy_arm_name(p, ch.arm));
    const char **shadows = ARENA_ARRAY(c->arena, const char *, POLICY_SHADOWS_MAX);
    for (unsigned i = 0; i < ch.nshadows; i++)
        shadows[i] = arena_strdup(c->arena, policy_arm_name(p, ch.shadows[i]));
    out->shadows = (struct strs){shadows, ch.nshadows};
}

static void count_shares(struct ctx *c, const struct policy *p, int64_t keys, int64_t now_ms,
                         struct dry_run_out *out) {
    unsigned arms[POLICY_ARMS_MAX + 1] = {0}, reasons[REASON_COUNT] = {0};
    size_t n = policy_arms(p);
    struct attributes a = {0};
    for (int64_t i = 0; i < keys; i++) {
        struct choice ch;
        snprintf(a.key, sizeof a.key, "key-%" PRId64, i);
        if (choose(p, &a, NULL, now_ms, &ch) != CHOICE_OK)
            continue;
        arms[ch.constant ? n : ch.arm]++;
        reasons[ch.reason]++;
    }
    struct fpair *shares = ARENA_ARRAY(c->arena, struct fpair, n + 1);
    struct fpair *whys = ARENA_ARRAY(c->arena, struct fpair, REASON_COUNT);
    size_t nshares = 0, nwhys = 0;
    for (size_t i = 0; i <= n; i++)
        if (i < n || arms[i])
            shares[nshares++] = (struct fpair){
                .key =
                    i < n ? arena_strdup(c->arena, policy_arm_name(p, (unsigned)i)) : "(constant)",
                .value = arms[i] / (double)keys};
    for (unsigned i = 0; i < REASON_COUNT; i++)
        if (reasons[i])
            whys[nwhys++] = (struct fpair){.key = choice_reason_text((enum choice_reason)i),
                                           .value = reasons[i] / (double)keys};
    out->keys = SET_I64(keys);
    out->shares = (struct fpairs){shares, nshares};
    out->reasons = (struct fpairs){whys, nwhys};
}

/* The policy of the endpoint as it runs, with what its bandit knows; else a fresh one. */
static int find_policy(struct ctx *c, const struct dry_run_in *in, struct policy **out) {
    struct endpoint e;
    struct endpoint_spec own;
    struct model_version_info info;
    struct endpoint_spec *spec = in->spec;
    int rc = endpoint_get(c, in->name, &e);
    if (rc < 0 && spec) {
        err_clear(c); /* a spec may be tried before its endpoint is made */
        rc = 0;
    } else if (rc == 0 && !spec && !in->canary_percent.set) {
        const struct snapshot *s = snapshot_enter();
        const struct entry *entry = s ? snapshot_find(s, c->project, in->name) : NULL;
        if (entry && entry->plan && entry->plan->revision == e.revision)
            *out = policy_ref(entry->plan->policy);
        snapshot_leave();
    }
    if (rc < 0 || *out)
        return rc;
    if (!spec) {
        spec = &own;
        rc = spec_read(c, e.policy, &own);
    } else {
        spec->name = in->name;
        rc = spec_check(c, spec);
    }
    const struct arm_spec *arms = spec->arms.items;
    for (size_t i = 0; rc == 0 && i < spec->arms.n; i++)
        rc = model_resolve(c, arms[i].target, &info);
    if (rc == 0)
        rc = spec_policy(c, in->name, spec, NULL, out);
    if (rc == 0 && in->canary_percent.set && policy_canary(*out))
        live_canary_set(policy_live(*out), in->canary_percent.v);
    return rc;
}

int endpoint_api_dry_run(struct ctx *c, const void *in_, void *out_) {
    const struct dry_run_in *in = in_;
    struct dry_run_out *out = out_;
    struct policy *p = NULL;
    int64_t now_ms = c->now_ms;
    if (in->at && !timestamp_parse(in->at, &now_ms))
        return fail_field(c, ERR_INVALID, "at", "'at' is a time as 2026-01-02T03:04:05Z");
    if (in->canary_percent.set && !(in->canary_percent.v >= 0 && in->canary_percent.v <= 100))
        return fail_field(c, ERR_INVALID, "canary_percent", "a percentage is between 0 and 100");
    int rc = find_policy(c, in, &p);
    if (rc < 0)
        return rc;
    const struct sample_in *samples = in->samples.items;
    struct sample_out *items =
        ARENA_ARRAY(c->arena, struct sample_out, in->samples.n ? in->samples.n : 1);
    for (size_t i = 0; i < in->samples.n; i++)
        try_sample(c, p, &samples[i], now_ms, &items[i]);
    out->endpoint = in->name;
    out->samples = (struct list){items, in->samples.n};
    count_shares(c, p, in->keys.set ? in->keys.v : KEYS, now_ms, out);
    policy_unref(p);
    return 0;
}
