/* SPDX-License-Identifier: Apache-2.0 */
/* Copies stay within the caller's project, whatever number of an experiment they name. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "quern/base/buf.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/trace/copy.h"
#include "quern/tracking/copy.h"

#define OTHERS 7 /* an experiment of another project */

static struct db *db;

static int write_as(int64_t who, db_op *op, const void *arg) {
    struct ctx c;
    ctx_begin(&c);
    c.project = who;
    int rc = db_write(db, &c, op, (void *)arg);
    ctx_end(&c);
    return rc;
}

static int64_t number(const char *sql) {
    struct ctx c;
    int64_t n = -1;
    ctx_begin(&c);
    if (db_read_begin(db, &c) == 0) {
        (void)db_get_i64(&c, sql, &n, NULL, "");
        db_read_end(&c);
    }
    ctx_end(&c);
    return n;
}

static int set_up(struct ctx *c, void *arg) {
    struct copy_experiment e = {.id = OTHERS, .name = "theirs", .location = "mlflow-artifacts:/7"};
    (void)arg;
    int rc = db_exec(c, "INSERT INTO project (id, name, created_ms) VALUES (2, 'other', 0)", "");
    return rc < 0 ? rc : experiment_copy_in(c, &e);
}
static int put_model(struct ctx *c, void *arg) {
    return model_copy_in(c, arg);
}
static int put_trace(struct ctx *c, void *arg) {
    return trace_copy_in(c, arg);
}
static int put_run(struct ctx *c, void *arg) {
    return run_copy_in(c, arg);
}

static void others(void) {
    struct copy_model m = {.id = "m-1",
                           .experiment = OTHERS,
                           .name = "n",
                           .artifact_uri = "",
                           .status = "READY",
                           .type = "",
                           .source_run = ""};
    struct copy_trace t = {.id = "tr-1", .experiment = OTHERS, .state = "OK"};
    struct copy_run r = {.id = "r1",
                         .experiment = OTHERS,
                         .name = "n",
                         .user = "",
                         .status = "FINISHED",
                         .artifact_uri = ""};
    CHECK_INT(write_as(1, put_model, &m), -ERR_CONFLICT);
    CHECK_INT(write_as(1, put_trace, &t), -ERR_CONFLICT);
    CHECK_INT(write_as(1, put_run, &r), -ERR_CONFLICT);
    CHECK_INT(number("SELECT count(*) FROM logged_model"), 0);
    CHECK_INT(number("SELECT count(*) FROM trace"), 0);
    CHECK_INT(number("SELECT count(*) FROM run"), 0);
    /* Nor is what they have overwritten. */
    CHECK_INT(write_as(2, put_model, &m), 0);
    m.name = "changed";
    CHECK_INT(write_as(1, put_model, &m), -ERR_CONFLICT);
    CHECK_INT(number("SELECT count(*) FROM logged_model WHERE name = 'n'"), 1);
    CHECK_INT(write_as(2, put_trace, &t), 0);
    CHECK_INT(write_as(1, put_trace, &t), -ERR_CONFLICT);
    m.name = "n";
    CHECK_INT(write_as(2, put_model, &m), 0);
}

int main(void) {
    char path[] = "/tmp/quern-copy-XXXXXX";
    struct buf error = {0};
    struct dir *dir = NULL, *tmp = NULL;
    if (!mkdtemp(path) || dir_open(path, false, &dir) != 0)
        return 1;
    struct db_options o = {
        .dir = dir, .queue = 64, .batch = 16, .wal_soft = 1 << 22, .wal_hard = 1 << 24};
    if (db_open(&o, &db, &error) != 0)
        return 1;
    CHECK_INT(write_as(2, set_up, NULL), 0);
    RUN(others);
    db_thread_end(db);
    db_close(db);
    dir_close(dir);
    if (dir_open("/tmp", false, &tmp) == 0) {
        dir_remove_tree(tmp, path + 5);
        dir_close(tmp);
    }
    return CHECK_END();
}
