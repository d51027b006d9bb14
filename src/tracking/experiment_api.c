/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "experiment.h"
#include "quern/artifact/grant.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "tracking_api.h"

struct create {
    const char *name, *artifact_location;
    struct list tags;
};
SHAPE(in_experiment_create, "CreateExperiment", struct create,
      FIELD(struct create, name, T_STR, F_REQUIRED, "Unique name, at most 500 characters."),
      FIELD(struct create, artifact_location, T_STR, 0,
            "URI for artifacts; the root's <id> when absent."),
      FIELD_SUB(struct create, tags, T_LIST, 0, &wire_tag_in, "Tags."));

struct id {
    const char *experiment_id;
};
SHAPE(out_experiment_id, "ExperimentId", struct id,
      FIELD(struct id, experiment_id, T_STR, 0, "Decimal number as text."));
SHAPE(in_experiment_id, "ExperimentById", struct id,
      FIELD(struct id, experiment_id, T_STR, F_REQUIRED | F_NUMBER_TEXT, "Experiment."));

struct by_name {
    const char *experiment_name;
};
SHAPE(in_experiment_name, "ExperimentByName", struct by_name,
      FIELD(struct by_name, experiment_name, T_STR, F_REQUIRED, "Name."));

struct answer {
    struct experiment *experiment;
};
SHAPE(out_experiment, "GetExperiment", struct answer,
      FIELD_SUB(struct answer, experiment, T_OBJ, 0, &wire_experiment, "Experiment."));

SHAPE(in_experiment_search, "SearchExperiments", struct experiment_search,
      FIELD(struct experiment_search, max_results, T_I64, 0, "At most 50000; 1000 when absent."),
      FIELD(struct experiment_search, page_token, T_STR, 0, "From the page before."),
      FIELD(struct experiment_search, filter, T_STR, 0, "Filter over attributes and tags."),
      FIELD(struct experiment_search, order_by, T_STRS, 0, "Keys with ASC or DESC."),
      FIELD_ENUM(struct experiment_search, view_type, 0, view_type_names,
                 "Which; ACTIVE_ONLY when absent."));
SHAPE(out_experiment_page, "ExperimentPage", struct experiment_page,
      FIELD_SUB(struct experiment_page, experiments, T_LIST, 0, &wire_experiment, "Experiments."),
      FIELD(struct experiment_page, next_page_token, T_STR, 0, "Absent on the last page."));

struct update {
    const char *experiment_id, *new_name;
};
SHAPE(in_experiment_update, "UpdateExperiment", struct update,
      FIELD(struct update, experiment_id, T_STR, F_REQUIRED | F_NUMBER_TEXT, "Experiment."),
      FIELD(struct update, new_name, T_STR, F_REQUIRED, "New name."));

struct tag {
    const char *experiment_id, *key, *value;
};
SHAPE(in_experiment_tag, "SetExperimentTag", struct tag,
      FIELD(struct tag, experiment_id, T_STR, F_REQUIRED | F_NUMBER_TEXT, "Experiment."),
      FIELD(struct tag, key, T_STR, F_REQUIRED, "Name, at most 250 characters."),
      FIELD(struct tag, value, T_STR, 0, "Text, at most 20000 characters."));
SHAPE(in_experiment_tag_key, "DeleteExperimentTag", struct tag,
      FIELD(struct tag, experiment_id, T_STR, F_REQUIRED | F_NUMBER_TEXT, "Experiment."),
      FIELD(struct tag, key, T_STR, F_REQUIRED, "Name."));

struct server_features {
    struct opt_bool gateway;
};
SHAPE(out_server_features, "ServerFeatures", struct server_features,
      FIELD(struct server_features, gateway, T_BOOL, F_ALWAYS, "Gateway to language models."));
