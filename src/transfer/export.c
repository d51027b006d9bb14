/* SPDX-License-Identifier: Apache-2.0 */
/* Export: everything of a project into a new MLflow database, which is then read as a source and
 * compared with what stands here. */
#include "export.h"

#include <stdlib.h>
#include <unistd.h>

#include "mlflow_put.h"
#include "mlflow_schema.h"
#include "quern/base/arena.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/db/db.h"

void export_say(struct export *x, enum transfer_kind kind, const char *what, const char *why) {
    struct arena *a = arena_new();
    x->report->kinds[kind].faults++;
    if (x->o->say)
        x->o->say(x->o->arg, arena_printf(a, "%s: %s", what, why));
    arena_free(a);
}

static int write_one(struct export *x, struct ctx *c, put_fn *put, const void *thing) {
    struct ctx w;
    ctx_begin(&w);
    w.db = x->out.db;
    struct export one = *x;
    one.out = w;
    int rc = db_exec(&one.out, "BEGIN", "");
    rc = rc < 0 ? rc : put(&one, c, thing);
    rc = rc < 0 ? rc : db_exec(&one.out, "COMMIT", "");
    if (rc < 0)
        rc = fail(c, ERR_INTERNAL, "The new database took it not: %s",
                  one.out.err.message ? one.out.err.message : "unknown");
    one.out.db = NULL;
    ctx_end(&one.out);
    return rc < 0 ? rc : 0;
}

static int experiment_next(struct ctx *c, const char *after, void *thing) {
    int64_t id = INT64_MIN;
    if (*after && !str_to_i64(after, &id))
        return 0;
    return experiment_copy_out(c, id, thing);
}
static const char *experiment_id(struct arena *a, const void *thing) {
    return arena_printf(a, "%lld", (long long)((const struct copy_experiment *)thing)->id);
}
static int experiment_put(struct export *x, struct ctx *c, const void *thing) {
    (void)c;
    return mlflow_put_experiment(&x->out, thing);
}

struct points_call {
    struct export *x;
    const char *run_id;
    struct copy_point latest; /* of the key that is told now */
    bool any;
};

static bool later(const struct copy_point *a, const struct copy_point *b) {
    if (a->step != b->step)
        return a->step > b->step;
    if (a->time_ms != b->time_ms)
        return a->time_ms > b->time_ms;
    return a->value > b->value;
}

/* A context of its own: a run can have millions of points. */
static int put_piece(void *arg, const struct copy_point *p, size_t n) {
    struct points_call *call = arg;
    struct ctx w;
    ctx_begin(&w);
    w.db = call->x->out.db;
    int rc = mlflow_put_points(&w, call->run_id, p, n);
    for (size_t i = 0; i < n && rc == 0; i++) {
        bool same = call->any && str_eq(call->latest.key, p[i].key);
        if (call->any && !same)
            rc = mlflow_put_latest(&w, call->run_id, &call->latest);
        if (!same || later(&p[i], &call->latest)) {
            const char *key = same ? call->latest.key : arena_strdup(call->x->out.arena, p[i].key);
            call->latest = p[i];
            call->latest.key = key;
        }
        call->any = true;
    }
    if (rc < 0)
        (void)fail(&call->x->out, -rc, "%s", w.err.message);
    w.db = NULL;
    ctx_end(&w);
    call->x->report->kinds[TRANSFER_POINTS].seen += (int64_t)n;
    call->x->report->kinds[TRANSFER_POINTS].fresh += (int64_t)n;
    return rc;
}

static int run_next(struct ctx *c, const char *after, void *thing) {
    return run_copy_out(c, after, thing);
}
static const char *run_id(struct arena *a, const void *thing) {
    return arena_strdup(a, ((const struct copy_run *)thing)->id);
}
static int run_put(struct export *x, struct ctx *c, const void *thing) {
    const struct copy_run *r = thing;
    struct points_call call = {.x = x, .run_id = r->id};
    int rc = mlflow_put_run(&x->out, r);
    rc = rc < 0 ? rc : run_points_out(c, r->id, put_piece, &call);
    return rc < 0 || !call.any ? rc : mlflow_put_latest(&x->out, r->id, &call.latest);
}

static int model_next(struct ctx *c, const char *after, void *thing) {
    return model_copy_out(c, after, thing);
}
static const char *model_id(struct arena *a, const void *thing) {
    return arena_strdup(a, ((const struct copy_model *)thing)->id);
}
static int model_put(struct export *x, struct ctx *c, const void *thing) {
    (void)c;
    return mlflow_put_model(&x->out, thing);
}

static int registered_next(struct ctx *c, const char *after, void *thing) {
    return registered_copy_out(c, after, thing);
}
static const char *registered_id(struct arena *a, const void *thing) {
    return arena_strdup(a, ((const struct copy_registered *)thing)->name);
}
static int registered_put(struct export *x, struct ctx *c, const void *thing) {
    const struct copy_registered *m = thing;
    (void)c;
    x->report->kinds[TRANSFER_VERSIONS].seen += (int64_t)m->nversions;
    return mlflow_put_registered(&x->out, m);
}

static int trace_next(struct ctx *c, const char *after, void *thing) {
    return trace_copy_out(c, after, thing);
}
static const char *trace_id(struct arena *a, const void *thing) {
    return arena_strdup(a, ((const struct copy_trace *)thing)->id);
}
static int trace_put(struct export *x, struct ctx *c, const void *thing) {
    const struct copy_trace *t = thing;
    (void)c;
    x->report->kinds[TRANSFER_SPANS].seen += (int64_t)t->nspans;
    x->report->kinds[TRANSFER_ASSESSMENTS].seen += (int64_t)t->nassessments;
    return mlflow_put_trace(&x->out, t);
}

