/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_form.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/rollout/live.h"

static int number(const struct making *m, const char *name, struct opt_f64 given, bool belongs,
                  double absent, double low, double high, double *out) {
    const char *at = arena_printf(m->c->arena, "/bandit/%s", name);
    if (given.set && !belongs)
        return fail_field(m->c, ERR_INVALID, at, "'%s' belongs to another algorithm", name);
    *out = given.set ? given.v : absent;
    if (*out >= low && *out <= high)
        return 0;
    return fail_field(m->c, ERR_INVALID, at, "'%s' is between %g and %g, not %g", name, low, high,
                      *out);
}

static int pick_arms(const struct making *m, const struct bandit_spec *s) {
    struct policy *p = m->p;
    for (size_t i = 0; i < s->arms.n; i++) {
        const char *at = arena_printf(m->c->arena, "/bandit/arms/%zu", i);
        unsigned arm = 0;
        int rc = make_arm(m, at, s->arms.items[i], &arm);
        if (rc < 0)
            return rc;
        for (size_t k = 0; k < p->nbandit; k++)
            if (p->bandit_arms[k] == arm)
                return fail_field(m->c, ERR_INVALID, at, "'%.64s' is named twice",
                                  s->arms.items[i]);
        p->bandit_arms[p->nbandit++] = arm;
    }
    for (unsigned i = 0; i < p->n && !s->arms.n; i++)
        if (p->weights[i] > 0)
            p->bandit_arms[p->nbandit++] = i;
    if (p->nbandit < 2)
        return fail_field(m->c, ERR_INVALID, "/bandit/arms",
                          "A bandit needs at least 2 arms to choose among");
    return 0;
}

int make_bandit(const struct making *m, const struct bandit_spec *s) {
    struct policy *p = m->p;
    bool greedy = str_eq(s->algorithm, "epsilon_greedy"), ucb = str_eq(s->algorithm, "ucb1");
    struct bandit_config b = {.kind = greedy ? BANDIT_EPSILON_GREEDY
                                      : ucb  ? BANDIT_UCB1
                                             : BANDIT_THOMPSON,
                              .contexts = s->context != NULL,
                              .half_life_ms = (double)s->half_life_s.v * 1000};
    int rc = pick_arms(m, s);
    if (rc == 0)
        rc = number(m, "epsilon", s->epsilon, greedy, 0.1, 0, 1, &b.epsilon);
    if (rc == 0)
        rc = number(m, "exploration", s->exploration, ucb, 1, 0, 100, &b.exploration);
    if (rc == 0)
        rc = number(m, "prior_alpha", s->prior_alpha, !greedy && !ucb, 1, 0.001, 1e6,
                    &b.prior_alpha);
    if (rc == 0)
        rc = number(m, "prior_beta", s->prior_beta, !greedy && !ucb, 1, 0.001, 1e6, &b.prior_beta);
    if (rc == 0)
        rc = number(m, "floor", s->floor, true, 0, 0, 1.0 / (double)p->nbandit, &b.floor);
    if (rc == 0 && s->context)
        rc = make_source(m, "/bandit/context", s->context->header, s->context->parameter,
                         s->context->field, &p->bandit_context);
    if (rc == 0 && s->key && ucb && !(b.floor > 0))
        rc = fail_field(m->c, ERR_INVALID, "/bandit/key",
                        "ucb1 without a floor leaves nothing to chance that a key could replace");
    if (rc == 0 && s->key)
        rc = make_key(m, "/bandit/key", s->key, NULL, "/bandit", &p->bandit_key);
    if (rc < 0)
        return rc;
    b.arms = p->nbandit;
    p->window_ms = s->window_s.v * 1000;
    const char *names[BANDIT_ARMS_MAX];
    for (size_t i = 0; i < p->nbandit; i++)
        names[i] = p->names[p->bandit_arms[i]];
    struct bandit *old = live_bandit(p->live);
    if (old && bandit_is(old, &b, names)) {
        p->bandit = old;
        return 0;
    }
    p->bandit = old ? bandit_heir(old, &b, names) : bandit_new(&b, names);
    bandit_unref(old);
    return 0;
}
