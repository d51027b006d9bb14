/* SPDX-License-Identifier: Apache-2.0 */
/* Import: one thing after the other from the source, compared, put, read back, compared. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "digest.h"
#include "files.h"
#include "place.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "source.h"

#define POINTS_PER_WRITE 5000

struct import {
    const struct transfer_options *o;
    struct transfer_report *report;
    struct source *source;
    struct place place;
};

/* Contexts of one thing: what it is read with, and what it is put with. */
struct pair_ctx {
    struct ctx from, to;
};

static void pair_begin(const struct import *m, struct pair_ctx *p) {
    ctx_begin(&p->from);
    ctx_begin(&p->to);
    p->to.project = m->o->project;
}

static void pair_end(struct pair_ctx *p) {
    p->from.db = NULL;
    ctx_end(&p->from);
    ctx_end(&p->to);
}

static void say(const struct import *m, enum transfer_kind kind, const char *what, struct ctx *c,
                const char *why) {
    m->report->kinds[kind].faults++;
    if (m->o->say)
        m->o->say(m->o->arg, arena_printf(c->arena, "%s: %s", what, why));
    err_clear(c);
}

static const char *why(const struct ctx *c) {
    return c->err.message ? c->err.message : "failed";
}

/* How each kind is looked at, put and compared; `thing` is the source's, mapped. */
struct handling {
    enum transfer_kind kind;
    int (*get)(struct ctx *c, const void *thing, void *here); /* 1 or 0 */
    int (*put)(struct ctx *c, const void *thing);
    struct digest (*digest)(const void *thing);
    size_t size;
};

struct put_call {
    const struct handling *h;
    const void *thing;
};

static int put_op(struct ctx *c, void *arg) {
    const struct put_call *p = arg;
    return p->h->put(c, p->thing);
}

/* 1 the same, 0 another or none (*there tells), negative. */
static int compare(const struct import *m, struct ctx *c, const struct handling *h,
                   const void *thing, bool *there) {
    void *here = arena_alloc(c->arena, h->size);
    int rc = db_read_begin(m->o->db, c);
    if (rc != 0)
        return rc;
    rc = h->get(c, thing, here);
    db_read_end(c);
    *there = rc > 0;
    if (rc <= 0)
        return rc;
    struct digest want = h->digest(thing), got = h->digest(here);
    return digest_equal(&want, &got);
}

static bool settle(struct import *m, struct ctx *c, const struct handling *h, const void *thing,
                   const char *what) {
    struct transfer_count *n = &m->report->kinds[h->kind];
    struct put_call call = {h, thing};
    bool there = false, now = false;
    int rc = compare(m, c, h, thing, &there);
    n->seen++;
    if (rc > 0) {
        n->same++;
        n->equal++;
        return true;
    }
    if (rc == 0 && m->o->dry_run) {
        n->fresh += !there;
        n->changed += there;
        return false;
    }
    if (rc == 0)
        rc = db_write(m->o->db, c, put_op, &call);
    if (rc < 0) {
        say(m, h->kind, what, c, why(c));
        return false;
    }
    n->fresh += !there;
    n->changed += there;
    rc = compare(m, c, h, thing, &now);
    n->equal += rc > 0;
    if (rc <= 0)
        say(m, h->kind, what, c, rc < 0 ? why(c) : "stands here in another form after it was put");
    return rc > 0;
}

/* From the folder when the operator named it, else from a source that hands files out. */
static void take_files(const struct import *m, struct ctx *c, const char *rel,
                       const char *logical) {
    if (rel && logical)
        (void)files_copy(c, m->o, &m->place, rel, logical, m->report);
    else if (logical && m->source->ops->list)
        (void)files_fetch(m->o, m->source, logical, m->report);
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
        pair_begin(m, &p);
        rc = m->source->ops->experiment(m->source, &p.from, after, &e);
        if (rc > 0) {
            after = e.id;
            e.location = place_map(&p.from, &m->place, e.location,
                                   arena_printf(p.from.arena, "%" PRId64, e.id), &rel);
            (void)settle(m, &p.to, &experiments, &e,
                         arena_printf(p.to.arena, "experiment %" PRId64, e.id));
        } else if (rc < 0) {
            say(m, TRANSFER_EXPERIMENTS, "the source", &p.from, why(&p.from));
        }
        pair_end(&p);
    }
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

struct points_call {
    const char *run_id;
    const struct copy_point *points;
    size_t n;
};

static int points_op(struct ctx *c, void *arg) {
    const struct points_call *p = arg;
    return run_points_in(c, p->run_id, p->points, p->n);
}

struct points_put {
    struct import *m;
    const char *run_id;
    int rc;
};

