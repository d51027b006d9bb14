/* SPDX-License-Identifier: Apache-2.0 */
/* The new file is read as any source is, and compared with what stands here. */
#include "digest.h"
#include "export.h"
#include "json_part.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/db/db.h"
#include "span_form.h"

struct proof {
    struct export *x;
    struct source *source;
};

static int points_equal(struct proof *p, struct ctx *c, const char *id, int64_t *n) {
    struct digest_points a, b;
    struct ctx s;
    ctx_begin(&s);
    digest_points_begin(&a);
    digest_points_begin(&b);
    int rc = run_points_out(c, id, digest_points_add, &a);
    rc = rc < 0 ? rc : p->source->ops->points(p->source, &s, id, digest_points_add, &b);
    *n = a.n;
    struct digest x = digest_points_end(&a), y = digest_points_end(&b);
    s.db = NULL;
    ctx_end(&s);
    return rc < 0 ? rc : digest_equal(&x, &y);
}

/* What MLflow's tables can hold of a trace: no kind of a span. */
static int as_kept(struct ctx *c, struct copy_trace *ours) {
    int rc = 0;
    for (size_t i = 0; i < ours->nspans && rc == 0; i++)
        rc = span_from_mlflow(c, span_to_mlflow(c, &ours->spans[i]), &ours->spans[i]);
    return rc < 0 ? rc : 1;
}

/* What the new file says of a thing, against what stands here. 1 equal, 0 not, negative. */
static int prove_one(struct proof *p, struct ctx *c, struct ctx *s, const struct kind *k,
                     const void *theirs) {
    struct transfer_report *r = p->x->report;
    struct digest a, b;
    int64_t n = 0;
    int rc = 0;
    if (k->kind == TRANSFER_EXPERIMENTS) {
        struct copy_experiment e;
        rc = experiment_copy_get(c, ((const struct copy_experiment *)theirs)->id, &e);
        a = digest_experiment(theirs);
        b = rc > 0 ? digest_experiment(&e) : a;
    } else if (k->kind == TRANSFER_RUNS) {
        struct copy_run e;
        rc = run_copy_get(c, ((const struct copy_run *)theirs)->id, &e);
        a = digest_run(theirs);
        b = rc > 0 ? digest_run(&e) : a;
        int same = rc > 0 ? points_equal(p, c, e.id, &n) : 0;
        r->kinds[TRANSFER_POINTS].equal += same > 0 ? n : 0;
    } else if (k->kind == TRANSFER_LOGGED_MODELS) {
        struct copy_model e;
        rc = model_copy_get(c, ((const struct copy_model *)theirs)->id, &e);
        a = digest_model(theirs);
        b = rc > 0 ? digest_model(&e) : a;
    } else if (k->kind == TRANSFER_MODELS) {
        struct copy_registered e;
        const struct copy_registered *t = theirs;
        rc = registered_copy_get(c, t->name, &e);
        a = digest_registered(t);
        b = rc > 0 ? digest_registered(&e) : a;
        r->kinds[TRANSFER_VERSIONS].equal +=
            rc > 0 && digest_equal(&a, &b) ? (int64_t)t->nversions : 0;
    } else if (k->kind == TRANSFER_EVALUATIONS) {
        struct copy_evaluation e;
        rc = evaluation_copy_get(c, ((const struct copy_evaluation *)theirs)->id, &e);
        rc = rc > 0 && json_parts_evaluation(c, &e) < 0 ? -c->err.code : rc;
        a = digest_evaluation(theirs);
        b = rc > 0 ? digest_evaluation(&e) : a;
    } else if (k->kind == TRANSFER_SCORERS) {
        struct copy_scorer e;
        rc = scorer_copy_get(c, ((const struct copy_scorer *)theirs)->id, &e);
        a = digest_scorer(theirs);
        b = rc > 0 ? digest_scorer(&e) : a;
    } else {
        struct copy_trace e;
        const struct copy_trace *t = theirs;
        rc = trace_copy_get(c, t->id, &e);
        if (rc > 0)
            rc = as_kept(c, &e);
        a = digest_trace(t);
        b = rc > 0 ? digest_trace(&e) : a;
        bool same = rc > 0 && digest_equal(&a, &b);
        r->kinds[TRANSFER_SPANS].equal += same ? (int64_t)t->nspans : 0;
        r->kinds[TRANSFER_ASSESSMENTS].equal += same ? (int64_t)t->nassessments : 0;
    }
    (void)s;
    return rc <= 0 ? rc : digest_equal(&a, &b);
}

static int source_next(struct proof *p, struct ctx *s, const struct kind *k, const char *after,
                       void *thing) {
    int64_t id = INT64_MIN;
    switch (k->kind) {
    case TRANSFER_EXPERIMENTS:
        if (*after)
            (void)str_to_i64(after, &id);
        return p->source->ops->experiment(p->source, s, id, thing);
    case TRANSFER_RUNS:
        return p->source->ops->run(p->source, s, after, thing);
    case TRANSFER_LOGGED_MODELS:
        return p->source->ops->model(p->source, s, after, thing);
    case TRANSFER_MODELS:
        return p->source->ops->registered(p->source, s, after, thing);
    case TRANSFER_EVALUATIONS:
        return p->source->ops->evaluation(p->source, s, after, thing);
    case TRANSFER_SCORERS:
        return p->source->ops->scorer(p->source, s, after, thing);
    default:
        return p->source->ops->trace(p->source, s, after, thing);
    }
}

int export_prove(struct export *x, struct source *source, const struct kind *k) {
    struct proof one = {x, source}, *p = &one;
    struct arena *ids = arena_new();
    const char *after = "";
    int rc = 1;
    while (rc > 0) {
        struct ctx c, s;
        ctx_begin(&c);
        ctx_begin(&s);
        c.project = p->x->o->project;
        void *thing = arena_alloc(s.arena, k->size);
        rc = source_next(p, &s, k, after, thing);
        if (rc > 0) {
            struct arena *next = arena_new();
            after = k->id(next, thing);
            arena_free(ids);
            ids = next;
            int same = db_read_begin(p->x->o->db, &c);
            if (same == 0) {
                same = prove_one(p, &c, &s, k, thing);
                db_read_end(&c);
            }
            p->x->report->kinds[k->kind].equal += same > 0;
            if (same <= 0)
                export_say(p->x, k->kind, after, "stands in the new file in another form");
        }
        if (rc < 0)
            export_say(p->x, k->kind, "the new file",
                       s.err.message ? s.err.message : "cannot be read");
        s.db = NULL;
        ctx_end(&s);
        ctx_end(&c);
    }
    arena_free(ids);
    return rc;
}
