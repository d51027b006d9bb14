/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "mlruns.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "yaml_flat.h"

static const char *or_empty(const char *s) {
    return s ? s : "";
}

/* ------------------------------------------------------------------ logged models */

int mlruns_model(struct source *s, struct ctx *c, const char *after, struct copy_model *out) {
    static const char *const names[] = {"LOGGED_MODEL_STATUS_UNSPECIFIED", "LOGGED_MODEL_PENDING",
                                        "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"};
    const struct mlruns *m = (struct mlruns *)s;
    const struct mlruns_item *l = mlruns_after(&m->models, after);
    struct pairs y;
    *out = (struct copy_model){0};
    if (!l)
        return 0;
    out->id = l->id;
    if (!mlruns_yaml(c, m, l->path, "meta.yaml", &y))
        return fail(c, ERR_INVALID, "The file %s/meta.yaml is no mapping.", l->path);
    int64_t status = yaml_number(&y, "status");
    const char *word = yaml_get(&y, "status");
    out->experiment = yaml_number(&y, "experiment_id");
    out->name = or_empty(yaml_get(&y, "name"));
    out->artifact_uri = mlruns_artifacts(c, m, l->path, yaml_get(&y, "artifact_location"));
    out->status = names[status > 0 && status < (int64_t)ARRAY_LEN(names) ? status : 0];
    if (word && !status)
        out->status = arena_printf(c->arena, "LOGGED_MODEL_%s", word);
    out->type = or_empty(yaml_get(&y, "model_type"));
    out->source_run = or_empty(yaml_get(&y, "source_run_id"));
    out->created_ms = yaml_number(&y, "creation_timestamp");
    out->updated_ms = yaml_number(&y, "last_updated_timestamp");
    out->deleted = str_eq(or_empty(yaml_get(&y, "lifecycle_stage")), "deleted");
    int rc = mlruns_files(c, m, arena_printf(c->arena, "%s/params", l->path), &out->params);
    rc = rc ? rc : mlruns_files(c, m, arena_printf(c->arena, "%s/tags", l->path), &out->tags);
    return rc < 0 ? rc : 1;
}

/* ------------------------------------------------------------------ registered models */

/* A folder that was moved: the version's files lie with their run all the same. */
static const char *moved(struct ctx *c, const struct mlruns *m, const char *uri,
                         const char *run_id) {
    const struct mlruns_item *r = uri && *run_id ? mlruns_find(&m->runs, run_id) : NULL;
    const char *mark = arena_printf(c->arena, "/%s/artifacts", run_id);
    const char *at = r ? strstr(uri, mark) : NULL;
    if (!at)
        return uri;
    return arena_printf(c->arena, "%s/%s/artifacts%s", m->root_path, r->path, at + strlen(mark));
}

static int read_version(struct ctx *c, const struct mlruns *m, const char *path,
                        struct copy_registered *out, void **items, size_t *cap) {
    struct pairs y;
    if (!mlruns_yaml(c, m, path, "meta.yaml", &y))
        return fail(c, ERR_INVALID, "The file %s/meta.yaml is no mapping.", path);
    int64_t number = yaml_number(&y, "version");
    const char *stage = yaml_get(&y, "current_stage"), *status = yaml_get(&y, "status");
    const char *storage = yaml_get(&y, "storage_location");
    if (number > out->last_version)
        out->last_version = number;
    if (stage && str_eq(stage, "Deleted_Internal"))
        return 0;
    struct copy_version *v = arena_push(c->arena, items, &out->nversions, cap, sizeof *v);
    *v = (struct copy_version){.version = number,
                               .source = or_empty(yaml_get(&y, "source")),
                               .run_id = or_empty(yaml_get(&y, "run_id")),
                               .run_link = or_empty(yaml_get(&y, "run_link")),
                               .description = or_empty(yaml_get(&y, "description")),
                               .stage = stage && *stage ? stage : "None",
                               .status = status && *status ? status : "READY",
                               .created_ms = yaml_number(&y, "creation_timestamp"),
                               .updated_ms = yaml_number(&y, "last_updated_timestamp")};
    v->logged_model = str_starts(v->source, "models:/m-") ? v->source + 8 : "";
    if (storage && !str_eq(storage, v->source))
        v->storage = moved(c, m, storage, v->run_id);
    v->source = moved(c, m, v->source, v->run_id);
    return mlruns_files(c, m, arena_printf(c->arena, "%s/tags", path), &v->tags);
}

static int by_number(const void *a, const void *b) {
    const struct copy_version *x = a, *y = b;
    return x->version < y->version ? -1 : x->version > y->version;
}

