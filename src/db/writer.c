/* SPDX-License-Identifier: Apache-2.0 */
/* Writer: the one thread that changes the database, many operations to a commit. */
#include <stdlib.h>

#include "database.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/queue.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/metric/metric.h"

enum { IDLE_MS = 1000 };

static void drop_hooks(struct op *op) {
    op->first_hook = NULL;
    op->last_hook = &op->first_hook;
}

void db_after_commit(struct ctx *c, void (*fn)(void *arg), void *arg) {
    struct op *op = c->db && c->db->writer ? c->db->op : NULL;
    if (!op) {
        log_error("db.hook", "db_after_commit outside of an operation");
        return;
    }
    struct hook *h = ARENA_NEW(c->arena, struct hook);
    *h = (struct hook){.fn = fn, .arg = arg};
    *op->last_hook = h;
    op->last_hook = &h->next;
}

/* Runs the operation's own code and leaves no statement open behind it. */
static int run_operation(struct db *db, struct op *op) {
    struct db_conn *conn = db->writer;
    struct ctx *c = op->c;
    struct db_conn *before = c->db;
    int rc;
    drop_hooks(op);
    if (c->deadline_ns > 0 && clock_mono_ns() > c->deadline_ns)
        rc = fail(c, ERR_DEADLINE, "the request's deadline passed while it waited for the writer");
    else {
        c->db = conn;
        conn->op = op;
        conn->deadline_ns = c->deadline_ns;
        conn->last_error = SQLITE_OK;
        rc = op->run(c, op->arg);
        if (rc == 0)
            rc = ctx_asked(c);
        conn_end_all(conn);
        conn->deadline_ns = 0;
        conn->op = NULL;
        c->db = before;
    }
    if (rc > 0) {
        log_error("db.operation", "an operation returned %d, which is neither 0 nor an error", rc);
        rc = -ERR_INTERNAL;
    }
    if (rc < 0 && c->err.code == 0)
        fail(c, -rc, "%s", err_row(rc)->title);
    return rc;
}

static void roll_back(struct db *db) {
    if (!sqlite3_get_autocommit(db->writer->handle))
        conn_step(db->writer->rollback);
}

static bool check(struct db *db, int code) {
    if (code == SQLITE_OK)
        return true;
    db->writer->last_error = code;
    if (conn_fatal(code))
        conn_die(db->writer, code);
    return false;
}

static bool commit(struct db *db) {
    int64_t t0 = clock_mono_ns();
    bool ok = check(db, conn_step(db->writer->commit));
    if (!ok) {
        roll_back(db);
        return false;
    }
    metric_cell_observe(db->seconds, (double)(clock_mono_ns() - t0) / 1e9);
    metric_cell_add(db->commits, 1);
    return true;
}

/* All in one transaction. False when it was lost; then nothing of it is in the database. */
static bool run_together(struct db *db, struct op **ops, size_t n) {
    if (!check(db, conn_step(db->writer->begin)))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct op *op = ops[i];
        if (!check(db, conn_step(db->savepoint)))
            return roll_back(db), false;
        op->rc = run_operation(db, op);
        /* A full disk or an interrupt may have discarded the transaction without a word. */
        if (sqlite3_get_autocommit(db->writer->handle))
            return false;
        if (op->rc < 0) {
            drop_hooks(op);
            if (!check(db, conn_step(db->rollback_to)))
                return roll_back(db), false;
        }
        if (!check(db, conn_step(db->release)))
            return roll_back(db), false;
    }
    return commit(db);
}

/* One operation in its own transaction, after its batch was lost. */
static void run_alone(struct db *db, struct op *op) {
    struct ctx *c = op->c;
    struct db_conn *conn = db->writer;
    err_clear(c);
    int r = conn_step(conn->begin);
    if (!check(db, r)) {
        drop_hooks(op);
        op->rc = conn_failed(c, conn, r);
        return;
    }
    op->rc = run_operation(db, op);
    bool lost = sqlite3_get_autocommit(conn->handle);
    if (op->rc == 0 && lost) {
        err_clear(c);
        op->rc = conn_failed(c, conn, conn->last_error ? conn->last_error : SQLITE_ABORT);
    } else if (op->rc == 0 && !commit(db))
        op->rc = conn_failed(c, conn, conn->last_error);
    roll_back(db);
    if (op->rc < 0)
        drop_hooks(op);
}

static void tell(struct db *db, struct op *op) {
    metric_cell_add(op->rc == 0 ? db->committed
                    : op->rc == -ERR_INTERNAL || op->rc == -ERR_DISK_FULL || op->rc == -ERR_BUSY
                        ? db->failed
                        : db->refused,
                    1);
    for (struct hook *h = op->first_hook; h; h = h->next)
        h->fn(h->arg);
    if (op->done)
        op->done(op->c, op->arg, op->rc); /* the operation may be gone after this */
}

