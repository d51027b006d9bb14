/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoint: keeps the write-ahead log short. Only the writer's handle ever checkpoints; with
 * SQLite 3.7.0 to 3.51.2 a second one could reset the log under it and corrupt the file. */
#include <sys/stat.h>

#include "database.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/path.h"

enum { WAL_FRAME_HEADER = 24, PATIENCE_MS = 100, BUSY_MS = 5000 };
static const int64_t READER_MAY_HOLD_NS = 1000000000;
static const int64_t FULL_DISK_EVERY_NS = 1000000000;

static int on_commit(void *arg, sqlite3 *handle, const char *name, int frames) {
    (void)handle, (void)name;
    struct db *db = arg;
    db->wal_frames = frames;
    db->wrote = true;
    db->backfilled = false;
    return SQLITE_OK;
}

void checkpoint_setup(struct db *db) {
    sqlite3_stmt *st = NULL;
    int64_t page = 4096;
    if (sqlite3_prepare_v2(db->writer->handle, "PRAGMA page_size", -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        page = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    db->frame_bytes = page + WAL_FRAME_HEADER;
    db->backfilled = true;
    sqlite3_wal_hook(db->writer->handle, on_commit, db);
}

static int run(struct db *db, int mode) {
    int log = -1, done = -1;
    int r = sqlite3_wal_checkpoint_v2(db->writer->handle, "main", mode, &log, &done);
    if (r != SQLITE_OK && conn_fatal(r))
        conn_die(db->writer, r);
    if (log >= 0) {
        db->wal_frames = log;
        db->backfilled = done >= log;
    }
    db->frames_tried = db->wal_frames;
    if (r != SQLITE_OK && r != SQLITE_BUSY)
        log_warn("db.checkpoint", "%s", sqlite3_errmsg(db->writer->handle));
    return r;
}

void checkpoint_after_batch(struct db *db) {
    if (!db->wrote)
        return;
    if (db->wal_frames < db->frames_tried) /* the log started over */
        db->frames_tried = 0;
    int64_t bytes = db->wal_frames * db->frame_bytes;
    /* Where a reader keeps the log from starting over, trying again pays only after more growth. */
    if (bytes < db->wal_soft ||
        (db->wal_frames - db->frames_tried) * db->frame_bytes < db->wal_soft)
        return;
    if (bytes < db->wal_hard) {
        run(db, SQLITE_CHECKPOINT_PASSIVE);
        return;
    }
    reader_evict(db, bytes < 2 * db->wal_hard ? READER_MAY_HOLD_NS : 0);
    sqlite3_busy_timeout(db->writer->handle, PATIENCE_MS);
    int r = run(db, SQLITE_CHECKPOINT_TRUNCATE);
    sqlite3_busy_timeout(db->writer->handle, BUSY_MS);
    if (r == SQLITE_BUSY)
        log_warn("db.checkpoint", "the log has %lld bytes and a reader still holds it",
                 (long long)bytes);
}

void checkpoint_idle(struct db *db) {
    if (!db->backfilled)
        run(db, SQLITE_CHECKPOINT_PASSIVE);
}

/* Moving the log into the file may free the room that the next write needs. */
void checkpoint_full_disk(struct db *db) {
    int64_t now = clock_mono_ns();
    if (db->full_checkpoint_ns && now - db->full_checkpoint_ns < FULL_DISK_EVERY_NS)
        return;
    db->full_checkpoint_ns = now;
    sqlite3_busy_timeout(db->writer->handle, PATIENCE_MS);
    run(db, SQLITE_CHECKPOINT_TRUNCATE);
    sqlite3_busy_timeout(db->writer->handle, BUSY_MS);
}

int64_t db_wal_bytes(struct db *db) {
    struct stat st;
    return fstatat(dir_fd(db->dir), DB_WAL_FILE, &st, 0) == 0 ? (int64_t)st.st_size : 0;
}
