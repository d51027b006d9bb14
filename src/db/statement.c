/* SPDX-License-Identifier: Apache-2.0 */
/* Statement: prepare or find, bind, step, end. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "database.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/log.h"
#include "quern/core/ctx.h"
#include "sql_value.h"

/* What stmt_next(NULL) answers: the failure of the db_query before it on this thread. */
static _Thread_local int last_failure;

static size_t bucket_of(const char *sql) {
    uint64_t h = (uint64_t)(uintptr_t)sql * 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 32) % CONN_BUCKETS;
}

/* A free cached statement for this text, or NULL. The address finds it, the text confirms it. */
static struct cached *cache_find(struct db_conn *conn, const char *sql) {
    for (struct cached *e = conn->buckets[bucket_of(sql)]; e; e = e->next)
        if (e->sql == sql && !e->in_use && strcmp(sqlite3_sql(e->raw), sql) == 0)
            return e;
    return NULL;
}

static struct cached *cache_add(struct db_conn *conn, const char *sql, sqlite3_stmt *raw) {
    if (conn->cached >= CONN_CACHED)
        return NULL;
    struct cached *e = mem_alloc(sizeof *e);
    size_t b = bucket_of(sql);
    *e = (struct cached){.sql = sql, .raw = raw, .next = conn->buckets[b]};
    conn->buckets[b] = e;
    conn->cached++;
    return e;
}

/* Takes the statement off the connection; the lock is held. */
static void release(struct stmt *st) {
    if (!st->raw)
        return;
    sqlite3_reset(st->raw);
    if (st->cached) {
        sqlite3_clear_bindings(st->raw);
        st->cached->in_use = false;
    } else
        sqlite3_finalize(st->raw);
    if (st->prev)
        st->prev->next = st->next;
    else
        st->conn->live = st->next;
    if (st->next)
        st->next->prev = st->prev;
    st->raw = NULL;
    st->cached = NULL;
}

void conn_end_all(struct db_conn *conn) {
    while (conn->live)
        release(conn->live);
}

static int give_up(struct ctx *c) {
    return fail(c, ERR_DEADLINE,
                "this read took so long that its snapshot was given up; ask for less");
}

/* Prepares without binding. The connection is entered on success and must be left. */
static struct stmt *open_statement(struct ctx *c, const char *sql, bool keep) {
    struct db_conn *conn = c->db;
    if (!conn) {
        log_error("db.context", "a statement outside of db_read_begin or an operation");
        last_failure = fail(c, ERR_INTERNAL, "internal error: no database at hand");
        return NULL;
    }
    conn_enter(conn);
    if (!conn->writer && atomic_load(&conn->evict)) {
        last_failure = give_up(c);
        conn_leave(conn);
        return NULL;
    }
    struct cached *e = keep ? cache_find(conn, sql) : NULL;
    sqlite3_stmt *raw = e ? e->raw : NULL;
    if (!raw) {
        int r = sqlite3_prepare_v3(conn->handle, sql, -1, keep ? SQLITE_PREPARE_PERSISTENT : 0,
                                   &raw, NULL);
        if (r != SQLITE_OK || !raw) {
            log_debug("db.prepare", "%s", sql);
            last_failure = conn_failed(c, conn, r == SQLITE_OK ? SQLITE_ERROR : r);
            conn_leave(conn);
            return NULL;
        }
        if (keep)
            e = cache_add(conn, sql, raw);
    }
    struct stmt *st = ARENA_NEW(c->arena, struct stmt);
    *st = (struct stmt){.conn = conn, .c = c, .raw = raw, .cached = e, .next = conn->live};
    if (e)
        e->in_use = true;
    if (conn->live)
        conn->live->prev = st;
    conn->live = st;
    return st;
}

static struct stmt *abandon(struct stmt *st, int rc) {
    struct db_conn *conn = st->conn;
    last_failure = rc;
    release(st);
    conn_leave(conn);
    return NULL;
}

/* lifetime: SQLITE_STATIC when the statement ends before the caller returns, else TRANSIENT. */
static struct stmt *query(struct ctx *c, const char *sql, sqlite3_destructor_type lifetime,
                          const char *fmt, va_list ap) {
    struct stmt *st = open_statement(c, sql, true);
    if (!st)
        return NULL;
    int i = 0, r = SQLITE_OK;
    for (; fmt && fmt[i] && r == SQLITE_OK; i++) {
        int at = i + 1;
        switch (fmt[i]) {
        case 's':
            r = sqlite3_bind_text(st->raw, at, va_arg(ap, const char *), -1, lifetime);
            break;
        case 'i':
            r = sqlite3_bind_int64(st->raw, at, va_arg(ap, int64_t));
            break;
        case 'd':
            r = sqlite3_bind_double(st->raw, at, va_arg(ap, double));
            break;
        case 'b': {
            const void *data = va_arg(ap, const void *);
            r = sqlite3_bind_blob64(st->raw, at, data, va_arg(ap, size_t), lifetime);
            break;
        }
        case 'n':
            r = sqlite3_bind_null(st->raw, at);
            break;
        default:
            r = SQLITE_MISUSE;
        }
    }
    if (r == SQLITE_OK && i != sqlite3_bind_parameter_count(st->raw)) {
        log_error("db.bind", "%d values for %d places: %s", i,
                  sqlite3_bind_parameter_count(st->raw), sql);
        return abandon(st,
                       fail(c, ERR_INTERNAL, "internal error: a statement and its values differ"));
    }
    if (r != SQLITE_OK)
        return abandon(st, conn_failed(c, st->conn, r));
    conn_leave(st->conn);
    return st;
}

