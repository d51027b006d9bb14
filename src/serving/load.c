/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "child_model.h"
#include "folder.h"
#include "golden_load.h"
#include "golden_store.h"
#include "graph.h"
#include "graph_spec.h"
#include "model.h"
#include "params.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/id.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/base/thread.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/onnx/onnx.h"
#include "quern/serving/serving.h"
#include "signature.h"
#include "spec.h"
#include "vetting.h"

#define LOADERS 2 /* each with a child of some gigabytes at most */

static struct {
    const struct serving_options *o;
    struct dir *work;
    void (*done)(void *unused);
    struct thread *threads[LOADERS];
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    struct load *waiting, *ended; /* first in, first out */
} loads = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

struct load *load_new(const struct arm *row) {
    struct load *l = mem_alloc(sizeof *l);
    ctx_begin(&l->c);
    struct arena *a = l->c.arena;
    l->c.project = row->project;
    l->a = *row;
    l->a.endpoint = arena_strdup(a, row->endpoint);
    l->a.name = arena_strdup(a, row->name);
    l->a.target = arena_strdup(a, row->target);
    l->a.runtime = arena_strdup(a, row->runtime);
    l->a.state = arena_strdup(a, row->state);
    l->a.reason = arena_strdup(a, row->reason);
    l->a.model = arena_strdup(a, row->model);
    l->a.sha256 = arena_strdup(a, row->sha256);
    l->a.vetted = arena_strdup(a, row->vetted);
    l->vetted = "";
    l->began_ms = clock_mono_ms();
    return l;
}

void load_free(struct load *l) {
    model_free(l->model);
    ctx_end(&l->c);
    free(l);
}

static void append(struct load **list, struct load *l) {
    while (*list)
        list = &(*list)->next;
    l->next = NULL;
    *list = l;
}

static struct load *first(struct load **list) {
    struct load *l = *list;
    if (l)
        *list = l->next;
    return l;
}

static void read_mlmodel(struct ctx *c, const struct folder *files, char **text, size_t *n) {
    *text = NULL;
    if (files->mlmodel && files->mlmodel->size <= 1 << 20 &&
        blob_read(c, files->mlmodel->sha256, 1 << 20, text, n) < 0) {
        err_clear(c); /* names of columns are a convenience */
        *text = NULL;
    }
}

static int find_files(struct ctx *c, const struct model_version_info *info, struct folder *files,
                      char **mlmodel, size_t *n, struct golden_file *cases) {
    struct golden_row row = {0};
    struct db *db = lanes_db(loads.o->lanes);
    int rc = db_read_begin(db, c);
    if (rc < 0)
        return rc;
    rc = folder_find(c, info, files);
    if (rc == 0)
        rc = golden_find(c, info, files, &row);
    db_read_end(c);
    if (rc == 0)
        read_mlmodel(c, files, mlmodel, n);
    return rc == 0 ? golden_load(c, &row, cases) : rc;
}

static bool vetted_elsewhere(struct ctx *c, const char *vetted, int64_t *bytes) {
    bool found = false;
    int rc = db_read_begin(lanes_db(loads.o->lanes), c);
    if (rc == 0) {
        rc = arm_store_vetted(c, vetted, bytes, &found);
        db_read_end(c);
    }
    err_clear(c);
    return rc == 0 && found;
}

/* A file whose digest was checked and that this very runtime was shown once, with these very cases,
 * is not shown again. */
static int vet_once(struct load *l, const char *path, const char *sha256, const char *folder,
                    const struct golden_file *cases, int64_t *bytes) {
    struct ctx *c = &l->c;
    const char *golden = NULL;
    l->vetted = arena_printf(c->arena, "%s %s", sha256, onnx_version());
    if (cases->text)
        l->vetted = arena_printf(c->arena, "%s golden=%s:%zu", l->vetted, cases->sha256,
                                 cases->golden.cases.n);
    *bytes = l->a.bytes;
    if (strcmp(l->vetted, l->a.vetted) == 0 || vetted_elsewhere(c, l->vetted, bytes))
        return 0;
    if (cases->text) {
        const char *name = arena_printf(c->arena, "%s.golden", folder);
        int made = dir_write_file(loads.work, name, cases->text, cases->n);
        if (made < 0)
            return made == -ENOSPC
                       ? fail(c, ERR_DISK_FULL, "no room on disk to unpack the model")
                       : fail(c, ERR_INTERNAL, "unpacking golden cases: %s", strerror(-made));
        golden = arena_printf(c->arena, "%s/%s", dir_path(loads.work), name);
    }
    int rc = vet(c, loads.o->self_exe, path, golden, bytes);
    if (golden)
        dir_unlink(loads.work, arena_printf(c->arena, "%s.golden", folder));
    return rc;
}

