/* SPDX-License-Identifier: Apache-2.0 */
#include "loader.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "endpoint.h"
#include "endpoint_store.h"
#include "folder.h"
#include "model.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/id.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/metric/metric.h"
#include "quern/onnx/onnx.h"
#include "quern/registry/registry.h"
#include "quern/serving/serving.h"
#include "snapshot.h"
#include "vetting.h"

#define RECHECK_MS 30000 /* for what failed for a passing reason */

/* What this process knows of an endpoint beyond its row. */
struct slot {
    int64_t project;
    char *name;
    struct model *model; /* owned through the snapshots' references, and one of ours */
    char *state, *reason;
    int64_t tried_revision, tried_version; /* what was refused; not tried again */
    bool listed;                           /* mark while rows are read */
};

static struct {
    struct serving_options o;
    struct dir *work;
    struct thread *thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool woken, stopping;
    struct slot *slots; /* the loader thread's alone after start */
    size_t nslots, cap;
    bool settled;
} loader = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

void loader_wake(void *unused) {
    (void)unused;
    pthread_mutex_lock(&loader.lock);
    loader.woken = true;
    pthread_cond_signal(&loader.wake);
    pthread_mutex_unlock(&loader.lock);
}

static bool stopping(void) {
    pthread_mutex_lock(&loader.lock);
    bool yes = loader.stopping;
    pthread_mutex_unlock(&loader.lock);
    return yes;
}

/* ---- slots and the snapshot made of them ---- */

static struct slot *slot_of(int64_t project, const char *name) {
    for (size_t i = 0; i < loader.nslots; i++)
        if (loader.slots[i].project == project && strcmp(loader.slots[i].name, name) == 0)
            return &loader.slots[i];
    if (loader.nslots == loader.cap) {
        loader.cap = loader.cap ? loader.cap * 2 : 8;
        loader.slots = mem_realloc(loader.slots, loader.cap * sizeof *loader.slots);
    }
    struct slot *s = &loader.slots[loader.nslots++];
    *s = (struct slot){.project = project,
                       .name = mem_strdup(name),
                       .state = mem_strdup("pending"),
                       .reason = mem_strdup(""),
                       .tried_revision = -1};
    return s;
}

static void slot_say(struct slot *s, const char *state, const char *reason) {
    char *st = mem_strdup(state), *re = mem_strdup(reason);
    free(s->state);
    free(s->reason);
    s->state = st;
    s->reason = re;
}

static void slot_drop_model(struct slot *s) {
    if (s->model && --s->model->refs == 0)
        model_free(s->model);
    s->model = NULL;
}

static void publish(void) {
    static const char *const outcomes[] = {"ok", "invalid", "failed", "unavailable"};
    struct entry *entries = mem_alloc((loader.nslots + 1) * sizeof *entries);
    size_t ready = 0;
    for (size_t i = 0; i < loader.nslots; i++) {
        struct slot *s = &loader.slots[i];
        const char *version = s->model ? s->model->version_text : "";
        struct entry *e = &entries[i];
        *e = (struct entry){.project = s->project,
                            .name = s->name,
                            .model = s->model,
                            .state = s->state,
                            .reason = s->reason};
        for (int k = 0; k < OUTCOME_COUNT; k++)
            e->outcomes[k] = metric_cell(METRIC_PREDICTIONS, s->name, version, outcomes[k]);
        e->rows = metric_cell(METRIC_PREDICTION_ROWS, s->name, version, NULL);
        e->seconds = metric_cell(METRIC_PREDICTION_SECONDS, s->name, version, NULL);
        ready += s->model != NULL;
    }
    snapshot_publish(snapshot_new(entries, loader.nslots, loader.settled));
    free(entries);
    metric_set(METRIC_ENDPOINTS_READY, (double)ready, NULL, NULL, NULL);
}

static void drop_unlisted(void) {
    bool dropped = false;
    for (size_t i = 0; i < loader.nslots;) {
        struct slot *s = &loader.slots[i];
        if (s->listed) {
            i++;
            continue;
        }
        dropped = true;
        log_info("endpoint.drop", "endpoint %s is no longer served", s->name);
        slot_drop_model(s);
        free(s->name);
        free(s->state);
        free(s->reason);
        *s = loader.slots[--loader.nslots];
    }
    if (dropped)
        publish();
}

/* ---- loading ---- */

static int op_record(struct ctx *c, void *arg) {
    return endpoint_record(c, arg);
}

static int record(struct ctx *c, const struct endpoint *e, const char *state, const char *reason,
                  const struct model *m) {
    struct endpoint_outcome o = {.project = e->project,
                                 .name = e->name,
                                 .revision = e->revision,
                                 .state = state,
                                 .reason = reason};
    if (m) {
        o.model = m->name;
        o.version = m->version;
        o.sha256 = m->sha256;
    }
    int rc = db_write(lanes_db(loader.o.lanes), c, op_record, &o);
    if (rc < 0) {
        log_error("endpoint.record", "endpoint %s: %s", e->name,
                  c->err.message ? c->err.message : "not recorded");
        err_clear(c);
    }
    return rc;
}

