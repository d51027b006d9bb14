/* SPDX-License-Identifier: Apache-2.0 */
#include "entity.h"

const char *const run_status_names[] = {"RUNNING", "SCHEDULED", "FINISHED",
                                        "FAILED",  "KILLED",    NULL};
const char *const view_type_names[] = {"ACTIVE_ONLY", "DELETED_ONLY", "ALL", NULL};
const char *const logged_model_status_names[] = {"LOGGED_MODEL_STATUS_UNSPECIFIED",
                                                 "LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY",
                                                 "LOGGED_MODEL_UPLOAD_FAILED", NULL};

SHAPE(wire_tag, "Tag", struct pair, FIELD(struct pair, key, T_STR, F_ALWAYS, "Name."),
      FIELD(struct pair, value, T_STR, F_ALWAYS, "Text."));
SHAPE(wire_tag_in, "TagInput", struct pair, FIELD(struct pair, key, T_STR, F_REQUIRED, "Name."),
      FIELD(struct pair, value, T_STR, 0, "Text; empty when absent."));

SHAPE(wire_experiment, "Experiment", struct experiment,
      FIELD(struct experiment, experiment_id, T_STR, F_ALWAYS, "Decimal number as text."),
      FIELD(struct experiment, name, T_STR, F_ALWAYS, "Unique within the project."),
      FIELD(struct experiment, artifact_location, T_STR, F_ALWAYS, "URI of its artifacts."),
      FIELD(struct experiment, lifecycle_stage, T_STR, F_ALWAYS, "\"active\" or \"deleted\"."),
      FIELD(struct experiment, last_update_time, T_I64, 0, "Milliseconds since the epoch."),
      FIELD(struct experiment, creation_time, T_I64, 0, "Milliseconds since the epoch."),
      FIELD_SUB(struct experiment, tags, T_LIST, 0, &wire_tag, "Tags."));

SHAPE(wire_run_info, "RunInfo", struct run_info,
      FIELD(struct run_info, run_id, T_STR, F_ALWAYS, "32 hex digits."),
      FIELD(struct run_info, run_uuid, T_STR, F_ALWAYS, "Same as run_id."),
      FIELD(struct run_info, experiment_id, T_STR, F_ALWAYS, "Experiment of the run."),
      FIELD(struct run_info, run_name, T_STR, F_ALWAYS, "Name for people."),
      FIELD(struct run_info, user_id, T_STR, F_ALWAYS, "Who started it, as the client says."),
      FIELD_ENUM(struct run_info, status, F_ALWAYS, run_status_names, "State of the run."),
      FIELD(struct run_info, start_time, T_I64, 0, "Milliseconds since the epoch."),
      FIELD(struct run_info, end_time, T_I64, 0, "Milliseconds since the epoch."),
      FIELD(struct run_info, artifact_uri, T_STR, F_ALWAYS, "URI of the run's artifacts."),
      FIELD(struct run_info, lifecycle_stage, T_STR, F_ALWAYS, "\"active\" or \"deleted\"."));

#define METRIC_FIELDS                                                                              \
    FIELD(struct metric_value, key, T_STR, F_ALWAYS, "Name."),                                     \
        FIELD(struct metric_value, value, T_F64, F_NONFINITE, "Number or \"NaN\"."),               \
        FIELD(struct metric_value, timestamp, T_I64, 0, "Milliseconds since the epoch."),          \
        FIELD(struct metric_value, step, T_I64, 0, "Step of the training.")
SHAPE(wire_metric, "Metric", struct metric_value, METRIC_FIELDS);
SHAPE(wire_metric_of_run, "MetricWithRunId", struct metric_value, METRIC_FIELDS,
      FIELD(struct metric_value, run_id, T_STR, 0, "Run of the point."));
SHAPE(wire_metric_of_model, "LoggedModelMetric", struct metric_value, METRIC_FIELDS,
      FIELD(struct metric_value, dataset_name, T_STR, 0, "Data set it was measured on."),
      FIELD(struct metric_value, dataset_digest, T_STR, 0, "Digest of that data set."),
      FIELD(struct metric_value, model_id, T_STR, 0, "Logged model."),
      FIELD(struct metric_value, run_id, T_STR, 0, "Run that measured."));
SHAPE(wire_metric_in, "MetricInput", struct metric_value,
      FIELD(struct metric_value, key, T_STR, F_REQUIRED, "Name, at most 250 characters."),
      FIELD(struct metric_value, value, T_F64, F_REQUIRED | F_NONFINITE, "Number."),
      FIELD(struct metric_value, timestamp, T_I64, F_REQUIRED, "Milliseconds since the epoch."),
      FIELD(struct metric_value, step, T_I64, 0, "Step; 0 when absent."),
      FIELD(struct metric_value, model_id, T_STR, 0, "Logged model that it also belongs to."),
      FIELD(struct metric_value, dataset_name, T_STR, 0, "Data set; only with model_id."),
      FIELD(struct metric_value, dataset_digest, T_STR, 0, "Its digest; only with model_id."));

#define DATASET_FIELDS(F)                                                                          \
    FIELD(struct run_dataset, name, T_STR, F, "Name."),                                            \
        FIELD(struct run_dataset, digest, T_STR, F, "Digest of the contents."),                    \
        FIELD(struct run_dataset, source_type, T_STR, 0, "Kind of the source."),                   \
        FIELD(struct run_dataset, source, T_STR, 0, "Where it comes from."),                       \
        FIELD(struct run_dataset, schema, T_STR, 0, "Schema as JSON text."),                       \
        FIELD(struct run_dataset, profile, T_STR, 0, "Profile as JSON text.")
