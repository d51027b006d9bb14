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
    struct arena *arena;
    int64_t *experiments; /* those that stand here as the source's; ascending */
    size_t nexperiments, cap;
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

/* Whether there is a thing to take: 1, or 0 at the end, 2 when there was one that cannot be had and
 * that has been told, negative when the source gives no more. `later`: its id lies behind the last
 * one, without which there would be no end. */
static int look_at(struct import *m, enum transfer_kind kind, struct ctx *from, int rc,
                   const char *id, bool later) {
    static const char *const words[TRANSFER_KINDS] = {
        [TRANSFER_EXPERIMENTS] = "experiment",
        [TRANSFER_RUNS] = "run",
        [TRANSFER_LOGGED_MODELS] = "logged model",
        [TRANSFER_MODELS] = "registered model",
        [TRANSFER_TRACES] = "trace",
    };
    const char *word = words[kind];
    if (rc > 0 && !later)
        rc = fail(from, ERR_INVALID,
                  "the ids of its %ss come in no order, so that it would have no end", word);
    if ((rc == -ERR_INVALID || rc == -ERR_NOT_FOUND || rc == -ERR_TOO_LARGE) && later) {
        m->report->kinds[kind].seen++;
        say(m, kind, arena_printf(from->arena, "%s %s", word, id), from, why(from));
        return 2;
    }
    if (rc < 0)
        say(m, kind, "the source", from, why(from));
    return rc;
}

static bool behind_text(const struct buf *after, const char *id) {
    return id && strcmp(id, after->data) > 0;
}

static void move_to(struct buf *after, const char *id) {
    buf_clear(after);
    buf_puts(after, id);
}

/* What no order leads to is missed here. */
static void check_rows(struct import *m, enum transfer_kind kind) {
    int64_t n = 0, seen = m->report->kinds[kind].seen;
    struct ctx c;
    ctx_begin(&c);
    int rc = m->source->ops->rows ? m->source->ops->rows(m->source, &c, kind, &n) : 0;
    if (rc < 0)
        say(m, kind, "the source", &c, why(&c));
    else if (m->source->ops->rows && n > seen)
        say(m, kind, "the source", &c,
            arena_printf(c.arena,
                         "its table has %" PRId64 " rows of which only %" PRId64
                         " can be reached: it is damaged, or was added to meanwhile",
                         n, seen));
    c.db = NULL;
    ctx_end(&c);
}

static void remember_experiment(struct import *m, int64_t id) {
    m->experiments = arena_room(m->arena, m->experiments, m->nexperiments, &m->cap, sizeof id);
    m->experiments[m->nexperiments++] = id;
}

/* What belongs to an experiment that was refused must not get into the one that has its number
 * here. */
static bool homeless(struct import *m, enum transfer_kind kind, struct ctx *c, const char *what,
                     int64_t experiment) {
    size_t low = 0, high = m->nexperiments;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (m->experiments[mid] < experiment)
            low = mid + 1;
        else
            high = mid;
    }
    if (low < m->nexperiments && m->experiments[low] == experiment)
        return false;
    m->report->kinds[kind].seen++;
    say(m, kind, what, c,
        arena_printf(c->arena, "its experiment %" PRId64 " was not taken", experiment));
    return true;
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

enum settled {
    REFUSED, /* it is not here */
    LOOKED,  /* it was not put, since nothing is */
    DIFFERS, /* it is here, but not in the same form */
    EQUAL,
};

