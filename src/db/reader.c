/* SPDX-License-Identifier: Apache-2.0 */
/* Reader: one query_only connection per thread, and how the writer takes a snapshot away. */
#include <stdlib.h>

#include "database.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/core/ctx.h"

/* This thread's readers, by the serial number of their database: a database that is gone leaves
 * an entry whose pointer is never followed. */
struct own_reader {
    uint64_t serial;
    struct db_conn *conn;
    struct own_reader *next;
};
static _Thread_local struct own_reader *own;

static struct db_conn *own_find(struct db *db) {
    for (struct own_reader *o = own; o; o = o->next)
        if (o->serial == db->serial)
            return o->conn;
    return NULL;
}

static void own_forget(struct db *db) {
    for (struct own_reader **at = &own; *at; at = &(*at)->next)
        if ((*at)->serial == db->serial) {
            struct own_reader *gone = *at;
            *at = gone->next;
            free(gone);
            return;
        }
}

static struct db_conn *own_open(struct db *db, struct ctx *c) {
    struct db_conn *conn;
    int r = conn_open(db, db->path, false, &conn);
    if (r != SQLITE_OK) {
        fail(c, ERR_INTERNAL, "the database cannot be opened for reading; the log says why");
        return NULL;
    }
    struct own_reader *o = mem_alloc(sizeof *o);
    *o = (struct own_reader){.serial = db->serial, .conn = conn, .next = own};
    own = o;
    pthread_mutex_lock(&db->readers_lock);
    conn->next = db->readers;
    db->readers = conn;
    pthread_mutex_unlock(&db->readers_lock);
    return conn;
}

static struct hold *hold_of(struct db_conn *conn, const struct ctx *c) {
    for (size_t i = 0; i < CONN_HOLDS; i++)
        if (conn->holds[i].c == c)
            return &conn->holds[i];
    return NULL;
}

static bool held(const struct db_conn *conn) {
    for (size_t i = 0; i < CONN_HOLDS; i++)
        if (conn->holds[i].c)
            return true;
    return false;
}

static int snapshot_begin(struct ctx *c, struct db_conn *conn) {
    conn_enter(conn);
    atomic_store(&conn->evict, false);
    conn->deadline_ns = c->deadline_ns;
    int r = conn_step(conn->begin);
    int rc = r == SQLITE_OK ? 0 : conn_failed(c, conn, r);
    atomic_store(&conn->since_ns, r == SQLITE_OK ? clock_mono_ns() : 0);
    conn_leave(conn);
    return rc;
}

static void snapshot_end(struct db_conn *conn) {
    conn_enter(conn);
    conn_end_all(conn);
    if (!sqlite3_get_autocommit(conn->handle))
        conn_step(conn->commit);
    conn->deadline_ns = 0;
    atomic_store(&conn->since_ns, 0);
    conn_leave(conn);
}

int db_read_begin(struct db *db, struct ctx *c) {
    if (c->db && c->db->writer) /* an operation already sees one state */
        return 0;
    struct db_conn *conn = own_find(db);
    if (!conn && !(conn = own_open(db, c)))
        return -ERR_INTERNAL;
    struct hold *h = hold_of(conn, c);
    if (!h && !(h = hold_of(conn, NULL)))
        return fail(c, ERR_INTERNAL, "internal error: too many reads inside each other");
    if (!held(conn)) {
        int rc = snapshot_begin(c, conn);
        if (rc < 0)
            return rc;
    }
    h->c = c;
    h->depth++;
    c->db = conn;
    return 0;
}

void db_read_end(struct ctx *c) {
    struct db_conn *conn = c->db;
    struct hold *h = conn && !conn->writer ? hold_of(conn, c) : NULL;
    if (!h || --h->depth > 0)
        return;
    h->c = NULL;
    c->db = NULL;
    if (!held(conn))
        snapshot_end(conn);
}

void db_thread_end(struct db *db) {
    struct db_conn *conn = own_find(db);
    if (!conn)
        return;
    own_forget(db);
    pthread_mutex_lock(&db->readers_lock);
    for (struct db_conn **at = &db->readers; *at; at = &(*at)->next)
        if (*at == conn) {
            *at = conn->next;
            break;
        }
    pthread_mutex_unlock(&db->readers_lock);
    conn_close(conn);
}

void reader_close_all(struct db *db) {
    own_forget(db);
    pthread_mutex_lock(&db->readers_lock);
    while (db->readers) {
        struct db_conn *conn = db->readers;
        db->readers = conn->next;
        conn_close(conn);
    }
    pthread_mutex_unlock(&db->readers_lock);
}

/* Between two statements a transaction can be ended here. In the middle of one it is interrupted,
 * and ends with its request. */
static void evict(struct db_conn *conn, int64_t since) {
    if (pthread_mutex_trylock(&conn->lock) == 0) {
        if (atomic_load(&conn->since_ns) == since) {
            if (!atomic_exchange(&conn->evict, true))
                log_warn("db.evict", "a read held its snapshot for %lld ms while the log grew",
                         (long long)((clock_mono_ns() - since) / 1000000));
            if (!conn->live && !sqlite3_get_autocommit(conn->handle))
                conn_step(conn->rollback);
        }
        pthread_mutex_unlock(&conn->lock);
    } else if (atomic_load(&conn->since_ns) == since) {
        atomic_store(&conn->evict, true);
        sqlite3_interrupt(conn->handle);
    }
}

void reader_evict(struct db *db, int64_t older_than_ns) {
    int64_t limit = clock_mono_ns() - older_than_ns;
    pthread_mutex_lock(&db->readers_lock);
    for (struct db_conn *conn = db->readers; conn; conn = conn->next) {
        int64_t since = atomic_load(&conn->since_ns);
        if (since != 0 && since <= limit)
            evict(conn, since);
    }
    pthread_mutex_unlock(&db->readers_lock);
}
