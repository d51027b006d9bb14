/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "policy_form.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_texts(struct arena *a, struct rule *r, const char *const *texts, size_t n) {
    const char **copy = ARENA_ARRAY(a, const char *, n);
    for (size_t i = 0; i < n; i++)
        copy[i] = arena_strdup(a, texts[i]);
    qsort(copy, n, sizeof *copy, by_text);
    r->texts = copy;
    r->ntexts = n;
}

static int make_test(const struct making *m, const char *at, const struct rule_spec *s,
                     struct rule *r) {
    struct arena *a = m->p->arena;
    int tests = (s->equals != NULL) + (s->prefix != NULL) + (s->in.n > 0) + s->present.set;
    if (!s->header && !s->parameter && !s->field) {
        if (tests)
            return fail_field(m->c, ERR_INVALID, at,
                              "A test needs one of 'header', 'parameter' and 'field'");
        if (!s->percent.set)
            return fail_field(m->c, ERR_INVALID, at,
                              "A rule needs 'header', 'parameter' or 'field', or 'percent' alone");
        r->test = RULE_ANY;
        return 0;
    }
    int rc = make_source(m, at, s->header, s->parameter, s->field, &r->source);
    if (rc < 0)
        return rc;
    if (tests != 1)
        return fail_field(m->c, ERR_INVALID, at,
                          "Exactly one of 'equals', 'in', 'prefix' and 'present' is needed");
    if (s->present.set) {
        r->test = s->present.v ? RULE_PRESENT : RULE_ABSENT;
    } else if (s->prefix) {
        r->test = RULE_PREFIX;
        put_texts(a, r, &s->prefix, 1);
        r->nprefix = strlen(s->prefix);
    } else {
        r->test = RULE_IN;
        put_texts(a, r, s->equals ? &s->equals : s->in.items, s->equals ? 1 : s->in.n);
    }
    return 0;
}

int make_rules(const struct making *m, const struct list *rules) {
    struct policy *p = m->p;
    const struct rule_spec *s = rules->items;
    p->rules = ARENA_ARRAY(p->arena, struct rule, rules->n);
    for (size_t i = 0; i < rules->n; i++) {
        struct rule *r = &p->rules[i];
        const char *at = arena_printf(m->c->arena, "/rules/%zu", i);
        int rc = make_test(m, at, &s[i], r);
        if (rc == 0)
            rc = make_share(m, arena_printf(m->c->arena, "%s/percent", at), s[i].percent, 100,
                            &r->share);
        if (rc == 0)
            rc = make_arm(m, arena_printf(m->c->arena, "%s/arm", at), s[i].arm, &r->arm);
        if (rc < 0)
            return rc;
        /* Named after its arm, not its place: a rule put before it moves nobody. */
        rc = make_key(m, at, NULL, NULL, arena_printf(p->arena, "/rule/%s", s[i].arm), &r->key);
        if (rc < 0)
            return rc;
        p->nrules = i + 1;
    }
    return 0;
}
