/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_DB_DB_H
#define QUERN_DB_DB_H
/* Db: SQLite behind one writer and many readers.
 *
 * One connection writes and checkpoints, on the writer thread. Operations queue; while one commit
 * syncs the next batch gathers. Each operation runs in its own SAVEPOINT: when it returns non-zero
 * only its own changes are undone and the batch goes on. After every operation the writer asks
 * sqlite3_get_autocommit; if the transaction was silently discarded (disk full, interrupt) the
 * whole batch is run again operation by operation, so an operation may run twice: it may touch only
 * the database and memory that it resets itself on entry. `done` is called on the writer thread
 * after COMMIT returned (rc 0), or with the operation's own negative code, or with -ERR_BUSY,
 * -ERR_DISK_FULL, -ERR_INTERNAL. An fsync failure ends the process (exit code 70).
 *
 * Readers are query_only connections, one per thread, made on first use; a reader has a snapshot
 * between db_read_begin and db_read_end. Neither readers nor anybody else opens the file by hand.
 *
 * SQL is literal text in stores; values are bound. All functions taking a ctx use c->db and put
 * failures into c->err (constraint violations give ERR_EXISTS for UNIQUE/PRIMARY KEY, ERR_INVALID
 * for CHECK/NOT NULL/FOREIGN KEY; callers that care check beforehand or replace the message). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
struct db_conn;
struct stmt;
struct ctx;
struct buf;
struct dir;

struct db_options {
    struct dir *dir;                    /* data directory; the file is quern.db in it */
    size_t queue;                       /* operations waiting */
    size_t batch;                       /* most operations per commit */
    int64_t wal_soft, wal_hard;         /* bytes */
    const struct migration *migrations; /* NULL: the embedded ones */
    bool as_is; /* an older schema is refused instead of migrated, and nothing is made anew */
};

struct migration {
    int version;      /* 1, 2, ... without gaps */
    const char *name; /* "0002_tracking" */
    const char *sql;
    const char *sha256; /* hex of sql */
};
extern const struct migration db_migrations[]; /* generated from migrations/; ends with version 0 */

/* Opens, checks application_id, takes the directory's lock (quern.lock), migrates. A newer schema,
 * a changed checksum or a foreign file is refused without a write. On failure -1 and a sentence. */
int db_open(const struct db_options *o, struct db **out, struct buf *error);
void db_close(struct db *db); /* drains the queue, truncating checkpoint */

typedef int db_op(struct ctx *c, void *arg);            /* c->db is the writer's connection */
typedef void db_done(struct ctx *c, void *arg, int rc); /* writer thread, after the commit */

/* Queues an operation on the caller's context, which the writer holds until done. 0, -ERR_BUSY when
 * the queue is full or closing (then done is not called). */
int db_submit(struct db *db, struct ctx *c, db_op *op, void *arg, db_done *done);
/* Same, waits. For workers and jobs, never for network threads or the writer itself. */
int db_write(struct db *db, struct ctx *c, db_op *op, void *arg);

int db_read_begin(struct db *db,
                  struct ctx *c);  /* sets c->db to this thread's reader, in a snapshot */
void db_read_end(struct ctx *c);   /* c->db = NULL */
void db_thread_end(struct db *db); /* closes this thread's reader */

/* Statements. fmt has a letter per bound value: s text or NULL (const char *), i int64_t, d double,
 * b blob (const void *, size_t), n NULL (no argument). Statements are cached per connection.
 *   struct stmt *st = db_query(c, "SELECT name FROM experiment WHERE id = ?", "i", id);
 *   while ((rc = stmt_next(st)) > 0) name = stmt_text(c, st, 0);
 *   stmt_end(st);
 * db_query gives NULL after a failure (slot filled); stmt_next(NULL) gives that failure again as a
 * negative code, so checking after the loop suffices. stmt_end(NULL) is allowed; stmt_end need not
 * be called once stmt_next returned 0 or less. */