static enum settled settle(struct import *m, struct ctx *c, const struct handling *h,
                           const void *thing, const char *what) {
    struct transfer_count *n = &m->report->kinds[h->kind];
    struct put_call call = {h, thing};
    bool there = false, now = false;
    int rc = compare(m, c, h, thing, &there);
    n->seen++;
    if (rc > 0) {
        n->same++;
        n->equal++;
        return EQUAL;
    }
    if (rc == 0 && m->o->dry_run) {
        n->fresh += !there;
        n->changed += there;
        return LOOKED;
    }
    if (rc == 0)
        rc = db_write(m->o->db, c, put_op, &call);
    if (rc < 0) {
        say(m, h->kind, what, c, why(c));
        return REFUSED;
    }
    n->fresh += !there;
    n->changed += there;
    rc = compare(m, c, h, thing, &now);
    n->equal += rc > 0;
    if (rc <= 0)
        say(m, h->kind, what, c, rc < 0 ? why(c) : "stands here in another form after it was put");
    return rc > 0 ? EQUAL : DIFFERS;
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
        rc = look_at(m, TRANSFER_EXPERIMENTS, &p.from, rc,
                     arena_printf(p.from.arena, "%" PRId64, e.id), e.id > after);
        if (rc > 0)
            after = e.id;
        if (rc == 1) {
            e.location = place_map(&p.from, &m->place, e.location,
                                   arena_printf(p.from.arena, "%" PRId64, e.id), &rel);
            if (settle(m, &p.to, &experiments, &e,
                       arena_printf(p.to.arena, "experiment %" PRId64, e.id)) != REFUSED)
                remember_experiment(m, e.id);
        }
        pair_end(&p);
    }
    if (rc == 0)
        check_rows(m, TRANSFER_EXPERIMENTS);
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

/* One passing of the source's points: counted into a digest, and put if that is wanted. */
struct points_pass {
    struct import *m;
    const char *run_id;
    struct digest_points digest;
    bool put;
    int rc; /* of putting */
};

