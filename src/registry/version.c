/* SPDX-License-Identifier: Apache-2.0 */
#include "version.h"

#include <string.h>

#include "model.h"
#include "model_store.h"
#include "name.h"
#include "news.h"
#include "prompt.h"
#include "quern/artifact/artifact.h"
#include "quern/artifact/place.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/ref.h"
#include "quern/json/json_out.h"
#include "quern/lane/lane.h"
#include "quern/lineage/lineage.h"
#include "quern/registry/registry.h"
#include "quern/tracking/tracking.h"
#include "source.h"
#include "version_store.h"

static const char *version_ref(struct ctx *c, const struct version_row *v) {
    return arena_printf(c->arena, "model_version:%s/%lld", v->name, (long long)v->version);
}

static int edge_from(struct ctx *c, const char *kind, const char *id, const char *to) {
    return lineage_edge(c, ref_make(c, kind, id), to, "registered_as");
}

/* The node, what it came from, and the event: one transaction with the version itself. */
static int tell(struct ctx *c, const struct version_row *v) {
    struct buf text = {0};
    struct json_writer w;
    const char *ref = version_ref(c, v);
    jw_init(&w, &text);
    jw_obj(&w);
    jw_key_str(&w, "name", v->name);
    jw_key_i64(&w, "version", v->version);
    jw_key_str(&w, "source", v->source);
    if (*v->run_id)
        jw_key_str(&w, "run_id", v->run_id);
    if (*v->logged_model)
        jw_key_str(&w, "model_id", v->logged_model);
    jw_obj_end(&w);
    int rc = lineage_node(c, ref,
                          arena_printf(c->arena, "%s version %lld", v->name, (long long)v->version),
                          text.data);
    if (rc == 0)
        rc = event_emit(c, "model.version.created", ref_make(c, "model", v->name), text.data);
    buf_free(&text);
    if (rc == 0)
        rc = lineage_edge(c, ref, ref_make(c, "model", v->name), "member_of");
    if (rc == 0 && *v->logged_model)
        rc = edge_from(c, "logged_model", v->logged_model, ref);
    /* Clients may name a run that is not ours; then there is nothing to draw an edge from. */
    if (rc == 0 && *v->run_id) {
        rc = run_exists(c, v->run_id, NULL, NULL);
        if (rc == 0)
            return edge_from(c, "run", v->run_id, ref);
        if (rc == -ERR_NOT_FOUND || rc == -ERR_INVALID) {
            err_clear(c);
            rc = 0;
        }
    }
    return rc;
}

static int check_logged_model(struct ctx *c, const char *id, const char **run_id) {
    struct logged_model_info m;
    int rc = logged_model_get(c, id, &m);
    if (rc == 0)
        rc = registry_check_caller(c, m.source_run_id);
    if (rc == 0 && !*run_id)
        *run_id = m.source_run_id;
    return rc;
}

/* A prompt has no files; clients put a placeholder where the source belongs. */
static bool is_prompt(const struct pairs *tags) {
    for (size_t i = 0; i < tags->n; i++)
        if (str_eq(tags->items[i].key, PROMPT_TAG) && str_eq(tags->items[i].value, "true"))
            return true;
    return false;
}

int version_create(struct ctx *c, const struct version_new *in, struct version_row *out) {
    struct model_row m;
    bool prompt = is_prompt(&in->tags);
    const char *run_id = NULL, *logged = NULL, *storage = NULL;
    int rc = model_find(c, in->name, OBJECT_EDIT, &m);
    if (rc == 0)
        rc = prompt ? length_check(c, "source", in->source, SOURCE_MAX)
                    : source_check(c, in->source, in->run_id, in->model_id);
    for (size_t i = 0; rc == 0 && i < in->tags.n; i++)
        rc = tag_check(c, in->tags.items[i].key, in->tags.items[i].value);
    if (rc == 0 && !prompt)
        rc = source_resolve(c, in->source, &storage, &run_id, &logged);
    if (rc == 0 && in->model_id && *in->model_id)
        logged = in->model_id;
    /* Nothing that the client says widens a run's token: each run it leads to must be its own. */
    if (rc == 0 && logged)
        rc = check_logged_model(c, logged, &run_id);
    if (rc == 0 && run_id && *run_id)
        rc = registry_check_caller(c, run_id);
    if (rc == 0 && in->run_id && *in->run_id)
        run_id = in->run_id;
    if (rc == 0)
        rc = registry_check_caller(c, run_id);
    *out = (struct version_row){.model = m.id,
                                .name = m.name,
                                .source = in->source,
                                .storage = storage,
                                .run_id = run_id ? run_id : "",
                                .run_link = in->run_link ? in->run_link : "",
                                .logged_model = logged ? logged : "",
                                .description = in->description ? in->description : "",
                                .stage = "None",
                                .status = "READY",
                                .created_ms = c->now_ms,
                                .updated_ms = c->now_ms};
    if (rc == 0)
        rc = model_store_next_version(c, m.id, &out->version);
    if (rc == 0)
        rc = version_store_insert(c, out);
    for (size_t i = 0; rc == 0 && i < in->tags.n; i++)
        rc = version_store_set_tag(c, m.id, out->version, in->tags.items[i].key,
                                   in->tags.items[i].value ? in->tags.items[i].value : "");
    if (rc == 0 && *out->logged_model)
        rc = logged_model_registered(c, out->logged_model, out->name, out->version);
    if (rc == 0)
        rc = news_version_created(c, out, &in->tags, prompt);
    return rc == 0 ? tell(c, out) : rc;
}

