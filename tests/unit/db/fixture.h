/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_FIXTURE_H
#define DB_FIXTURE_H
/* Fixture: a database in a folder of its own, with one table. */
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

static const struct migration first_schema[] = {
    {1, "0001_item",
     "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, amount INTEGER NOT "
     "NULL "
     "DEFAULT 0 CHECK (amount >= 0), body BLOB, parent INTEGER REFERENCES item(id)) STRICT;",
     "1111111111111111111111111111111111111111111111111111111111111111"},
    {0, 0, 0, 0},
};

struct fixture {
    char path[64];
    struct dir *dir;
    struct db *db;
    struct buf error;
};

__attribute__((unused)) static int fixture_open(struct fixture *f, struct db_options o) {
    o.dir = f->dir;
    if (!o.migrations)
        o.migrations = first_schema;
    if (!o.queue)
        o.queue = 1024;
    if (!o.batch)
        o.batch = 256;
    buf_clear(&f->error);
    int r = db_open(&o, &f->db, &f->error);
    return r;
}

__attribute__((unused)) static void fixture_dir(struct fixture *f) {
    *f = (struct fixture){0};
    snprintf(f->path, sizeof f->path, "/tmp/quern-db-test-XXXXXX");
    if (!mkdtemp(f->path) || dir_open(f->path, false, &f->dir) < 0)
        abort();
}

__attribute__((unused)) static void fixture_start(struct fixture *f, struct db_options o) {
    fixture_dir(f);
    if (fixture_open(f, o) < 0) {
        printf("db_open: %s\n", f->error.data);
        exit(1);
    }
}

__attribute__((unused)) static void fixture_end(struct fixture *f) {
    db_close(f->db);
    char **names;
    size_t n;
    struct arena *a = arena_new();
    if (dir_list(f->dir, NULL, a, &names, &n) == 0)
        for (size_t i = 0; i < n; i++)
            dir_unlink(f->dir, names[i]);
    arena_free(a);
    dir_close(f->dir);
    rmdir(f->path);
    buf_free(&f->error);
}

/* One number by a reader of this thread. */
__attribute__((unused)) static int64_t fixture_number(struct fixture *f, const char *sql) {
    struct ctx c;
    int64_t n = -1;
    ctx_begin(&c);
    if (db_read_begin(f->db, &c) < 0 || db_get_i64(&c, sql, &n, NULL, "") < 0)
        printf("%s: %s\n", sql, c.err.message);
    db_read_end(&c);
    ctx_end(&c);
    return n;
}

/* Runs sql on the writer, by itself. */
__attribute__((unused)) static int fixture_sql_op(struct ctx *c, void *arg) {
    struct stmt *st = db_query(c, arg, "");
    int rc;
    while ((rc = stmt_next(st)) > 0)
        ;
    return rc;
}

__attribute__((unused)) static int fixture_write(struct fixture *f, const char *sql) {
    struct ctx c;
    ctx_begin(&c);
    int rc = db_write(f->db, &c, fixture_sql_op, (void *)(uintptr_t)sql);
    ctx_end(&c);
    return rc;
}

/* Holds the writer inside an operation until it is posted, so that a batch gathers behind it. */
struct gate {
    struct ctx c;
    sem_t inside, go;
};

__attribute__((unused)) static int gate_op(struct ctx *c, void *arg) {
    (void)c;
    struct gate *g = arg;
    sem_post(&g->inside);
    while (sem_wait(&g->go) < 0)
        ;
    return 0;
}

__attribute__((unused)) static void gate_close(struct gate *g, struct db *db) {
    ctx_begin(&g->c);
    sem_init(&g->inside, 0, 0);
    sem_init(&g->go, 0, 0);
    if (db_submit(db, &g->c, gate_op, g, NULL) != 0)
        abort();
    while (sem_wait(&g->inside) < 0)
        ;
}

__attribute__((unused)) static void gate_end(struct gate *g) {
    sem_destroy(&g->inside);
    sem_destroy(&g->go);
    ctx_end(&g->c);
}

#endif