static int evaluation_next(struct ctx *c, const char *after, void *thing) {
    return evaluation_copy_out(c, after, thing);
}
static const char *evaluation_id(struct arena *a, const void *thing) {
    return arena_strdup(a, ((const struct copy_evaluation *)thing)->id);
}
static int evaluation_put(struct export *x, struct ctx *c, const void *thing) {
    (void)c;
    return mlflow_put_evaluation(&x->out, thing);
}

static int scorer_next(struct ctx *c, const char *after, void *thing) {
    return scorer_copy_out(c, after, thing);
}
static const char *scorer_id(struct arena *a, const void *thing) {
    return arena_strdup(a, ((const struct copy_scorer *)thing)->id);
}
static int scorer_put(struct export *x, struct ctx *c, const void *thing) {
    (void)c;
    return mlflow_put_scorer(&x->out, thing);
}

/* Runs before the models' metrics that name them. */
const struct kind export_kinds[EXPORT_KINDS] = {
    {TRANSFER_EXPERIMENTS, experiment_next, experiment_put, experiment_id,
     sizeof(struct copy_experiment)},
    {TRANSFER_RUNS, run_next, run_put, run_id, sizeof(struct copy_run)},
    {TRANSFER_LOGGED_MODELS, model_next, model_put, model_id, sizeof(struct copy_model)},
    {TRANSFER_MODELS, registered_next, registered_put, registered_id,
     sizeof(struct copy_registered)},
    {TRANSFER_TRACES, trace_next, trace_put, trace_id, sizeof(struct copy_trace)},
    {TRANSFER_EVALUATIONS, evaluation_next, evaluation_put, evaluation_id,
     sizeof(struct copy_evaluation)},
    {TRANSFER_SCORERS, scorer_next, scorer_put, scorer_id, sizeof(struct copy_scorer)},
};

static int put_all(struct export *x, const struct kind *k) {
    struct arena *ids = arena_new();
    const char *after = "";
    int rc = 1;
    while (rc > 0) {
        struct ctx c;
        ctx_begin(&c);
        c.project = x->o->project;
        void *thing = arena_alloc(c.arena, k->size);
        rc = db_read_begin(x->o->db, &c);
        if (rc == 0) {
            rc = k->next(&c, after, thing);
            if (rc > 0) {
                struct arena *next = arena_new();
                after = k->id(next, thing);
                arena_free(ids);
                ids = next;
                x->report->kinds[k->kind].seen++;
                int put = write_one(x, &c, k->put, thing);
                x->report->kinds[k->kind].fresh += put == 0;
                if (put != 0) {
                    export_say(x, k->kind, after, c.err.message);
                    rc = put;
                }
            }
            db_read_end(&c);
        }
        ctx_end(&c);
    }
    arena_free(ids);
    return rc;
}

/* ------------------------------------------------------------------ all */

/* Their table came with a later revision, for which all others would have to be of another form. */
static int tell_issues(struct export *x) {
    int64_t n = 0;
    struct ctx c;
    ctx_begin(&c);
    c.project = x->o->project;
    int rc = db_read_begin(x->o->db, &c);
    if (rc == 0) {
        rc = issue_copy_count(&c, &n);
        db_read_end(&c);
    }
    if (rc == 0 && n && x->o->say)
        x->o->say(x->o->arg, arena_printf(c.arena, "%lld issues stay behind", (long long)n));
    ctx_end(&c);
    return rc;
}

static int write_file(struct export *x, struct ctx *c) {
    int rc = db_foreign_open(&x->out, x->o->to, true);
    rc = rc ? rc : mlflow_schema_create(&x->out);
    for (size_t i = 0; i < EXPORT_KINDS && rc >= 0; i++)
        rc = put_all(x, &export_kinds[i]);
    bool made = x->out.db != NULL;
    if (made)
        db_foreign_close(&x->out);
    if (made && rc >= 0)
        rc = db_foreign_sync(&x->out, x->o->to);
    if (rc < 0 && made) /* half of it is of no use, and would be in the way of the next try */
        (void)unlink(x->o->to);
    if (rc < 0 && !c->err.code)
        rc = fail(c, -rc, "%s: %s", x->o->to,
                  x->out.err.message ? x->out.err.message : "the export broke off");
    return rc < 0 ? rc : 0;
}

int transfer_export(struct ctx *c, const struct transfer_options *o, struct transfer_report *out) {
    struct export x = {.o = o, .report = out};
    struct source *source = NULL;
    transfer_name_kinds(out);
    ctx_begin(&x.out);
    int rc = o->artifacts && dir_open(o->artifacts, true, &x.files) != 0
                 ? fail(c, ERR_INVALID, "The folder %s cannot be opened.", o->artifacts)
                 : 0;
    rc = rc ? rc : write_file(&x, c);
    rc = rc ? rc : tell_issues(&x);
    rc = rc ? rc : mlflow_db_open(c, o->to, NULL, &source);
    for (size_t i = 0; i < EXPORT_KINDS && rc >= 0; i++)
        rc = export_prove(&x, source, &export_kinds[i]);
    if (source)
        source->ops->close(source);
    if (rc >= 0 && x.files)
        (void)export_files(&x);
    if (x.files)
        dir_close(x.files);
    ctx_end(&x.out);
    return rc < 0 && !c->err.code ? fail(c, -rc, "The new file cannot be proved.")
           : rc < 0               ? rc
                                  : 0;
}
