/* SPDX-License-Identifier: Apache-2.0 */
#include "connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "database.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

enum { PROGRESS_STEPS = 2000, EXIT_STORAGE = 70 };

static void library_log(void *unused, int code, const char *message) {
    (void)unused;
    /* Schema changes re-prepare statements and recovery rolls the log forward: both expected. */
    int primary = code & 0xff;
    if (primary == SQLITE_NOTICE || primary == SQLITE_SCHEMA)
        log_debug("db.sqlite", "%s (%d)", message, code);
    else
        log_warn("db.sqlite", "%s (%d)", message, code);
}

static void library_setup(void) {
    sqlite3_config(SQLITE_CONFIG_LOG, library_log, NULL);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_initialize();
}

static int progress(void *arg) {
    struct db_conn *conn = arg;
    if (!conn->writer && atomic_load_explicit(&conn->evict, memory_order_relaxed))
        return 1;
    return conn->deadline_ns > 0 && clock_mono_ns() > conn->deadline_ns;
}

static int pragma(sqlite3 *handle, const char *sql, const char *want) {
    sqlite3_stmt *st = NULL;
    int r = sqlite3_prepare_v2(handle, sql, -1, &st, NULL);
    if (r == SQLITE_OK) {
        r = sqlite3_step(st);
        const char *got = r == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
        if (want && (!got || strcmp(got, want) != 0)) {
            log_error("db.pragma", "%s gave %s, not %s", sql, got ? got : "nothing", want);
            r = SQLITE_MISUSE;
        } else if (r == SQLITE_ROW || r == SQLITE_DONE)
            r = SQLITE_OK;
    }
    int f = sqlite3_finalize(st);
    return r != SQLITE_OK ? r : f;
}

static int settings(sqlite3 *handle, bool writer, int64_t wal_soft) {
    static const struct {
        int limit, value;
    } limits[] = {
        {SQLITE_LIMIT_LENGTH, 64 << 20},      {SQLITE_LIMIT_SQL_LENGTH, 256 << 10},
        {SQLITE_LIMIT_EXPR_DEPTH, 200},       {SQLITE_LIMIT_COMPOUND_SELECT, 10},
        {SQLITE_LIMIT_VDBE_OP, 250000},       {SQLITE_LIMIT_FUNCTION_ARG, 64},
        {SQLITE_LIMIT_ATTACHED, 0},           {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000},
        {SQLITE_LIMIT_VARIABLE_NUMBER, 8192}, {SQLITE_LIMIT_TRIGGER_DEPTH, 10},
    };
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, 5000);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, writer ? 0 : 1, NULL);
    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        sqlite3_limit(handle, limits[i].limit, limits[i].value);

    static const char *const both[] = {
        "PRAGMA wal_autocheckpoint = 0", "PRAGMA temp_store = MEMORY", "PRAGMA mmap_size = 0",
        "PRAGMA cell_size_check = ON",   "PRAGMA foreign_keys = ON",
    };
    int r = SQLITE_OK;
    for (size_t i = 0; i < ARRAY_LEN(both) && r == SQLITE_OK; i++)
        r = pragma(handle, both[i], NULL);
    if (r == SQLITE_OK)
        r = pragma(handle, writer ? "PRAGMA cache_size = -65536" : "PRAGMA cache_size = -16384",
                   NULL);
    if (r == SQLITE_OK && writer) {
        char limit[64];
        snprintf(limit, sizeof limit, "PRAGMA journal_size_limit = %lld", (long long)wal_soft);
        r = pragma(handle, "PRAGMA journal_mode = WAL", "wal");
        if (r == SQLITE_OK)
            r = pragma(handle, "PRAGMA synchronous = FULL", NULL);
        if (r == SQLITE_OK)
            r = pragma(handle, "PRAGMA synchronous", "2");
        if (r == SQLITE_OK)
            r = pragma(handle, limit, NULL);
    } else if (r == SQLITE_OK)
        r = pragma(handle, "PRAGMA query_only = ON", NULL);
    if (r == SQLITE_OK)
        r = pragma(handle, "PRAGMA foreign_keys", "1");
    return r;
}

