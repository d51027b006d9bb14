/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"

#include <math.h>
#include <string.h>

#include "json_value.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"

/* '*' stands for any run of characters, also none; everything else for itself. Linear in the
 * product of the lengths: only the last star is gone back to. */
bool metric_matches(const char *pattern, const char *name) {
    const char *star = NULL, *mark = NULL;
    while (*name) {
        if (*pattern == '*') {
            star = pattern++;
            mark = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name = ++mark;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return !*pattern;
}

static const char *number(struct ctx *c, double v) {
    char text[32];
    json_double(v, text);
    return arena_strdup(c->arena, text);
}

static bool compare(const char *op, double a, double b) {
    if (isnan(a) || isnan(b)) {
        return false; /* a number that is none passes no rule, also not != */
    }
    if (op[0] == '>') {
        return op[1] ? a >= b : a > b;
    }
    if (op[0] == '<') {
        return op[1] ? a <= b : a < b;
    }
    bool equal = !(a < b) && !(a > b);
    return op[0] == '=' ? equal : !equal;
}

static int judge_limit(struct ctx *c, const struct gate_rule *rule, const struct fpairs *metrics,
                       double limit, struct verdict *out) {
    out->values = ARENA_ARRAY(c->arena, struct gate_value, metrics->n + 1);
    const struct gate_value *worst = NULL;
    size_t bad = 0;
    for (size_t i = 0; i < metrics->n; i++) {
        if (metric_matches(rule->metric, metrics->items[i].key)) {
            struct gate_value *v = &out->values[out->n++];
            *v = (struct gate_value){.metric = metrics->items[i].key,
                                     .value = metrics->items[i].value};
            v->holds = compare(rule->op, v->value, limit);
            bad += !v->holds;
            worst = !v->holds && !worst ? v : worst;
        }
    }
    out->passed = out->n > 0 && bad == 0;
    if (out->n == 0) {
        out->reason = arena_printf(c->arena, "no metric matches %s", rule->metric);
    } else if (worst) {
        out->reason = arena_printf(
            c->arena, "%s is %s, wanted %s %s%s", worst->metric, number(c, worst->value), rule->op,
            number(c, limit), bad > 1 ? arena_printf(c->arena, " (and %zu more)", bad - 1) : "");
    } else if (out->n == 1) {
        out->reason = arena_printf(c->arena, "%s is %s", out->values[0].metric,
                                   number(c, out->values[0].value));
    } else {
        out->reason = arena_printf(c->arena, "%zu metrics hold", out->n);
    }
    return 0;
}

static int judge_better(struct ctx *c, const struct gate_rule *rule, const struct fpairs *metrics,
                        const struct champion *ch, struct verdict *out) {
    const double *mine = NULL;
    for (size_t i = 0; i < metrics->n && !mine; i++) {
        mine = str_eq(metrics->items[i].key, rule->metric) ? &metrics->items[i].value : NULL;
    }
    if (!mine) {
        out->reason = arena_printf(c->arena, "there is no metric %s", rule->metric);
        return 0;
    }
    out->values = ARENA_ARRAY(c->arena, struct gate_value, 2);
    out->values[out->n++] = (struct gate_value){.metric = rule->metric, .value = *mine};
    if (!ch->exists) {
        out->passed = !isnan(*mine);
        out->reason = arena_printf(c->arena, "there is no %s yet", rule->model);
    } else if (ch->same_evaluation) {
        out->passed = true;
        out->reason = arena_printf(c->arena, "this is %s itself", ch->name);
    } else if (!ch->measured) {
        out->reason =
            arena_printf(c->arena, "%s has no metric %s to compare with", ch->name, rule->metric);
    } else {
        double gain = rule->min ? ch->value - *mine : *mine - ch->value;
        out->values[out->n++] =
            (struct gate_value){.metric = ch->name, .value = ch->value, .holds = true};
        out->passed = rule->or_equal || rule->margin > 0 ? gain >= rule->margin : gain > 0;
        const char *by = rule->margin > 0
                             ? arena_printf(c->arena, " by at least %s", number(c, rule->margin))
                             : "";
        out->reason = out->passed
                          ? arena_printf(c->arena, "%s is %s, %s has %s", rule->metric,
                                         number(c, *mine), ch->name, number(c, ch->value))
                          : arena_printf(c->arena, "%s is %s, %s than %s (%s)%s", rule->metric,
                                         number(c, *mine), rule->or_equal ? "worse" : "not better",
                                         ch->name, number(c, ch->value), by);
    }
    out->values[0].holds = out->passed;
    return 0;
}

int gate_judge(struct ctx *c, const struct gate_rule *rule, const struct fpairs *metrics,
               double limit, const struct champion *champion, struct verdict *out) {
    *out = (struct verdict){0};
    return rule->op ? judge_limit(c, rule, metrics, limit, out)
                    : judge_better(c, rule, metrics, champion, out);
}
