/* SPDX-License-Identifier: Apache-2.0 */
/* Open: takes the data directory, recognizes the file, migrates, starts the writer. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "database.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/fd.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/queue.h"
#include "quern/base/str.h"

enum { HEADER = 100, AT_USER_VERSION = 60, AT_APPLICATION_ID = 68 };

/* File systems whose locks or shared memory SQLite cannot build on. */
static const struct {
    unsigned magic;
    const char *name;
} remote[] = {
    {0x6969, "NFS"},      {0xff534d42, "CIFS"}, {0xfe534d42, "SMB"},  {0x517b, "SMB"},
    {0x65735546, "FUSE"}, {0x01021997, "9P"},   {0x5346414f, "AFS"},  {0x00c36400, "Ceph"},
    {0x73757245, "Coda"}, {0x564c, "NCP"},      {0x01161970, "GFS2"}, {0x7461636f, "OCFS2"},
};

static int check_filesystem(int fd, struct buf *error) {
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0) {
        buf_printf(error, "the data directory cannot be examined: %s", strerror(errno));
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(remote); i++)
        if ((unsigned)fs.f_type == remote[i].magic) {
            buf_printf(error,
                       "the data directory lies on %s, where file locks do not hold as a database "
                       "needs them; choose a local disk with --data",
                       remote[i].name);
            return -1;
        }
    return 0;
}

enum { DEAD_HOLDER_MS = 3000, LOCK_POLL_MS = 5 };

/* The pid in the lock file belongs to no process. A child that a killed daemon was just starting
 * holds the lock's descriptor until it has begun its own program. */
