/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation datasets, scorers and issues; not every source has them. */
#include <string.h>

#include "import.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"

static int evaluation_here(struct ctx *c, const void *thing, void *here) {
    return evaluation_copy_get(c, ((const struct copy_evaluation *)thing)->id, here);
}
static int by_time(const struct copy_record *a, const struct copy_record *b) {
    return a->created_ms != b->created_ms ? (a->created_ms > b->created_ms ? 1 : -1)
                                          : strcmp(a->id, b->id);
}

/* Putting a dataset drops the records that it has here alone, which nobody asked for. */
static int evaluation_put(struct ctx *c, const void *thing) {
    const struct copy_evaluation *in = thing;
    struct copy_evaluation here;
    int rc = evaluation_copy_get(c, in->id, &here);
    for (size_t i = 0, k = 0; rc > 0 && i < here.nrecords; i++) {
        while (k < in->nrecords && by_time(&in->records[k], &here.records[i]) < 0)
            k++;
        if (k == in->nrecords || by_time(&in->records[k], &here.records[i]) != 0)
            return fail(c, ERR_CONFLICT,
                        "it has a record '%s' here that the source has not; nothing of it was "
                        "changed",
                        here.records[i].id);
    }
    return rc < 0 ? rc : evaluation_copy_in(c, in);
}
static struct digest evaluation_digest(const void *thing) {
    return digest_evaluation(thing);
}
static int scorer_here(struct ctx *c, const void *thing, void *here) {
    return scorer_copy_get(c, ((const struct copy_scorer *)thing)->id, here);
}
/* The same of versions. */
static int scorer_put(struct ctx *c, const void *thing) {
    const struct copy_scorer *in = thing;
    struct copy_scorer here;
    int rc = scorer_copy_get(c, in->id, &here);
    for (size_t i = 0, k = 0; rc > 0 && i < here.nversions; i++) {
        while (k < in->nversions && in->versions[k].version < here.versions[i].version)
            k++;
        if (k == in->nversions || in->versions[k].version != here.versions[i].version)
            return fail(c, ERR_CONFLICT,
                        "it has a version %lld here that the source has not; nothing of it was "
                        "changed",
                        (long long)here.versions[i].version);
    }
    return rc < 0 ? rc : scorer_copy_in(c, in);
}
static struct digest scorer_digest(const void *thing) {
    return digest_scorer(thing);
}
static int issue_here(struct ctx *c, const void *thing, void *here) {
    return issue_copy_get(c, ((const struct copy_issue *)thing)->id, here);
}
static int issue_put(struct ctx *c, const void *thing) {
    return issue_copy_in(c, thing);
}
static struct digest issue_digest(const void *thing) {
    return digest_issue(thing);
}

union thing {
    struct copy_evaluation evaluation;
    struct copy_scorer scorer;
    struct copy_issue issue;
};

static int next_evaluation(struct import *m, struct ctx *c, const char *after, union thing *out) {
    return m->source->ops->evaluation(m->source, c, after, &out->evaluation);
}
static int next_scorer(struct import *m, struct ctx *c, const char *after, union thing *out) {
    return m->source->ops->scorer(m->source, c, after, &out->scorer);
}
static int next_issue(struct import *m, struct ctx *c, const char *after, union thing *out) {
    return m->source->ops->issue(m->source, c, after, &out->issue);
}

/* In each of them the id comes first. */
static const struct sort {
    struct handling h;
    int (*next)(struct import *m, struct ctx *c, const char *after, union thing *out);
    const char *word;
} sorts[] = {
    {{TRANSFER_EVALUATIONS, evaluation_here, evaluation_put, evaluation_digest,
      sizeof(struct copy_evaluation)},
     next_evaluation,
     "evaluation dataset"},
    {{TRANSFER_SCORERS, scorer_here, scorer_put, scorer_digest, sizeof(struct copy_scorer)},
     next_scorer,
     "scorer"},
    {{TRANSFER_ISSUES, issue_here, issue_put, issue_digest, sizeof(struct copy_issue)},
     next_issue,
     "issue"}};

static const char *id_of(const struct sort *s, const union thing *t) {
    return s->h.kind == TRANSFER_EVALUATIONS ? t->evaluation.id
           : s->h.kind == TRANSFER_SCORERS   ? t->scorer.id
                                             : t->issue.id;
}

static bool homeless(struct import *m, const struct sort *s, struct ctx *c, const union thing *t,
                     const char *what) {
    if (s->h.kind != TRANSFER_EVALUATIONS)
        return import_homeless(m, s->h.kind, c, what,
                               s->h.kind == TRANSFER_SCORERS ? t->scorer.experiment
                                                             : t->issue.experiment);
    for (size_t i = 0; i < t->evaluation.nexperiments; i++)
        if (import_homeless(m, s->h.kind, c, what, t->evaluation.experiments[i]))
            return true;
    return false;
}

static int take(struct import *m, const struct sort *s) {
    struct buf after = {0};
    int rc = 1;
    buf_puts(&after, "");
    while (rc > 0) {
        struct pair_ctx p;
        union thing t;
        memset(&t, 0, sizeof t);
        import_begin(m, &p);
        rc = s->next(m, &p.from, after.data ? after.data : "", &t);
        const char *id = id_of(s, &t);
        rc = import_look(m, s->h.kind, &p.from, rc, id,
                         id && strcmp(id, after.data ? after.data : "") > 0);
        if (rc > 0) {
            buf_clear(&after);
            buf_puts(&after, id);
        }
        if (rc == 1) {
            const char *what = arena_printf(p.to.arena, "%s %s", s->word, id);
            if (!homeless(m, s, &p.from, &t, what))
                (void)import_settle(m, &p.to, &s->h, &t, what);
        }
        import_end(&p);
    }
    buf_free(&after);
    if (rc == 0)
        import_check_rows(m, s->h.kind);
    return rc;
}

int import_genai(struct import *m) {
    const struct source_ops *ops = m->source->ops;
    const bool has[] = {ops->evaluation != NULL, ops->scorer != NULL, ops->issue != NULL};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(sorts) && rc >= 0; i++)
        rc = has[i] ? take(m, &sorts[i]) : 0;
    return rc;
}
