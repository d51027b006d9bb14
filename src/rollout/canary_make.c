/* SPDX-License-Identifier: Apache-2.0 */
#include "hash.h"
#include "policy_form.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"

static int refuse(const struct making *m, const char *at, const char *member, const char *words) {
    return fail_field(m->c, ERR_INVALID, arena_printf(m->c->arena, "%s%s", at, member), "%s",
                      words);
}

static int make_when(const struct making *m, const char *at, const struct canary_when_spec *s,
                     struct canary_when *w) {
    static const char *const names[] = {"error_rate", "nan_rate", "latency_ms"};
    w->metric = CANARY_MONITOR;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(s->metric, names[i]))
            w->metric = (enum canary_metric)i;
    bool monitor = w->metric == CANARY_MONITOR, latency = w->metric == CANARY_LATENCY_MS;
    if (monitor != (s->monitor != NULL))
        return refuse(m, at, "/monitor", "The metric 'monitor' and only it needs a monitor's name");
    if (s->quantile.set && !latency)
        return refuse(m, at, "/quantile", "A quantile belongs to the metric 'latency_ms'");
    w->quantile = s->quantile.set ? s->quantile.v : 0.99;
    if (!(w->quantile > 0 && w->quantile <= 1))
        return refuse(m, at, "/quantile", "A quantile is above 0 and at most 1");
    if (s->above.set + s->below.set + s->worse_than_baseline_by.set != 1)
        return refuse(m, at, "",
                      "Exactly one of 'above', 'below' and 'worse_than_baseline_by' is needed");
    if (monitor && s->worse_than_baseline_by.set)
        return refuse(m, at, "/worse_than_baseline_by",
                      "A monitor has no baseline; 'above' or 'below' is needed");
    if (s->worse_than_baseline_by.set && !(s->worse_than_baseline_by.v >= 0))
        return refuse(m, at, "/worse_than_baseline_by", "This is 0 or above");
    if (!monitor && s->above.set && !(s->above.v >= 0))
        return refuse(m, at, "/above", "This is 0 or above");
    if (!monitor && s->below.set && !(s->below.v > 0))
        return refuse(m, at, "/below", "This is above 0");
    w->monitor = arena_strdup(m->p->arena, s->monitor);
    w->above_set = s->above.set;
    w->above = s->above.v;
    w->below_set = s->below.set;
    w->below = s->below.v;
    w->worse_set = s->worse_than_baseline_by.set;
    w->worse = s->worse_than_baseline_by.v;
    return 0;
}

static int make_whens(const struct making *m, const char *member, const struct list *list,
                      const struct canary_when **out, size_t *n) {
    struct canary_when *w = ARENA_ARRAY(m->p->arena, struct canary_when, list->n);
    const struct canary_when_spec *s = list->items;
    for (size_t i = 0; i < list->n; i++) {
        const char *at = arena_printf(m->c->arena, "/canary/%s/%zu", member, i);
        int rc = make_when(m, at, &s[i], &w[i]);
        if (rc < 0)
            return rc;
    }
    *out = w;
    *n = list->n;
    return 0;
}

static int make_steps(const struct making *m, const struct list *list, struct canary *y) {
    struct canary_step *steps = ARENA_ARRAY(m->p->arena, struct canary_step, list->n);
    const struct canary_step_spec *s = list->items;
    if (!list->n)
        return refuse(m, "/canary/steps", "", "At least one step is needed");
    for (size_t i = 0; i < list->n; i++) {
        const char *at = arena_printf(m->c->arena, "/canary/steps/%zu", i);
        double share = 0;
        int rc =
            make_share(m, arena_printf(m->c->arena, "%s/percent", at), s[i].percent, 0, &share);
        if (rc < 0)
            return rc;
        if (i && s[i].percent.v <= steps[i - 1].percent)
            return refuse(m, at, "/percent", "Each step's percentage is above the one before");
        if (!s[i].seconds.set && !s[i].requests.set)
            return refuse(m, at, "", "A step needs 'seconds', 'requests' or both");
        if (s[i].percent.v <= 0 && s[i].requests.v > 0)
            return refuse(m, at, "/requests", "A step of 0 percent never gets requests");
        steps[i] = (struct canary_step){.percent = s[i].percent.v,
                                        .ms = s[i].seconds.v * 1000,
                                        .requests = (uint64_t)s[i].requests.v};
    }
    y->steps = steps;
    y->nsteps = list->n;
    return 0;
}

static int find_baseline(const struct making *m, const struct canary_spec *s, struct canary *y) {
    const struct policy *p = m->p;
    unsigned others = 0;
    if (s->baseline) {
        int rc = make_arm(m, "/canary/baseline", s->baseline, &y->baseline);
        if (rc == 0 && y->baseline == y->arm)
            return refuse(m, "/canary/baseline", "", "The baseline is another arm than the canary");
        return rc;
    }
    for (unsigned i = 0; i < p->n; i++)
        if (i != y->arm && p->weights[i] > 0) {
            y->baseline = i;
            others++;
        }
    if (others != 1)
        return refuse(m, "/canary/baseline", "",
                      "The baseline needs to be named unless there is just one other arm with a "
                      "weight");
    return 0;
}

/* What makes a canary another: its spec and its arm's target. */
static uint64_t definition_of(const struct canary_spec *s, const char *target) {
    struct buf text = {0};
    json_encode(&text, &shape_canary, s);
    if (target)
        buf_puts(&text, target);
    uint64_t h = hash_bytes(0, text.data, text.len);
    buf_free(&text);
    return h;
}

int make_canary(const struct making *m, const struct canary_spec *s,
                const struct policy_arm *arms) {
    struct canary *y = ARENA_NEW(m->p->arena, struct canary);
    int rc = make_arm(m, "/canary/arm", s->arm, &y->arm);
    if (rc == 0)
        rc = find_baseline(m, s, y);
    if (rc == 0)
        rc = make_steps(m, &s->steps, y);
    if (rc == 0)
        rc = make_whens(m, "abort_when", &s->abort_when, &y->abort_when, &y->naborts);
    if (rc == 0)
        rc = make_whens(m, "hold_when", &s->hold_when, &y->hold_when, &y->nholds);
    if (rc < 0)
        return rc;
    y->min_requests = s->min_requests.set ? (uint64_t)s->min_requests.v : 100;
    y->promote_at_end = !str_eq(s->on_end, "hold");
    m->p->canary = y;
    m->p->canary_definition = definition_of(s, arms[y->arm].target);
    return 0;
}
