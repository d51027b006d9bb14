/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign: files of other programs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connection.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

/* A text, or a row, in bytes; SQLite itself would take 1 GB. */
#define LENGTH_MAX (512 << 20)

static int probe(struct ctx *c, const char *path, bool make) {
    struct stat st;
    /* Nobody waits for a FIFO's other end. */
    int fd = make ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                  : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == EEXIST   ? fail(c, ERR_EXISTS, "The file exists already.")
               : errno == ENOENT ? fail(c, ERR_NOT_FOUND, "There is no such file.")
                                 : fail(c, ERR_INVALID, "The file cannot be opened.");
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    close(fd);
    return regular ? 0 : fail(c, ERR_INVALID, "It is no regular file.");
}

int db_foreign_open(struct ctx *c, const char *path, bool make) {
    int rc = probe(c, path, make);
    if (rc != 0)
        return rc;
    struct db_conn *conn = mem_alloc(sizeof *conn);
    pthread_mutex_init(&conn->lock, NULL);
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                (make ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
    int r = sqlite3_open_v2(path, &conn->handle, flags, NULL);
    if (r == SQLITE_OK) {
        sqlite3_extended_result_codes(conn->handle, 1);
        sqlite3_busy_timeout(conn->handle, 5000);
        sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
        sqlite3_limit(conn->handle, SQLITE_LIMIT_ATTACHED, 0);
        sqlite3_limit(conn->handle, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
        r = sqlite3_exec(conn->handle, "PRAGMA cell_size_check = ON", NULL, NULL, NULL);
    }
    /* Half of a new file is of use to nobody, so it is synced once, when it is whole. */
    if (r == SQLITE_OK && make)
        r = sqlite3_exec(conn->handle, "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY",
                         NULL, NULL, NULL);
    if (r == SQLITE_OK) {
        r = sqlite3_exec(conn->handle, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    }
    c->db = conn;
    if (r == SQLITE_OK)
        return 0;
    rc = (r & 0xff) == SQLITE_BUSY
             ? fail(c, ERR_BUSY, "Another program has locked it; stop that, or give a copy.")
             : fail(c, ERR_INVALID, "It is no SQLite database that can be read: %s.",
                    sqlite3_errmsg(conn->handle));
    db_foreign_close(c);
    return rc;
}

int db_foreign_sync(struct ctx *c, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    char *folder = arena_strdup(c->arena, path), *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    fd = good ? open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return good ? 0 : fail(c, ERR_INTERNAL, "The file cannot be synced: %s", strerror(errno));
}

void db_foreign_close(struct ctx *c) {
    conn_close(c->db);
    c->db = NULL;
}