/* Each piece in a context of its own: a run can have millions of points. */
static int put_piece(void *arg, const struct copy_point *points, size_t n) {
    struct points_put *p = arg;
    struct ctx c;
    ctx_begin(&c);
    c.project = p->m->o->project;
    for (size_t at = 0; at < n && p->rc == 0; at += POINTS_PER_WRITE) {
        struct points_call call = {p->run_id, points + at,
                                   n - at < POINTS_PER_WRITE ? n - at : POINTS_PER_WRITE};
        p->rc = db_write(p->m->o->db, &c, points_op, &call);
    }
    if (p->rc != 0)
        say(p->m, TRANSFER_POINTS, p->run_id, &c, why(&c));
    ctx_end(&c);
    return p->rc;
}

static int points_here(const struct import *m, const char *run_id, struct digest *out, int64_t *n) {
    struct digest_points d;
    struct ctx c;
    ctx_begin(&c);
    c.project = m->o->project;
    digest_points_begin(&d);
    int rc = db_read_begin(m->o->db, &c);
    if (rc == 0) {
        rc = run_points_out(&c, run_id, digest_points_add, &d);
        db_read_end(&c);
    }
    *out = digest_points_end(&d);
    *n = d.n;
    if (rc == -ERR_NOT_FOUND) /* the run is not here */
        rc = 0;
    ctx_end(&c);
    return rc;
}

static int points_there(const struct import *m, const char *run_id, struct digest *out,
                        int64_t *n) {
    struct digest_points d;
    struct ctx c;
    ctx_begin(&c);
    digest_points_begin(&d);
    int rc = m->source->ops->points(m->source, &c, run_id, digest_points_add, &d);
    *out = digest_points_end(&d);
    *n = d.n;
    c.db = NULL;
    ctx_end(&c);
    return rc;
}

static void take_points(struct import *m, const char *run_id, bool run_settled) {
    struct transfer_count *count = &m->report->kinds[TRANSFER_POINTS];
    struct points_put put = {.m = m, .run_id = run_id};
    struct digest want, got;
    int64_t n = 0, here = 0;
    struct ctx c;
    int rc = points_there(m, run_id, &want, &n);
    ctx_begin(&c);
    if (rc == 0)
        rc = points_here(m, run_id, &got, &here);
    if (rc < 0) {
        say(m, TRANSFER_POINTS, run_id, &c, "its points cannot be read");
    } else if (digest_equal(&want, &got)) {
        count->seen += n;
        count->same += n;
        count->equal += n;
    } else if (m->o->dry_run || !run_settled) {
        count->seen += n;
        count->fresh += n > here ? n - here : 0;
        count->same += n > here ? here : n;
    } else {
        count->seen += n;
        rc = m->source->ops->points(m->source, &c, run_id, put_piece, &put);
        count->fresh += n > here ? n - here : 0;
        count->same += n > here ? here : n;
        rc = rc < 0 ? rc : points_here(m, run_id, &got, &here);
        if (rc == 0 && digest_equal(&want, &got))
            count->equal += n;
        else if (put.rc == 0)
            say(m, TRANSFER_POINTS, run_id, &c,
                here > n ? "has points here that the source has not" : "its points differ here");
    }
    c.db = NULL;
    ctx_end(&c);
}

