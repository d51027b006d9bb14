/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation datasets, scorers and issues; not every source has them. */
#include <string.h>

#include "import.h"
#include "quern/base/arena.h"

static enum settled settle(struct import *m, struct pair_ctx *p, const struct handling *h,
                           const void *thing, const int64_t *experiments, size_t n) {
    const char *what =
        arena_printf(p->to.arena, "%s %s", import_word(h->kind), *(const char *const *)thing);
    for (size_t i = 0; i < n; i++)
        if (import_homeless(m, h->kind, &p->from, what, experiments[i]))
            return REFUSED;
    return import_settle(m, &p->to, h, thing, what);
}

/* ------------------------------------------------------------------ evaluation datasets */

static int evaluation_here(struct ctx *c, const void *thing, void *here) {
    return evaluation_copy_get(c, ((const struct copy_evaluation *)thing)->id, here);
}

static int by_time(const void *a, const void *b) {
    const struct copy_record *x = a, *y = b;
    return x->created_ms != y->created_ms ? (x->created_ms > y->created_ms ? 1 : -1)
                                          : strcmp(x->id, y->id);
}

static int evaluation_put(struct ctx *c, const void *thing) {
    const struct copy_evaluation *in = thing;
    struct copy_evaluation here;
    int rc = evaluation_copy_get(c, in->id, &here);
    const struct copy_record *lost = rc > 0
                                         ? import_lost(here.records, here.nrecords, in->records,
                                                       in->nrecords, sizeof *here.records, by_time)
                                         : NULL;
    if (lost)
        return fail(c, ERR_CONFLICT,
                    "it has a record '%s' here that the source has not; nothing of it was changed",
                    lost->id);
    return rc < 0 ? rc : evaluation_copy_in(c, in);
}

static struct digest evaluation_digest(const void *thing) {
    return digest_evaluation(thing);
}

static const struct handling evaluations = {TRANSFER_EVALUATIONS, evaluation_here, evaluation_put,
                                            evaluation_digest, sizeof(struct copy_evaluation)};

static void take_evaluation(struct import *m, struct pair_ctx *p, void *thing) {
    const struct copy_evaluation *e = thing;
    (void)settle(m, p, &evaluations, e, e->experiments, e->nexperiments);
}

static int next_evaluation(const struct source_ops *ops, struct source *s, struct ctx *c,
                           const char *after, void *thing) {
    return ops->evaluation(s, c, after, thing);
}

/* ------------------------------------------------------------------ scorers */

static int scorer_here(struct ctx *c, const void *thing, void *here) {
    return scorer_copy_get(c, ((const struct copy_scorer *)thing)->id, here);
}

static int scorer_put(struct ctx *c, const void *thing) {
    const struct copy_scorer *in = thing;
    struct copy_scorer here;
    int rc = scorer_copy_get(c, in->id, &here);
    const void *lost = rc > 0 ? import_lost(here.versions, here.nversions, in->versions,
                                            in->nversions, sizeof *here.versions, import_by_version)
                              : NULL;
    if (lost)
        return import_version_lost(c, lost);
    return rc < 0 ? rc : scorer_copy_in(c, in);
}

static struct digest scorer_digest(const void *thing) {
    return digest_scorer(thing);
}

static const struct handling scorers = {TRANSFER_SCORERS, scorer_here, scorer_put, scorer_digest,
                                        sizeof(struct copy_scorer)};

static void take_scorer(struct import *m, struct pair_ctx *p, void *thing) {
    const struct copy_scorer *s = thing;
    (void)settle(m, p, &scorers, s, &s->experiment, 1);
}

static int next_scorer(const struct source_ops *ops, struct source *s, struct ctx *c,
                       const char *after, void *thing) {
    return ops->scorer(s, c, after, thing);
}

/* ------------------------------------------------------------------ issues */

static int issue_here(struct ctx *c, const void *thing, void *here) {
    return issue_copy_get(c, ((const struct copy_issue *)thing)->id, here);
}

static int issue_put(struct ctx *c, const void *thing) {
    return issue_copy_in(c, thing);
}

static struct digest issue_digest(const void *thing) {
    return digest_issue(thing);
}

static const struct handling issues = {TRANSFER_ISSUES, issue_here, issue_put, issue_digest,
                                       sizeof(struct copy_issue)};

static void take_issue(struct import *m, struct pair_ctx *p, void *thing) {
    const struct copy_issue *i = thing;
    (void)settle(m, p, &issues, i, &i->experiment, 1);
}

static int next_issue(const struct source_ops *ops, struct source *s, struct ctx *c,
                      const char *after, void *thing) {
    return ops->issue(s, c, after, thing);
}

int import_genai(struct import *m) {
    const struct source_ops *ops = m->source->ops;
    const struct {
        bool has;
        struct walk walk;
    } kinds[] = {{ops->evaluation != NULL, {&evaluations, next_evaluation, take_evaluation}},
                 {ops->scorer != NULL, {&scorers, next_scorer, take_scorer}},
                 {ops->issue != NULL, {&issues, next_issue, take_issue}}};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds) && rc >= 0; i++)
        rc = kinds[i].has ? import_walk(m, &kinds[i].walk) : 0;
    return rc;
}
