/* SPDX-License-Identifier: Apache-2.0 */
/* Batch runner: the one thread that starts workers, looks how far they are and takes over what they
 * made. The rows say what is wanted; a worker's folder says what came of it. */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "batch.h"
#include "batch_folder.h"
#include "batch_parquet.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/duck/duck.h"
#include "quern/lane/lane.h"
#include "quern/onnx/onnx.h"
#include "quern/process/process.h"
#include "quern/serving/serving.h"

#define LOOK_MS 500
#define IDLE_MS 30000

/* A worker that is watched. */
struct working {
    struct working *next;
    char id[33];
    char folder[64];
    bool gone;      /* its keeper has ended; written under the lock */
    bool cancelled; /* it was told */
};

static struct {
    struct serving_options o;
    struct dir *root;
    struct watcher *watcher;
    struct thread *thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool woken, stopping;
    struct working *list; /* the thread's; entries are added under the lock */
} runner = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

struct lanes *batches_lanes(void) {
    return runner.o.lanes;
}

int64_t batches_max_input(void) {
    return runner.o.batch_max_input;
}

void batches_wake(void *unused) {
    (void)unused;
    pthread_mutex_lock(&runner.lock);
    runner.woken = true;
    pthread_cond_signal(&runner.wake);
    pthread_mutex_unlock(&runner.lock);
}

static void on_exited(const char *folder, void *arg) {
    (void)arg;
    pthread_mutex_lock(&runner.lock);
    for (struct working *w = runner.list; w; w = w->next)
        w->gone = w->gone || strcmp(w->folder, folder) == 0;
    runner.woken = true;
    pthread_cond_signal(&runner.wake);
    pthread_mutex_unlock(&runner.lock);
}

static struct working *find(const char *id) {
    struct working *w = runner.list;
    while (w && strcmp(w->id, id) != 0)
        w = w->next;
    return w;
}

/* Before its process is started, so that its end is not missed. */
static struct working *watch(const struct batch *b, const char *folder) {
    struct working *w = mem_alloc(sizeof *w);
    str_copy(w->id, sizeof w->id, b->id);
    str_copy(w->folder, sizeof w->folder, folder);
    pthread_mutex_lock(&runner.lock);
    w->next = runner.list;
    runner.list = w;
    pthread_mutex_unlock(&runner.lock);
    return w;
}

static void unwatch(const char *id) {
    pthread_mutex_lock(&runner.lock);
    for (struct working **at = &runner.list; *at; at = &(*at)->next)
        if (strcmp((*at)->id, id) == 0) {
            struct working *w = *at;
            *at = w->next;
            free(w);
            break;
        }
    pthread_mutex_unlock(&runner.lock);
}

/* ---- records ---- */

struct outcome {
    const struct batch *b;
    const char *output, *errors; /* digests; NULL: none */
    int64_t output_size, errors_size;
};

static int op_update(struct ctx *c, void *arg) {
    const struct outcome *o = arg;
    int rc = 0;
    c->project = o->b->project;
    if (o->output)
        rc = artifact_link(c, batch_output_path(c, o->b), o->output, o->output_size);
    if (rc == 0 && o->errors)
        rc = artifact_link(c, batch_errors_path(c, o->b), o->errors, o->errors_size);
    if (rc == 0)
        rc = batch_update(c, o->b);
    return rc == 0 && db_changes(c) == 0 ? fail(c, ERR_CONFLICT, "it was ended meanwhile") : rc;
}

static int record(struct ctx *c, const struct outcome *o) {
    int rc = db_write(lanes_db(runner.o.lanes), c, op_update, (void *)o);
    if (rc < 0)
        log_error("batch.record", "batch job %s: %s", o->b->id,
                  c->err.message ? c->err.message : "not recorded");
    return rc;
}

