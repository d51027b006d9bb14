/* SPDX-License-Identifier: Apache-2.0 */
/* Doors: who may write where, and what a failed upload leaves. Handlers are run as the lanes do. */
#include "house.h"
#include "quern/base/str.h"
#include "quern/http/route.h"

static struct house h;

struct path_in {
    const char *path;
};

static const struct route *row(const char *id) {
    for (size_t i = 0; i < artifact_routes.n; i++)
        if (str_eq(artifact_routes.rows[i].id, id))
            return &artifact_routes.rows[i];
    abort();
}

static int upload(const char *path, const char *run_id, const char *body) {
    const struct upload_ops *ops = row("artifact.proxy.upload")->upload;
    struct path_in in = {path};
    struct ctx c;
    void *state = NULL;
    ctx_begin(&c);
    c.who.run_id = run_id;
    int rc = ops->begin(&c, &in, &state);
    if (rc == 0) {
        rc = ops->chunk(&c, state, body, strlen(body));
        rc = rc ? rc : ops->finish(&c, &in, state, NULL);
    }
    snprintf(said, sizeof said, "%s", c.err.message ? c.err.message : "");
    ctx_end(&c);
    return rc;
}

struct removal {
    struct path_in in;
    const char *run_id;
};
static int remove_op(struct ctx *c, void *arg) {
    struct removal *r = arg;
    c->who.run_id = r->run_id;
    return row("artifact.proxy.delete")->fn(c, &r->in, NULL);
}
static int removal(const char *path, const char *run_id) {
    return house_write(&h, remove_op, &(struct removal){{path}, run_id});
}

static int run_of_model(struct ctx *c, const char *model_id, const char **run_id) {
    if (!str_eq(model_id, "m-0"))
        return fail(c, ERR_NOT_FOUND, "no model %s", model_id);
    *run_id = "run-a";
    return 0;
}

static void run_tokens_write_below_their_run(void) {
    CHECK_INT(upload("1/run-a/artifacts/x", NULL, "anybody"), 0);
    CHECK_INT(upload("1/run-a/artifacts/y", "run-a", "mine"), 0);
    CHECK_INT(upload("1/models/m-0/artifacts/MLmodel", "run-a", "model"), -ERR_FORBIDDEN);
    artifact_model_owner(run_of_model);
    CHECK_INT(upload("1/models/m-0/artifacts/MLmodel", "run-a", "model"), 0);
    CHECK_INT(upload("1/models/m-0/artifacts/MLmodel", "run-b", "model"), -ERR_FORBIDDEN);
    CHECK_INT(upload("1/models/m-9/artifacts/MLmodel", "run-a", "model"), -ERR_FORBIDDEN);
    CHECK_INT(removal("1/models/m-0/artifacts/MLmodel", "run-b"), -ERR_FORBIDDEN);
    CHECK_INT(removal("1/models/m-0", "run-b"), -ERR_FORBIDDEN);
    CHECK_INT(removal("1/models", "run-a"), -ERR_FORBIDDEN);
    CHECK_INT(upload("1/run-b/artifacts/x", "run-a", "other"), -ERR_FORBIDDEN);
    CHECK_INT(upload("1/run-a-not/x", "run-a", "other"), -ERR_FORBIDDEN);
    CHECK_INT(upload("1", "run-a", "other"), -ERR_FORBIDDEN);
    CHECK_INT(upload("run-a/x", "run-a", "other"), -ERR_FORBIDDEN);
    CHECK_INT(upload("1/models/x", "run-a", "other"), -ERR_FORBIDDEN);
    CHECK_INT(upload("1/modelsx/m-0/x", "run-a", "other"), -ERR_FORBIDDEN);
    CHECK_INT(removal("1/run-b", "run-a"), -ERR_FORBIDDEN);
    CHECK_INT(removal("1", "run-a"), -ERR_FORBIDDEN);
    CHECK_INT(removal("1/run-a/artifacts/y", "run-a"), 0);
}

static int64_t counted;
static int count_op(struct ctx *c, void *arg) {
    return db_get_i64(c, arg, &counted, NULL, "");
}
static int64_t count(const char *sql) {
    char copy[200];
    snprintf(copy, sizeof copy, "%s", sql);
    CHECK_INT(house_read(&h, count_op, copy), 0);
    return counted;
}

static void writes_are_audited(void) {
    CHECK_INT(count("SELECT count(*) FROM audit WHERE action = 'artifact.put'"), 3);
}

static void a_refused_name_keeps_nothing_pinned(void) {
    int64_t blobs, bytes;
    struct ctx c;
    CHECK_INT(upload("1/run-a/artifacts/x/below", NULL, "never named"), -ERR_INVALID);
    CHECK_HAS(said, "is a file");
    CHECK_INT(upload("1/../x", NULL, "never begun"), -ERR_INVALID);
    ctx_begin(&c);
    artifact_gc_pause(); /* while a backup takes what its snapshot names */
    CHECK_INT(artifact_gc(&c, &blobs, &bytes), -ERR_CONFLICT);
    CHECK_INT(blobs, 0);
    artifact_gc_resume();
    err_clear(&c);
    CHECK_INT(artifact_gc(&c, &blobs, &bytes), 0);
    ctx_end(&c);
    CHECK_INT(blobs, 2); /* "never named", and "mine", which was removed */
    CHECK_INT(count("SELECT count(*) FROM artifact"), 2);
}

int main(void) {
    house_open(&h, -1000);
    RUN(run_tokens_write_below_their_run);
    RUN(writes_are_audited);
    RUN(a_refused_name_keeps_nothing_pinned);
    house_end(&h);
    return CHECK_END();
}
