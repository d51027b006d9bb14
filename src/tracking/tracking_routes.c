/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/arena.h"
#include "quern/tracking/tracking.h"
#include "tracking_api.h"

#define ROW_OF(shown_by, ident, verb, where, takes, gives, level, on, more, handler, says)         \
    {                                                                                              \
        .id = "tracking." ident, .method = (verb), .path = (where), .in = (takes), .out = (gives), \
        .perm = (level), .lane = (on), .dialect = DIALECT_MLFLOW, .flags = (more),                 \
        .fn = (handler), .summary = (says), .twin = (shown_by)                                     \
    }
#define READS_OF(shown_by, ident, verb, path, in, out, fn, says)                                   \
    ROW_OF(shown_by, ident, verb, "/api/2.0/mlflow/" path, in, out, PERM_READ, LANE_READ,          \
           ROUTE_MLFLOW_AJAX | ROUTE_OBJECT, fn, says)
#define WRITES_OF(shown_by, ident, verb, path, in, out, fn, says)                                  \
    ROW_OF(shown_by, ident, verb, "/api/2.0/mlflow/" path, in, out, PERM_WRITE, LANE_WRITE,        \
           ROUTE_MLFLOW_AJAX | ROUTE_OBJECT, fn, says)
/* Changes of standing: kept in the audit chain. The data of runs is too much for it. */
#define CHANGES_OF(shown_by, ident, verb, path, in, out, fn, says)                                 \
    ROW_OF(shown_by, ident, verb, "/api/2.0/mlflow/" path, in, out, PERM_WRITE, LANE_WRITE,        \
           ROUTE_MLFLOW_AJAX | ROUTE_AUDIT | ROUTE_OBJECT, fn, says)

#define ROW(ident, ...) ROW_OF(NULL, ident, __VA_ARGS__)
#define READS(ident, ...) READS_OF(NULL, ident, __VA_ARGS__)
#define WRITES(ident, ...) WRITES_OF(NULL, ident, __VA_ARGS__)
#define CHANGES(ident, ...) CHANGES_OF(NULL, ident, __VA_ARGS__)
#define EXPERIMENT "tracking.experiments.get"
#define RUN "tracking.runs.get"
#define LOGGED_MODEL "tracking.logged_models.get"