static void end(struct ctx *c, struct batch *b, struct outcome *o, const char *state,
                const char *reason) {
    b->state = state;
    b->reason = reason;
    b->ended_ms = clock_wall_ms();
    o->b = b;
    int rc = record(c, o);
    if (rc < 0 && (o->output || o->errors)) { /* no room for its files, say */
        struct outcome without = {.b = b};
        b->state = "failed";
        b->reason = arena_printf(c->arena, "its files were not taken over: %s",
                                 c->err.message ? c->err.message : "?");
        err_clear(c);
        rc = record(c, &without);
    }
    err_clear(c);
    if (rc < 0)
        return; /* looked at again */
    unwatch(b->id);
    dir_remove_tree(runner.root, b->id);
    log_info("batch.ended",
             "batch job %s %s after %" PRId64 " rows, %" PRId64 " of them failed%s%s", b->id,
             b->state, b->rows, b->errors, *b->reason ? ": " : "", b->reason);
}

static void end_failed(struct ctx *c, struct batch *b) {
    struct outcome o = {0};
    const char *why = arena_strdup(c->arena, c->err.message ? c->err.message : "unknown reason");
    err_clear(c);
    end(c, b, &o, "failed", why);
}

/* ---- workers ---- */

static int64_t memory_limit(int64_t model_bytes) {
#ifdef QUERN_SANITIZED
    (void)model_bytes; /* the sanitizers' shadow alone is larger than any sensible bound */
    return 0;
#else
    return ((int64_t)6 << 30) + 8 * model_bytes;
#endif
}

static int start(struct ctx *c, const struct batch *b, int64_t model_bytes) {
    const char *folder = arena_printf(c->arena, "%s/a%" PRId64, b->id, b->attempt);
    const char *place = arena_printf(c->arena, "%s/%s", dir_path(runner.root), b->id);
    const char *const argv[] = {runner.o.self_exe, "batch-worker", place, NULL};
    const char *const env[] = {arena_printf(c->arena, "QUERN_ONNX_LIBRARY=%s", onnx_path()),
                               arena_printf(c->arena, "QUERN_DUCK_LIBRARY=%s", duck_path()),
                               "PATH=/usr/bin:/bin",
#ifdef QUERN_SANITIZED
                               "ASAN_OPTIONS=detect_leaks=0",
#endif
                               NULL};
    struct process_spec spec = {.argv = argv,
                                .env = env,
                                .workdir = place,
                                .limits = {.grace_ms = 2000,
                                           .memory_bytes = memory_limit(model_bytes),
                                           .file_bytes = runner.o.batch_max_output + (64 << 20),
                                           .open_files = 128,
                                           .log_cap = 1 << 20}};
    watch(b, folder);
    int rc = process_start(runner.watcher, c, runner.root, folder, &spec);
    if (rc < 0)
        unwatch(b->id);
    return rc;
}

/* On record first: a daemon that dies in between finds the attempt not begun, and begins it. */
static void begin(struct ctx *c, struct batch *b, bool recorded) {
    int64_t model_bytes = 0;
    int rc = batch_folder_make(c, &runner.o, runner.root, b, &model_bytes);
    if (rc == 0 && !onnx_ready())
        rc = fail(c, ERR_NOT_READY, "ONNX Runtime is not loaded, nothing can be predicted");
    if (rc == 0 && !recorded) {
        b->attempt++;
        b->state = "running";
        if (!b->started_ms)
            b->started_ms = clock_wall_ms();
        if (record(c, &(struct outcome){.b = b}) < 0) {
            if (c->err.code == ERR_CONFLICT)
                dir_remove_tree(runner.root, b->id);
            return;
        }
    }
    if (rc == 0)
        rc = start(c, b, model_bytes);
    if (rc < 0)
        end_failed(c, b);
}

/* A worker that crashed or was killed: from the last saved rows on. */
static void again(struct ctx *c, struct batch *b, const char *how) {
    unwatch(b->id);
    if (b->attempt >= BATCH_ATTEMPTS) {
        (void)fail(c, ERR_UNPROCESSABLE,
                   "its worker was started %" PRId64
                   " times and did not come to an end; the last %s "
                   "after row %" PRId64,
                   b->attempt, how, b->rows);
        end_failed(c, b);
        return;
    }
    log_warn("batch.again",
             "batch job %s: its worker %s after row %" PRId64 "; it goes on from there", b->id, how,
             b->rows);
    begin(c, b, false);
}

