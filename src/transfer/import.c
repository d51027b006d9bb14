/* SPDX-License-Identifier: Apache-2.0 */
/* Import: one thing after the other from the source, compared, put, read back, compared. */
#include "import.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/db/db.h"

static bool behind_text(const struct buf *after, const char *id) {
    return id && strcmp(id, after->data) > 0;
}

static void move_to(struct buf *after, const char *id) {
    buf_clear(after);
    buf_puts(after, id);
}

/* ------------------------------------------------------------------ experiments */

static int experiment_here(struct ctx *c, const void *thing, void *here) {
    return experiment_copy_get(c, ((const struct copy_experiment *)thing)->id, here);
}
static int experiment_put(struct ctx *c, const void *thing) {
    return experiment_copy_in(c, thing);
}
static struct digest experiment_digest(const void *thing) {
    return digest_experiment(thing);
}
static const struct handling experiments = {TRANSFER_EXPERIMENTS, experiment_here, experiment_put,
                                            experiment_digest, sizeof(struct copy_experiment)};

static int take_experiments(struct import *m) {
    int64_t after = INT64_MIN;
    int rc = 1;
    while (rc > 0) {
        struct pair_ctx p;
        struct copy_experiment e;
        const char *rel;
        import_begin(m, &p);
        rc = m->source->ops->experiment(m->source, &p.from, after, &e);
        rc = import_look(m, TRANSFER_EXPERIMENTS, &p.from, rc,
                         arena_printf(p.from.arena, "%" PRId64, e.id), e.id > after);
        if (rc > 0)
            after = e.id;
        if (rc == 1) {
            e.location = place_map(&p.from, &m->place, e.location,
                                   arena_printf(p.from.arena, "%" PRId64, e.id), &rel);
            if (import_settle(m, &p.to, &experiments, &e,
                              arena_printf(p.to.arena, "experiment %" PRId64, e.id)) != REFUSED)
                import_remember(m, e.id);
        }
        import_end(&p);
    }
    if (rc == 0)
        import_check_rows(m, TRANSFER_EXPERIMENTS);
    return rc;
}

/* ------------------------------------------------------------------ runs */

static int run_here(struct ctx *c, const void *thing, void *here) {
    return run_copy_get(c, ((const struct copy_run *)thing)->id, here);
}
static int run_put(struct ctx *c, const void *thing) {
    return run_copy_in(c, thing);
}
static struct digest run_digest(const void *thing) {
    return digest_run(thing);
}
static const struct handling runs = {TRANSFER_RUNS, run_here, run_put, run_digest,
                                     sizeof(struct copy_run)};

static void take_run(struct import *m, struct pair_ctx *p, struct copy_run *r) {
    const char *rel = NULL, *what = arena_printf(p->to.arena, "run %s", r->id);
    if (import_homeless(m, TRANSFER_RUNS, &p->from, what, r->experiment))
        return;
    r->artifact_uri = place_map(
        &p->from, &m->place, r->artifact_uri,
        arena_printf(p->from.arena, "%" PRId64 "/%s/artifacts", r->experiment, r->id), &rel);
    enum settled done = import_settle(m, &p->to, &runs, r, what);
    if (done == REFUSED)
        return;
    import_points(m, r->id, done);
    import_files(m, &p->to, rel, artifact_uri_path(&p->from, r->artifact_uri));
}

static int take_runs(struct import *m) {
    struct buf after = {0};
    int rc = 1;
    move_to(&after, "");
    while (rc > 0) {
        struct pair_ctx p;
        struct copy_run r;
        import_begin(m, &p);
        rc = m->source->ops->run(m->source, &p.from, after.data, &r);
        rc = import_look(m, TRANSFER_RUNS, &p.from, rc, r.id, behind_text(&after, r.id));
        if (rc > 0)
            move_to(&after, r.id);
        if (rc == 1)
            take_run(m, &p, &r);
        import_end(&p);
    }
    buf_free(&after);
    if (rc == 0)
        import_check_rows(m, TRANSFER_RUNS);
    return rc;
}

/* ------------------------------------------------------------------ logged models */

static int model_here(struct ctx *c, const void *thing, void *here) {
    return model_copy_get(c, ((const struct copy_model *)thing)->id, here);
}
static int model_put(struct ctx *c, const void *thing) {
    return model_copy_in(c, thing);
}
static struct digest model_digest(const void *thing) {
    return digest_model(thing);
}
static const struct handling models = {TRANSFER_LOGGED_MODELS, model_here, model_put, model_digest,
                                       sizeof(struct copy_model)};

static void take_model(struct import *m, struct pair_ctx *p, struct copy_model *l) {
    const char *rel = NULL, *what = arena_printf(p->to.arena, "logged model %s", l->id);
    if (import_homeless(m, TRANSFER_LOGGED_MODELS, &p->from, what, l->experiment))
        return;
    l->artifact_uri = place_map(
        &p->from, &m->place, l->artifact_uri,
        arena_printf(p->from.arena, "%" PRId64 "/models/%s/artifacts", l->experiment, l->id), &rel);
    if (import_settle(m, &p->to, &models, l, what) != REFUSED)
        import_files(m, &p->to, rel, artifact_uri_path(&p->from, l->artifact_uri));
}