static bool holder_is_dead(int fd, char pid[32]) {
    int64_t id = 0;
    ssize_t n = pread(fd, pid, 31, 0);
    pid[n > 0 ? n : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    return str_to_i64(pid, &id) && id > 0 && kill((pid_t)id, 0) < 0 && errno == ESRCH;
}

static int take_lock(struct db *db, struct buf *error) {
    db->lock_fd = dir_openat(db->dir, DB_LOCK_FILE, O_RDWR | O_CREAT, 0600);
    if (db->lock_fd < 0) {
        buf_printf(error, "%s cannot be opened in the data directory: %s", DB_LOCK_FILE,
                   strerror(-db->lock_fd));
        return -1;
    }
    char pid[32] = "";
    int64_t until = clock_mono_ms() + DEAD_HOLDER_MS;
    int r;
    while ((r = fd_lock_exclusive(db->lock_fd)) < 0 && holder_is_dead(db->lock_fd, pid) &&
           clock_mono_ms() < until)
        clock_sleep_ms(LOCK_POLL_MS);
    if (r < 0) {
        buf_printf(error, "the data directory is in use by another quern process%s%s",
                   *pid ? ", pid " : "", pid);
        return -1;
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(db->lock_fd, 0) < 0 || pwrite(db->lock_fd, pid, (size_t)n, 0) < 0)
        log_debug("db.lock", "the pid was not written: %s", strerror(errno));
    return 0;
}

static uint32_t big32(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Looks at the file's head before SQLite touches it. 0, and *fresh when there is nothing yet. Once
 * SQLite has the file open nobody else may close a descriptor of it: that would drop its locks. */
static int look(struct db *db, bool *fresh, struct buf *error) {
    unsigned char head[HEADER];
    *fresh = true;
    int fd = dir_openat(db->dir, DB_FILE, O_RDONLY, 0);
    if (fd == -ENOENT) {
        fd = dir_openat(db->dir, DB_FILE, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd >= 0) {
            fd_close(fd);
            return 0;
        }
    }
    if (fd < 0) {
        buf_printf(error, "%s cannot be opened: %s", DB_FILE, strerror(-fd));
        return -1;
    }
    ssize_t n = fd_read_all(fd, head, sizeof head);
    fd_close(fd);
    if (n == 0)
        return 0;
    *fresh = false;
    if (n < (ssize_t)sizeof head || memcmp(head, "SQLite format 3", 16) != 0) {
        buf_printf(error, "%s is not a database; the data directory belongs to something else",
                   DB_FILE);
        return -1;
    }
    if (big32(head + AT_APPLICATION_ID) != DB_APPLICATION_ID) {
        buf_printf(error, "%s is a database of another program (application id 0x%08x)", DB_FILE,
                   (unsigned)big32(head + AT_APPLICATION_ID));
        return -1;
    }
    int newest = 0;
    for (const struct migration *m = db->migrations; m->version > 0; m++)
        newest = m->version;
    if ((int64_t)big32(head + AT_USER_VERSION) > newest) {
        buf_printf(error,
                   "the data has schema %u and this program knows schemas up to %d; run the newer "
                   "program, or restore the backup made before it",
                   (unsigned)big32(head + AT_USER_VERSION), newest);
        return -1;
    }
    return 0;
}

/* The mark is set while the file still has its rollback journal, so that it stands in the file
 * itself from the first moment and not only in a log. */
static int mark(struct db *db, struct buf *error) {
    sqlite3 *handle = NULL;
    char text[64];
    snprintf(text, sizeof text, "PRAGMA application_id = %d", DB_APPLICATION_ID);
    int r = sqlite3_open_v2(db->path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_exec(handle, text, NULL, NULL, NULL);
    if (r != SQLITE_OK)
        buf_printf(error, "the database cannot be made: %s", sqlite3_errmsg(handle));
    sqlite3_close(handle);
    if (r == SQLITE_OK && dir_sync(db->dir, NULL) < 0)
        log_warn("db.open", "the data directory cannot be synced");
    return r == SQLITE_OK ? 0 : -1;
}

/* Reads the schema, log included, through a handle that cannot write. 1 when a write was cut off
 * before the file had its log: then only a handle that may write can read it. */
static int examine(struct db *db, int *have, struct buf *error) {
    sqlite3 *handle = NULL;
    int rc = -1;
    int r = sqlite3_open_v2(db->path, &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_exec(handle, "SELECT 1 FROM sqlite_schema", NULL, NULL, NULL);
    if (r == SQLITE_OK)
        rc = migration_check(db->migrations, handle, have, error);
    else if (r == SQLITE_READONLY_ROLLBACK)
        rc = 1;
    else
        buf_printf(error, "the database cannot be opened: %s", sqlite3_errmsg(handle));
    sqlite3_close(handle);
    return rc;
}

static int prepare(struct db *db, struct buf *error) {
    bool fresh;
    int have = 0;
    if (db->as_is && !dir_exists(db->dir, DB_FILE)) {
        buf_printf(error, "%s holds no data of quern (no %s)", dir_path(db->dir), DB_FILE);
        return -1;
    }
    if (check_filesystem(dir_fd(db->dir), error) < 0 || take_lock(db, error) < 0 ||
        look(db, &fresh, error) < 0)
        return -1;
    if (db->as_is && fresh) {
        buf_printf(error, "%s in %s is empty", DB_FILE, dir_path(db->dir));
        return -1;
    }
    int seen = fresh ? 1 : examine(db, &have, error);
    if (seen == 0 && db->as_is && migration_older(db->migrations, have)) {
        buf_printf(error,
                   "the data has schema %d, older than this program's; 'quern serve' brings "
                   "it up to date and keeps a copy of what was",
                   have);
        return -1;
    }
    if (seen < 0 || (seen > 0 && mark(db, error) < 0))
        return -1;
    int r = conn_open(db, db->path, true, &db->writer);
    if (r != SQLITE_OK) {
        buf_printf(error, "the database cannot be opened: %s", sqlite3_errstr(r));
        return -1;
    }
    if (migration_check(db->migrations, db->writer->handle, &have, error) < 0 ||
        migration_run(db, db->writer->handle, have, error) < 0)
        return -1;
    return writer_start(db, error);
}

int db_open(const struct db_options *o, struct db **out, struct buf *error) {
    static _Atomic uint64_t serials;
    struct db *db = mem_alloc(sizeof *db);
    db->serial = atomic_fetch_add(&serials, 1) + 1;
    db->dir = o->dir;
    db->migrations = o->migrations ? o->migrations : db_migrations;
    db->as_is = o->as_is;
    db->lock_fd = -1;
    db->batch = o->batch ? o->batch : 512;
    db->wal_soft = o->wal_soft > 0 ? o->wal_soft : 4 << 20;
    db->wal_hard = o->wal_hard > db->wal_soft ? o->wal_hard : 16 * db->wal_soft;
    db->queue = queue_new(o->queue ? o->queue : 4096);
    pthread_mutex_init(&db->readers_lock, NULL);
    pthread_mutex_init(&db->backup_lock, NULL);
    struct buf path = {0};
    buf_printf(&path, "%s/%s", dir_path(o->dir), DB_FILE);
    db->path = path.data;
    if (prepare(db, error) < 0) {
        db_close(db);
        *out = NULL;
        return -1;
    }
    *out = db;
    return 0;
}

void db_close(struct db *db) {
    if (!db)
        return;
    bool served = db->thread != NULL;
    writer_stop(db);
    reader_close_all(db);
    if (db->writer) {
        /* No PRAGMA optimize: query plans stay those that the stores' indexes were made for. */
        if (served)
            sqlite3_wal_checkpoint_v2(db->writer->handle, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                      NULL);
        conn_close(db->writer);
    }
    if (db->lock_fd >= 0)
        fd_close(db->lock_fd);
    queue_free(db->queue);
    pthread_mutex_destroy(&db->readers_lock);
    pthread_mutex_destroy(&db->backup_lock);
    free(db->path);
    free(db);
}

const char *db_version(void) {
    return sqlite3_libversion();
}