static int take_runs(struct import *m) {
    char after[64] = "";
    int rc = 1;
    while (rc > 0) {
        struct pair_ctx p;
        struct copy_run r;
        const char *rel = NULL;
        pair_begin(m, &p);
        rc = m->source->ops->run(m->source, &p.from, after, &r);
        if (rc > 0 && !str_copy(after, sizeof after, r.id)) {
            say(m, TRANSFER_RUNS, r.id, &p.from, "its id is too long");
            rc = -ERR_INVALID;
        } else if (rc > 0) {
            r.artifact_uri = place_map(
                &p.from, &m->place, r.artifact_uri,
                arena_printf(p.from.arena, "%" PRId64 "/%s/artifacts", r.experiment, r.id), &rel);
            bool good = settle(m, &p.to, &runs, &r, arena_printf(p.to.arena, "run %s", r.id));
            take_points(m, r.id, good);
            const char *logical = artifact_uri_path(&p.from, r.artifact_uri);
            take_files(m, &p.to, rel, logical);
        } else if (rc < 0) {
            say(m, TRANSFER_RUNS, "the source", &p.from, why(&p.from));
        }
        pair_end(&p);
    }
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

static int take_models(struct import *m) {
    char after[64] = "";
    int rc = 1;
    while (rc > 0) {
        struct pair_ctx p;
        struct copy_model l;
        const char *rel = NULL;
        pair_begin(m, &p);
        rc = m->source->ops->model(m->source, &p.from, after, &l);
        if (rc > 0 && !str_copy(after, sizeof after, l.id)) {
            say(m, TRANSFER_LOGGED_MODELS, l.id, &p.from, "its id is too long");
            rc = -ERR_INVALID;
        } else if (rc > 0) {
            l.artifact_uri = place_map(
                &p.from, &m->place, l.artifact_uri,
                arena_printf(p.from.arena, "%" PRId64 "/models/%s/artifacts", l.experiment, l.id),
                &rel);
            (void)settle(m, &p.to, &models, &l, arena_printf(p.to.arena, "logged model %s", l.id));
            const char *logical = artifact_uri_path(&p.from, l.artifact_uri);
            take_files(m, &p.to, rel, logical);
        } else if (rc < 0) {
            say(m, TRANSFER_LOGGED_MODELS, "the source", &p.from, why(&p.from));
        }
        pair_end(&p);
    }
    return rc;
}

/* ------------------------------------------------------------------ registered models */

static int registered_here(struct ctx *c, const void *thing, void *here) {
    return registered_copy_get(c, ((const struct copy_registered *)thing)->name, here);
}
static int registered_put(struct ctx *c, const void *thing) {
    return registered_copy_in(c, thing);
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

static int take_registered(struct import *m) {
    struct buf after = {0};
    int rc = 1;
    buf_puts(&after, "");
    while (rc > 0) {
        struct pair_ctx p;
        struct copy_registered r;
        pair_begin(m, &p);
        rc = m->source->ops->registered(m->source, &p.from, after.data ? after.data : "", &r);
        if (rc > 0) {
            struct transfer_count *v = &m->report->kinds[TRANSFER_VERSIONS];
            buf_clear(&after);
            buf_puts(&after, r.name);
            for (size_t i = 0; i < r.nversions; i++) {
                r.versions[i].source =
                    version_uri(m, &p.to, r.versions[i].source, r.versions[i].run_id);
                r.versions[i].storage =
                    version_uri(m, &p.to, r.versions[i].storage, r.versions[i].run_id);
            }
            bool good = settle(m, &p.to, &registered, &r,
                               arena_printf(p.to.arena, "registered model '%s'", r.name));
            v->seen += (int64_t)r.nversions;
            v->equal += good ? (int64_t)r.nversions : 0;
        } else if (rc < 0) {
            say(m, TRANSFER_MODELS, "the source", &p.from, why(&p.from));
        }
        pair_end(&p);
    }
    buf_free(&after);
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

static int take_traces(struct import *m) {
    char after[64] = "";
    int rc = 1;
    while (rc > 0) {
        struct pair_ctx p;
        struct copy_trace t;
        const char *rel;
        pair_begin(m, &p);
        rc = m->source->ops->trace(m->source, &p.from, after, &t);
        if (rc > 0 && !str_copy(after, sizeof after, t.id)) {
            say(m, TRANSFER_TRACES, t.id, &p.from, "its id is too long");
            rc = -ERR_INVALID;
        } else if (rc > 0) {
            struct transfer_count *spans = &m->report->kinds[TRANSFER_SPANS];
            struct transfer_count *judged = &m->report->kinds[TRANSFER_ASSESSMENTS];
            const char *logical = map_location(m, &p.from, &t, &rel);
            bool good = settle(m, &p.to, &traces, &t, arena_printf(p.to.arena, "trace %s", t.id));
            spans->seen += (int64_t)t.nspans;
            judged->seen += (int64_t)t.nassessments;
            spans->equal += good ? (int64_t)t.nspans : 0;
            judged->equal += good ? (int64_t)t.nassessments : 0;
            take_files(m, &p.to, rel, logical);
        } else if (rc < 0) {
            say(m, TRANSFER_TRACES, "the source", &p.from, why(&p.from));
        }
        pair_end(&p);
    }
    return rc;
}

void transfer_name_kinds(struct transfer_report *r) {
    static const char *const names[TRANSFER_KINDS] = {
        "experiments", "runs",   "metric points", "logged models", "registered models",
        "versions",    "traces", "spans",         "assessments",   "files"};
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
    int rc = source_open(c, o->from, o->workspace, &m.source);
    if (rc != 0)
        return rc;
    rc = place_open(c, o->artifacts ? o->artifacts : source_folder(o->from), &m.place);
    if (rc == 0)
        rc = take_experiments(&m);
    rc = rc < 0 ? rc : take_models(&m);
    rc = rc < 0 ? rc : take_runs(&m);
    rc = rc < 0 ? rc : take_registered(&m);
    rc = rc < 0 ? rc : take_traces(&m);
    out->outside = m.place.outside;
    place_close(&m.place);
    m.source->ops->close(m.source);
    return rc < 0 && !c->err.code
               ? fail(c, ERR_INTERNAL, "The source could not be read to its end.")
               : rc;
}
