/* SPDX-License-Identifier: Apache-2.0 */
/* Version doors: model versions. */
#include "model.h"
#include "name.h"
#include "quern/artifact/artifact.h"
#include "quern/artifact/place.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "registry_api.h"
#include "search.h"
#include "version.h"
#include "wire.h"

#define SEARCH_MAX 200000

SHAPE(shape_version_out, "ModelVersionAnswer", struct version_out,
      FIELD_SUB(struct version_out, model_version, T_OBJ, 0, &shape_model_version, "The version"));

int answer_version(struct ctx *c, const struct version_row *v, void *output) {
    struct version_out *out = output;
    out->model_version = ARENA_NEW(c->arena, struct version_wire);
    return show_version(c, v, out->model_version);
}

struct create_in {
    const char *name, *source, *run_id, *run_link, *description, *model_id;
    struct list tags;
};
SHAPE(shape_version_create, "CreateModelVersion", struct create_in,
      FIELD(struct create_in, name, T_STR, F_REQUIRED, "Name of the model"),
      FIELD(struct create_in, source, T_STR, F_REQUIRED, "URI of the model's folder"),
      FIELD(struct create_in, run_id, T_STR, 0, "Run that made it"),
      FIELD_SUB(struct create_in, tags, T_LIST, 0, &shape_registry_tag, "Tags"),
      FIELD(struct create_in, run_link, T_STR, 0, "Link to the run"),
      FIELD(struct create_in, description, T_STR, 0, "Text for people"),
      FIELD(struct create_in, model_id, T_STR, 0, "Logged model that it is made from"));

int version_create_door(struct ctx *c, const void *input, void *out) {
    const struct create_in *in = input;
    struct version_new fresh = {.name = in->name,
                                .source = in->source,
                                .run_id = in->run_id,
                                .run_link = in->run_link,
                                .description = in->description,
                                .model_id = in->model_id,
                                .tags = tag_pairs(c, &in->tags)};
    struct version_row v;
    int rc = version_create(c, &fresh, &v);
    return rc ? rc : answer_version(c, &v, out);
}

struct key_in {
    const char *name, *version;
};
SHAPE(shape_version_key, "ModelVersionKey", struct key_in,
      FIELD(struct key_in, name, T_STR, F_REQUIRED, "Name of the model"),
      FIELD(struct key_in, version, T_STR, F_REQUIRED, "Number of the version, as text"));
SHAPE(shape_version_query, "ModelVersionQuery", struct key_in,
      FIELD(struct key_in, name, T_STR, F_QUERY | F_REQUIRED, "Name of the model"),
      FIELD(struct key_in, version, T_STR, F_QUERY | F_REQUIRED, "Number of the version"));

static int find(struct ctx *c, const char *name, const char *version, struct version_row *out) {
    int64_t number;
    int rc = version_number(c, version, &number);
    return rc ? rc : version_find(c, name, number, OBJECT_READ, out);
}

int version_get_door(struct ctx *c, const void *input, void *out) {
    const struct key_in *in = input;
    struct version_row v;
    int rc = find(c, in->name, in->version, &v);
    return rc ? rc : answer_version(c, &v, out);
}

struct describe_in {
    const char *name, *version, *description;
};
SHAPE(shape_version_describe, "UpdateModelVersion", struct describe_in,
      FIELD(struct describe_in, name, T_STR, F_REQUIRED, "Name of the model"),
      FIELD(struct describe_in, version, T_STR, F_REQUIRED, "Number of the version, as text"),
      FIELD(struct describe_in, description, T_STR, 0, "Text for people; absent clears it"));

int version_update_door(struct ctx *c, const void *input, void *out) {
    const struct describe_in *in = input;
    struct version_row v;
    int64_t number;
    int rc = version_number(c, in->version, &number);
    if (rc == 0)
        rc = version_describe(c, in->name, number, in->description, &v);
    return rc ? rc : answer_version(c, &v, out);
}

int version_delete_door(struct ctx *c, const void *input, void *out) {
    const struct key_in *in = input;
    int64_t number;
    int rc = registry_check_caller(c, NULL);
    (void)out;
    if (rc == 0)
        rc = version_number(c, in->version, &number);
    return rc ? rc : version_delete(c, in->name, number);
}

struct stage_in {
    const char *name, *version, *stage;
    struct opt_bool archive_existing_versions;
};
SHAPE(shape_version_stage, "TransitionModelVersionStage", struct stage_in,
      FIELD(struct stage_in, name, T_STR, F_REQUIRED, "Name of the model"),
      FIELD(struct stage_in, version, T_STR, F_REQUIRED, "Number of the version, as text"),
      FIELD(struct stage_in, stage, T_STR, F_REQUIRED,
            "None, Staging, Production or Archived, in any letter case"),
      FIELD(struct stage_in, archive_existing_versions, T_BOOL, 0,
            "Archive the other versions of that stage; for Staging and Production"));

int version_stage_door(struct ctx *c, const void *input, void *out) {
    const struct stage_in *in = input;
    struct version_row v;
    int64_t number;
    bool archive = in->archive_existing_versions.set && in->archive_existing_versions.v;
    int rc = registry_check_caller(c, NULL);
    if (rc == 0)
        rc = version_number(c, in->version, &number);
    if (rc == 0)
        rc = version_transition(c, in->name, number, in->stage, archive, &v);
    return rc ? rc : answer_version(c, &v, out);
}