struct stmt *db_query(struct ctx *c, const char *sql, const char *fmt, ...);
int stmt_next(struct stmt *st); /* 1 a row, 0 end, negative ERR_ code */
void stmt_end(struct stmt *st);
int64_t stmt_i64(struct stmt *st, int col);
double stmt_f64(struct stmt *st, int col);
bool stmt_null(struct stmt *st, int col);
char *stmt_text(struct ctx *c, struct stmt *st, int col);   /* copy in the arena; NULL for NULL */
const void *stmt_blob(struct stmt *st, int col, size_t *n); /* valid until the next stmt_next */
/* The same of a text, as UTF-8 whatever the file's encoding is; NULL for NULL. */
const char *stmt_peek(struct stmt *st, int col, size_t *n);
/* Runs a statement without rows. Negative on failure. */
int db_exec(struct ctx *c, const char *sql, const char *fmt, ...);
int64_t db_changes(struct ctx *c);
int64_t db_last_id(struct ctx *c);
/* First column of the first row; *found (may be NULL) tells if there was one. */
int db_get_i64(struct ctx *c, const char *sql, int64_t *out, bool *found, const char *fmt, ...);
int db_get_text(struct ctx *c, const char *sql, char **out, const char *fmt, ...); /* NULL: none */

/* Dynamic SQL from a compiled filter: text is built by the store from constants, values are
 * collected beside it. Not cached. One letter more: p struct bitmap *, for the functions
 *   bitmap_has(?, row)   1 if the set holds the number        bitmap_add(?, row)   adds it, gives 1
 */
struct sql {
    struct buf *text;
    struct sql_value *values;
    size_t n, cap;
};
void sql_begin(struct ctx *c, struct sql *q);
void sql_add(struct ctx *c, struct sql *q, const char *text, const char *fmt, ...);
void sql_join(struct ctx *c, struct sql *q, const struct sql *part); /* its text and values */
struct stmt *sql_query(struct ctx *c, struct sql *q);
/* SQL functions available on every connection:
 *   mlflow_like(value, pattern)  case-sensitive LIKE with % and _      mlflow_ilike(...) folded
 *   mlflow_rlike(value, pattern)  a regular expression is found in value; PCRE2 with a bound on the
 *                                 work per value, past which the statement fails ERR_INVALID; of
 *                                 a value longer than 1 MiB only the first MiB is looked at
 *   mlflow_percentile(value, p)  aggregate, p from 0 to 100, interpolated */

/* Runs after the commit of the operation that registered it, on the writer thread; used to wake
 * schedulers and streams. Dropped when the operation is undone. */
void db_after_commit(struct ctx *c, void (*fn)(void *arg), void *arg);

/* Copies the database consistently to dir/name while writing goes on (VACUUM INTO from the writer's
 * handle is not used; backup API in small steps between batches), fsynced. */
int db_backup(struct db *db, struct ctx *c, struct dir *to, const char *name);
int db_check(struct db *db, struct ctx *c,
             struct buf *report); /* quick_check + foreign_key_check */
/* Another program's SQLite file on a connection of its own, for moving data in and out: c->db
 * points to it until db_foreign_close. Opened for reading, or made anew (an existing file is
 * refused). Its schema is not trusted and its damage is an error, never the end of the process.
 * ERR_NOT_FOUND, ERR_EXISTS, ERR_BUSY, ERR_INVALID. Transactions are the caller's: db_exec "BEGIN",
 * "COMMIT"; those of a new file are not synced until db_foreign_sync, when it is closed. */
int db_foreign_open(struct ctx *c, const char *path, bool make);
void db_foreign_close(struct ctx *c);
int db_foreign_sync(struct ctx *c, const char *path);
int64_t db_wal_bytes(struct db *db);
bool db_writable(struct db *db); /* false after a full disk until a write succeeds again */
const char *db_version(void);    /* SQLite's */

#endif