int version_find(struct ctx *c, const char *name, int64_t version, enum object_need need,
                 struct version_row *out) {
    bool found = false;
    int rc = version_store_get(c, name, version, out, &found);
    if (rc == 0 && !found)
        return fail(c, ERR_NOT_FOUND, "Model Version (name=%s, version=%lld) not found", name,
                    (long long)version);
    return rc == 0 ? access_object(c, OBJECT_MODEL, out->model, need) : rc;
}

int version_describe(struct ctx *c, const char *name, int64_t version, const char *description,
                     struct version_row *out) {
    int rc = version_find(c, name, version, OBJECT_EDIT, out);
    if (rc == 0)
        rc = registry_check_caller(c, out->run_id);
    if (rc != 0)
        return rc;
    out->description = description ? description : "";
    out->updated_ms = c->now_ms;
    return version_store_update(c, out);
}

int version_delete(struct ctx *c, const char *name, int64_t version) {
    struct version_row v;
    struct alias_rows aliases;
    int rc = version_find(c, name, version, OBJECT_DELETE, &v);
    if (rc == 0)
        rc = registry_tell_deleting(c, name, version);
    if (rc == 0)
        rc = alias_store_list(c, v.model, version, &aliases);
    /* The aliases go with the version; a dangling one would only fail later. */
    for (size_t i = 0; rc == 0 && i < aliases.n; i++)
        rc = alias_moved(c, name, aliases.items[i].alias, version, 0);
    if (rc == 0)
        rc = version_store_delete(c, v.model, version);
    return rc == 0 ? model_store_touch(c, v.model) : rc;
}

int version_transition(struct ctx *c, const char *name, int64_t version, const char *stage,
                       bool archive_others, struct version_row *out) {
    const char *to = NULL;
    int rc = stage_name(c, stage, &to);
    if (rc != 0)
        return rc;
    if (archive_others && (str_eq(to, "None") || str_eq(to, "Archived")))
        return fail_field(c, ERR_INVALID, "archive_existing_versions",
                          "Model version transition cannot archive existing model versions because "
                          "'%s' is not an Active stage. Valid stages are ['Staging', 'Production']",
                          to);
    if ((rc = version_find(c, name, version, OBJECT_EDIT, out)) != 0)
        return rc;
    out->stage = to;
    out->updated_ms = c->now_ms;
    if (archive_others)
        rc = version_store_archive_others(c, out->model, version, to);
    if (rc == 0)
        rc = version_store_update(c, out);
    return rc == 0 ? model_store_touch(c, out->model) : rc;
}

int version_set_tag(struct ctx *c, const char *name, int64_t version, const char *key,
                    const char *value) {
    struct version_row v;
    int rc = tag_check(c, key, value);
    if (rc == 0)
        rc = version_find(c, name, version, OBJECT_EDIT, &v);
    if (rc == 0)
        rc = registry_check_caller(c, v.run_id);
    if (rc == 0)
        rc = version_store_set_tag(c, v.model, version, key, value ? value : "");
    return rc == 0 ? news_version_tag(c, &v, key, value ? value : "") : rc;
}

int version_delete_tag(struct ctx *c, const char *name, int64_t version, const char *key) {
    struct version_row v;
    bool there = false;
    int rc = version_find(c, name, version, OBJECT_DELETE, &v);
    if (rc == 0)
        rc = registry_check_caller(c, v.run_id);
    if (rc == 0)
        rc = version_store_delete_tag(c, v.model, version, key, &there);
    return rc == 0 && there ? news_version_tag(c, &v, key, NULL) : rc;
}