static const struct route rows[] = {
    CHANGES("experiments.create", "POST", "experiments/create", &in_experiment_create,
            &out_experiment_id, api_experiment_create, "Makes an experiment."),
    READS_OF(EXPERIMENT, "experiments.get", "GET", "experiments/get", &in_experiment_id,
             &out_experiment, api_experiment_get, "Gives an experiment by its id."),
    READS("experiments.get_by_name", "GET", "experiments/get-by-name", &in_experiment_name,
          &out_experiment, api_experiment_get_by_name, "Gives an experiment by its name."),
    READS("experiments.search", "POST", "experiments/search", &in_experiment_search,
          &out_experiment_page, api_experiment_search, "Finds experiments."),
    READS("experiments.search_get", "GET", "experiments/search", &in_experiment_search,
          &out_experiment_page, api_experiment_search, "Finds experiments."),
    CHANGES_OF(EXPERIMENT, "experiments.update", "POST", "experiments/update",
               &in_experiment_update, NULL, api_experiment_update, "Renames an experiment."),
    CHANGES_OF(EXPERIMENT, "experiments.delete", "POST", "experiments/delete", &in_experiment_id,
               NULL, api_experiment_delete, "Marks an experiment and its runs deleted."),
    CHANGES_OF(EXPERIMENT, "experiments.restore", "POST", "experiments/restore", &in_experiment_id,
               NULL, api_experiment_restore, "Makes an experiment and all its runs active again."),
    CHANGES_OF(EXPERIMENT, "experiments.set_tag", "POST", "experiments/set-experiment-tag",
               &in_experiment_tag, NULL, api_experiment_set_tag, "Sets a tag of an experiment."),
    CHANGES_OF(EXPERIMENT, "experiments.delete_tag", "POST", "experiments/delete-experiment-tag",
               &in_experiment_tag_key, NULL, api_experiment_delete_tag,
               "Removes a tag of an experiment."),
    ROW("experiments.search_datasets", "POST", "/ajax-api/2.0/mlflow/experiments/search-datasets",
        &in_dataset_search, &out_dataset_page, PERM_READ, LANE_READ, ROUTE_OBJECT,
        api_dataset_search, "Lists the data sets that runs of some experiments read."),

    CHANGES("runs.create", "POST", "runs/create", &in_run_create, &out_run, api_run_create,
            "Starts a run."),
    READS_OF(RUN, "runs.get", "GET", "runs/get", &in_run_id, &out_run, api_run_get,
             "Gives a run with its latest metrics, params, tags, inputs and outputs."),
    WRITES_OF(RUN, "runs.update", "POST", "runs/update", &in_run_update, &out_run_info,
              api_run_update, "Sets a run's status, end or name."),
    CHANGES_OF(RUN, "runs.delete", "POST", "runs/delete", &in_run_id, NULL, api_run_delete,
               "Marks a run deleted."),
    CHANGES_OF(RUN, "runs.restore", "POST", "runs/restore", &in_run_id, NULL, api_run_restore,
               "Makes a run active again."),
    READS("runs.search", "POST", "runs/search", &in_run_search, &out_run_page, api_run_search,
          "Finds runs by metrics, params, tags, attributes and data sets."),
    WRITES_OF(RUN, "runs.set_tag", "POST", "runs/set-tag", &in_run_tag, NULL, api_run_set_tag,
              "Sets a tag of a run."),
    WRITES_OF(RUN, "runs.delete_tag", "POST", "runs/delete-tag", &in_run_tag_key, NULL,
              api_run_delete_tag, "Removes a tag of a run."),
    WRITES_OF(RUN, "runs.log_parameter", "POST", "runs/log-parameter", &in_log_parameter, NULL,
              api_log_parameter, "Logs a param; it cannot change afterwards."),
    WRITES_OF(RUN, "runs.log_metric", "POST", "runs/log-metric", &in_log_metric, NULL,
              api_log_metric, "Logs one point of a metric."),
    WRITES_OF(RUN, "runs.log_batch", "POST", "runs/log-batch", &in_log_batch, NULL, api_log_batch,
              "Logs metrics, params and tags together, all or none."),
    WRITES_OF(RUN, "runs.log_model", "POST", "runs/log-model", &in_log_model, NULL, api_log_model,
              "Notes a model folder in the run's history (clients before 3.0)."),
    WRITES_OF(RUN, "runs.log_inputs", "POST", "runs/log-inputs", &in_log_inputs, NULL,
              api_log_inputs, "Notes the data sets and models that a run read."),
    WRITES_OF(RUN, "runs.outputs", "POST", "runs/outputs", &in_log_outputs, NULL, api_log_outputs,
              "Notes the models that a run made."),

    {.id = "tracking.runs.events",
     .method = "GET",
     .path = "/api/v1/runs/{run_id}/events",
     .in = &in_run_events,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .flags = ROUTE_OBJECT,
     .fn = api_run_events,
     .summary = "Streams a run's state and every change as server-sent events until it ends."},
    READS("metrics.history", "GET", "metrics/get-history", &in_history, &out_history, api_history,
          "Gives all points of a run's metric."),
    ROW("metrics.history_bulk", "GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk",
        &in_history_bulk, &out_history_bulk, PERM_READ, LANE_READ, ROUTE_OBJECT, api_history_bulk,
        "Gives the points of a metric for several runs."),
    READS("metrics.history_interval", "GET", "metrics/get-history-bulk-interval",
          &in_history_interval, &out_history_bulk, api_history_interval,
          "Gives points of a metric for several runs, thinned to a number of steps."),
    {.id = "tracking.metrics.sample",
     .method = "GET",
     .path = "/api/v1/runs/{run_id}/metrics/{key...}",
     .in = &in_metric_sample,
     .out = &out_metric_sample,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .flags = ROUTE_OBJECT,
     .fn = api_metric_sample,
     .summary = "Gives a metric of a run in few of its own points, for charts."},
    READS("artifacts.list", "GET", "artifacts/list", &in_artifact_list, &out_artifact_list,
          api_artifact_list, "Lists one folder of a run's artifacts."),
    ROW("artifacts.get", "GET", "/get-artifact", &in_artifact_get, NULL, PERM_READ, LANE_READ,
        ROUTE_OBJECT, api_artifact_get, "Sends one artifact of a run."),
    ROW("artifacts.presigned_upload", "POST", "/api/2.0/mlflow/artifacts/presigned-upload-url",
        &in_presigned_upload, &out_presigned_url, PERM_WRITE, LANE_READ,
        ROUTE_MLFLOW_AJAX | ROUTE_OBJECT | ROUTE_SECRET, api_presigned_upload,
        "Answers a signed URL to which an artifact can be PUT."),
    ROW("artifacts.presigned_download", "POST", "/api/2.0/mlflow/artifacts/presigned-download-url",
        &in_presigned_download, &out_presigned_url, PERM_READ, LANE_READ,
        ROUTE_MLFLOW_AJAX | ROUTE_OBJECT | ROUTE_SECRET, api_presigned_download,
        "Answers a signed URL from which an artifact can be fetched."),
    {.id = "tracking.artifacts.upload",
     .method = "POST",
     .path = "/ajax-api/2.0/mlflow/upload-artifact",
     .in = &in_upload_artifact,
     .perm = PERM_WRITE,
     .lane = LANE_WORK,
     .dialect = DIALECT_MLFLOW,
     .flags = ROUTE_RAW_BODY | ROUTE_OBJECT,
     .body_cap = 10u << 20,
     .fn = api_upload_artifact,
     .summary = "Stores one small artifact of a run, as the web page sends it."},

    CHANGES("logged_models.create", "POST", "logged-models", &in_logged_model_create,
            &out_logged_model, api_logged_model_create, "Makes a logged model."),
    READS("logged_models.search", "POST", "logged-models/search", &in_logged_model_search,
          &out_logged_model_page, api_logged_model_search, "Finds logged models."),
    READS_OF(LOGGED_MODEL, "logged_models.get", "GET", "logged-models/{model_id}",
             &in_logged_model_get, &out_logged_model, api_logged_model_get,
             "Gives a logged model."),
    WRITES_OF(LOGGED_MODEL, "logged_models.finalize", "PATCH", "logged-models/{model_id}",
              &in_logged_model_finalize, &out_logged_model, api_logged_model_finalize,
              "Sets a logged model's final status."),
    CHANGES_OF(LOGGED_MODEL, "logged_models.delete", "DELETE", "logged-models/{model_id}",
               &in_logged_model_id, NULL, api_logged_model_delete, "Marks a logged model deleted."),
    WRITES_OF(LOGGED_MODEL, "logged_models.set_tags", "PATCH", "logged-models/{model_id}/tags",
              &in_logged_model_tags, &out_logged_model, api_logged_model_set_tags,
              "Sets tags of a logged model."),
    WRITES_OF(LOGGED_MODEL, "logged_models.delete_tag", "DELETE",
              "logged-models/{model_id}/tags/{tag_key}", &in_logged_model_tag_key, NULL,
              api_logged_model_delete_tag, "Removes a tag of a logged model."),
    WRITES_OF(LOGGED_MODEL, "logged_models.log_params", "POST", "logged-models/{model_id}/params",
              &in_logged_model_params, NULL, api_logged_model_log_params,
              "Adds params to a logged model."),
    READS("logged_models.list", "GET", "logged-models/{model_id}/artifacts/directories",
          &in_logged_model_dir, &out_artifact_list, api_logged_model_list,
          "Lists one folder of a logged model's files."),
    ROW("logged_models.file", "GET",
        "/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files", &in_logged_model_file,
        NULL, PERM_READ, LANE_READ, ROUTE_OBJECT, api_logged_model_file,
        "Sends one file of a logged model."),

    ROW("server_info", "GET", "/api/3.0/mlflow/server-info", NULL, &out_server_info, PERM_READ,
        LANE_CALL, ROUTE_MLFLOW_AJAX | ROUTE_MEMBER, api_server_info,
        "Tells clients what the server can do."),
};

const struct route_list tracking_routes = {.rows = rows, .n = ARRAY_LEN(rows)};
