/* SPDX-License-Identifier: Apache-2.0 */
#include "replay.h"

#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "compare.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/map.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "quern/prediction/prediction.h"
#include "rebuild.h"
#include "record.h"
#include "replay_store.h"
#include "room.h"
#include "scan.h"
#include "segment_store.h"
#include "skew.h"

#define PROGRESS_MS 500
#define REASONS 20 /* why records could not be replayed, that a report names */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    struct thread *thread;
    bool stop, woken, busy;
    const struct replay_ops *ops;
} r = {.lock = PTHREAD_MUTEX_INITIALIZER,
       .wake = PTHREAD_COND_INITIALIZER,
       .idle = PTHREAD_COND_INITIALIZER};

static atomic_bool stopping;

struct run {
    const struct replay *row;
    struct replay_spec spec;
    struct replay_model model;
    struct compare compare;
    struct skew skew;
    struct map *refused; /* why to a count */
    int64_t seen, total, told_ms;
    uint64_t skipped;
    bool cancelled;
};

void prediction_replay_with(const struct replay_ops *ops) {
    pthread_mutex_lock(&r.lock);
    atomic_store(&stopping, !ops);
    while (!ops && r.busy)
        pthread_cond_wait(&r.idle, &r.lock);
    r.ops = ops;
    r.woken = true;
    pthread_cond_signal(&r.wake);
    pthread_mutex_unlock(&r.lock);
}

/* ---- writes ---- */

struct move {
    const char *id, *from, *to, *reason, *report;
    bool changed;
};

static int move_op(struct ctx *c, void *arg) {
    struct move *m = arg;
    return replay_store_move(c, m->id, m->from, m->to, m->reason, m->report, &m->changed);
}

static bool move(const char *id, const char *from, const char *to, const char *reason,
                 const char *report) {
    struct move m = {id, from, to, reason ? reason : "", report ? report : "", false};
    struct ctx c;
    ctx_begin(&c);
    int rc = db_write(room_db(), &c, move_op, &m);
    if (rc < 0)
        log_warn("prediction.replay", "%s", c.err.message ? c.err.message : "cannot be written");
    ctx_end(&c);
    return rc == 0 && m.changed;
}

static int progress_op(struct ctx *c, void *arg) {
    struct run *u = arg;
    bool running;
    int rc = replay_store_progress(c, u->row->id, u->seen, u->total, &running);
    u->cancelled = rc == 0 && !running;
    return rc;
}

/* ---- one record ---- */

static void refuse(struct run *u, const char *why) {
    uint64_t *n = map_get(u->refused, why);
    u->skipped++;
    if (!n && map_count(u->refused) < REASONS) {
        n = mem_alloc(sizeof *n);
        map_set(u->refused, why, n);
    }
    if (n)
        ++*n;
}

/* Printed and read again, so that both answers went through the same form. */
static json_t *as_tree(const struct tensor *out, size_t n) {
    struct buf text = {0};
    capture_print_tensors(out, n, &text);
    json_t *t = json_loadb(text.data, text.len, 0, NULL);
    buf_free(&text);
    return t;
}

static const json_t *truth_of(const struct run *u, const json_t *tree) {
    const char *name;
    json_t *f;
    json_object_foreach(json_object_get(tree, "feedback"), name, f) {
        json_t *label = json_object_get(f, "label");
        if (label && (!u->spec.label || strcmp(u->spec.label, name) == 0))
            return label;
    }
    return NULL;
}

