/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_TRACKING_API_H
#define QUERN_TRACKING_TRACKING_API_H
/* Tracking api: what the doors hand to the list of routes. One list is all that the app takes, so
 * the rows stand together in tracking_routes.c and the shapes and handlers by noun. */
#include "entity.h"
#include "quern/http/route.h"

/* experiment_api.c */
extern const struct shape in_experiment_create, out_experiment_id, in_experiment_id,
    in_experiment_name, out_experiment, in_experiment_search, out_experiment_page,
    in_experiment_update, in_experiment_tag, in_experiment_tag_key, out_server_info;
route_fn api_experiment_create, api_experiment_get, api_experiment_get_by_name,
    api_experiment_search, api_experiment_update, api_experiment_delete, api_experiment_restore,
    api_experiment_set_tag, api_experiment_delete_tag, api_server_info;

/* run_api.c */
extern const struct shape in_run_create, in_run_id, in_run_update, in_run_search, in_run_tag,
    in_run_tag_key, in_log_parameter, in_log_metric, in_log_batch, in_log_model, out_run,
    out_run_info, out_run_page;
extern const struct shape in_run_events;
route_fn api_run_events;
route_fn api_run_create, api_run_get, api_run_update, api_run_delete, api_run_restore,
    api_run_search, api_run_set_tag, api_run_delete_tag, api_log_parameter, api_log_metric,
    api_log_batch, api_log_model;

/* run_data_api.c */
extern const struct shape in_log_inputs, in_log_outputs, in_dataset_search, out_dataset_page,
    in_history, out_history, in_history_bulk, in_history_interval, out_history_bulk,
    in_artifact_list, out_artifact_list, in_artifact_get;
route_fn api_log_inputs, api_log_outputs, api_dataset_search, api_history, api_history_bulk,
    api_history_interval, api_artifact_list, api_artifact_get;

/* presign_api.c */
extern const struct shape in_presigned_upload, in_presigned_download, out_presigned_url,
    in_upload_artifact;
route_fn api_presigned_upload, api_presigned_download, api_upload_artifact;

/* metric_sample_api.c */
extern const struct shape in_metric_sample, out_metric_sample;
route_fn api_metric_sample;

/* column_api.c */
extern const struct shape in_columns, out_columns;
route_fn api_columns;

/* run_fields_api.c */
extern const struct shape in_runs_find, in_runs_find_of, out_runs_found;
route_fn api_run_fields, api_run_fields_of;

/* logged_model_api.c */
extern const struct shape in_logged_model_create, in_logged_model_get, in_logged_model_finalize,
    in_logged_model_id, in_logged_model_tags, in_logged_model_tag_key, in_logged_model_params,
    in_logged_model_search, in_logged_model_dir, in_logged_model_file, out_logged_model,
    out_logged_model_page;
route_fn api_logged_model_create, api_logged_model_get, api_logged_model_finalize,
    api_logged_model_delete, api_logged_model_set_tags, api_logged_model_delete_tag,
    api_logged_model_log_params, api_logged_model_search, api_logged_model_list,
    api_logged_model_file;

#endif