static void set_columns(struct ctx *c, struct model *m, const char *mlmodel, size_t n) {
    struct signature_column *columns;
    signature_columns(c, m->arena, mlmodel, n, &columns, &m->nfeatures);
    m->columns = columns;
    m->features = ARENA_ARRAY(m->arena, const char *, m->nfeatures + 1);
    for (size_t i = 0; i < m->nfeatures; i++)
        m->features[i] = columns[i].name;
}

static int set_params(struct ctx *c, struct model *m, const char *mlmodel, size_t n) {
    const char *values;
    m->tensors = signature_of_tensors(c, mlmodel, n);
    m->params = signature_params(c, m->arena, mlmodel, n);
    if (!m->params)
        return 0;
    int rc = params_resolve(c, m->params, (struct bytes){0}, &values);
    m->param_values = rc == 0 && values ? arena_strdup(m->arena, values) : "{}";
    return rc;
}

/* Every file of the version, for a command that knows what to do with them. */
static int load_child(struct load *l, const struct model_version_info *info) {
    struct ctx *c = &l->c;
    struct runtime_spec spec;
    struct folder files;
    struct golden_row row;
    struct golden_file cases = {0};
    int64_t began = clock_mono_ms(), bytes = 0;
    char folder[33];
    int rc = spec_runtime_read(c, l->a.runtime, &spec);
    if (rc == 0)
        rc = db_read_begin(lanes_db(loads.o->lanes), c);
    if (rc == 0) {
        rc = folder_list(c, info, &files);
        if (rc == 0)
            rc = golden_find(c, info, &files, &row);
        db_read_end(c);
    }
    if (rc == 0)
        rc = golden_load(c, &row, &cases);
    if (rc < 0)
        return rc;
    id_hex32(folder);
    rc = folder_copy_all(c, &files, loads.work, folder, loads.o->max_model, &bytes);
    if (rc < 0) {
        dir_remove_tree(loads.work, folder);
        return rc;
    }
    const char *version = arena_printf(c->arena, "%" PRId64, info->version);
    rc = child_model_load(c, &spec, loads.work, folder, info->name, version, &l->model);
    if (rc < 0)
        return rc;
    struct model *m = l->model;
    m->name = arena_strdup(m->arena, info->name);
    m->version = info->version;
    m->bytes = bytes;
    m->made_of = arena_strdup(m->arena, l->a.runtime);
    str_copy(m->version_text, sizeof m->version_text, version);
    folder_digest(&files, m->sha256);
    char *mlmodel = NULL;
    size_t nmlmodel = 0;
    read_mlmodel(c, &files, &mlmodel, &nmlmodel);
    if (mlmodel) {
        set_columns(c, m, mlmodel, nmlmodel);
        rc = set_params(c, m, mlmodel, nmlmodel);
    }
    if (rc == 0 && cases.text)
        rc = golden_replay(c, m, &cases.golden);
    if (rc < 0) {
        model_free(m);
        l->model = NULL;
    }
    l->took_ms = clock_mono_ms() - began;
    return rc;
}

static int load_version(struct load *l, const struct model_version_info *info);

/* A graph's own model: as an arm of it would be. */
static int load_node(struct ctx *c, const char *target, struct model **out, void *arg) {
    struct load *part = load_new(&((struct load *)arg)->a);
    part->a.runtime = part->a.vetted = "";
    part->a.target = target;
    int rc = db_read_begin(lanes_db(loads.o->lanes), &part->c);
    if (rc == 0) {
        rc = model_resolve(&part->c, target, &part->info);
        db_read_end(&part->c);
    }
    if (rc == 0)
        rc = load_version(part, &part->info);
    if (rc < 0)
        fail(c, part->c.err.code, "%s", part->c.err.message ? part->c.err.message : "?");
    *out = part->model;
    part->model = NULL;
    load_free(part);
    return rc;
}

static int load_graph(struct load *l) {
    int64_t began = clock_mono_ms();
    int rc = graph_load(&l->c, l->a.runtime, load_node, l, &l->model);
    l->took_ms = clock_mono_ms() - began;
    return rc;
}