static void answer(struct ctx *c, struct run *u, json_t *tree) {
    const char *id = json_string_value(json_object_get(tree, "id"));
    const json_t *before = json_object_get(tree, "outputs"),
                 *inputs = json_object_get(tree, "inputs");
    int64_t rows = json_integer_value(json_object_get(tree, "rows"));
    struct tensor *in, *out;
    size_t nout;
    if (!before) {
        refuse(u, "its outputs were not kept");
        return;
    }
    int rc = rebuild(c, inputs, rows, &u->model, &in);
    int64_t began = clock_mono_ns();
    if (rc == 0)
        rc = r.ops->run(c, &u->model, in, u->model.ninputs, &out, &nout);
    if (rc < 0) {
        refuse(u, c->err.message ? c->err.message : "the model failed");
        return;
    }
    sample_add(&u->compare.after_us, (double)(clock_mono_ns() - began) / 1000);
    sample_add(&u->compare.before_us,
               (double)json_integer_value(json_object_get(tree, "latency_us")));
    json_t *after = as_tree(out, nout);
    const json_t *truth = truth_of(u, tree);
    compare_add(&u->compare, id, before, after, rows);
    if (truth)
        compare_judge(&u->compare, id, before, after, truth, rows);
    json_decref(after);
}

static int each(struct ctx *c, void *arg, json_t *tree, size_t bytes) {
    struct run *u = arg;
    struct ctx own;
    (void)bytes;
    if (atomic_load(&stopping))
        return fail(c, ERR_BUSY, "the server was stopped meanwhile");
    ctx_begin(&own);
    own.project = u->row->project;
    int rc = record_join(&own, u->row->endpoint, tree);
    if (rc == 0) {
        skew_add(&u->skew, json_object_get(tree, "inputs"), false);
        answer(&own, u, tree);
    } else {
        rc = fail(c, own.err.code, "%s", own.err.message ? own.err.message : "cannot be read");
    }
    ctx_end(&own);
    u->seen++;
    if (rc == 0 && clock_mono_ms() - u->told_ms > PROGRESS_MS) {
        struct ctx w;
        u->told_ms = clock_mono_ms();
        ctx_begin(&w);
        db_write(room_db(), &w, progress_op, u);
        ctx_end(&w);
    }
    return rc < 0 ? rc : u->cancelled || u->seen >= u->total;
}

static int reference(struct ctx *c, void *arg, json_t *tree, size_t bytes) {
    struct run *u = arg;
    (void)bytes;
    (void)c;
    skew_add(&u->skew, json_object_get(tree, "inputs"), true);
    return atomic_load(&stopping);
}

/* ---- a replay ---- */

static char *report(struct run *u) {
    struct buf out = {0};
    struct json_writer w;
    const char *why;
    void *n;
    jw_init(&w, &out);
    jw_obj(&w);
    jw_key_str(&w, "model", u->model.name);
    jw_key_i64(&w, "version", u->model.version);
    jw_key_f64(&w, "tolerance", u->compare.tolerance);
    compare_write(&u->compare, &w);
    jw_key_i64(&w, "skipped", (int64_t)u->skipped);
    jw_key(&w, "skipped_because");
    jw_obj(&w);
    for (size_t i = 0; map_next(u->refused, &i, &why, &n);)
        jw_key_i64(&w, why, (int64_t) * (uint64_t *)n);
    jw_obj_end(&w);
    skew_write(&u->skew, &w);
    jw_obj_end(&w);
    return out.data;
}

static int count(struct ctx *c, struct run *u, const struct scan *s) {
    int64_t all = 0, limit = u->spec.limit.set ? u->spec.limit.v : 100000;
    (void)c;
    for (size_t i = 0; i < s->nsegments; i++)
        all += s->segments[i].records;
    u->total = all < limit ? all : limit;
    return 0;
}

static int scan_window(struct ctx *c, struct run *u) {
    const struct replay_spec *p = &u->spec;
    struct scan_filter f = {.endpoint = u->row->endpoint,
                            .from_ms = p->from_ms.v,
                            .to_ms = p->to_ms.set ? p->to_ms.v : INT64_MAX,
                            .version = p->version.v,
                            .kind = "answer"};
    struct scan s = {.filter = &f, .budget = INT64_MAX, .record = each, .arg = u};
    int rc = scan_begin(c, &s);
    if (rc == 0)
        rc = count(c, u, &s);
    if (rc == 0 && u->total > 0)
        rc = scan_run(c, &s);
    if (rc < 0 || !p->reference_from_ms.set)
        return rc;
    f.from_ms = p->reference_from_ms.v;
    f.to_ms = p->reference_to_ms.set ? p->reference_to_ms.v : INT64_MAX;
    s = (struct scan){.filter = &f, .budget = INT64_C(1) << 30, .record = reference, .arg = u};
    rc = scan_begin(c, &s);
    return rc < 0 ? rc : scan_run(c, &s);
}