struct server_info {
    const char *store_type;
    struct opt_bool workspaces_enabled, trace_archival_enabled, multipart_uploads_enabled,
        multipart_downloads_enabled, presigned_upload_run_id_supported,
        presigned_upload_model_id_supported;
    struct server_features *features_enabled;
};
SHAPE(out_server_info, "ServerInfo", struct server_info,
      FIELD(struct server_info, store_type, T_STR, F_ALWAYS, "Kind of store."),
      FIELD(struct server_info, workspaces_enabled, T_BOOL, F_ALWAYS, "Whether there are any."),
      FIELD(struct server_info, trace_archival_enabled, T_BOOL, F_ALWAYS, "No."),
      FIELD(struct server_info, multipart_uploads_enabled, T_BOOL, F_ALWAYS,
            "Whether signed URLs for parts are given out."),
      FIELD(struct server_info, multipart_downloads_enabled, T_BOOL, F_ALWAYS,
            "Whether signed URLs for downloads are given out."),
      FIELD(struct server_info, presigned_upload_run_id_supported, T_BOOL, F_ALWAYS,
            "presigned-upload-url takes run_id."),
      FIELD(struct server_info, presigned_upload_model_id_supported, T_BOOL, F_ALWAYS,
            "presigned-upload-url takes model_id."),
      FIELD_SUB(struct server_info, features_enabled, T_OBJ, 0, &out_server_features,
                "Parts that can be switched on."));

int api_experiment_create(struct ctx *c, const void *in, void *out) {
    const struct create *i = in;
    int64_t id = 0;
    int rc = experiment_create(c, i->name, i->artifact_location, &i->tags, &id);
    if (!rc)
        ((struct id *)out)->experiment_id = arena_printf(c->arena, "%" PRId64, id);
    return rc;
}

int api_experiment_get(struct ctx *c, const void *in, void *out) {
    struct experiment *e = ((struct answer *)out)->experiment =
        ARENA_NEW(c->arena, struct experiment);
    return experiment_get(c, ((const struct id *)in)->experiment_id, e);
}

int api_experiment_get_by_name(struct ctx *c, const void *in, void *out) {
    struct experiment *e = ((struct answer *)out)->experiment =
        ARENA_NEW(c->arena, struct experiment);
    return experiment_get_by_name(c, ((const struct by_name *)in)->experiment_name, e);
}

int api_experiment_search(struct ctx *c, const void *in, void *out) {
    return experiment_search(c, in, out);
}

int api_experiment_update(struct ctx *c, const void *in, void *out) {
    const struct update *i = in;
    (void)out;
    return experiment_rename(c, i->experiment_id, i->new_name);
}

int api_experiment_delete(struct ctx *c, const void *in, void *out) {
    (void)out;
    return experiment_delete(c, ((const struct id *)in)->experiment_id);
}

int api_experiment_restore(struct ctx *c, const void *in, void *out) {
    (void)out;
    return experiment_restore(c, ((const struct id *)in)->experiment_id);
}

int api_experiment_set_tag(struct ctx *c, const void *in, void *out) {
    const struct tag *i = in;
    (void)out;
    return experiment_set_tag(c, i->experiment_id, i->key, i->value);
}

int api_experiment_delete_tag(struct ctx *c, const void *in, void *out) {
    const struct tag *i = in;
    (void)out;
    return experiment_delete_tag(c, i->experiment_id, i->key);
}

int api_server_info(struct ctx *c, const void *in, void *out) {
    struct server_info *o = out;
    (void)in;
    o->store_type = "SqlStore";
    o->workspaces_enabled = SET_BOOL(false);
    o->trace_archival_enabled = SET_BOOL(false);
    o->multipart_uploads_enabled = o->multipart_downloads_enabled = SET_BOOL(grants_possible());
    o->presigned_upload_run_id_supported = o->presigned_upload_model_id_supported = SET_BOOL(true);
    o->features_enabled = ARENA_NEW(c->arena, struct server_features);
    o->features_enabled->gateway = SET_BOOL(false);
    return 0;
}
