/* SPDX-License-Identifier: Apache-2.0 */
/* Backup: pages copied through the writer's own handle, a few between two batches. What the
 * writer changes meanwhile reaches the copy through the same handle, so the copy ends as the state
 * after some batch and never has to start over. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "database.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/queue.h"
#include "quern/core/ctx.h"

enum { PAGES_PER_STEP = 256, PAGES_AT_START = 4096 };

struct backup {
    const char *path; /* of the unfinished copy */
    sqlite3 *to;
    sqlite3_backup *copy;
    pthread_mutex_t lock;
    pthread_cond_t ready;
    bool over;
    int code;
};

static int target_open(const char *path, sqlite3 **to) {
    int r = sqlite3_open_v2(path, to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    /* Nobody reads the copy before it is whole and synced, so it needs no journal of its own. */
    if (r == SQLITE_OK)
        r = sqlite3_exec(*to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL,
                         NULL);
    return r;
}

static bool name_plain(const char *name) {
    return name && *name && name[0] != '.' && !strchr(name, '/') && strlen(name) < 200;
}

/* Makes the empty file 0600 and gives its full path. */
static int partial_make(struct dir *to, const char *partial) {
    int r = dir_unlink(to, partial);
    if (r < 0)
        return r;
    int fd = dir_openat(to, partial, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return fd;
    fd_close(fd);
    return 0;
}

static int finish_file(struct dir *to, const char *partial, const char *name) {
    int fd = dir_openat(to, partial, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    int r = fsync(fd) == 0 ? 0 : -errno;
    fd_close(fd);
    return r < 0 ? r : dir_rename(to, partial, name);
}

bool backup_pending(struct db *db) {
    pthread_mutex_lock(&db->backup_lock);
    bool pending = db->backup != NULL;
    pthread_mutex_unlock(&db->backup_lock);
    return pending;
}

static void settle(struct db *db, struct backup *b, int code) {
    if (b->copy) {
        int r = sqlite3_backup_finish(b->copy);
        if (code == SQLITE_OK)
            code = r;
    }
    int r = sqlite3_close(b->to);
    if (code == SQLITE_OK)
        code = r;
    pthread_mutex_lock(&db->backup_lock);
    db->backup = NULL;
    pthread_mutex_unlock(&db->backup_lock);
    pthread_mutex_lock(&b->lock);
    b->code = code;
    b->over = true;
    pthread_cond_signal(&b->ready);
    pthread_mutex_unlock(&b->lock);
}

void backup_advance(struct db *db) {
    pthread_mutex_lock(&db->backup_lock);
    struct backup *b = db->backup;
    pthread_mutex_unlock(&db->backup_lock);
    if (!b)
        return;
    if (!b->to) {
        int r = target_open(b->path, &b->to);
        if (r == SQLITE_OK) {
            b->copy = sqlite3_backup_init(b->to, "main", db->writer->handle, "main");
            r = b->copy ? SQLITE_OK : sqlite3_errcode(b->to);
        }
        if (r != SQLITE_OK) {
            settle(db, b, r);
            return;
        }
    }
    int r = sqlite3_backup_step(b->copy, PAGES_PER_STEP);
    if (r == SQLITE_DONE)
        settle(db, b, SQLITE_OK);
    else if (r != SQLITE_OK && r != SQLITE_BUSY && r != SQLITE_LOCKED)
        settle(db, b, r);
}

void backup_abandon(struct db *db) {
    pthread_mutex_lock(&db->backup_lock);
    struct backup *b = db->backup;
    db->ended = true;
    pthread_mutex_unlock(&db->backup_lock);
    if (b)
        settle(db, b, SQLITE_ABORT);
}

static int backup_fail(struct ctx *c, int code) {
    if ((code & 0xff) == SQLITE_FULL)
        return fail(c, ERR_DISK_FULL, "the disk that takes the backup is full");
    if (code == SQLITE_ABORT)
        return fail(c, ERR_BUSY, "the server is shutting down; the backup was given up");
    log_error("db.backup", "%s (%d)", sqlite3_errstr(code), code);
    return fail(c, ERR_INTERNAL, "the backup could not be written; the log says why");
}

int db_backup(struct db *db, struct ctx *c, struct dir *to, const char *name) {
    if (!name_plain(name))
        return fail_field(c, ERR_INVALID, "name",
                          "a backup's file name has no '/' and no dot in front");
    char *partial = arena_printf(c->arena, "%s.partial", name);
    int r = partial_make(to, partial);
    if (r < 0)
        return fail(c, r == -ENOSPC ? ERR_DISK_FULL : ERR_INTERNAL,
                    "the backup's file cannot be made: %s", strerror(-r));
    struct backup b = {.path = arena_printf(c->arena, "%s/%s", dir_path(to), partial)};
    pthread_mutex_init(&b.lock, NULL);
    pthread_cond_init(&b.ready, NULL);
    pthread_mutex_lock(&db->backup_lock);
    int rc = 0;
    if (db->ended)
        rc = fail(c, ERR_BUSY, "the server is shutting down; the backup was not begun");
    else if (db->backup)
        rc = fail(c, ERR_BUSY, "another backup is being written");
    else
        db->backup = &b;
    pthread_mutex_unlock(&db->backup_lock);
    if (rc == 0) {
        queue_push(db->queue, NULL); /* wakes the writer; where the queue is full it is awake */
        pthread_mutex_lock(&b.lock);
        while (!b.over)
            pthread_cond_wait(&b.ready, &b.lock);
        pthread_mutex_unlock(&b.lock);
        if (b.code != SQLITE_OK)
            rc = backup_fail(c, b.code);
        else if ((r = finish_file(to, partial, name)) < 0)
            rc = fail(c, ERR_INTERNAL, "the backup could not be synced: %s", strerror(-r));
    }
    pthread_cond_destroy(&b.ready);
    pthread_mutex_destroy(&b.lock);
    if (rc < 0)
        dir_unlink(to, partial);
    return rc;
}

int backup_copy(sqlite3 *from, struct dir *to, const char *name, struct buf *error) {
    struct buf partial = {0}, path = {0};
    buf_printf(&partial, "%s.partial", name);
    buf_printf(&path, "%s/%s", dir_path(to), partial.data);
    int r = partial_make(to, partial.data);
    if (r < 0)
        buf_printf(error, "the copy before the migration cannot be made: %s", strerror(-r));
    else {
        sqlite3 *target = NULL;
        int code = target_open(path.data, &target);
        sqlite3_backup *copy =
            code == SQLITE_OK ? sqlite3_backup_init(target, "main", from, "main") : NULL;
        if (copy) {
            do
                code = sqlite3_backup_step(copy, PAGES_AT_START);
            while (code == SQLITE_OK);
            int f = sqlite3_backup_finish(copy);
            code = code == SQLITE_DONE ? f : code;
        } else if (code == SQLITE_OK)
            code = SQLITE_ERROR;
        sqlite3_close(target);
        if (code != SQLITE_OK) {
            r = -EIO;
            buf_printf(error, "the copy before the migration failed: %s", sqlite3_errstr(code));
        } else if ((r = finish_file(to, partial.data, name)) < 0)
            buf_printf(error, "the copy before the migration cannot be synced: %s", strerror(-r));
        if (r < 0)
            dir_unlink(to, partial.data);
    }
    buf_free(&partial);
    buf_free(&path);
    return r;
}
