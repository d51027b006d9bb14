/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/core/ref.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

const char *const ref_kinds[] = {
    "project",  "experiment", "run",     "logged_model", "model",        "model_version",
    "endpoint", "artifact",   "dataset", "pipeline",     "pipeline_run", "step",
    "git",      "principal",  "token",   NULL,
};

bool ref_kind_known(const char *kind) {
    for (size_t i = 0; ref_kinds[i]; i++)
        if (str_eq(ref_kinds[i], kind))
            return true;
    return false;
}

char *ref_make(struct ctx *c, const char *kind, const char *id) {
    return arena_printf(c->arena, "%s:%s", kind, id);
}

int ref_parse(struct ctx *c, const char *ref, const char **kind, const char **id) {
    const char *colon = ref ? strchr(ref, ':') : NULL;
    if (!colon)
        return fail(c, ERR_INVALID, "'%.200s' is not a reference; it must have the form kind:id",
                    ref ? ref : "");
    char *k = arena_strndup(c->arena, ref, (size_t)(colon - ref));
    if (!ref_kind_known(k))
        return fail(c, ERR_INVALID,
                    "'%.60s' is not a kind of thing; known are run, model_version, "
                    "artifact, endpoint and the others that the reference lists",
                    k);
    if (!colon[1])
        return fail(c, ERR_INVALID, "The reference '%s:' lacks an id after the colon", k);
    *kind = k;
    *id = arena_strdup(c->arena, colon + 1);
    return 0;
}
