/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TESTS_ARTIFACT_HOUSE_H
#define QUERN_TESTS_ARTIFACT_HOUSE_H
/* House: a data directory with the real schema, the writer and the artifact store, for the tests of
 * the rooms that stand on it. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

struct house {
    char path[64];
    struct dir *dir;
    struct db *db;
};

#define HOUSE_UPLOAD_CAP (64u << 20)

__attribute__((unused)) static void house_open(struct house *h, int64_t grace_ms) {
    struct buf error = {0};
    struct db_options o = {
        .dir = NULL, .queue = 1024, .batch = 128, .wal_soft = 4 << 20, .wal_hard = 64 << 20};
    if (!h->path[0]) {
        snprintf(h->path, sizeof h->path, "/tmp/quern-house-XXXXXX");
        if (!mkdtemp(h->path))
            abort();
    }
    if (dir_open(h->path, false, &h->dir) < 0)
        abort();
    o.dir = h->dir;
    if (db_open(&o, &h->db, &error) < 0 ||
        artifacts_open(h->db, h->dir, HOUSE_UPLOAD_CAP, grace_ms, &error) < 0) {
        printf("cannot open the house: %s\n", error.data ? error.data : "?");
        abort();
    }
    buf_free(&error);
}

__attribute__((unused)) static void house_shut(struct house *h) {
    db_thread_end(h->db);
    artifacts_close();
    db_close(h->db);
    dir_close(h->dir);
}

__attribute__((unused)) static void house_end(struct house *h) {
    char *names[] = {h->path};
    struct dir *tmp;
    house_shut(h);
    if (dir_open("/tmp", false, &tmp) == 0) {
        dir_remove_tree(tmp, names[0] + 5);
        dir_close(tmp);
    }
}

/* Runs one operation on a context of its own and gives its result; the message goes to said[]. */
static char said[1024];
__attribute__((unused)) static int house_write(struct house *h, db_op *op, void *arg) {
    struct ctx c;
    ctx_begin(&c);
    int rc = db_write(h->db, &c, op, arg);
    snprintf(said, sizeof said, "%s", c.err.message ? c.err.message : "");
    ctx_end(&c);
    return rc;
}
__attribute__((unused)) static int house_read(struct house *h, db_op *op, void *arg) {
    struct ctx c;
    ctx_begin(&c);
    int rc = db_read_begin(h->db, &c);
    if (rc == 0) {
        rc = op(&c, arg);
        db_read_end(&c);
    }
    snprintf(said, sizeof said, "%s", c.err.message ? c.err.message : "");
    ctx_end(&c);
    return rc;
}

#endif
