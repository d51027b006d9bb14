/* SPDX-License-Identifier: Apache-2.0 */
/* Export: everything of a project into a new MLflow database, which is then read as a source and
 * compared with what stands here. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "mlflow_put.h"
#include "mlflow_schema.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"
#include "source.h"
#include "span_form.h"

struct export {
    const struct transfer_options *o;
    struct transfer_report *report;
    struct ctx out; /* its db is the new file */
    struct dir *files;
};

static void say(struct export *x, enum transfer_kind kind, const char *what, const char *why) {
    struct arena *a = arena_new();
    x->report->kinds[kind].faults++;
    if (x->o->say)
        x->o->say(x->o->arg, arena_printf(a, "%s: %s", what, why));
    arena_free(a);
}

/* One thing: read here in a snapshot, written there in a transaction. */
typedef int next_fn(struct ctx *c, const char *after, void *thing);
typedef int put_fn(struct export *x, struct ctx *c, const void *thing);

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

struct kind {
    enum transfer_kind kind;
    next_fn *next;
    put_fn *put;
    const char *(*id)(struct arena *a, const void *thing);
    size_t size;
};

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

/* Runs before the models' metrics that name them. */
static const struct kind kinds[] = {
    {TRANSFER_EXPERIMENTS, experiment_next, experiment_put, experiment_id,
     sizeof(struct copy_experiment)},
    {TRANSFER_RUNS, run_next, run_put, run_id, sizeof(struct copy_run)},
    {TRANSFER_LOGGED_MODELS, model_next, model_put, model_id, sizeof(struct copy_model)},
    {TRANSFER_MODELS, registered_next, registered_put, registered_id,
     sizeof(struct copy_registered)},
    {TRANSFER_TRACES, trace_next, trace_put, trace_id, sizeof(struct copy_trace)},
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
                    say(x, k->kind, after, c.err.message);
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

/* ------------------------------------------------------------------ proof */

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

/* What MLflow's tables can hold of a trace: no links to further runs at that revision, no kind of a
 * span. */
static int as_kept(struct ctx *c, struct copy_trace *ours, const struct copy_trace *theirs) {
    int rc = 0;
    ours->runs = theirs->runs;
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
    } else {
        struct copy_trace e;
        const struct copy_trace *t = theirs;
        rc = trace_copy_get(c, t->id, &e);
        if (rc > 0)
            rc = as_kept(c, &e, t);
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
    default:
        return p->source->ops->trace(p->source, s, after, thing);
    }
}

static int prove(struct proof *p, const struct kind *k) {
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
                say(p->x, k->kind, after, "stands in the new file in another form");
        }
        if (rc < 0)
            say(p->x, k->kind, "the new file", s.err.message ? s.err.message : "cannot be read");
        s.db = NULL;
        ctx_end(&s);
        ctx_end(&c);
    }
    arena_free(ids);
    return rc;
}

/* ------------------------------------------------------------------ files */

static int make_parent(struct export *x, struct arena *a, const char *path) {
    char *parent = arena_strdup(a, path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return 0;
    *slash = '\0';
    return dir_mkdirs(x->files, parent);
}

/* Copies while it hashes: what arrives is what the name says. */
static int copy_bytes(int from, int to, const char *want) {
    struct sha256 *sha = sha256_new();
    unsigned char digest[32];
    char hex[65], *part = mem_alloc((size_t)1 << 18);
    ssize_t n;
    int rc = 0;
    while (rc == 0 && (n = fd_read_all(from, part, (size_t)1 << 18)) > 0) {
        sha256_add(sha, part, (size_t)n);
        rc = fd_write_all(to, part, (size_t)n);
    }
    free(part);
    sha256_end(sha, digest);
    hex_encode(digest, 32, hex);
    return rc != 0 ? rc : str_eq(hex, want) ? 0 : -EIO;
}

static void put_file(struct export *x, struct ctx *c, const struct artifact_entry *e) {
    struct transfer_count *n = &x->report->kinds[TRANSFER_FILES];
    int64_t size = 0;
    int in = -1;
    n->seen++;
    int rc = blob_open(c, e->sha256, &in, &size);
    int out = rc == 0 && make_parent(x, c->arena, e->path) == 0
                  ? dir_openat(x->files, e->path, O_WRONLY | O_CREAT | O_TRUNC, 0644)
                  : -1;
    rc = rc == 0 && out >= 0 ? copy_bytes(in, out, e->sha256) : -1;
    fd_close(in);
    if (out >= 0 && fsync(out) != 0)
        rc = -1;
    fd_close(out);
    if (rc == 0) {
        n->fresh++;
        n->equal++;
        x->report->bytes += size;
    } else {
        say(x, TRANSFER_FILES, e->path, "cannot be written, or its bytes are damaged");
    }
    err_clear(c);
}

static int put_files(struct export *x) {
    struct artifact_entries top = {0};
    struct ctx c;
    ctx_begin(&c);
    c.project = x->o->project;
    int rc = db_read_begin(x->o->db, &c);
    if (rc == 0) {
        rc = artifact_list(&c, "", &top);
        for (size_t i = 0; i < top.n && rc == 0; i++) {
            struct artifact_entries tree = {0};
            if (!top.items[i].is_dir) {
                rc = artifact_stat(&c, top.items[i].path, &top.items[i]);
                tree = (struct artifact_entries){&top.items[i], 1};
            } else {
                rc = artifact_list_tree(&c, top.items[i].path, &tree);
            }
            for (size_t k = 0; k < tree.n && rc == 0; k++)
                put_file(x, &c, &tree.items[k]);
        }
        db_read_end(&c);
    }
    if (rc != 0)
        say(x, TRANSFER_FILES, "the artifacts", c.err.message ? c.err.message : "cannot be listed");
    ctx_end(&c);
    return rc;
}

/* ------------------------------------------------------------------ all */

static int write_file(struct export *x, struct ctx *c) {
    int rc = db_foreign_open(&x->out, x->o->to, true);
    rc = rc ? rc : mlflow_schema_create(&x->out);
    for (size_t i = 0; i < ARRAY_LEN(kinds) && rc >= 0; i++)
        rc = put_all(x, &kinds[i]);
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
    struct proof p = {.x = &x};
    transfer_name_kinds(out);
    ctx_begin(&x.out);
    int rc = o->artifacts && dir_open(o->artifacts, true, &x.files) != 0
                 ? fail(c, ERR_INVALID, "The folder %s cannot be opened.", o->artifacts)
                 : 0;
    rc = rc ? rc : write_file(&x, c);
    rc = rc ? rc : mlflow_db_open(c, o->to, NULL, &p.source);
    for (size_t i = 0; i < ARRAY_LEN(kinds) && rc >= 0; i++)
        rc = prove(&p, &kinds[i]);
    if (p.source)
        p.source->ops->close(p.source);
    if (rc >= 0 && x.files)
        (void)put_files(&x);
    if (x.files)
        dir_close(x.files);
    ctx_end(&x.out);
    return rc < 0 && !c->err.code ? fail(c, -rc, "The new file cannot be proved.")
           : rc < 0               ? rc
                                  : 0;
}