static void run_batch(struct db *db, struct op **ops, size_t n) {
    db->wrote = false;
    if (!run_together(db, ops, n)) {
        log_warn("db.batch", "a batch of %zu was lost (%s) and runs again one by one", n,
                 sqlite3_errstr(db->writer->last_error));
        for (size_t i = 0; i < n; i++)
            run_alone(db, ops[i]);
    }
    bool full = false;
    for (size_t i = 0; i < n; i++)
        full |= ops[i]->rc == -ERR_DISK_FULL;
    if (full && atomic_exchange(&db->writable, false))
        log_error("db.disk_full", "the disk that holds the database is full; writes are refused");
    if (!full && db->wrote && !atomic_exchange(&db->writable, true))
        log_info("db.disk_full", "there is room again; writes are taken");
    metric_cell_observe(db->sizes, (double)n);
    for (size_t i = 0; i < n; i++)
        tell(db, ops[i]);
    if (full)
        checkpoint_full_disk(db);
    else
        checkpoint_after_batch(db);
    metric_set(METRIC_DB_WAL, (double)db_wal_bytes(db), NULL, NULL, NULL);
    metric_set(METRIC_DB_QUEUE, (double)queue_depth(db->queue), NULL, NULL, NULL);
}

static void writer_run(void *arg) {
    struct db *db = arg;
    for (;;) {
        int64_t wait = backup_pending(db) ? 0 : IDLE_MS;
        size_t n = queue_pop_many(db->queue, (void **)db->ops, db->batch, wait);
        size_t m = 0;
        for (size_t i = 0; i < n; i++) /* a NULL only wakes */
            if (db->ops[i])
                db->ops[m++] = db->ops[i];
        if (m > 0)
            run_batch(db, db->ops, m);
        if (backup_pending(db))
            backup_advance(db);
        else if (n == 0) {
            if (queue_closed(db->queue) && queue_depth(db->queue) == 0)
                break;
            checkpoint_idle(db);
        }
    }
    backup_abandon(db);
    db_thread_end(db); /* listeners may have read on this thread */
}

int writer_start(struct db *db, struct buf *error) {
    static const char *const text[] = {"SAVEPOINT op", "RELEASE op", "ROLLBACK TO op"};
    sqlite3_stmt **const at[] = {&db->savepoint, &db->release, &db->rollback_to};
    for (size_t i = 0; i < ARRAY_LEN(text); i++)
        if (sqlite3_prepare_v3(db->writer->handle, text[i], -1, SQLITE_PREPARE_PERSISTENT, at[i],
                               NULL) != SQLITE_OK) {
            buf_printf(error, "the database cannot be written to: %s",
                       sqlite3_errmsg(db->writer->handle));
            return -1;
        }
    db->ops = mem_alloc(db->batch * sizeof(struct op *));
    db->committed = metric_cell(METRIC_DB_OPS, "committed", NULL, NULL);
    db->refused = metric_cell(METRIC_DB_OPS, "refused", NULL, NULL);
    db->failed = metric_cell(METRIC_DB_OPS, "failed", NULL, NULL);
    db->commits = metric_cell(METRIC_DB_COMMITS, NULL, NULL, NULL);
    db->sizes = metric_cell(METRIC_DB_BATCH, NULL, NULL, NULL);
    db->seconds = metric_cell(METRIC_DB_COMMIT_SECONDS, NULL, NULL, NULL);
    atomic_store(&db->writable, true);
    checkpoint_setup(db);
    db->thread = thread_start("writer", writer_run, db);
    return 0;
}

void writer_stop(struct db *db) {
    if (db->thread) {
        queue_close(db->queue);
        thread_join(db->thread);
        db->thread = NULL;
    }
    sqlite3_finalize(db->savepoint);
    sqlite3_finalize(db->release);
    sqlite3_finalize(db->rollback_to);
    db->savepoint = db->release = db->rollback_to = NULL;
    free(db->ops);
    db->ops = NULL;
}

static int submit(struct db *db, struct op *op) {
    if (queue_push(db->queue, op) == 0)
        return 0;
    return fail(op->c, ERR_BUSY,
                queue_closed(db->queue) ? "the server is shutting down"
                                        : "too many writes are waiting; try again in a second");
}

int db_submit(struct db *db, struct ctx *c, db_op *run, void *arg, db_done *done) {
    struct op *op = ARENA_NEW(c->arena, struct op);
    *op = (struct op){.c = c, .run = run, .arg = arg, .done = done};
    return submit(db, op);
}

/* Lives on the stack of the thread that waits. */
struct waiting {
    struct op op;
    db_op *run;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t ready;
    bool over;
    int rc;
};

static int waiting_run(struct ctx *c, void *arg) {
    struct waiting *w = arg;
    return w->run(c, w->arg);
}

static void waiting_done(struct ctx *c, void *arg, int rc) {
    (void)c;
    struct waiting *w = arg;
    pthread_mutex_lock(&w->lock);
    w->rc = rc;
    w->over = true;
    pthread_cond_signal(&w->ready);
    pthread_mutex_unlock(&w->lock);
}

int db_write(struct db *db, struct ctx *c, db_op *run, void *arg) {
    if (c->db && c->db->writer)
        return fail(c, ERR_INTERNAL, "internal error: a write that waits inside a write");
    struct waiting w = {.run = run, .arg = arg};
    w.op = (struct op){.c = c, .run = waiting_run, .arg = &w, .done = waiting_done};
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.ready, NULL);
    int rc = submit(db, &w.op);
    if (rc == 0) {
        pthread_mutex_lock(&w.lock);
        while (!w.over)
            pthread_cond_wait(&w.ready, &w.lock);
        pthread_mutex_unlock(&w.lock);
        rc = w.rc;
    }
    pthread_cond_destroy(&w.ready);
    pthread_mutex_destroy(&w.lock);
    return rc;
}

bool db_writable(struct db *db) {
    return atomic_load(&db->writable);
}
