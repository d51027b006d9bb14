/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline action deploy, against a database of its own; a thread of the test stands for the
 * loader and says what came of the endpoint. */
#include "deploy.h"

#include "arm.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "endpoint.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/pipeline/pipeline.h"
#include "quern/registry/registry.h"
#include "quern/serving/serving.h"

static struct db *db;
static struct lanes *lanes;

struct with { /* what the action's shape fills */
    const char *endpoint, *model, *arm;
};

static int op_register(struct ctx *c, void *arg) {
    struct model_version_info info;
    (void)arg;
    return model_version_create(c, "iris", "https://models.example/iris", "", "", "", &info);
}

/* ---- the other side ---- */

struct step {
    const char *state, *reason;
    int64_t version;
    int after_ms;
};
struct script {
    const char *name;
    const struct step *steps;
    size_t n;
};

static int op_outcome(struct ctx *c, void *arg) {
    return arm_record(c, arg);
}

static int op_delete(struct ctx *c, void *arg) {
    return endpoint_delete(c, arg);
}

/* The revision that waits for an outcome, 0 while there is none. */
static int64_t waiting(const char *name) {
    struct ctx c;
    struct endpoint e;
    int64_t revision = 0;
    ctx_begin(&c);
    if (db_read_begin(db, &c) == 0) {
        if (endpoint_get(&c, name, &e) == 0 && e.done < e.revision)
            revision = e.revision;
        db_read_end(&c);
    }
    ctx_end(&c);
    return revision;
}

static void *play(void *arg) {
    const struct script *s = arg;
    int64_t revision = 0, until = clock_mono_ms() + 10000;
    while (!(revision = waiting(s->name)) && clock_mono_ms() < until)
        clock_sleep_ms(2);
    for (size_t i = 0; i < s->n; i++) {
        const struct step *step = &s->steps[i];
        struct ctx c;
        clock_sleep_ms(step->after_ms);
        ctx_begin(&c);
        struct arm_load o = {.project = 1,
                             .endpoint = s->name,
                             .arm = "main",
                             .revision = revision,
                             .state = step->state,
                             .reason = step->reason,
                             .model = step->version ? "iris" : NULL,
                             .version = step->version,
                             .sha256 = "",
                             .vetted = ""};
        char *name = arena_strdup(c.arena, s->name);
        if (!step->state)
            deploy_use(NULL);
        else
            CHECK_INT(strcmp(step->state, "deleted") == 0 ? db_write(db, &c, op_delete, name)
                                                          : db_write(db, &c, op_outcome, &o),
                      0);
        ctx_end(&c);
    }
    db_thread_end(db);
    return NULL;
}

/* Runs the action; the code, and outputs or the error's text on the context. */
static int deploy(struct ctx *c, const char *endpoint, const char *model, const struct step *steps,
                  size_t n, struct json_t **outputs) {
    struct with with = {endpoint, model, NULL};
    struct script script = {endpoint, steps, n};
    pthread_t other;
    ctx_begin(c);
    if (n)
        pthread_create(&other, NULL, play, &script);
    int rc = serving_deploy_action.run(c, &with, "run", outputs);
    if (n)
        pthread_join(other, NULL);
    return rc;
}

static void ready(void) {
    static const struct step steps[] = {{"loading", "", 0, 5}, {"ready", "", 1, 40}};
    struct ctx c;
    struct json_t *out = NULL;
    int64_t began = clock_mono_ms();
    CHECK_INT(deploy(&c, "good", "models:/iris/1", steps, 2, &out), 0);
    CHECK(clock_mono_ms() - began >= 40);
    CHECK_STR(json_string_value(json_object_get(out, "endpoint")), "good");
    CHECK_STR(json_string_value(json_object_get(out, "model")), "iris");
    CHECK_INT(json_integer_value(json_object_get(out, "version")), 1);
    ctx_end(&c);
    /* Again: a revision of its own is waited for, not the outcome that is there. */
    static const struct step again[] = {{"ready", "", 1, 60}};
    began = clock_mono_ms();
    CHECK_INT(deploy(&c, "good", "models:/iris/1", again, 1, &out), 0);
    CHECK(clock_mono_ms() - began >= 60);
    ctx_end(&c);
}

/* The alias moves on between the outcome and the look at it. */
static void moved_on(void) {
    static const struct step steps[] = {
        {"ready", "", 1, 0}, {"loading", "", 0, 0}, {"ready", "", 1, 80}};
    struct ctx c;
    struct json_t *out = NULL;
    CHECK_INT(deploy(&c, "moving", "models:/iris/1", steps, 3, &out), 0);
    ctx_end(&c);
}

static void refused(void) {
    static const struct step failed[] = {{"failed", "the model file is empty", 0, 5}};
    static const struct step kept[] = {{"ready", "not loaded; version 1 still serves", 1, 5}};
    static const struct step deleted[] = {{"deleted", "", 0, 5}};
    static const struct step stopping[] = {{NULL, "", 0, 30}};
    static const struct {
        const char *name, *target;
        const struct step *steps;
        int code;
        const char *says;
    } rows[] = {
        {"broken", "models:/iris/1", failed, ERR_UNPROCESSABLE,
         "endpoint 'broken' was not deployed: the model file is empty"},
        {"kept", "models:/iris/1", kept, ERR_UNPROCESSABLE, "version 1 still serves"},
        {"gone", "models:/iris/1", deleted, ERR_NOT_FOUND, "endpoint 'gone': no endpoint 'gone'"},
        {"none", "models:/nobody/1", NULL, ERR_NOT_FOUND, "nobody"},
        {"odd", "file:///etc/passwd", NULL, ERR_INVALID, "models:/NAME"},
        {"", "models:/iris/1", NULL, ERR_INVALID, "an endpoint's name"},
        {"stopped", "models:/iris/1", stopping, ERR_BUSY, "the server is stopping"},
        {"closed", "models:/iris/1", NULL, ERR_BUSY, "not open"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        struct json_t *out = NULL;
        int rc =
            deploy(&c, rows[i].name, rows[i].target, rows[i].steps, rows[i].steps ? 1 : 0, &out);
        CHECK_INT(-rc, rows[i].code);
        CHECK_HAS(c.err.message, rows[i].says);
        CHECK(out == NULL);
        ctx_end(&c);
    }
}

int main(void) {
    char path[] = "/tmp/quern-deploy-XXXXXX";
    struct dir *dir;
    struct buf error = {0};
    struct ctx c;
    log_init(LOG_ERROR, LOG_PLAIN);
    if (!mkdtemp(path) || dir_open(path, false, &dir) < 0)
        return 1;
    const struct db_options o = {
        .dir = dir, .queue = 64, .batch = 16, .wal_soft = 1 << 22, .wal_hard = 1 << 24};
    if (db_open(&o, &db, &error) < 0) {
        printf("db_open: %s\n", error.data);
        return 1;
    }
    const struct lane_options l = {.db = db, .workers = 1, .work_queue = 4};
    lanes = lanes_start(&l);
    ctx_begin(&c);
    CHECK_INT(db_write(db, &c, op_register, NULL), 0);
    ctx_end(&c);
    deploy_use(lanes);
    RUN(ready);
    RUN(moved_on);
    RUN(refused);
    lanes_stop(lanes);
    db_close(db);
    static const char *const files[] = {"quern.db", "quern.db-wal", "quern.db-shm", "quern.lock"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        dir_unlink(dir, files[i]);
    dir_close(dir);
    rmdir(path);
    return CHECK_END();
}