static int take_models(struct import *m) {
    struct buf after = {0};
    int rc = 1;
    move_to(&after, "");
    while (rc > 0) {
        struct pair_ctx p;
        struct copy_model l;
        import_begin(m, &p);
        rc = m->source->ops->model(m->source, &p.from, after.data, &l);
        rc = import_look(m, TRANSFER_LOGGED_MODELS, &p.from, rc, l.id, behind_text(&after, l.id));
        if (rc > 0)
            move_to(&after, l.id);
        if (rc == 1)
            take_model(m, &p, &l);
        import_end(&p);
    }
    buf_free(&after);
    if (rc == 0)
        import_check_rows(m, TRANSFER_LOGGED_MODELS);
    return rc;
}

/* ------------------------------------------------------------------ registered models */

static int registered_here(struct ctx *c, const void *thing, void *here) {
    return registered_copy_get(c, ((const struct copy_registered *)thing)->name, here);
}
/* Putting a model drops the versions that it has here alone. Those were made here, or by another
 * source with a model of the same name: nobody asked for their end. */
static int registered_put(struct ctx *c, const void *thing) {
    const struct copy_registered *in = thing;
    struct copy_registered here;
    int rc = registered_copy_get(c, in->name, &here);
    for (size_t i = 0, k = 0; rc > 0 && i < here.nversions; i++) {
        while (k < in->nversions && in->versions[k].version < here.versions[i].version)
            k++;
        if (k == in->nversions || in->versions[k].version != here.versions[i].version)
            return fail(c, ERR_CONFLICT,
                        "it has a version %lld here that the source has not; nothing of it was "
                        "changed",
                        (long long)here.versions[i].version);
    }
    return rc < 0 ? rc : registered_copy_in(c, in);
}
static struct digest registered_digest(const void *thing) {
    return digest_registered(thing);
}
static const struct handling registered = {TRANSFER_MODELS, registered_here, registered_put,
                                           registered_digest, sizeof(struct copy_registered)};

/* What stands behind ".../NAME/artifacts" in a path, or NULL. */
static const char *behind(struct ctx *c, const char *rel, const char *name) {
    const char *mark = arena_printf(c->arena, "%s/artifacts", name);
    const char *at = *name ? strstr(rel, mark) : NULL;
    bool whole =
        at && (at == rel || at[-1] == '/') && (!at[strlen(mark)] || at[strlen(mark)] == '/');
    return whole ? at + strlen(mark) : NULL;
}

/* A version's bytes lie with a run or a logged model, which stand here already. */
static const char *version_uri(struct import *m, struct ctx *c, const char *uri,
                               const char *run_id) {
    const char *rel = uri ? place_rel(c, &m->place, uri) : NULL;
    struct copy_run r;
    struct copy_model l;
    if (!rel || artifact_uri_path(c, uri))
        return uri;
    if (db_read_begin(m->o->db, c) != 0)
        return uri;
    const char *out = uri, *rest = behind(c, rel, run_id);
    const char *id = strstr(rel, "/models/m-");
    if (rest && run_copy_get(c, run_id, &r) > 0) {
        out = arena_printf(c->arena, "%s%s", r.artifact_uri, rest);
    } else if (id) {
        id = arena_strndup(c->arena, id + 8, strcspn(id + 8, "/"));
        rest = behind(c, rel, id);
        if (rest && model_copy_get(c, id, &l) > 0)
            out = arena_printf(c->arena, "%s%s", l.artifact_uri, rest);
    }
    db_read_end(c);
    if (out == uri)
        m->place.outside++;
    return out;
}

static void take_one_registered(struct import *m, struct pair_ctx *p, struct copy_registered *r) {
    struct transfer_count *v = &m->report->kinds[TRANSFER_VERSIONS];
    for (size_t i = 0; i < r->nversions; i++) {
        struct copy_version *one = &r->versions[i];
        one->source = version_uri(m, &p->to, one->source, one->run_id);
        one->storage = version_uri(m, &p->to, one->storage, one->run_id);
    }
    enum settled done = import_settle(m, &p->to, &registered, r,
                                      arena_printf(p->to.arena, "registered model '%s'", r->name));
    v->seen += (int64_t)r->nversions;
    v->equal += done == EQUAL ? (int64_t)r->nversions : 0;
}