struct stmt *db_query(struct ctx *c, const char *sql, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    struct stmt *st = query(c, sql, SQLITE_TRANSIENT, fmt, ap);
    va_end(ap);
    return st;
}

int stmt_next(struct stmt *st) {
    if (!st)
        return last_failure < 0 ? last_failure : -ERR_INTERNAL;
    if (!st->raw)
        return st->rc;
    struct db_conn *conn = st->conn;
    conn_enter(conn);
    int rc;
    if (!conn->writer && atomic_load(&conn->evict))
        rc = give_up(st->c);
    else {
        int r = sqlite3_step(st->raw);
        rc = r == SQLITE_ROW ? 1 : r == SQLITE_DONE ? 0 : conn_failed(st->c, conn, r);
    }
    if (rc <= 0) {
        if (rc < 0 && rc != -ERR_EXISTS)
            log_debug("db.statement", "%s", sqlite3_sql(st->raw));
        st->rc = rc;
        release(st);
    }
    conn_leave(conn);
    return rc;
}

void stmt_end(struct stmt *st) {
    if (!st || !st->raw)
        return;
    struct db_conn *conn = st->conn;
    conn_enter(conn);
    release(st);
    conn_leave(conn);
}

int64_t stmt_i64(struct stmt *st, int col) {
    return st && st->raw ? sqlite3_column_int64(st->raw, col) : 0;
}

double stmt_f64(struct stmt *st, int col) {
    return st && st->raw ? sqlite3_column_double(st->raw, col) : 0;
}

bool stmt_null(struct stmt *st, int col) {
    return !st || !st->raw || sqlite3_column_type(st->raw, col) == SQLITE_NULL;
}

char *stmt_text(struct ctx *c, struct stmt *st, int col) {
    if (stmt_null(st, col))
        return NULL;
    const char *text = (const char *)sqlite3_column_text(st->raw, col);
    if (!text)
        mem_die();
    return arena_strndup(c->arena, text, (size_t)sqlite3_column_bytes(st->raw, col));
}

const void *stmt_blob(struct stmt *st, int col, size_t *n) {
    *n = 0;
    if (stmt_null(st, col))
        return NULL;
    const void *data = sqlite3_column_blob(st->raw, col);
    *n = (size_t)sqlite3_column_bytes(st->raw, col);
    return data;
}

const char *stmt_peek(struct stmt *st, int col, size_t *n) {
    *n = 0;
    if (stmt_null(st, col))
        return NULL;
    const char *text = (const char *)sqlite3_column_text(st->raw, col);
    if (!text)
        mem_die();
    *n = (size_t)sqlite3_column_bytes(st->raw, col);
    return text;
}

static int run_to_end(struct stmt *st) {
    int rc;
    while ((rc = stmt_next(st)) > 0)
        ;
    return rc;
}

int db_exec(struct ctx *c, const char *sql, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int rc = run_to_end(query(c, sql, SQLITE_STATIC, fmt, ap));
    va_end(ap);
    return rc;
}

int64_t db_changes(struct ctx *c) {
    return c->db ? sqlite3_changes64(c->db->handle) : 0;
}

int64_t db_last_id(struct ctx *c) {
    return c->db ? sqlite3_last_insert_rowid(c->db->handle) : 0;
}

int db_get_i64(struct ctx *c, const char *sql, int64_t *out, bool *found, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    struct stmt *st = query(c, sql, SQLITE_STATIC, fmt, ap);
    int rc = stmt_next(st);
    va_end(ap);
    *out = rc > 0 ? stmt_i64(st, 0) : 0;
    if (found)
        *found = rc > 0;
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

int db_get_text(struct ctx *c, const char *sql, char **out, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    struct stmt *st = query(c, sql, SQLITE_STATIC, fmt, ap);
    int rc = stmt_next(st);
    va_end(ap);
    *out = rc > 0 ? stmt_text(c, st, 0) : NULL;
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

/* SQLite takes a plain pointer; what it points to is changed only by bitmap_add. */
static void *pointer_of(const struct sql_value *v) {
    return (void *)(uintptr_t)v->data;
}

struct stmt *sql_query(struct ctx *c, struct sql *q) {
    struct stmt *st = open_statement(c, q->text->data ? q->text->data : "", false);
    if (!st)
        return NULL;
    int r = SQLITE_OK;
    for (size_t i = 0; i < q->n && r == SQLITE_OK; i++) {
        const struct sql_value *v = &q->values[i];
        int at = (int)i + 1;
        r = v->kind == 's'   ? sqlite3_bind_text(st->raw, at, v->data, -1, SQLITE_STATIC)
            : v->kind == 'i' ? sqlite3_bind_int64(st->raw, at, v->integer)
            : v->kind == 'd' ? sqlite3_bind_double(st->raw, at, v->real)
            : v->kind == 'b' ? sqlite3_bind_blob64(st->raw, at, v->data, v->size, SQLITE_STATIC)
            : v->kind == 'p'
                ? sqlite3_bind_pointer(st->raw, at, pointer_of(v), BITMAP_POINTER, NULL)
                : sqlite3_bind_null(st->raw, at);
    }
    if (r == SQLITE_OK && (int)q->n != sqlite3_bind_parameter_count(st->raw)) {
        log_error("db.bind", "%zu values for %d places: %s", q->n,
                  sqlite3_bind_parameter_count(st->raw), q->text->data);
        return abandon(st,
                       fail(c, ERR_INTERNAL, "internal error: a statement and its values differ"));
    }
    if (r != SQLITE_OK)
        return abandon(st, conn_failed(c, st->conn, r));
    conn_leave(st->conn);
    return st;
}