static bool take_progress(struct ctx *c, struct batch *b, struct batch_progress *p) {
    if (batch_folder_progress(c, runner.root, b->id, p) < 0) {
        err_clear(c);
        return false;
    }
    /* In bytes of the input as it was given: what is read may be made of it. */
    double share = p->in_total.v > 0 ? (double)p->in_bytes.v / (double)p->in_total.v : 0;
    int64_t bytes =
        share >= 1 || p->finished.v ? b->input_bytes : (int64_t)(share * (double)b->input_bytes);
    bool changed = b->rows != p->rows.v || b->bytes != bytes;
    b->rows = p->rows.v;
    b->errors = p->errors.v;
    b->bytes = bytes;
    return changed;
}

static void finish(struct ctx *c, struct batch *b, const struct process_status *st) {
    struct batch_progress p;
    struct outcome o = {0};
    char output[65] = "", errors[65] = "";
    take_progress(c, b, &p);
    const char *failure = batch_folder_failure(c, runner.root, b->id);
    if (b->cancelled) {
        end(c, b, &o, "cancelled", "");
        return;
    }
    bool finished = st->exit_code == 0 && p.finished.v;
    if (!finished && !failure) {
        again(c, b,
              st->signal         ? arena_printf(c->arena, "was ended by signal %d", st->signal)
              : st->start_failed ? arena_printf(c->arena, "did not start (%s)", st->reason)
                                 : arena_printf(c->arena, "ended with code %d", st->exit_code));
        return;
    }
    bool none = finished && p.rows.v > 0 && p.errors.v == p.rows.v;
    int rc = 0;
    if (finished && !none) {
        bool parquet = str_ends(batch_output_path(c, b), ".parquet");
        rc = batch_folder_blob(c, runner.root, b->id, parquet ? BATCH_OUTPUT_PARQUET : BATCH_OUTPUT,
                               output, &o.output_size);
        o.output = output;
    }
    if (rc == 0 && p.error_bytes.v > 0) {
        rc = batch_folder_blob(c, runner.root, b->id, BATCH_ERRORS, errors, &o.errors_size);
        o.errors = errors;
    }
    if (rc < 0)
        end_failed(c, b);
    else if (none)
        end(c, b, &o, "failed",
            arena_printf(c->arena, "no row could be predicted; the first: %s", p.first_error));
    else
        end(c, b, &o, finished ? "succeeded" : "failed", finished ? "" : failure);
    if (*output)
        blob_unpin(output);
    if (*errors)
        blob_unpin(errors);
}

/* One that runs by its row, and that this daemon does not watch: from before a restart. */
static void take_up(struct ctx *c, struct batch *b) {
    const char *folder = arena_printf(c->arena, "%s/a%" PRId64, b->id, b->attempt);
    enum process_state state = PROCESS_LOST;
    struct process_status st;
    watch(b, folder);
    if (process_adopt(runner.watcher, c, runner.root, folder, &state) < 0) {
        err_clear(c);
        state = PROCESS_LOST;
    }
    if (state == PROCESS_RUNNING)
        return;
    unwatch(b->id);
    if (state == PROCESS_ENDED && process_status(c, runner.root, folder, &st) == 0) {
        finish(c, b, &st);
        return;
    }
    err_clear(c);
    if (b->cancelled)
        end(c, b, &(struct outcome){0}, "cancelled", "");
    else if (state == PROCESS_UNSTARTED)
        begin(c, b, true);
    else
        again(c, b, "was lost");
}

static void look(struct ctx *c, struct batch *b) {
    struct working *w = find(b->id);
    struct process_status st;
    struct batch_progress p;
    if (!w) {
        take_up(c, b);
        return;
    }
    pthread_mutex_lock(&runner.lock);
    bool gone = w->gone;
    pthread_mutex_unlock(&runner.lock);
    if (process_status(c, runner.root, w->folder, &st) == 0) {
        finish(c, b, &st);
        return;
    }
    err_clear(c);
    bool changed = take_progress(c, b, &p);
    if (gone) {
        again(c, b, "was lost");
        return;
    }
    if (changed && record(c, &(struct outcome){.b = b}) < 0)
        err_clear(c);
    if (b->cancelled && !w->cancelled) {
        w->cancelled = true;
        if (process_cancel(runner.watcher, c, runner.root, w->folder) < 0)
            err_clear(c);
    }
}

