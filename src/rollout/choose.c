/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "policy_form.h"
#include "quern/base/str.h"
#include "quern/rollout/live.h"

static const char *const reason_texts[REASON_COUNT] = {"only",   "weight", "key",     "missing",
                                                       "forced", "rule",   "holdout", "schedule",
                                                       "canary", "bandit", "explore"};

const char *choice_reason_text(enum choice_reason r) {
    return (unsigned)r < REASON_COUNT ? reason_texts[r] : "";
}

static const char *text_of(const struct policy_request *q, const struct source *s) {
    return s->from == FROM_NONE || !q->attribute ? NULL : q->attribute(q->arg, s->from, s->name);
}

static bool usable(const struct policy_request *q, unsigned arm) {
    return q->usable >> arm & 1;
}

/* A number between 0 and 1: the key's where there is one, else by chance. */
static double unit(const struct policy_request *q, const struct salted *key, uint64_t *chance) {
    const char *text = text_of(q, &key->source);
    return hash_unit(text ? hash_key(0, key->salt, key->nsalt, text) : chance_next(chance));
}

static int by_text(const void *key, const void *item) {
    return strcmp(key, *(const char *const *)item);
}

static bool rule_fits(const struct rule *r, const struct policy_request *q, uint64_t *chance) {
    const char *text = text_of(q, &r->source);
    bool fits = false;
    switch (r->test) {
    case RULE_ANY:
        fits = true;
        break;
    case RULE_PRESENT:
        fits = text != NULL;
        break;
    case RULE_ABSENT:
        fits = text == NULL;
        break;
    case RULE_PREFIX:
        fits = text && strncmp(text, r->texts[0], r->nprefix) == 0;
        break;
    case RULE_IN:
        fits = text && bsearch(text, r->texts, r->ntexts, sizeof *r->texts, by_text) != NULL;
        break;
    }
    return fits && (r->share >= 1 || unit(q, &r->key, chance) < r->share);
}

/* By chance: the arm in whose stretch of the weights' sum the number falls. */
static int by_weight(const struct policy *p, const double *weights, const struct policy_request *q,
                     uint64_t *chance) {
    double sum = 0;
    int last = -1;
    for (unsigned i = 0; i < p->n; i++)
        if (usable(q, i) && weights[i] > 0) {
            sum += weights[i];
            last = (int)i;
        }
    double at = last < 0 ? 0 : hash_unit(chance_next(chance)) * sum;
    for (unsigned i = 0; last >= 0 && i < (unsigned)last; i++)
        if (usable(q, i) && weights[i] > 0 && (at -= weights[i]) < 0)
            return (int)i;
    return last;
}

/* By key: each arm draws -ln(u) / weight with a u of its own for this key, and the least wins
 * (weighted rendezvous hashing). Shares follow the weights, and since an arm's draw depends on
 * nothing but its own weight, a weight that grows only brings keys to its arm. */
static int by_hash(const struct policy *p, const double *weights, const struct policy_request *q,
                   const char *key) {
    int best = -1;
    double least = 0;
    for (unsigned i = 0; i < p->n; i++) {
        if (!usable(q, i) || !(weights[i] > 0))
            continue;
        double u = hash_unit(hash_key(p->seeds[i], p->key.salt, p->key.nsalt, key));
        double draw = -log(u) / weights[i];
        if (best < 0 || draw < least) {
            best = (int)i;
            least = draw;
        }
    }
    return best;
}

static int split(const struct policy *p, const double *weights, const struct policy_request *q,
                 uint64_t *chance, enum choice_reason *reason) {
    const char *key = p->by_key ? text_of(q, &p->key.source) : NULL;
    if (key) {
        *reason = REASON_KEY;
        return by_hash(p, weights, q, key);
    }
    *reason = p->by_key ? REASON_MISSING : REASON_WEIGHT;
    if (p->by_key && p->missing >= 0 && usable(q, (unsigned)p->missing))
        return p->missing;
    return by_weight(p, weights, q, chance);
}

/* The weights with the canary's share: it gets percent of all, the others what they had of the
 * rest. Its growing share only brings keys to it. */
static void canary_weights(const struct policy *p, double percent, double *weights) {
    const struct canary *y = p->canary;
    double rest = 0;
    for (unsigned i = 0; i < p->n; i++) {
        weights[i] = i == y->arm ? 0 : p->weights[i];
        rest += weights[i];
    }
    if (!(rest > 0))
        weights[y->baseline] = rest = 1;
    if (percent >= 100) {
        for (unsigned i = 0; i < p->n; i++)
            weights[i] = i == y->arm;
        return;
    }
    weights[y->arm] = rest * percent / (100 - percent);
}

