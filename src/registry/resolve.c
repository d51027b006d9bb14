/* SPDX-License-Identifier: Apache-2.0 */
/* Resolve: what rooms to the right ask of the registry. */
#include <string.h>

#include "model.h"
#include "model_store.h"
#include "name.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/registry/registry.h"
#include "version.h"

static int inform(struct ctx *c, const struct version_row *v, struct model_version_info *out) {
    *out = (struct model_version_info){
        .name = v->name, .version = v->version, .run_id = v->run_id, .source = v->source};
    return version_artifact_path(c, v, &out->artifact_path);
}

int model_version_create(struct ctx *c, const char *name, const char *source, const char *run_id,
                         const char *model_id, const char *description,
                         struct model_version_info *out) {
    struct model_row m;
    struct version_row v;
    bool found = false;
    int rc = model_store_get(c, name, &m, &found);
    if (rc == 0 && !found)
        rc = model_create(c, name, NULL, &(struct pairs){0}, &m);
    if (rc == 0)
        rc = version_create(c,
                            &(struct version_new){.name = name,
                                                  .source = source,
                                                  .run_id = run_id,
                                                  .model_id = model_id,
                                                  .description = description},
                            &v);
    return rc == 0 ? inform(c, &v, out) : rc;
}

int model_version_get(struct ctx *c, const char *name, int64_t version,
                      struct model_version_info *out) {
    struct version_row v;
    int rc = version_find(c, name, version, OBJECT_READ, &v);
    return rc == 0 ? inform(c, &v, out) : rc;
}

static int latest_of(struct ctx *c, const char *name, const char *stage, int64_t *version) {
    struct model_row m;
    struct version_rows found = {0};
    int rc = model_find(c, name, OBJECT_READ, &m);
    if (rc == 0)
        rc = versions_latest(c, &m, &(struct strs){&stage, stage ? 1 : 0}, &found);
    if (rc != 0)
        return rc;
    *version = 0;
    for (size_t i = 0; i < found.n; i++)
        if (found.items[i].version > *version)
            *version = found.items[i].version;
    if (*version == 0)
        return fail(c, ERR_NOT_FOUND, "Registered Model with name=%s has no version%s%s", name,
                    stage ? " in stage " : "", stage ? stage : "");
    return 0;
}

int model_resolve(struct ctx *c, const char *uri, struct model_version_info *out) {
    int64_t version = 0;
    int rc = 0;
    if (!str_starts(uri, "models:/"))
        return fail(c, ERR_INVALID,
                    "'%.200s' is not a model URI; it must have the form models:/name@alias, "
                    "models:/name/3 or models:/name/latest",
                    uri);
    const char *rest = uri + strlen("models:/");
    while (*rest == '/')
        rest++;
    const char *slash = strrchr(rest, '/'), *at = strrchr(rest, '@');
    const char *mark = slash ? slash : at;
    if (!mark || mark == rest || !mark[1])
        return fail(c, ERR_INVALID,
                    "'%.200s' names no version; it must have the form models:/name@alias, "
                    "models:/name/3 or models:/name/latest",
                    uri);
    const char *name = arena_strndup(c->arena, rest, (size_t)(mark - rest)), *what = mark + 1;
    if (!slash) {
        rc = model_alias_version(c, name, what, &version);
        if (rc == -ERR_INVALID) {
            /* On the wire an unknown alias is an invalid value; for other rooms it is missing. */
            err_clear(c);
            rc = fail(c, ERR_NOT_FOUND, "Registered model alias %s of model %s not found.", what,
                      name);
        }
    } else if (str_ieq(what, "latest")) {
        rc = latest_of(c, name, NULL, &version);
    } else if (!str_to_i64(what, &version)) {
        rc = latest_of(c, name, what, &version);
    }
    return rc == 0 ? model_version_get(c, name, version, out) : rc;
}
