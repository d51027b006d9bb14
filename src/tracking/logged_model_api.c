/* SPDX-License-Identifier: Apache-2.0 */
#include "logged_model.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "run_artifact.h"
#include "tracking_api.h"

#define MODEL_ID(S) FIELD(S, model_id, T_STR, F_REQUIRED | F_PATH, "Logged model.")

SHAPE(in_logged_model_create, "CreateLoggedModel", struct logged_model_wish,
      FIELD(struct logged_model_wish, experiment_id, T_STR, F_REQUIRED | F_NUMBER_TEXT,
            "Experiment."),
      FIELD(struct logged_model_wish, name, T_STR, 0, "Name; a random one when absent."),
      FIELD(struct logged_model_wish, model_type, T_STR, 0, "Type, free text."),
      FIELD(struct logged_model_wish, source_run_id, T_STR, 0, "Run that made it."),
      FIELD_SUB(struct logged_model_wish, params, T_LIST, 0, &wire_tag_in, "Params."),
      FIELD_SUB(struct logged_model_wish, tags, T_LIST, 0, &wire_tag_in, "Tags."));

struct wish {
    const char *model_id, *status, *tag_key, *directory, *file;
    struct opt_bool allow_deleted;
    struct list tags, params;
};
SHAPE(in_logged_model_id, "LoggedModelById", struct wish, MODEL_ID(struct wish));
SHAPE(in_logged_model_get, "GetLoggedModelById", struct wish, MODEL_ID(struct wish),
      FIELD(struct wish, allow_deleted, T_BOOL, F_QUERY, "Whether a deleted one will do."));
SHAPE(in_logged_model_finalize, "FinalizeLoggedModel", struct wish, MODEL_ID(struct wish),
      FIELD_ENUM(struct wish, status, F_REQUIRED, logged_model_status_names, "Final state."));
SHAPE(in_logged_model_tags, "SetLoggedModelTags", struct wish, MODEL_ID(struct wish),
      FIELD_SUB(struct wish, tags, T_LIST, 0, &wire_tag_in, "Tags to set."));
SHAPE(in_logged_model_tag_key, "DeleteLoggedModelTag", struct wish, MODEL_ID(struct wish),
      FIELD(struct wish, tag_key, T_STR, F_REQUIRED | F_PATH, "Name of the tag."));
SHAPE(in_logged_model_params, "LogLoggedModelParams", struct wish, MODEL_ID(struct wish),
      FIELD_SUB(struct wish, params, T_LIST, 0, &wire_tag_in, "Params to add."));
SHAPE(in_logged_model_dir, "ListLoggedModelArtifacts", struct wish, MODEL_ID(struct wish),
      FIELD_AS(struct wish, directory, "artifact_directory_path", T_STR, F_QUERY, "Folder."));
SHAPE(in_logged_model_file, "GetLoggedModelArtifact", struct wish, MODEL_ID(struct wish),
      FIELD_AS(struct wish, file, "artifact_file_path", T_STR, F_QUERY | F_REQUIRED, "File."));

SHAPE(wire_model_dataset, "LoggedModelDataset", struct model_dataset,
      FIELD(struct model_dataset, dataset_name, T_STR, F_REQUIRED, "Name."),
      FIELD(struct model_dataset, dataset_digest, T_STR, 0, "Digest."));
SHAPE(wire_model_order, "LoggedModelOrder", struct model_order,
      FIELD(struct model_order, field_name, T_STR, F_REQUIRED, "Attribute or metrics.<key>."),
      FIELD(struct model_order, ascending, T_BOOL, 0, "True when absent."),
      FIELD(struct model_order, dataset_name, T_STR, 0, "Only with a metric."),
      FIELD(struct model_order, dataset_digest, T_STR, 0, "Only with a metric."));
SHAPE(in_logged_model_search, "SearchLoggedModels", struct logged_model_search,
      FIELD(struct logged_model_search, experiment_ids, T_STRS, F_REQUIRED, "Experiments."),
      FIELD(struct logged_model_search, filter, T_STR, 0, "Filter."),
      FIELD_SUB(struct logged_model_search, datasets, T_LIST, 0, &wire_model_dataset,
                "Data sets that metrics in the filter must be measured on."),
      FIELD(struct logged_model_search, max_results, T_I64, 0, "50 when absent."),
      FIELD_SUB(struct logged_model_search, order_by, T_LIST, 0, &wire_model_order, "Orders."),
      FIELD(struct logged_model_search, page_token, T_STR, 0, "From the page before."));

struct answer {
    struct logged_model *model;
};
SHAPE(out_logged_model, "GetLoggedModel", struct answer,
      FIELD_SUB(struct answer, model, T_OBJ, 0, &wire_logged_model, "Logged model."));
SHAPE(out_logged_model_page, "LoggedModelPage", struct logged_model_page,
      FIELD_SUB(struct logged_model_page, models, T_LIST, 0, &wire_logged_model, "Models."),
      FIELD(struct logged_model_page, next_page_token, T_STR, 0, "Absent on the last page."));

int api_logged_model_create(struct ctx *c, const void *in, void *out) {
    return logged_model_create(c, in, &((struct answer *)out)->model);
}

int api_logged_model_get(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    return logged_model_read(c, w->model_id, w->allow_deleted.v, &((struct answer *)out)->model);
}

int api_logged_model_finalize(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    return logged_model_finalize(c, w->model_id, w->status, &((struct answer *)out)->model);
}

int api_logged_model_delete(struct ctx *c, const void *in, void *out) {
    (void)out;
    return logged_model_delete(c, ((const struct wish *)in)->model_id);
}

int api_logged_model_set_tags(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    return logged_model_set_tags(c, w->model_id, &w->tags, &((struct answer *)out)->model);
}

int api_logged_model_delete_tag(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    (void)out;
    return logged_model_delete_tag(c, w->model_id, w->tag_key);
}

int api_logged_model_log_params(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    (void)out;
    return logged_model_log_params(c, w->model_id, &w->params);
}

int api_logged_model_search(struct ctx *c, const void *in, void *out) {
    return logged_model_search(c, in, out);
}

static int root_of(struct ctx *c, const char *model_id, struct artifact_root *out) {
    struct logged_model *m = NULL;
    int rc = logged_model_read(c, model_id, false, &m);
    if (!rc)
        *out =
            (struct artifact_root){.experiment = m->info->experiment, .uri = m->info->artifact_uri};
    return rc;
}

int api_logged_model_list(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    struct artifact_root root;
    int rc = root_of(c, w->model_id, &root);
    return rc ? rc : run_artifacts(c, &root, w->directory, out);
}

int api_logged_model_file(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    struct artifact_root root;
    (void)out;
    int rc = root_of(c, w->model_id, &root);
    return rc ? rc : run_artifact_send(c, &root, w->file);
}
