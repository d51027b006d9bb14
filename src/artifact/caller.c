/* SPDX-License-Identifier: Apache-2.0 */
#include "caller.h"

#include <string.h>

#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

static artifact_model_run *model_run;

void artifact_model_owner(artifact_model_run *fn) {
    model_run = fn;
}

/* "m-..." of "<experiment>/models/m-...", NULL for other paths. */
static const char *model_of(struct ctx *c, const char *path) {
    const char *slash = strchr(path, '/');
    if (!slash || strncmp(slash, "/models/m-", 10) != 0)
        return NULL;
    const char *id = slash + 8;
    return arena_strndup(c->arena, id, strcspn(id, "/"));
}

/* A run's token writes below its own run, and below the logged models of it. Whose a model is, only
 * caller_check_model can tell. */
int caller_check(struct ctx *c, const char *path) {
    const char *slash = strchr(path, '/');
    if (!c->who.run_id)
        return 0;
    if (!slash)
        return fail(c, ERR_FORBIDDEN, "A run's token may write only below that run.");
    if (model_of(c, path))
        return 0;
    const char *second = slash + 1;
    size_t n = strcspn(second, "/");
    return access_check_run(c, arena_strndup(c->arena, second, n));
}

/* Needs the database, so an upload comes to it at its end. */
int caller_check_model(struct ctx *c, const char *path) {
    const char *id = c->who.run_id ? model_of(c, path) : NULL;
    const char *run_id = "";
    if (!id)
        return 0;
    int rc = model_run ? model_run(c, id, &run_id) : 0;
    if (rc == -ERR_NOT_FOUND) {
        err_clear(c);
        rc = 0;
    }
    return rc ? rc : access_check_run(c, run_id ? run_id : "");
}