static int find_files(struct ctx *c, const struct model_version_info *info, struct folder *files,
                      char **mlmodel, size_t *n) {
    struct db *db = lanes_db(loader.o.lanes);
    int rc = db_read_begin(db, c);
    if (rc < 0)
        return rc;
    rc = folder_find(c, info, files);
    db_read_end(c);
    if (rc == 0 && files->mlmodel && files->mlmodel->size <= 1 << 20 &&
        blob_read(c, files->mlmodel->sha256, 1 << 20, mlmodel, n) < 0) {
        err_clear(c); /* names of columns are a convenience */
        *mlmodel = NULL;
    }
    return rc;
}

static int load_version(struct ctx *c, const struct model_version_info *info, struct model **out) {
    struct folder files;
    char *mlmodel = NULL;
    size_t nmlmodel = 0;
    const char *path = NULL;
    char folder[33];
    int rc = find_files(c, info, &files, &mlmodel, &nmlmodel);
    if (rc < 0)
        return rc;
    if (!onnx_ready())
        return fail(c, ERR_NOT_READY,
                    "ONNX Runtime is not loaded: libonnxruntime.so was not found "
                    "(deploy/onnxruntime.sh fetches it, onnx.library names it)");
    id_hex32(folder);
    rc = folder_copy(c, &files, loader.work, folder, loader.o.max_model, &path);
    if (rc == 0)
        rc = vet(c, loader.o.self_exe, path);
    if (rc == 0)
        rc = model_load(c, path, out);
    dir_remove_tree(loader.work, folder);
    if (rc < 0)
        return rc;
    struct model *m = *out;
    m->name = arena_strdup(m->arena, info->name);
    m->version = info->version;
    str_copy(m->version_text, sizeof m->version_text,
             arena_printf(c->arena, "%" PRId64, info->version));
    str_copy(m->sha256, sizeof m->sha256, files.onnx->sha256);
    if (mlmodel)
        signature_features(c, m->arena, mlmodel, nmlmodel, &m->features, &m->nfeatures);
    return 0;
}

static bool serves(const struct slot *s, const char *name, int64_t version) {
    return s->model && s->model->version == version && strcmp(s->model->name, name) == 0;
}

static void put_in_place(struct slot *s, struct model *m, const char *reason) {
    slot_drop_model(s); /* snapshots still hold theirs */
    s->model = m;
    m->refs++;
    slot_say(s, "ready", reason);
    publish(); /* before the row says ready: who reads that may predict at once */
}

/* The last version that served, when the daemon was restarted and the target's cannot be had. */
static bool load_last_good(struct ctx *c, const struct endpoint *e, struct slot *s,
                           const char *reason) {
    struct model_version_info info;
    struct model *m = NULL;
    if (s->model || e->version == 0)
        return s->model != NULL;
    char *why = arena_strdup(c->arena, reason);
    err_clear(c);
    int rc = db_read_begin(lanes_db(loader.o.lanes), c);
    if (rc == 0) {
        c->project = e->project;
        rc = model_version_get(c, e->model, e->version, &info);
        db_read_end(c);
    }
    if (rc == 0)
        rc = load_version(c, &info, &m);
    err_clear(c);
    if (rc == 0)
        put_in_place(s, m, why);
    return rc == 0;
}

static void refuse(struct ctx *c, const struct endpoint *e, struct slot *s, const char *what) {
    char *why = arena_strdup(c->arena, c->err.message ? c->err.message : "unknown reason");
    int code = c->err.code;
    err_clear(c);
    bool serving = load_last_good(c, e, s, why);
    const char *reason = serving ? arena_printf(c->arena, "%s: %s; version %s still serves", what,
                                                why, s->model->version_text)
                                 : arena_printf(c->arena, "%s: %s", what, why);
    if (strcmp(s->reason, reason) != 0 || e->done != e->revision)
        log_warn("endpoint.refused", "endpoint %s: %s", e->name, reason);
    slot_say(s, serving ? "ready" : "failed", reason);
    publish();
    if (code == ERR_BUSY || code == ERR_DISK_FULL || code == ERR_INTERNAL)
        s->tried_revision = -1; /* a passing reason: tried again at the next check */
    record(c, e, s->state, reason, s->model);
}

static void load(struct ctx *c, const struct endpoint *e, struct slot *s,
                 const struct model_version_info *info) {
    struct model *m = NULL;
    int64_t began = clock_mono_ms();
    s->tried_revision = e->revision;
    s->tried_version = info->version;
    if (!s->model) {
        slot_say(s, "loading", "");
        publish();
    }
    record(c, e, "loading", "", NULL);
    if (load_version(c, info, &m) < 0) {
        refuse(c, e, s,
               arena_printf(c->arena, "version %" PRId64 " of '%s' was not loaded", info->version,
                            info->name));
        return;
    }
    put_in_place(s, m, "");
    record(c, e, "ready", "", m);
    log_info("endpoint.ready",
             "endpoint %s serves %s version %" PRId64 ", loaded in %" PRId64 " ms", e->name,
             info->name, info->version, clock_mono_ms() - began);
}

