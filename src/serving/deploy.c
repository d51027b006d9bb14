/* SPDX-License-Identifier: Apache-2.0 */
/* Deploy: the pipeline action that binds an endpoint and waits for what comes of it. */
#include "deploy.h"

#include <jansson.h>
#include <stdatomic.h>
#include <string.h>

#include "endpoint.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/pipeline/pipeline.h"
#include "quern/serving/serving.h"

#define DEPLOY_MS                                                                                  \
    300000 /* fetch, vetting, load and warm-up, behind those that were asked for first */
#define POLL_MS 20

struct deploy_with {
    const char *endpoint, *model, *arm;
};
SHAPE(shape_deploy, "DeployAction", struct deploy_with,
      FIELD(struct deploy_with, endpoint, T_STR, F_REQUIRED, "Endpoint, made when missing"),
      FIELD(struct deploy_with, model, T_STR, F_REQUIRED,
            "models:/NAME@ALIAS or models:/NAME/VERSION"),
      FIELD(struct deploy_with, arm, T_STR, 0, "The arm that is bound; the first one by default"));

static _Atomic(struct lanes *) lanes;

void deploy_use(struct lanes *l) {
    atomic_store(&lanes, l);
}

struct deploy {
    const struct deploy_with *with;
    int64_t revision;
};

static int op_put(struct ctx *c, void *arg) {
    struct deploy *d = arg;
    struct endpoint e;
    bool created;
    int rc = endpoint_bind(c, d->with->endpoint, d->with->arm, d->with->model, &e, &created);
    if (rc == 0)
        d->revision = e.revision;
    return rc;
}

static int look(struct ctx *c, struct lanes *l, const char *name, struct endpoint *e) {
    int rc = db_read_begin(lanes_db(l), c);
    if (rc == 0) {
        rc = endpoint_get(c, name, e);
        db_read_end(c);
    }
    return rc;
}

/* The same target may serve already, or may be loading for an earlier attempt of this step. */
static int wait_for(struct ctx *c, const struct deploy *d, struct endpoint *e) {
    int64_t until = clock_mono_ms() + DEPLOY_MS;
    const char *name = d->with->endpoint;
    for (;;) {
        struct lanes *l = atomic_load(&lanes);
        if (!l)
            return fail(c, ERR_BUSY, "the server is stopping while endpoint '%s' loads", name);
        struct ctx look_ctx; /* an arena of its own: thousands of looks must not pile up */
        ctx_begin(&look_ctx);
        look_ctx.project = c->project;
        int rc = look(&look_ctx, l, name, e);
        /* Past its own revision it may load again already: the alias has moved on. */
        bool under_way =
            rc == 0 && (strcmp(e->state, "pending") == 0 || strcmp(e->state, "loading") == 0);
        bool gone = rc < 0, done = rc == 0 && e->done >= d->revision && !under_way;
        if (gone)
            fail(c, look_ctx.err.code, "endpoint '%s': %s", name,
                 look_ctx.err.message ? look_ctx.err.message : "cannot be read");
        else if (done && (*e->reason || strcmp(e->state, "ready") != 0))
            fail(c, ERR_UNPROCESSABLE, "endpoint '%s' was not deployed: %s", name,
                 *e->reason ? e->reason : e->state);
        e->model = arena_strdup(c->arena, gone ? "" : e->model);
        ctx_end(&look_ctx);
        if (gone || done)
            return c->err.code ? -c->err.code : 0;
        if (clock_mono_ms() > until)
            return fail(c, ERR_DEADLINE, "endpoint '%s' was not ready within %d s", name,
                        DEPLOY_MS / 1000);
        clock_sleep_ms(POLL_MS);
    }
}

static void release(void *json) {
    json_decref(json);
}

static int run(struct ctx *c, const void *with, const char *run_id, struct json_t **outputs) {
    struct deploy d = {.with = with};
    struct endpoint e = {0};
    struct lanes *l = atomic_load(&lanes);
    (void)run_id;
    if (!l)
        return fail(c, ERR_BUSY, "endpoints are not open");
    int rc = db_write(lanes_db(l), c, op_put, &d);
    if (rc == 0)
        rc = wait_for(c, &d, &e);
    if (rc == 0 && outputs) {
        *outputs = json_pack("{s:s, s:s, s:I}", "endpoint", d.with->endpoint, "model", e.model,
                             "version", (json_int_t)e.version);
        arena_defer(c->arena, release, *outputs);
    }
    return rc;
}

const struct step_action serving_deploy_action = {
    .name = "deploy", .with = &shape_deploy, .run = run};