/* ---- the thread ---- */

/* Each job with a context of its own; true while there is something to look at. */
static bool pass(void) {
    struct ctx list, c;
    struct batch *rows = NULL;
    size_t n = 0;
    unsigned running = 0;
    ctx_begin(&list);
    int rc = db_read_begin(lanes_db(runner.o.lanes), &list);
    if (rc == 0) {
        rc = batch_list_open(&list, &rows, &n);
        db_read_end(&list);
    }
    if (rc < 0)
        log_error("batch.list", "%s", list.err.message ? list.err.message : "cannot be read");
    for (int queued = 0; queued < 2; queued++)
        for (size_t i = 0; rc == 0 && i < n; i++) {
            bool is_queued = strcmp(rows[i].state, "queued") == 0;
            if (is_queued != (queued == 1) || (queued && running >= runner.o.batch_jobs))
                continue;
            ctx_begin(&c);
            c.project = rows[i].project;
            c.now_ms = clock_wall_ms();
            if (is_queued)
                begin(&c, &rows[i], false);
            else
                look(&c, &rows[i]);
            running += strcmp(rows[i].state, "running") == 0;
            ctx_end(&c);
        }
    ctx_end(&list);
    return running > 0;
}

/* False when the daemon stops. */
static bool wait_for_work(int64_t ms) {
    struct timespec until = clock_mono_in(ms);
    pthread_mutex_lock(&runner.lock);
    while (!runner.woken && !runner.stopping)
        if (pthread_cond_clockwait(&runner.wake, &runner.lock, CLOCK_MONOTONIC, &until) != 0)
            break;
    runner.woken = false;
    bool on = !runner.stopping;
    pthread_mutex_unlock(&runner.lock);
    return on;
}

static void run(void *arg) {
    (void)arg;
    bool more = pass();
    while (wait_for_work(more ? LOOK_MS : IDLE_MS))
        more = pass();
    db_thread_end(lanes_db(runner.o.lanes));
}

/* Folders of jobs that have ended: a daemon that died between the record and the removal. */
static int sweep(struct ctx *c) {
    struct batch *rows;
    char **names;
    size_t n = 0, nnames = 0;
    int rc = db_read_begin(lanes_db(runner.o.lanes), c);
    if (rc < 0)
        return rc;
    rc = batch_list_open(c, &rows, &n);
    db_read_end(c);
    if (rc < 0 || dir_list(runner.root, NULL, c->arena, &names, &nnames) < 0)
        return rc;
    for (size_t i = 0; i < nnames; i++) {
        bool open = false;
        for (size_t k = 0; k < n && !open; k++)
            open = strcmp(rows[k].id, names[i]) == 0;
        if (!open)
            dir_remove_tree(runner.root, names[i]);
    }
    return 0;
}

int batches_start(const struct serving_options *o, struct buf *error) {
    struct ctx c;
    runner.o = *o;
    runner.stopping = false;
    int made = dir_open_sub(o->data, "batch", true, &runner.root);
    if (made < 0) {
        buf_printf(error, "the data directory's batch folder cannot be made: %s", strerror(-made));
        return -1;
    }
    ctx_begin(&c);
    int rc = sweep(&c);
    if (rc < 0)
        buf_printf(error, "batch jobs cannot be read: %s", c.err.message ? c.err.message : "?");
    ctx_end(&c);
    if (rc == 0 && watcher_start(o->self_exe, on_exited, NULL, &runner.watcher) != 0) {
        buf_puts(error, "the watcher of batch workers could not be started");
        rc = -1;
    }
    if (rc < 0) {
        dir_close(runner.root);
        runner.root = NULL;
        return -1;
    }
    runner.thread = thread_start("batches", run, NULL);
    return 0;
}

void batches_stop(void) {
    if (!runner.thread)
        return;
    pthread_mutex_lock(&runner.lock);
    runner.stopping = true;
    pthread_cond_signal(&runner.wake);
    pthread_mutex_unlock(&runner.lock);
    thread_join(runner.thread);
    runner.thread = NULL;
    watcher_stop(runner.watcher);
    while (runner.list)
        unwatch(runner.list->id);
    dir_close(runner.root);
}
