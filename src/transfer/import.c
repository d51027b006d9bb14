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

static void take_run(struct import *m, struct pair_ctx *p, void *thing) {
    struct copy_run *r = thing;
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

static int next_run(const struct source_ops *ops, struct source *s, struct ctx *c,
                    const char *after, void *thing) {
    return ops->run(s, c, after, thing);
}
static const struct walk walk_runs = {&runs, next_run, take_run};

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

static void take_model(struct import *m, struct pair_ctx *p, void *thing) {
    struct copy_model *l = thing;
    const char *rel = NULL, *what = arena_printf(p->to.arena, "logged model %s", l->id);
    if (import_homeless(m, TRANSFER_LOGGED_MODELS, &p->from, what, l->experiment))
        return;
    l->artifact_uri = place_map(
        &p->from, &m->place, l->artifact_uri,
        arena_printf(p->from.arena, "%" PRId64 "/models/%s/artifacts", l->experiment, l->id), &rel);
    if (import_settle(m, &p->to, &models, l, what) != REFUSED)
        import_files(m, &p->to, rel, artifact_uri_path(&p->from, l->artifact_uri));
}

static int next_model(const struct source_ops *ops, struct source *s, struct ctx *c,
                      const char *after, void *thing) {
    return ops->model(s, c, after, thing);
}
static const struct walk walk_models = {&models, next_model, take_model};

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
    const void *lost = rc > 0 ? import_lost(here.versions, here.nversions, in->versions,
                                            in->nversions, sizeof *here.versions, import_by_version)
                              : NULL;
    if (lost)
        return import_version_lost(c, lost);
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

static void take_registered(struct import *m, struct pair_ctx *p, void *thing) {
    struct copy_registered *r = thing;
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

static int next_registered(const struct source_ops *ops, struct source *s, struct ctx *c,
                           const char *after, void *thing) {
    return ops->registered(s, c, after, thing);
}
static const struct walk walk_registered = {&registered, next_registered, take_registered};

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

static void take_trace(struct import *m, struct pair_ctx *p, void *thing) {
    struct copy_trace *t = thing;
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

static int next_trace(const struct source_ops *ops, struct source *s, struct ctx *c,
                      const char *after, void *thing) {
    return ops->trace(s, c, after, thing);
}
static const struct walk walk_traces = {&traces, next_trace, take_trace};

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
    rc = rc < 0 ? rc : import_walk(&m, &walk_models);
    rc = rc < 0 ? rc : import_walk(&m, &walk_runs);
    rc = rc < 0 ? rc : import_walk(&m, &walk_registered);
    rc = rc < 0 ? rc : import_walk(&m, &walk_traces);
    rc = rc < 0 ? rc : import_genai(&m);
    out->outside = m.place.outside;
    place_close(&m.place);
    m.source->ops->close(m.source);
    arena_free(m.arena);
    return rc < 0 && !c->err.code
               ? fail(c, ERR_INTERNAL, "The source could not be read to its end.")
               : rc;
}
