/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_DATABASE_H
#define DB_DATABASE_H
/* Database: what the writer, the readers and the opener share. */
#include <pthread.h>
#include <stdatomic.h>

#include "connection.h"

#define DB_FILE "quern.db"
#define DB_WAL_FILE "quern.db-wal"
#define DB_LOCK_FILE "quern.lock"
enum { DB_APPLICATION_ID = 0x51524e31 }; /* "QRN1" */

struct backup;
struct hook {
    void (*fn)(void *arg);
    void *arg;
    struct hook *next;
};

struct op {
    struct ctx *c;
    db_op *run;
    void *arg;
    db_done *done;
    struct hook *first_hook, **last_hook;
    int rc;
};

struct db {
    uint64_t serial; /* of this process; guards thread-local readers against reuse of addresses */
    struct dir *dir;
    const struct migration *migrations;
    bool as_is;
    char *path;
    int lock_fd;
    struct db_conn *writer;
    struct queue *queue;
    struct thread *thread;
    size_t batch;
    int64_t wal_soft, wal_hard;

    pthread_mutex_t readers_lock;
    struct db_conn *readers;

    pthread_mutex_t backup_lock;
    struct backup *backup; /* posted by a worker, driven by the writer */

    atomic_bool writable;
    bool ended; /* the writer takes no backup any more; under backup_lock */

    /* Writer thread only. */
    sqlite3_stmt *savepoint, *release, *rollback_to;
    struct op **ops;
    int64_t wal_frames;   /* frames in the log now */
    int64_t frames_tried; /* frames when a checkpoint was last tried */
    bool wrote;           /* a commit reached the log since this was cleared */
    bool backfilled;      /* everything in the log is in the file, too */
    int64_t frame_bytes;
    int64_t full_checkpoint_ns; /* last try to win room on a full disk */
    struct metric_cell *committed, *refused, *failed, *commits, *sizes, *seconds;
};

/* migration.c */
int migration_check(const struct migration *list, sqlite3 *handle, int *have, struct buf *error);
bool migration_older(const struct migration *list, int have);
int migration_run(struct db *db, sqlite3 *handle, int have, struct buf *error);
/* writer.c */
int writer_start(struct db *db, struct buf *error);
void writer_stop(struct db *db);
/* checkpoint.c */
void checkpoint_setup(struct db *db);
void checkpoint_after_batch(struct db *db);
void checkpoint_idle(struct db *db);
void checkpoint_full_disk(struct db *db);
/* reader.c */
void reader_close_all(struct db *db);
void reader_evict(struct db *db, int64_t older_than_ns);
/* backup.c */
bool backup_pending(struct db *db);
void backup_advance(struct db *db);
void backup_abandon(struct db *db);
int backup_copy(sqlite3 *from, struct dir *to, const char *name, struct buf *error);

#endif
