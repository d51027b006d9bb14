/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/rollout/policy.h"

#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "hash.h"
#include "policy_form.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "quern/rollout/arm_stats.h"
#include "quern/rollout/live.h"

int make_arm(const struct making *m, const char *at, const char *name, unsigned *out) {
    int i = policy_arm_index(m->p, name);
    if (i < 0)
        return fail_field(m->c, ERR_INVALID, at, "There is no arm called '%.64s' in 'arms'", name);
    *out = (unsigned)i;
    return 0;
}

int make_share(const struct making *m, const char *at, struct opt_f64 percent, double absent,
               double *out) {
    double p = percent.set ? percent.v : absent;
    if (!(p >= 0 && p <= 100))
        return fail_field(m->c, ERR_INVALID, at, "A percentage is between 0 and 100, not %g", p);
    *out = p / 100;
    return 0;
}

int make_source(const struct making *m, const char *at, const char *header, const char *parameter,
                const char *field, struct source *out) {
    if ((header != NULL) + (parameter != NULL) + (field != NULL) != 1)
        return fail_field(m->c, ERR_INVALID, at,
                          "Exactly one of 'header', 'parameter' and 'field' is needed");
    out->from = header ? FROM_HEADER : parameter ? FROM_PARAMETER : FROM_FIELD;
    char *name = arena_strdup(m->p->arena, header ? header : parameter ? parameter : field);
    if (header)
        for (char *s = name; *s; s++)
            *s = (char)tolower((unsigned char)*s);
    out->name = name;
    return 0;
}

int make_key(const struct making *m, const char *at, const struct key_spec *key, const char *salt,
             const char *suffix, struct salted *out) {
    out->salt = salt ? arena_strdup(m->p->arena, salt)
                     : arena_printf(m->p->arena, "%s%s", m->endpoint, suffix);
    out->nsalt = strlen(out->salt);
    if (key)
        return make_source(m, at, key->header, key->parameter, key->field, &out->source);
    out->source = m->p->key.source;
    return 0;
}

static int make_arms(const struct making *m, const struct policy_arm *arms, size_t n) {
    struct policy *p = m->p;
    if (n == 0 || n > POLICY_ARMS_MAX)
        return fail_field(m->c, ERR_INVALID, "/arms", "Between 1 and %d arms are needed",
                          POLICY_ARMS_MAX);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const char *at = arena_printf(m->c->arena, "/arms/%zu/weight", i);
        if (!(arms[i].weight >= 0 && arms[i].weight <= 1e12))
            return fail_field(m->c, ERR_INVALID, at, "A weight is between 0 and 1e12, not %g",
                              arms[i].weight);
        if (policy_arm_index(p, arms[i].name) >= 0)
            return fail_field(m->c, ERR_INVALID, arena_printf(m->c->arena, "/arms/%zu/name", i),
                              "Two arms are called '%.64s'", arms[i].name);
        p->names[i] = arena_strdup(p->arena, arms[i].name);
        p->weights[i] = arms[i].weight;
        p->seeds[i] = hash_bytes(0, arms[i].name, strlen(arms[i].name));
        p->n = i + 1;
        sum += arms[i].weight;
    }
    if (!(sum > 0))
        return fail_field(m->c, ERR_INVALID, "/arms", "At least one arm needs a weight above 0");
    return 0;
}

static int make_split(const struct making *m, const struct split_spec *s) {
    struct policy *p = m->p;
    if (!s)
        return 0;
    p->by_key = s->by ? str_eq(s->by, "key") : s->key != NULL;
    if (p->by_key && !s->key)
        return fail_field(m->c, ERR_INVALID, "/split/key", "A split by key needs 'key'");
    if (!p->by_key && (s->key || s->salt || s->missing))
        return fail_field(m->c, ERR_INVALID, "/split/by",
                          "'key', 'salt' and 'missing' belong to a split by key");
    if (!p->by_key)
        return 0;
    int rc = make_key(m, "/split/key", s->key, s->salt, "", &p->key);
    unsigned arm = 0;
    if (rc == 0 && s->missing && (rc = make_arm(m, "/split/missing", s->missing, &arm)) == 0)
        p->missing = (int)arm;
    return rc;
}

/* Only the form: datatypes and data are looked at by who answers with them. */
static int check_outputs(const struct making *m, json_t *outputs) {
    size_t i;
    json_t *o;
    if (!json_is_array(outputs) || !json_array_size(outputs) || json_array_size(outputs) > 64)
        return fail_field(m->c, ERR_INVALID, "/holdout/outputs",
                          "A list of 1 to 64 output objects is needed");
    json_array_foreach(outputs, i, o) if (
        !json_is_string(json_object_get(o, "name")) ||
        !json_is_string(json_object_get(o, "datatype")) ||
        !json_is_array(json_object_get(o, "shape")) ||
        !json_is_array(json_object_get(
            o, "data"))) return fail_field(m->c, ERR_INVALID,
                                           arena_printf(m->c->arena, "/holdout/outputs/%zu", i),
                                           "An output has 'name', 'datatype', 'shape' and 'data'");
    return 0;
}

static int make_holdout(const struct making *m, const struct holdout_spec *s) {
    struct policy *p = m->p;
    if (!s)
        return 0;
    int rc = make_share(m, "/holdout/percent", s->percent, 0, &p->holdout);
    if (rc == 0)
        rc = make_key(m, "/holdout/key", s->key, s->salt, "/holdout", &p->holdout_key);
    if (rc < 0)
        return rc;
    if ((s->arm != NULL) + (s->outputs != NULL) != 1)
        return fail_field(m->c, ERR_INVALID, "/holdout",
                          "Exactly one of 'arm' and 'outputs' is needed");
    if (s->outputs) {
        p->holdout_outputs = json_text(p->arena, s->outputs, JSON_TIGHT);
        return check_outputs(m, s->outputs);
    }
    unsigned arm = 0;
    rc = make_arm(m, "/holdout/arm", s->arm, &arm);
    p->holdout_arm = (int)arm;
    return rc;
}