static bool by_bandit(const struct policy *p, const struct policy_request *q, uint64_t *chance,
                      struct choice *out) {
    uint32_t mask = 0;
    for (size_t i = 0; i < p->nbandit; i++)
        mask |= (uint32_t)usable(q, p->bandit_arms[i]) << i;
    if (!mask)
        return false;
    out->context = bandit_context(p->bandit, text_of(q, &p->bandit_context), !q->trial);
    const char *key = text_of(q, &p->bandit_key.source);
    uint64_t random =
        key ? hash_key(0, p->bandit_key.salt, p->bandit_key.nsalt, key) : chance_next(chance);
    struct bandit_pick pick = bandit_pick(p->bandit, out->context, mask, random, q->now_ms);
    out->arm = p->bandit_arms[pick.arm];
    out->reason = pick.explore ? REASON_EXPLORE : REASON_BANDIT;
    out->bandit = true;
    return true;
}

static bool by_window(const struct policy *p, const struct policy_request *q, uint64_t *chance,
                      struct choice *out) {
    for (size_t i = 0; i < p->nwindows; i++) {
        const struct window *w = &p->windows[i];
        if (!window_holds(w, q->now_ms))
            continue;
        enum choice_reason how;
        int arm = w->arm >= 0 ? w->arm : split(p, w->weights, q, chance, &how);
        if (arm < 0 || !usable(q, (unsigned)arm))
            continue;
        out->arm = (unsigned)arm;
        out->reason = REASON_SCHEDULE;
        out->rule = (unsigned)i;
        return true;
    }
    return false;
}

static enum choice_result decide(const struct policy *p, const struct policy_request *q,
                                 uint64_t *chance, struct choice *out) {
    if (q->forced) {
        if (!p->force)
            return CHOICE_NOT_FORCE;
        int arm = policy_arm_index(p, q->forced);
        if (arm < 0)
            return CHOICE_NO_ARM;
        out->arm = (unsigned)arm;
        out->reason = REASON_FORCED;
        return CHOICE_OK;
    }
    for (size_t i = 0; i < p->nrules; i++)
        if (usable(q, p->rules[i].arm) && rule_fits(&p->rules[i], q, chance)) {
            out->arm = p->rules[i].arm;
            out->reason = REASON_RULE;
            out->rule = (unsigned)i;
            return CHOICE_OK;
        }
    if (p->holdout > 0 && (p->holdout_arm < 0 || usable(q, (unsigned)p->holdout_arm)) &&
        unit(q, &p->holdout_key, chance) < p->holdout) {
        out->constant = p->holdout_arm < 0;
        out->arm = out->constant ? 0 : (unsigned)p->holdout_arm;
        out->reason = REASON_HOLDOUT;
        return CHOICE_OK;
    }
    if (by_window(p, q, chance, out))
        return CHOICE_OK;
    if (p->bandit && by_bandit(p, q, chance, out))
        return CHOICE_OK;
    double percent = p->canary ? live_canary(p->live) : -1;
    int arm;
    if (percent >= 0) {
        double weights[POLICY_ARMS_MAX];
        canary_weights(p, percent, weights);
        arm = split(p, weights, q, chance, &out->reason);
        if (arm == (int)p->canary->arm)
            out->reason = REASON_CANARY;
        else if (arm < 0 && usable(q, p->canary->baseline))
            arm = (int)p->canary->baseline;
    } else {
        arm = split(p, p->weights, q, chance, &out->reason);
    }
    if (arm < 0)
        return CHOICE_NONE;
    out->arm = (unsigned)arm;
    return CHOICE_OK;
}

static void mirror(const struct policy *p, const struct policy_request *q, uint64_t *chance,
                   struct choice *out) {
    for (size_t i = 0; i < p->nshadows; i++) {
        const struct shadow *s = &p->shadows[i];
        /* Drawn for each, whether or not it can answer: they stay independent. */
        bool drawn = hash_unit(chance_next(chance)) < s->share;
        if (drawn && usable(q, s->arm) && (out->constant || s->arm != out->arm))
            out->shadows[out->nshadows++] = (unsigned char)s->arm;
    }
}

enum choice_result policy_choose(const struct policy *p, const struct policy_request *q,
                                 struct choice *out) {
    *out = (struct choice){.reason = REASON_ONLY};
    if (p->only && !q->forced)
        return q->usable & 1 ? CHOICE_OK : CHOICE_NONE;
    uint64_t chance = q->random;
    enum choice_result r = decide(p, q, &chance, out);
    if (r == CHOICE_OK && p->nshadows)
        mirror(p, q, &chance, out);
    return r;
}

void policy_played(const struct policy *p, const struct choice *ch) {
    if (!ch->bandit)
        return;
    for (unsigned i = 0; i < p->nbandit; i++)
        if (p->bandit_arms[i] == ch->arm)
            bandit_play(p->bandit, ch->context, i);
}

bool policy_reward(const struct policy *p, unsigned arm, unsigned context, double reward,
                   int64_t now_ms) {
    for (unsigned i = 0; i < p->nbandit; i++)
        if (p->bandit_arms[i] == arm)
            return bandit_reward(p->bandit, context, i, reward, now_ms);
    return false;
}