int conn_open(struct db *db, const char *path, bool writer, struct db_conn **out) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, library_setup);
    struct db_conn *conn = mem_alloc(sizeof *conn);
    conn->db = db;
    conn->writer = writer;
    pthread_mutex_init(&conn->lock, NULL);
    /* Each handle is used under our own rules by one thread at a time, so SQLite need not lock. */
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                (writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    int r = sqlite3_open_v2(path, &conn->handle, flags, NULL);
    if (r == SQLITE_OK)
        r = settings(conn->handle, writer, db->wal_soft);
    if (r == SQLITE_OK)
        r = function_register(conn->handle);
    static const char *const text[] = {"BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"};
    if (r == SQLITE_OK)
        r = sqlite3_prepare_v3(conn->handle, text[writer ? 1 : 0], -1, SQLITE_PREPARE_PERSISTENT,
                               &conn->begin, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_prepare_v3(conn->handle, text[2], -1, SQLITE_PREPARE_PERSISTENT, &conn->commit,
                               NULL);
    if (r == SQLITE_OK)
        r = sqlite3_prepare_v3(conn->handle, text[3], -1, SQLITE_PREPARE_PERSISTENT,
                               &conn->rollback, NULL);
    if (r != SQLITE_OK) {
        log_error("db.open", "cannot open the database: %s",
                  conn->handle ? sqlite3_errmsg(conn->handle) : sqlite3_errstr(r));
        conn_close(conn);
        *out = NULL;
        return r;
    }
    sqlite3_progress_handler(conn->handle, PROGRESS_STEPS, progress, conn);
    *out = conn;
    return SQLITE_OK;
}

void conn_close(struct db_conn *conn) {
    if (!conn)
        return;
    conn_end_all(conn);
    for (size_t b = 0; b < CONN_BUCKETS; b++)
        for (struct cached *e = conn->buckets[b], *next; e; e = next) {
            next = e->next;
            sqlite3_finalize(e->raw);
            free(e);
        }
    sqlite3_finalize(conn->begin);
    sqlite3_finalize(conn->commit);
    sqlite3_finalize(conn->rollback);
    int r = sqlite3_close(conn->handle);
    if (r != SQLITE_OK)
        log_error("db.close", "%s", sqlite3_errstr(r));
    pthread_mutex_destroy(&conn->lock);
    free(conn);
}

void conn_enter(struct db_conn *conn) {
    if (!conn->writer)
        pthread_mutex_lock(&conn->lock);
}

void conn_leave(struct db_conn *conn) {
    if (!conn->writer)
        pthread_mutex_unlock(&conn->lock);
}

int conn_step(sqlite3_stmt *raw) {
    int r = sqlite3_step(raw);
    sqlite3_reset(raw);
    return r == SQLITE_DONE || r == SQLITE_ROW ? SQLITE_OK : r;
}

static bool disk_full(int code) {
    /* The shared-memory file could not grow: a full disk, too, and nothing was lost by it. */
    return (code & 0xff) == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE;
}

bool conn_fatal(int code) {
    int primary = code & 0xff;
    if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
        return true;
    return primary == SQLITE_IOERR && !disk_full(code) && code != SQLITE_IOERR_NOMEM;
}

void conn_die(struct db_conn *conn, int code) {
    /* After a failed sync the kernel may have dropped what was written, and a later sync would
     * succeed over the hole. What counts is what a fresh start reads back. */
    log_error("db.fatal",
              "%s (%d, errno %d); the process ends so that a fresh start tells the truth",
              sqlite3_errmsg(conn->handle), code, sqlite3_system_errno(conn->handle));
    _exit(EXIT_STORAGE);
}

int conn_failed(struct ctx *c, struct db_conn *conn, int code) {
    const char *message = sqlite3_errmsg(conn->handle);
    conn->last_error = code;
    if (disk_full(code))
        return fail(c, ERR_DISK_FULL, "the disk that holds the database is full");
    if (conn->writer && conn_fatal(code))
        conn_die(conn, code);
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        mem_die();
    case SQLITE_CONSTRAINT:
        log_debug("db.constraint", "%s", message);
        if (code == SQLITE_CONSTRAINT_TRIGGER && str_starts(message, "quota: "))
            return fail(c, ERR_QUOTA, "%s", message + strlen("quota: "));
        if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
            code == SQLITE_CONSTRAINT_ROWID)
            return fail(c, ERR_EXISTS, "something with this name or key already exists");
        if (code == SQLITE_CONSTRAINT_FOREIGNKEY)
            return fail(c, ERR_INVALID,
                        "something referred to does not exist, or is still referred to");
        return fail(c, ERR_INVALID, "a value is outside what its column allows");
    case SQLITE_INTERRUPT:
        if (!conn->writer && atomic_load(&conn->evict))
            return fail(c, ERR_DEADLINE,
                        "this read took so long that its snapshot was given up; ask for less");
        return fail(c, ERR_DEADLINE, "the database did not finish before the request's deadline");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        log_error("db.busy", "%s (%d): does another process hold the database?", message, code);
        return fail(c, ERR_BUSY, "the database is held by another process");
    case SQLITE_TOOBIG:
        return fail(c, ERR_TOO_LARGE, "a value is larger than the database takes (64 MiB)");
    default:
        if (str_starts(message, "mlflow_"))
            return fail(c, ERR_INVALID, "%s", message + strlen("mlflow_"));
        log_error("db.error", "%s (%d)", message, code);
        return fail(c, ERR_INTERNAL, "the database refused a statement; the log says why");
    }
}