static int run_one(struct ctx *c, struct run *u) {
    json_t *tree;
    int rc = json_parse(c, DIALECT_PROBLEM, u->row->spec, strlen(u->row->spec), &tree);
    if (rc == 0)
        rc = json_decode(c, DIALECT_PROBLEM, &shape_replay_spec, tree, NULL, NULL, &u->spec);
    if (rc == 0)
        rc = r.ops->open(c, u->row->endpoint, u->spec.target, u->spec.arm, &u->model);
    if (rc < 0)
        return rc;
    compare_begin(&u->compare, u->spec.tolerance.set ? u->spec.tolerance.v : 1e-5);
    u->compare.truth_output = u->spec.output;
    u->refused = map_new();
    rc = prediction_flush(c, 5000);
    if (rc == 0)
        rc = scan_window(c, u);
    char *text = rc == 0 && !u->cancelled ? report(u) : NULL;
    if (text) {
        struct ctx w;
        u->total = u->seen;
        ctx_begin(&w);
        db_write(room_db(), &w, progress_op, u);
        ctx_end(&w);
        move(u->row->id, "running", "done", "", text);
    }
    free(text);
    compare_end(&u->compare);
    skew_free(&u->skew);
    map_free(u->refused, free);
    r.ops->close(&u->model);
    return rc;
}

/* True when there was one. */
static bool next(void) {
    struct ctx c;
    struct replay row;
    bool found = false;
    ctx_begin(&c);
    int rc = db_read_begin(room_db(), &c);
    if (rc == 0) {
        rc = replay_store_next(&c, &row, &found);
        db_read_end(&c);
    }
    found = rc == 0 && found;
    if (found && move(row.id, "pending", "running", "", "")) {
        struct run u = {.row = &row};
        c.project = row.project;
        if (run_one(&c, &u) < 0)
            move(row.id, "running", "failed", c.err.message, "");
    }
    ctx_end(&c);
    return found;
}

static int lost_op(struct ctx *c, void *arg) {
    (void)arg;
    return db_exec(
        c,
        "UPDATE prediction_replay SET state = 'failed', reason = 'the server was stopped "
        "meanwhile' WHERE state = 'running'",
        "");
}

static void run(void *arg) {
    struct ctx c;
    (void)arg;
    ctx_begin(&c);
    db_write(room_db(), &c, lost_op, NULL);
    ctx_end(&c);
    pthread_mutex_lock(&r.lock);
    while (!r.stop) {
        r.woken = false;
        r.busy = r.ops != NULL;
        bool more = false;
        if (r.busy) {
            pthread_mutex_unlock(&r.lock);
            more = next();
            pthread_mutex_lock(&r.lock);
            r.busy = false;
            pthread_cond_broadcast(&r.idle);
        }
        more = more && !atomic_load(&stopping);
        while (!more && !r.stop && !r.woken)
            pthread_cond_wait(&r.wake, &r.lock);
    }
    pthread_mutex_unlock(&r.lock);
    db_thread_end(room_db());
}

void replay_wake(void *unused) {
    (void)unused;
    pthread_mutex_lock(&r.lock);
    r.woken = true;
    pthread_cond_signal(&r.wake);
    pthread_mutex_unlock(&r.lock);
}

void replay_start(void) {
    r.stop = false;
    atomic_store(&stopping, false);
    r.thread = thread_start("replay", run, NULL);
}

void replay_stop(void) {
    if (!r.thread)
        return;
    atomic_store(&stopping, true);
    pthread_mutex_lock(&r.lock);
    r.stop = true;
    pthread_cond_signal(&r.wake);
    pthread_mutex_unlock(&r.lock);
    thread_join(r.thread);
    r.thread = NULL;
}