static int take_registered(struct import *m) {
    struct buf after = {0};
    int rc = 1;
    move_to(&after, "");
    while (rc > 0) {
        struct pair_ctx p;
        struct copy_registered r;
        import_begin(m, &p);
        rc = m->source->ops->registered(m->source, &p.from, after.data, &r);
        rc = import_look(m, TRANSFER_MODELS, &p.from, rc, r.name, behind_text(&after, r.name));
        if (rc > 0)
            move_to(&after, r.name);
        if (rc == 1)
            take_one_registered(m, &p, &r);
        import_end(&p);
    }
    buf_free(&after);
    if (rc == 0)
        import_check_rows(m, TRANSFER_MODELS);
    return rc;
}

/* ------------------------------------------------------------------ traces */

static int trace_here(struct ctx *c, const void *thing, void *here) {
    return trace_copy_get(c, ((const struct copy_trace *)thing)->id, here);
}
static int trace_put(struct ctx *c, const void *thing) {
    return trace_copy_in(c, thing);
}
static struct digest trace_digest(const void *thing) {
    return digest_trace(thing);
}
static const struct handling traces = {TRANSFER_TRACES, trace_here, trace_put, trace_digest,
                                       sizeof(struct copy_trace)};

/* The tag says where the trace's own files lie. */
static const char *map_location(struct import *m, struct ctx *c, struct copy_trace *t,
                                const char **rel) {
    *rel = NULL;
    for (size_t i = 0; i < t->tags.n; i++) {
        if (!str_eq(t->tags.items[i].key, "mlflow.artifactLocation"))
            continue;
        const char *uri = place_map(
            c, &m->place, t->tags.items[i].value,
            arena_printf(c->arena, "%" PRId64 "/traces/%s/artifacts", t->experiment, t->id), rel);
        t->tags.items[i].value = uri;
        return artifact_uri_path(c, uri);
    }
    return NULL;
}

static void take_trace(struct import *m, struct pair_ctx *p, struct copy_trace *t) {
    struct transfer_count *spans = &m->report->kinds[TRANSFER_SPANS];
    struct transfer_count *judged = &m->report->kinds[TRANSFER_ASSESSMENTS];
    const char *rel, *what = arena_printf(p->to.arena, "trace %s", t->id);
    if (import_homeless(m, TRANSFER_TRACES, &p->from, what, t->experiment))
        return;
    const char *logical = map_location(m, &p->from, t, &rel);
    enum settled done = import_settle(m, &p->to, &traces, t, what);
    spans->seen += (int64_t)t->nspans;
    judged->seen += (int64_t)t->nassessments;
    spans->equal += done == EQUAL ? (int64_t)t->nspans : 0;
    judged->equal += done == EQUAL ? (int64_t)t->nassessments : 0;
    if (done != REFUSED)
        import_files(m, &p->to, rel, logical);
}

static int take_traces(struct import *m) {
    struct buf after = {0};
    int rc = 1;
    move_to(&after, "");
    while (rc > 0) {
        struct pair_ctx p;
        struct copy_trace t;
        import_begin(m, &p);
        rc = m->source->ops->trace(m->source, &p.from, after.data, &t);
        rc = import_look(m, TRANSFER_TRACES, &p.from, rc, t.id, behind_text(&after, t.id));
        if (rc > 0)
            move_to(&after, t.id);
        if (rc == 1)
            take_trace(m, &p, &t);
        import_end(&p);
    }
    buf_free(&after);
    if (rc == 0)
        import_check_rows(m, TRANSFER_TRACES);
    return rc;
}

void transfer_name_kinds(struct transfer_report *r) {
    static const char *const names[TRANSFER_KINDS] = {
        "experiments", "runs",   "metric points", "logged models", "registered models",
        "versions",    "traces", "spans",         "assessments",   "evaluation datasets",
        "scorers",     "issues", "files"};
    *r = (struct transfer_report){0};
    for (size_t i = 0; i < TRANSFER_KINDS; i++)
        r->kinds[i].kind = names[i];
}

/* The files of a folder mlruns lie in it. */
static const char *source_folder(const char *from) {
    struct stat st;
    const char *path = str_starts(from, "file://") ? from + 7 : from;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? path : NULL;
}

int transfer_import(struct ctx *c, const struct transfer_options *o, struct transfer_report *out) {
    struct import m = {.o = o, .report = out};
    transfer_name_kinds(out);
    int rc = source_open(c, o, &m.source);
    if (rc != 0)
        return rc;
    m.arena = arena_new();
    rc = place_open(c, o->artifacts ? o->artifacts : source_folder(o->from), &m.place);
    if (rc == 0)
        rc = take_experiments(&m);
    rc = rc < 0 ? rc : take_models(&m);
    rc = rc < 0 ? rc : take_runs(&m);
    rc = rc < 0 ? rc : take_registered(&m);
    rc = rc < 0 ? rc : take_traces(&m);
    rc = rc < 0 ? rc : import_genai(&m);
    out->outside = m.place.outside;
    place_close(&m.place);
    m.source->ops->close(m.source);
    arena_free(m.arena);
    return rc < 0 && !c->err.code
               ? fail(c, ERR_INTERNAL, "The source could not be read to its end.")
               : rc;
}