struct search_in {
    const char *filter, *page_token;
    struct opt_i64 max_results;
    struct strs order_by;
};
SHAPE(shape_version_search, "SearchModelVersions", struct search_in,
      FIELD(struct search_in, filter, T_STR, F_QUERY,
            "Filter over name, version_number, run_id, source_path and tags"),
      FIELD(struct search_in, max_results, T_I64, F_QUERY,
            "Versions per page, at most 200000, which is the default"),
      FIELD(struct search_in, order_by, T_STRS, F_QUERY,
            "name, version_number, creation_timestamp or last_updated_timestamp"),
      FIELD(struct search_in, page_token, T_STR, F_QUERY, "next_page_token of the page before"));

struct search_out {
    struct list model_versions;
    const char *next_page_token;
};
SHAPE(shape_version_search_out, "ModelVersionsPage", struct search_out,
      FIELD_SUB(struct search_out, model_versions, T_LIST, 0, &shape_model_version,
                "Versions of this page"),
      FIELD(struct search_out, next_page_token, T_STR, 0, "Absent on the last page"));

int version_search_door(struct ctx *c, const void *input, void *output) {
    const struct search_in *in = input;
    struct search_out *out = output;
    int64_t most = in->max_results.set ? in->max_results.v : SEARCH_MAX;
    struct search s = {.filter = in->filter, .order_by = in->order_by};
    struct version_rows found = {0};
    if (most > SEARCH_MAX)
        return fail_field(c, ERR_INVALID, "max_results",
                          "Invalid value %lld for parameter 'max_results' supplied:  Hint: Value "
                          "was of type 'str'. See the API docs for more information about request "
                          "parameters.",
                          (long long)most);
    if (most <= 0)
        return fail_field(c, ERR_INVALID, "max_results",
                          "Invalid value for max_results. It must be a positive integer, but got "
                          "%lld",
                          (long long)most);
    s.limit = most + 1;
    int rc = page_offset(c, in->page_token, &s.offset);
    if (rc == 0)
        rc = versions_search(c, &s, &found);
    if (rc != 0)
        return rc;
    if ((int64_t)found.n > most) {
        found.n = (size_t)most;
        out->next_page_token = page_token(c, s.offset + most);
    }
    return show_versions(c, &found, &out->model_versions);
}

struct uri_out {
    const char *artifact_uri;
};
SHAPE(shape_version_uri, "ModelVersionDownloadUri", struct uri_out,
      FIELD(struct uri_out, artifact_uri, T_STR, 0, "Where a client fetches the folder from"));

int version_uri_door(struct ctx *c, const void *input, void *output) {
    const struct key_in *in = input;
    struct uri_out *out = output;
    struct version_row v;
    int rc = find(c, in->name, in->version, &v);
    if (rc == 0)
        out->artifact_uri = version_uri(&v);
    return rc;
}

struct tag_in {
    const char *name, *version, *key, *value;
};
SHAPE(shape_version_tag, "SetModelVersionTag", struct tag_in,
      FIELD(struct tag_in, name, T_STR, F_REQUIRED, "Name of the model"),
      FIELD(struct tag_in, version, T_STR, F_REQUIRED, "Number of the version, as text"),
      FIELD(struct tag_in, key, T_STR, F_REQUIRED, "Name of the tag"),
      FIELD(struct tag_in, value, T_STR, 0, "Text of the tag"));
SHAPE(shape_version_tag_key, "DeleteModelVersionTag", struct tag_in,
      FIELD(struct tag_in, name, T_STR, F_REQUIRED, "Name of the model"),
      FIELD(struct tag_in, version, T_STR, F_REQUIRED, "Number of the version, as text"),
      FIELD(struct tag_in, key, T_STR, F_REQUIRED, "Name of the tag"));

int version_set_tag_door(struct ctx *c, const void *input, void *out) {
    const struct tag_in *in = input;
    int64_t number;
    int rc = version_number(c, in->version, &number);
    (void)out;
    return rc ? rc : version_set_tag(c, in->name, number, in->key, in->value);
}

int version_delete_tag_door(struct ctx *c, const void *input, void *out) {
    const struct tag_in *in = input;
    int64_t number;
    int rc = version_number(c, in->version, &number);
    (void)out;
    return rc ? rc : version_delete_tag(c, in->name, number, in->key);
}

struct file_in {
    const char *name, *version, *path;
};
SHAPE(shape_version_file, "ModelVersionFile", struct file_in,
      FIELD(struct file_in, name, T_STR, F_QUERY | F_REQUIRED, "Name of the model"),
      FIELD(struct file_in, version, T_STR, F_QUERY | F_REQUIRED, "Number of the version"),
      FIELD(struct file_in, path, T_STR, F_QUERY | F_REQUIRED, "Path within the model's folder"));

int version_file_door(struct ctx *c, const void *input, void *out) {
    const struct file_in *in = input;
    struct version_row v;
    struct artifact_place folder, file;
    bool found = false;
    int rc = artifact_check_path(c, in->path);
    (void)out;
    if (rc == 0)
        rc = find(c, in->name, in->version, &v);
    if (rc == 0)
        rc = version_place(c, &v, &folder, &found);
    if (rc == 0 && !found)
        rc = fail(c, ERR_NOT_FOUND, "The files of this version are not kept here.");
    if (rc == 0)
        rc = artifact_place_below(c, &folder, in->path, &file);
    return rc ? rc : artifact_place_send(c, &file, in->path);
}