static int make_shadows(const struct making *m, const struct list *shadows) {
    struct policy *p = m->p;
    const struct shadow_spec *s = shadows->items;
    if (shadows->n > POLICY_SHADOWS_MAX)
        return fail_field(m->c, ERR_INVALID, "/shadows", "At most %d shadows are allowed",
                          POLICY_SHADOWS_MAX);
    p->shadows = ARENA_ARRAY(p->arena, struct shadow, shadows->n);
    for (size_t i = 0; i < shadows->n; i++) {
        const char *at = arena_printf(m->c->arena, "/shadows/%zu/arm", i);
        int rc = make_arm(m, at, s[i].arm, &p->shadows[i].arm);
        if (rc == 0)
            rc = make_share(m, arena_printf(m->c->arena, "/shadows/%zu/percent", i), s[i].percent,
                            100, &p->shadows[i].share);
        if (rc < 0)
            return rc;
        for (size_t k = 0; k < i; k++)
            if (p->shadows[k].arm == p->shadows[i].arm)
                return fail_field(m->c, ERR_INVALID, at, "'%.64s' is a shadow already", s[i].arm);
        p->nshadows = i + 1;
    }
    return 0;
}

static int make_all(const struct making *m, const struct rollout_spec *spec,
                    const struct policy_arm *arms, size_t n) {
    int rc = make_arms(m, arms, n);
    if (rc == 0)
        rc = make_split(m, spec->split);
    if (rc == 0)
        rc = make_rules(m, &spec->rules);
    if (rc == 0)
        rc = make_holdout(m, spec->holdout);
    if (rc == 0)
        rc = make_shadows(m, &spec->shadows);
    if (rc == 0 && spec->bandit && spec->canary)
        rc = fail_field(m->c, ERR_INVALID, "/canary",
                        "A canary and a bandit cannot both decide; one of them has to go");
    if (rc == 0 && spec->bandit)
        rc = make_bandit(m, spec->bandit);
    if (rc == 0 && spec->canary)
        rc = make_canary(m, spec->canary, arms);
    if (rc == 0)
        rc = make_schedule(m, &spec->schedule);
    return rc;
}

/* A canary that is new or another begins with its first step; the one that runs goes on. What
 * became of one that ended stays to be seen. */
static void follow_canary(struct policy *p) {
    struct canary_run run;
    bool known = live_run(p->live, &run);
    if (!p->canary) {
        live_canary_set(p->live, -1);
        if (known && run.phase <= PHASE_WAITING)
            live_run_set(p->live, NULL);
        return;
    }
    if (known && run.phase <= PHASE_WAITING && run.definition == p->canary_definition)
        return;
    run = (struct canary_run){.definition = p->canary_definition};
    arm_stats_read(p->stats[p->canary->arm], &run.arm);
    arm_stats_read(p->stats[p->canary->baseline], &run.baseline);
    live_run_set(p->live, &run);
    live_canary_set(p->live, p->canary->steps[0].percent);
}

int policy_make(struct ctx *c, const char *endpoint, const struct rollout_spec *spec,
                const struct policy_arm *arms, size_t n, struct live *live, struct policy **out) {
    struct arena *arena = arena_new();
    struct policy *p = ARENA_NEW(arena, struct policy);
    p->arena = arena;
    atomic_init(&p->refs, 1);
    p->live = live ? live_ref(live) : live_new();
    p->force = !spec->force.set || spec->force.v;
    p->missing = p->holdout_arm = -1;
    struct making m = {.c = c, .p = p, .endpoint = endpoint};
    int rc = make_all(&m, spec, arms, n);
    if (rc < 0) {
        policy_unref(p);
        return rc;
    }
    p->only = p->n == 1 && !p->nrules && !(p->holdout > 0) && !p->nshadows && !p->bandit &&
              !p->canary && !p->nwindows;
    /* Nothing can fail from here: only now is what lives on touched. */
    for (size_t i = 0; i < p->n; i++)
        p->stats[i] = live_arm(p->live, p->names[i]);
    live_bandit_set(p->live, p->bandit);
    follow_canary(p);
    *out = p;
    return 0;
}

struct policy *policy_ref(struct policy *p) {
    if (p)
        atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void policy_unref(struct policy *p) {
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    bandit_unref(p->bandit);
    live_unref(p->live);
    arena_free(p->arena);
}

size_t policy_arms(const struct policy *p) {
    return p->n;
}
const char *policy_arm_name(const struct policy *p, unsigned arm) {
    return p->names[arm];
}

int policy_arm_index(const struct policy *p, const char *name) {
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->names[i], name))
            return (int)i;
    return -1;
}

struct arm_stats *policy_stats(const struct policy *p, unsigned arm) {
    return p->stats[arm];
}
struct live *policy_live(const struct policy *p) {
    return p->live;
}
uint64_t policy_canary_definition(const struct policy *p) {
    return p->canary_definition;
}
const struct canary *policy_canary(const struct policy *p) {
    return p->canary;
}
struct bandit *policy_bandit(const struct policy *p) {
    return p->bandit;
}
unsigned policy_bandit_arm(const struct policy *p, unsigned i) {
    return p->bandit_arms[i];
}
int64_t policy_reward_window_ms(const struct policy *p) {
    return p->window_ms;
}
const char *policy_holdout_outputs(const struct policy *p) {
    return p->holdout_outputs;
}
bool policy_only(const struct policy *p) {
    return p->only;
}
