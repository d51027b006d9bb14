/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TESTS_TRACKING_FIXTURE_H
#define QUERN_TESTS_TRACKING_FIXTURE_H
/* A fresh database in a temporary directory, and calls of routes as JSON to JSON, on the lane that
 * the row names. Answers live until the next fx_begin. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_error.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "quern/tracking/tracking.h"

static struct db *fx_db;
static struct dir *fx_dir;
static char fx_path[] = "/tmp/quern-tracking-XXXXXX";
static struct arena *fx_keep;
static int64_t fx_project = 1;
static int64_t fx_now = 1000;
static const char *fx_token_run; /* set: calls come with that run's token */
static int fx_status;

static bool fx_begin(void) {
    struct buf error = {0};
    log_init(LOG_WARN, LOG_PLAIN);
    strcpy(fx_path + strlen(fx_path) - 6, "XXXXXX");
    fx_keep = arena_new();
    fx_project = 1;
    fx_token_run = NULL;
    if (!mkdtemp(fx_path) || dir_open(fx_path, false, &fx_dir) < 0)
        return false;
    struct db_options o = {
        .dir = fx_dir, .queue = 64, .batch = 16, .wal_soft = 1 << 22, .wal_hard = 1 << 24};
    if (db_open(&o, &fx_db, &error) < 0) {
        printf("db_open: %s\n", error.data ? error.data : "?");
        buf_free(&error);
        return false;
    }
    buf_free(&error);
    return true;
}

static void fx_end(void) {
    db_close(fx_db);
    const char *files[] = {"quern.db", "quern.db-wal", "quern.db-shm", "quern.lock"};
    for (size_t i = 0; i < 4; i++)
        dir_unlink(fx_dir, files[i]);
    dir_close(fx_dir);
    rmdir(fx_path);
    arena_free(fx_keep);
}

struct fx_call {
    const struct route *row;
    const void *in;
    void *out;
};

static int fx_run(struct ctx *c, void *arg) {
    struct fx_call *k = arg;
    if (k->row->out)
        memset(k->out, 0, k->row->out->size);
    return k->row->fn(c, k->in, k->out);
}

/* Calls the row "tracking.<id>" with a JSON body; gives the answer or the error as JSON. */
static const char *fx_json(const char *id, const char *json) {
    struct ctx c;
    struct json_t *tree = NULL;
    struct buf out = {0};
    struct fx_call k = {0};
    ctx_begin(&c);
    c.method = "POST";
    c.project = fx_project;
    c.now_ms = fx_now;
    if (fx_token_run) {
        c.who = (struct principal){
            .name = "run", .kind = "run", .level = PERM_WRITE, .run_id = fx_token_run};
    }
    for (size_t i = 0; i < tracking_routes.n; i++)
        if (!strcmp(tracking_routes.rows[i].id + strlen("tracking."), id))
            k.row = &tracking_routes.rows[i];
    if (!k.row) {
        printf("no route %s\n", id);
        exit(1);
    }
    void *in = k.row->in ? arena_alloc(c.arena, k.row->in->size) : NULL;
    k.in = in;
    k.out = k.row->out ? arena_alloc(c.arena, k.row->out->size) : NULL;
    int rc = json_parse(&c, DIALECT_MLFLOW, json, strlen(json), &tree);
    if (!rc && k.row->in) {
        struct pairs none = {0};
        rc = json_decode(&c, DIALECT_MLFLOW, k.row->in, tree, &none, &none, in);
        /* path members come in the body here, which the decoder allows in MLflow's dialect */
    }
    if (!rc && k.row->lane == LANE_WRITE) {
        rc = db_write(fx_db, &c, fx_run, &k);
    } else if (!rc) {
        rc = db_read_begin(fx_db, &c);
        if (!rc) {
            rc = fx_run(&c, &k);
            db_read_end(&c);
        }
    }
    fx_status = rc ? err_row(rc)->status : 200;
    if (rc)
        json_error(DIALECT_MLFLOW, &c, &out);
    else if (k.row->out)
        json_encode(&out, k.row->out, k.out);
    else
        buf_puts(&out, "{}");
    char *text = arena_strndup(fx_keep, out.data ? out.data : "", out.len);
    buf_free(&out);
    ctx_end(&c);
    return text;
}

__attribute__((unused)) static const char *fx_call(const char *id, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static const char *fx_call(const char *id, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *json = arena_vprintf(fx_keep, fmt, ap);
    va_end(ap);
    return fx_json(id, json);
}

/* The text behind "key":" in an answer. */
__attribute__((unused)) static const char *fx_text(const char *json, const char *key) {
    char *mark = arena_printf(fx_keep, "\"%s\":\"", key);
    const char *at = strstr(json, mark);
    if (!at)
        return "";
    at += strlen(mark);
    return arena_strndup(fx_keep, at, strcspn(at, "\""));
}

#endif
