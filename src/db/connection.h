/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_CONNECTION_H
#define DB_CONNECTION_H
/* Connection: one SQLite handle with its statement cache. The writer's belongs to the writer
 * thread; a reader's belongs to its thread, and its lock lets the writer take an idle snapshot
 * away from it. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/db/db.h"

enum { CONN_BUCKETS = 512, CONN_CACHED = 1024, CONN_HOLDS = 8 };

struct op;

/* A prepared statement kept for its SQL text, found by the text's address. */
struct cached {
    const char *sql;
    sqlite3_stmt *raw;
    bool in_use;
    struct cached *next;
};

/* One execution, in the arena of its context: stale handles are harmless. raw is NULL once ended.
 */
struct stmt {
    struct db_conn *conn;
    struct ctx *c;
    sqlite3_stmt *raw;
    struct cached *cached; /* NULL: finalized at the end */
    struct stmt *prev, *next;
    int rc;
};

/* A context that reads on this connection, and how often it began to. */
struct hold {
    struct ctx *c;
    unsigned depth;
};

struct db_conn {
    struct db *db;
    sqlite3 *handle;
    bool writer;
    struct hold holds[CONN_HOLDS];
    int64_t deadline_ns;
    struct stmt *live;
    struct cached *buckets[CONN_BUCKETS];
    size_t cached;
    sqlite3_stmt *begin, *commit, *rollback;
    int last_error; /* extended result code of the last failure */
    struct op *op;  /* writer: the operation that runs */

    pthread_mutex_t lock;     /* readers: held while the handle is used */
    _Atomic int64_t since_ns; /* readers: start of the snapshot, 0 without one */
    atomic_bool evict;        /* readers: the snapshot is to be given up */
    struct db_conn *next;     /* db->readers */
};

/* path is the database file; create only for the writer. 0 or an SQLite code; *out is NULL then. */
int conn_open(struct db *db, const char *path, bool writer, struct db_conn **out);
void conn_close(struct db_conn *conn);
void conn_enter(struct db_conn *conn); /* readers: take the lock */
void conn_leave(struct db_conn *conn);
void conn_end_all(struct db_conn *conn); /* ends every statement that was left open */
int conn_step(sqlite3_stmt *raw);        /* runs a statement without rows; SQLITE_OK or a code */
/* Maps an SQLite failure into the context's slot; ends the process where going on would lie. */
int conn_failed(struct ctx *c, struct db_conn *conn, int code);
/* True for failures after which only a fresh start tells the truth. */
bool conn_fatal(int code);
_Noreturn void conn_die(struct db_conn *conn, int code);

int function_register(sqlite3 *handle);
int bitmap_register(sqlite3 *handle);
#define BITMAP_POINTER "quern-bitmap"

#endif