/* Each piece in a context of its own: a run can have millions of points. */
static int put_piece(struct points_pass *p, const struct copy_point *points, size_t n) {
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

static int take_piece(void *arg, const struct copy_point *points, size_t n) {
    struct points_pass *p = arg;
    int rc = digest_points_add(&p->digest, points, n);
    return rc == 0 && p->put ? put_piece(p, points, n) : rc;
}

/* false after a fault that was told. */
static bool points_there(struct import *m, const char *run_id, bool put, struct digest *out,
                         int64_t *n) {
    struct points_pass pass = {.m = m, .run_id = run_id, .put = put};
    struct ctx c;
    ctx_begin(&c);
    digest_points_begin(&pass.digest);
    int rc = m->source->ops->points(m->source, &c, run_id, take_piece, &pass);
    *out = digest_points_end(&pass.digest);
    *n = pass.digest.n;
    if (rc < 0 && pass.rc == 0)
        say(m, TRANSFER_POINTS, run_id, &c, why(&c));
    c.db = NULL;
    ctx_end(&c);
    return rc >= 0;
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

/* A run that has no points here gets them while they are read for the first time. Only one that has
 * others here than there is read twice: to be compared, since what is here already may be all of
 * it, and to be put. */
static void take_points(struct import *m, const char *run_id, enum settled run) {
    struct transfer_count *count = &m->report->kinds[TRANSFER_POINTS];
    struct digest want, got;
    int64_t n = 0, before = 0, now = 0;
    struct ctx c;
    ctx_begin(&c);
    if (points_here(m, run_id, &got, &before) < 0) {
        say(m, TRANSFER_POINTS, run_id, &c, "its points here cannot be read");
        ctx_end(&c);
        return;
    }
    const bool put = run >= DIFFERS;
    bool good = points_there(m, run_id, put && before == 0, &want, &n);
    bool same = good && digest_equal(&want, &got);
    if (good && !same && put && before > 0)
        good = points_there(m, run_id, true, &want, &n);
    count->seen += n;
    count->same += before < n ? before : n;
    count->fresh += n > before ? n - before : 0;
    if (good && !same && put) {
        int rc = points_here(m, run_id, &got, &now);
        same = rc == 0 && digest_equal(&want, &got);
        if (!same)
            say(m, TRANSFER_POINTS, run_id, &c,
                rc < 0    ? "its points here cannot be read"
                : now > n ? "has points here that the source has not"
                          : "its points differ here");
    }
    count->equal += same ? n : 0;
    ctx_end(&c);
}

static void take_run(struct import *m, struct pair_ctx *p, struct copy_run *r) {
    const char *rel = NULL, *what = arena_printf(p->to.arena, "run %s", r->id);
    if (homeless(m, TRANSFER_RUNS, &p->from, what, r->experiment))
        return;
    r->artifact_uri = place_map(
        &p->from, &m->place, r->artifact_uri,
        arena_printf(p->from.arena, "%" PRId64 "/%s/artifacts", r->experiment, r->id), &rel);
    enum settled done = settle(m, &p->to, &runs, r, what);
    if (done == REFUSED)
        return;
    take_points(m, r->id, done);
    take_files(m, &p->to, rel, artifact_uri_path(&p->from, r->artifact_uri));
}

static int take_runs(struct import *m) {
    struct buf after = {0};
    int rc = 1;
    move_to(&after, "");
    while (rc > 0) {
        struct pair_ctx p;
        struct copy_run r;
        pair_begin(m, &p);
        rc = m->source->ops->run(m->source, &p.from, after.data, &r);
        rc = look_at(m, TRANSFER_RUNS, &p.from, rc, r.id, behind_text(&after, r.id));
        if (rc > 0)
            move_to(&after, r.id);
        if (rc == 1)
            take_run(m, &p, &r);
        pair_end(&p);
    }
    buf_free(&after);
    if (rc == 0)
        check_rows(m, TRANSFER_RUNS);
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
    if (homeless(m, TRANSFER_LOGGED_MODELS, &p->from, what, l->experiment))
        return;
    l->artifact_uri = place_map(
        &p->from, &m->place, l->artifact_uri,
        arena_printf(p->from.arena, "%" PRId64 "/models/%s/artifacts", l->experiment, l->id), &rel);
    if (settle(m, &p->to, &models, l, what) != REFUSED)
        take_files(m, &p->to, rel, artifact_uri_path(&p->from, l->artifact_uri));
}

static int take_models(struct import *m) {
    struct buf after = {0};
    int rc = 1;
    move_to(&after, "");
    while (rc > 0) {
        struct pair_ctx p;
        struct copy_model l;
        pair_begin(m, &p);
        rc = m->source->ops->model(m->source, &p.from, after.data, &l);
        rc = look_at(m, TRANSFER_LOGGED_MODELS, &p.from, rc, l.id, behind_text(&after, l.id));
        if (rc > 0)
            move_to(&after, l.id);
        if (rc == 1)
            take_model(m, &p, &l);
        pair_end(&p);
    }
    buf_free(&after);
    if (rc == 0)
        check_rows(m, TRANSFER_LOGGED_MODELS);
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
    enum settled done = settle(m, &p->to, &registered, r,
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
        pair_begin(m, &p);
        rc = m->source->ops->registered(m->source, &p.from, after.data, &r);
        rc = look_at(m, TRANSFER_MODELS, &p.from, rc, r.name, behind_text(&after, r.name));
        if (rc > 0)
            move_to(&after, r.name);
        if (rc == 1)
            take_one_registered(m, &p, &r);
        pair_end(&p);
    }
    buf_free(&after);
    if (rc == 0)
        check_rows(m, TRANSFER_MODELS);
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
    if (homeless(m, TRANSFER_TRACES, &p->from, what, t->experiment))
        return;
    const char *logical = map_location(m, &p->from, t, &rel);
    enum settled done = settle(m, &p->to, &traces, t, what);
    spans->seen += (int64_t)t->nspans;
    judged->seen += (int64_t)t->nassessments;
    spans->equal += done == EQUAL ? (int64_t)t->nspans : 0;
    judged->equal += done == EQUAL ? (int64_t)t->nassessments : 0;
    if (done != REFUSED)
        take_files(m, &p->to, rel, logical);
}

static int take_traces(struct import *m) {
    struct buf after = {0};
    int rc = 1;
    move_to(&after, "");
    while (rc > 0) {
        struct pair_ctx p;
        struct copy_trace t;
        pair_begin(m, &p);
        rc = m->source->ops->trace(m->source, &p.from, after.data, &t);
        rc = look_at(m, TRANSFER_TRACES, &p.from, rc, t.id, behind_text(&after, t.id));
        if (rc > 0)
            move_to(&after, t.id);
        if (rc == 1)
            take_trace(m, &p, &t);
        pair_end(&p);
    }
    buf_free(&after);
    if (rc == 0)
        check_rows(m, TRANSFER_TRACES);
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
    out->outside = m.place.outside;
    place_close(&m.place);
    m.source->ops->close(m.source);
    arena_free(m.arena);
    return rc < 0 && !c->err.code
               ? fail(c, ERR_INTERNAL, "The source could not be read to its end.")
               : rc;
}