static int read_aliases(struct ctx *c, const struct mlruns *m, const char *path,
                        struct copy_registered *out) {
    struct pairs files;
    void *items = NULL;
    size_t cap = 0;
    int rc = mlruns_files(c, m, arena_printf(c->arena, "%s/aliases", path), &files);
    for (size_t i = 0; i < files.n && rc == 0; i++) {
        int64_t version = 0;
        bool there = false;
        (void)str_to_i64(files.items[i].value, &version);
        for (size_t v = 0; v < out->nversions; v++)
            there = there || out->versions[v].version == version;
        if (!there)
            continue;
        struct copy_alias *a = arena_push(c->arena, &items, &out->naliases, &cap, sizeof *a);
        *a = (struct copy_alias){.alias = files.items[i].key, .version = version};
    }
    out->aliases = items;
    return rc;
}

int mlruns_registered(struct source *s, struct ctx *c, const char *after,
                      struct copy_registered *out) {
    const struct mlruns *m = (struct mlruns *)s;
    const struct mlruns_item *r = mlruns_after(&m->registered, after);
    struct pairs y;
    char **names = NULL;
    size_t n = 0, cap = 0;
    void *items = NULL;
    *out = (struct copy_registered){0};
    if (!r)
        return 0;
    out->name = r->id; /* the folder's name, so that the order is that of the list */
    if (!mlruns_yaml(c, m, r->path, "meta.yaml", &y))
        return fail(c, ERR_INVALID, "The file %s/meta.yaml is no mapping.", r->path);
    out->description = or_empty(yaml_get(&y, "description"));
    out->created_ms = yaml_number(&y, "creation_timestamp");
    out->updated_ms = yaml_number(&y, "last_updated_timestamp");
    int rc = mlruns_files(c, m, arena_printf(c->arena, "%s/tags", r->path), &out->tags);
    if (rc == 0 && dir_list(m->root, r->path, c->arena, &names, &n) != 0)
        rc = fail(c, ERR_INVALID, "The folder %s cannot be listed.", r->path);
    for (size_t i = 0; i < n && rc == 0; i++)
        if (str_starts(names[i], "version-"))
            rc = read_version(c, m, arena_printf(c->arena, "%s/%s", r->path, names[i]), out, &items,
                              &cap);
    out->versions = items;
    if (out->nversions)
        qsort(out->versions, out->nversions, sizeof *out->versions, by_number);
    rc = rc ? rc : read_aliases(c, m, r->path, out);
    return rc < 0 ? rc : 1;
}

/* ------------------------------------------------------------------ traces */

int mlruns_trace(struct source *s, struct ctx *c, const char *after, struct copy_trace *out) {
    const struct mlruns *m = (struct mlruns *)s;
    const struct mlruns_item *t = mlruns_after(&m->traces, after);
    struct pairs y;
    *out = (struct copy_trace){0};
    if (!t)
        return 0;
    out->id = t->id;
    if (!mlruns_yaml(c, m, t->path, "trace_info.yaml", &y))
        return fail(c, ERR_INVALID, "The file %s/trace_info.yaml is no mapping.", t->path);
    const char *state = yaml_get(&y, "status");
    state = state ? state : yaml_get(&y, "state");
    out->experiment = yaml_number(&y, "experiment_id");
    if (!out->experiment) /* the newer form nests it; the path has it as well */
        (void)str_to_i64(arena_strndup(c->arena, t->path, strcspn(t->path, "/")), &out->experiment);
    out->timestamp_ms = yaml_number(&y, "timestamp_ms");
    if (!out->timestamp_ms)
        out->timestamp_ms = yaml_number(&y, "request_time");
    if (yaml_get(&y, "execution_time_ms"))
        out->execution_ms = SET_I64(yaml_number(&y, "execution_time_ms"));
    else if (yaml_get(&y, "execution_duration"))
        out->execution_ms = SET_I64(yaml_number(&y, "execution_duration"));
    out->state = state && !str_ends(state, "UNSPECIFIED") ? state : "STATE_UNSPECIFIED";
    out->client_request_id = yaml_get(&y, "client_request_id");
    out->request_preview = yaml_get(&y, "request_preview");
    out->response_preview = yaml_get(&y, "response_preview");
    int rc = mlruns_files(c, m, arena_printf(c->arena, "%s/tags", t->path), &out->tags);
    rc = rc ? rc
            : mlruns_files(c, m, arena_printf(c->arena, "%s/request_metadata", t->path),
                           &out->metadata);
    for (size_t i = 0; i < out->tags.n; i++)
        if (str_eq(out->tags.items[i].key, "mlflow.artifactLocation"))
            out->tags.items[i].value = mlruns_artifacts(c, m, t->path, out->tags.items[i].value);
    return rc < 0 ? rc : 1;
}