static void reconcile_one(const struct endpoint *e) {
    struct ctx c;
    struct model_version_info info = {0};
    ctx_begin(&c);
    c.project = e->project;
    struct slot *s = slot_of(e->project, e->name);
    int rc = db_read_begin(lanes_db(loader.o.lanes), &c);
    if (rc == 0) {
        rc = model_resolve(&c, e->target, &info);
        db_read_end(&c);
    }
    bool tried = s->tried_revision == e->revision;
    if (rc < 0) {
        if (!tried || s->tried_version != 0) {
            s->tried_revision = e->revision;
            s->tried_version = 0;
            refuse(&c, e, s, "the target cannot be resolved");
        }
    } else if (serves(s, info.name, info.version)) {
        if (e->done != e->revision || strcmp(e->state, "ready") != 0 || *e->reason) {
            s->tried_revision = -1;
            slot_say(s, "ready", "");
            publish();
            record(&c, e, "ready", "", s->model);
        }
    } else if (!tried || s->tried_version != info.version) {
        load(&c, e, s, &info);
    }
    ctx_end(&c);
}

static int read_rows(struct ctx *c, struct endpoint **rows, size_t *n) {
    int rc = db_read_begin(lanes_db(loader.o.lanes), c);
    if (rc < 0)
        return rc;
    rc = endpoint_list_all(c, rows, n);
    db_read_end(c);
    return rc;
}

static void reconcile(void) {
    struct ctx c;
    struct endpoint *rows = NULL;
    size_t n = 0;
    ctx_begin(&c);
    int rc = read_rows(&c, &rows, &n);
    if (rc < 0) {
        log_error("endpoint.list", "%s", c.err.message ? c.err.message : "cannot be read");
        ctx_end(&c);
        return;
    }
    for (size_t i = 0; i < loader.nslots; i++)
        loader.slots[i].listed = false;
    for (size_t i = 0; i < n; i++)
        slot_of(rows[i].project, rows[i].name)->listed = true;
    drop_unlisted();
    for (size_t i = 0; i < n && !stopping(); i++)
        reconcile_one(&rows[i]);
    ctx_end(&c);
    if (!loader.settled && !stopping()) {
        loader.settled = true;
        publish();
    }
}

static void wait_for_work(void) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RECHECK_MS / 1000;
    pthread_mutex_lock(&loader.lock);
    while (!loader.woken && !loader.stopping)
        if (pthread_cond_clockwait(&loader.wake, &loader.lock, CLOCK_MONOTONIC, &until) != 0)
            break;
    loader.woken = false;
    pthread_mutex_unlock(&loader.lock);
}

static void loader_run(void *arg) {
    (void)arg;
    while (!stopping()) {
        reconcile();
        wait_for_work();
    }
    db_thread_end(lanes_db(loader.o.lanes));
}

static int op_reset(struct ctx *c, void *arg) {
    (void)arg;
    return endpoint_store_reset(c);
}

int loader_start(const struct serving_options *o, struct buf *error) {
    loader.o = *o;
    loader.stopping = loader.settled = false;
    dir_remove_tree(o->data, "serving"); /* what a killed daemon left half-unpacked */
    int made = dir_open_sub(o->data, "serving", true, &loader.work);
    if (made < 0) {
        buf_printf(error, "the data directory's serving folder cannot be made: %s",
                   strerror(-made));
        return -1;
    }
    struct ctx c;
    struct endpoint *rows = NULL;
    size_t n = 0;
    ctx_begin(&c);
    int rc = db_write(lanes_db(o->lanes), &c, op_reset, NULL);
    if (rc == 0)
        rc = read_rows(&c, &rows, &n);
    if (rc < 0)
        buf_printf(error, "endpoints cannot be read: %s", c.err.message ? c.err.message : "?");
    for (size_t i = 0; rc == 0 && i < n; i++)
        slot_of(rows[i].project, rows[i].name);
    ctx_end(&c);
    if (rc < 0) {
        dir_close(loader.work);
        return -1;
    }
    loader.settled = n == 0;
    publish(); /* known from the first request on: not ready is not unknown */
    loader.thread = thread_start("serving", loader_run, NULL);
    return 0;
}

void loader_stop(void) {
    if (!loader.thread)
        return;
    pthread_mutex_lock(&loader.lock);
    loader.stopping = true;
    pthread_cond_signal(&loader.wake);
    pthread_mutex_unlock(&loader.lock);
    thread_join(loader.thread);
    loader.thread = NULL;
    snapshot_publish(NULL);
    for (size_t i = 0; i < loader.nslots; i++) {
        slot_drop_model(&loader.slots[i]);
        free(loader.slots[i].name);
        free(loader.slots[i].state);
        free(loader.slots[i].reason);
    }
    free(loader.slots);
    loader.slots = NULL;
    loader.nslots = loader.cap = 0;
    dir_close(loader.work);
}