int versions_latest(struct ctx *c, const struct model_row *m, const struct strs *stages,
                    struct version_rows *out) {
    static const char *const every[] = {"None", "Staging", "Production", "Archived"};
    bool asked[ARRAY_LEN(every)] = {false};
    bool all = !stages || stages->n == 0;
    int rc = 0;
    for (size_t i = 0; !all && i < stages->n; i++) {
        const char *stage = NULL;
        if ((rc = stage_name(c, stages->items[i], &stage)) != 0)
            return rc;
        for (size_t k = 0; k < ARRAY_LEN(every); k++)
            asked[k] = asked[k] || str_eq(every[k], stage);
    }
    for (size_t k = 0; rc == 0 && k < ARRAY_LEN(every); k++)
        if (all || asked[k])
            rc = version_store_latest(c, m->id, every[k], out);
    return rc;
}

const char *version_uri(const struct version_row *v) {
    return v->storage ? v->storage : v->source;
}

/* The place of a file: URI, if it is one that the run or the logged model of the version may name.
 */
static int own_place(struct ctx *c, const struct version_row *v, const char *uri,
                     struct artifact_place *out, bool *found) {
    struct logged_model_info m;
    int64_t experiment = 0;
    int rc = source_check(c, uri, *v->logged_model ? NULL : v->run_id, v->logged_model);
    if (rc == 0)
        rc = *v->logged_model ? logged_model_get(c, v->logged_model, &m)
                              : run_exists(c, v->run_id, &experiment, NULL);
    if (rc == 0)
        rc = artifact_place(c, *v->logged_model ? m.experiment_id : experiment, uri, out);
    *found = rc == 0;
    if (rc != -ERR_INVALID && rc != -ERR_NOT_FOUND)
        return rc;
    err_clear(c);
    return 0;
}

static int is_there(struct ctx *c, const struct artifact_place *place, bool *there) {
    struct artifact_entries files;
    struct artifact_entry e;
    int rc;
    if (place->in_folder) {
        rc = artifact_place_list(c, place, &files);
        *there = rc == 0 && files.n > 0;
        return rc;
    }
    rc = artifact_stat(c, place->path, &e);
    *there = rc == 0;
    if (rc != -ERR_NOT_FOUND && rc != -ERR_INVALID)
        return rc;
    err_clear(c);
    return 0;
}

/* runs:/R/p is below the run, or, since logged models came, the run's logged model named p. */
static int run_place(struct ctx *c, const char *rest, struct artifact_place *out, bool *found) {
    struct artifact_place root, other;
    struct logged_model_info m;
    bool there = false;
    size_t n = strcspn(rest, "/");
    const char *run_id = arena_strndup(c->arena, rest, n);
    const char *below = rest[n] ? rest + n + 1 : "";
    int rc = run_artifact_place(c, run_id, &root, NULL);
    if (rc == 0)
        rc = artifact_place_below(c, &root, below, out);
    if (rc == -ERR_NOT_FOUND || rc == -ERR_INVALID) {
        err_clear(c);
        return 0;
    }
    if (rc == 0)
        rc = is_there(c, out, &there);
    if (rc != 0)
        return rc;
    *found = true;
    if (there || !*below)
        return 0;
    rc = logged_model_of_run(c, run_id, below, &m);
    if (rc == 0)
        rc = artifact_place(c, m.experiment_id, m.artifact_uri, &other);
    if (rc == 0)
        *out = other;
    if (rc == -ERR_NOT_FOUND || rc == -ERR_INVALID) {
        err_clear(c);
        rc = 0;
    }
    return rc;
}

int version_place(struct ctx *c, const struct version_row *v, struct artifact_place *out,
                  bool *found) {
    const char *uri = version_uri(v);
    *found = false;
    if (str_starts(uri, "runs:/")) {
        const char *rest = uri + strlen("runs:/");
        while (*rest == '/')
            rest++;
        return run_place(c, rest, out, found);
    }
    *out = (struct artifact_place){.path = artifact_uri_path(c, uri)};
    *found = out->path != NULL;
    return !*found && artifact_local_path(c, uri) ? own_place(c, v, uri, out, found) : 0;
}

int version_artifact_path(struct ctx *c, const struct version_row *v, const char **path) {
    struct artifact_place place;
    bool found = false;
    int rc = version_place(c, v, &place, &found);
    *path = rc == 0 && found && !place.in_folder ? place.path : NULL;
    return rc;
}