static int load_version(struct load *l, const struct model_version_info *info) {
    if (strcmp(l->a.target, GRAPH_TARGET) == 0)
        return load_graph(l);
    if (*l->a.runtime)
        return load_child(l, info);
    struct ctx *c = &l->c;
    struct folder files;
    struct golden_file cases = {0};
    char *mlmodel = NULL;
    size_t nmlmodel = 0;
    const char *path = NULL;
    char folder[33];
    bool alone = false;
    int64_t bytes = 0, began = clock_mono_ms();
    int rc = find_files(c, info, &files, &mlmodel, &nmlmodel, &cases);
    if (rc < 0)
        return rc;
    if (!onnx_ready())
        return fail(c, ERR_NOT_READY,
                    "ONNX Runtime is not loaded: libonnxruntime.so was not found "
                    "(deploy/onnxruntime.sh fetches it, onnx.library names it)");
    id_hex32(folder);
    rc = folder_copy(c, &files, loads.work, folder, loads.o->max_model, &path, &alone);
    if (rc == 0)
        rc = vet_once(l, path, files.onnx->sha256, folder, &cases, &bytes);
    if (rc == 0)
        rc = model_load(c, path, alone ? files.onnx->sha256 : NULL, &l->model);
    dir_remove_tree(loads.work, folder);
    if (rc < 0)
        return rc;
    struct model *m = l->model;
    m->name = arena_strdup(m->arena, info->name);
    m->version = info->version;
    m->bytes = bytes > files.onnx->size ? bytes : files.onnx->size;
    str_copy(m->version_text, sizeof m->version_text,
             arena_printf(c->arena, "%" PRId64, info->version));
    str_copy(m->sha256, sizeof m->sha256, files.onnx->sha256);
    if (mlmodel)
        set_columns(c, m, mlmodel, nmlmodel);
    if (mlmodel)
        rc = set_params(c, m, mlmodel, nmlmodel);
    golden_warm_up(c, m, &files, &cases);
    l->took_ms = clock_mono_ms() - began;
    return rc;
}

/* The last version that served, when the daemon was restarted and the target's cannot be had. */
static void load_last_good(struct load *l) {
    struct ctx *c = &l->c;
    struct model_version_info info;
    int rc = db_read_begin(lanes_db(loads.o->lanes), c);
    if (rc == 0) {
        rc = model_version_get(c, l->a.model, l->a.version, &info);
        db_read_end(c);
    }
    if (rc == 0)
        rc = load_version(l, &info);
    err_clear(c);
}

static void load_run(struct load *l) {
    struct ctx *c = &l->c;
    if (l->resolved && load_version(l, &l->info) < 0) {
        l->code = c->err.code;
        l->why = c->err.message ? c->err.message : "unknown reason";
        model_free(l->model); /* loaded, and found wanting */
        l->model = NULL;
    }
    err_clear(c);
    if (l->code && l->alone && l->a.version)
        load_last_good(l);
}

static void loader_thread(void *arg) {
    (void)arg;
    pthread_mutex_lock(&loads.lock);
    while (!loads.stopping) {
        struct load *l = first(&loads.waiting);
        if (!l) {
            pthread_cond_wait(&loads.wake, &loads.lock);
            continue;
        }
        pthread_mutex_unlock(&loads.lock);
        load_run(l);
        pthread_mutex_lock(&loads.lock);
        append(&loads.ended, l);
        pthread_mutex_unlock(&loads.lock);
        loads.done(NULL);
        pthread_mutex_lock(&loads.lock);
    }
    pthread_mutex_unlock(&loads.lock);
    db_thread_end(lanes_db(loads.o->lanes));
}

void loads_start(const struct serving_options *o, struct dir *work, void (*done)(void *unused)) {
    loads.o = o;
    loads.work = work;
    loads.done = done;
    loads.stopping = false;
    for (size_t i = 0; i < LOADERS; i++)
        loads.threads[i] = thread_start("loader", loader_thread, NULL);
}

void loads_stop(void) {
    pthread_mutex_lock(&loads.lock);
    loads.stopping = true;
    pthread_cond_broadcast(&loads.wake);
    pthread_mutex_unlock(&loads.lock);
    for (size_t i = 0; i < LOADERS; i++)
        thread_join(loads.threads[i]);
    for (struct load *l; (l = first(&loads.waiting)) || (l = first(&loads.ended));)
        load_free(l);
}

void load_submit(struct load *l) {
    pthread_mutex_lock(&loads.lock);
    append(&loads.waiting, l);
    pthread_cond_signal(&loads.wake);
    pthread_mutex_unlock(&loads.lock);
}

struct load *load_take(void) {
    pthread_mutex_lock(&loads.lock);
    struct load *l = first(&loads.ended);
    pthread_mutex_unlock(&loads.lock);
    return l;
}

int load_now(struct ctx *c, const char *target, struct model **out) {
    const struct arm row = {.project = c->project,
                            .endpoint = "",
                            .name = "",
                            .target = target,
                            .runtime = "",
                            .state = "",
                            .reason = "",
                            .model = "",
                            .sha256 = "",
                            .vetted = ""};
    struct load *l = load_new(&row);
    struct ctx *own = &l->c;
    *out = NULL;
    int rc = db_read_begin(lanes_db(loads.o->lanes), own);
    if (rc == 0) {
        rc = model_resolve(own, target, &l->info);
        db_read_end(own);
    }
    if (rc == 0)
        rc = load_version(l, &l->info);
    if (rc < 0)
        rc = fail(c, own->err.code ? own->err.code : ERR_BUSY, "%s",
                  own->err.message ? own->err.message : "the model cannot be loaded");
    *out = l->model;
    l->model = NULL;
    load_free(l);
    return rc;
}