SHAPE(wire_dataset, "Dataset", struct run_dataset, DATASET_FIELDS(0));
SHAPE(wire_dataset_strict, "DatasetDescription", struct run_dataset, DATASET_FIELDS(F_REQUIRED));
SHAPE(wire_dataset_input, "DatasetInput", struct dataset_input,
      FIELD_SUB(struct dataset_input, tags, T_LIST, 0, &wire_tag, "Tags of the use."),
      FIELD_SUB(struct dataset_input, dataset, T_OBJ, 0, &wire_dataset, "Data set."));
SHAPE(wire_dataset_in, "DatasetUse", struct dataset_input,
      FIELD_SUB(struct dataset_input, tags, T_LIST, 0, &wire_tag_in, "Tags of the use."),
      FIELD_SUB(struct dataset_input, dataset, T_OBJ, F_REQUIRED, &wire_dataset_strict,
                "Data set."));
SHAPE(wire_model_input, "ModelInput", struct model_ref,
      FIELD(struct model_ref, model_id, T_STR, 0, "Logged model."));
SHAPE(wire_model_output, "ModelOutput", struct model_ref,
      FIELD(struct model_ref, model_id, T_STR, 0, "Logged model."),
      FIELD(struct model_ref, step, T_I64, 0, "Step at which it was made."));
SHAPE(wire_model_ref_in, "ModelUse", struct model_ref,
      FIELD(struct model_ref, model_id, T_STR, F_REQUIRED, "Logged model."));
SHAPE(wire_model_output_in, "ModelMade", struct model_ref,
      FIELD(struct model_ref, model_id, T_STR, F_REQUIRED, "Logged model."),
      FIELD(struct model_ref, step, T_I64, F_REQUIRED, "Step at which it was made."));

SHAPE(wire_run_data, "RunData", struct run_data,
      FIELD_SUB(struct run_data, metrics, T_LIST, 0, &wire_metric, "Latest points."),
      FIELD_SUB(struct run_data, params, T_LIST, 0, &wire_tag, "Params."),
      FIELD_SUB(struct run_data, tags, T_LIST, 0, &wire_tag, "Tags."));
SHAPE(wire_run_inputs, "RunInputs", struct run_inputs,
      FIELD_SUB(struct run_inputs, dataset_inputs, T_LIST, 0, &wire_dataset_input, "Data sets."),
      FIELD_SUB(struct run_inputs, model_inputs, T_LIST, 0, &wire_model_input, "Models read."));
SHAPE(wire_run_outputs, "RunOutputs", struct run_outputs,
      FIELD_SUB(struct run_outputs, model_outputs, T_LIST, 0, &wire_model_output, "Models made."));
SHAPE(wire_run, "Run", struct run,
      FIELD_SUB(struct run, info, T_OBJ, 0, &wire_run_info, "What it is."),
      FIELD_SUB(struct run, data, T_OBJ, 0, &wire_run_data, "What it measured."),
      FIELD_SUB(struct run, inputs, T_OBJ, 0, &wire_run_inputs, "What it read."),
      FIELD_SUB(struct run, outputs, T_OBJ, 0, &wire_run_outputs, "What it made."));

SHAPE(wire_file_info, "FileInfo", struct file_info,
      FIELD(struct file_info, path, T_STR, F_ALWAYS, "Path below the root."),
      FIELD(struct file_info, is_dir, T_BOOL, F_ALWAYS, "Whether it is a folder."),
      FIELD(struct file_info, file_size, T_I64, 0, "Bytes; absent for folders and empty files."));

SHAPE(wire_logged_model_info, "LoggedModelInfo", struct logged_model_facts,
      FIELD(struct logged_model_facts, model_id, T_STR, F_ALWAYS, "\"m-\" and 32 hex digits."),
      FIELD(struct logged_model_facts, experiment_id, T_STR, F_ALWAYS, "Experiment."),
      FIELD(struct logged_model_facts, name, T_STR, F_ALWAYS, "Name for people."),
      FIELD(struct logged_model_facts, creation_timestamp_ms, T_I64, 0, "Milliseconds."),
      FIELD(struct logged_model_facts, last_updated_timestamp_ms, T_I64, 0, "Milliseconds."),
      FIELD(struct logged_model_facts, artifact_uri, T_STR, F_ALWAYS, "URI of its files."),
      FIELD_ENUM(struct logged_model_facts, status, F_ALWAYS, logged_model_status_names, "State."),
      FIELD(struct logged_model_facts, model_type, T_STR, F_ALWAYS, "Type, may be empty."),
      FIELD(struct logged_model_facts, source_run_id, T_STR, F_ALWAYS, "Run, may be empty."),
      FIELD_SUB(struct logged_model_facts, tags, T_LIST, 0, &wire_tag, "Tags."));
SHAPE(wire_logged_model_data, "LoggedModelData", struct logged_model_data,
      FIELD_SUB(struct logged_model_data, params, T_LIST, 0, &wire_tag, "Params."),
      FIELD_SUB(struct logged_model_data, metrics, T_LIST, 0, &wire_metric_of_model, "Points."));
SHAPE(wire_logged_model, "LoggedModel", struct logged_model,
      FIELD_SUB(struct logged_model, info, T_OBJ, 0, &wire_logged_model_info, "What it is."),
      FIELD_SUB(struct logged_model, data, T_OBJ, 0, &wire_logged_model_data, "Data."));
