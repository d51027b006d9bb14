/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_ENTITY_H
#define QUERN_TRACKING_ENTITY_H
/* Entity: the things of this room as they travel, with their shapes. Stores fill them directly, so
 * there is one form of a run in memory. Times are milliseconds since the epoch. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/core/shape.h"

/* Lists named "tags" and "params" hold struct pair. */
struct experiment {
    int64_t id;
    const char *experiment_id, *name, *artifact_location, *lifecycle_stage;
    struct opt_i64 last_update_time, creation_time;
    struct list tags;
};

struct run_info {
    int64_t row;        /* of the database */
    int64_t experiment; /* number of experiment_id */
    const char *run_id, *run_uuid, *experiment_id, *run_name, *user_id, *status;
    struct opt_i64 start_time, end_time;
    const char *artifact_uri, *lifecycle_stage;
};

struct metric_value {
    const char *key;
    struct opt_f64 value;
    struct opt_i64 timestamp, step;
    const char *run_id;                                   /* bulk histories, logged models */
    const char *model_id, *dataset_name, *dataset_digest; /* logged models */
};

struct run_dataset {
    const char *name, *digest, *source_type, *source, *schema, *profile;
};
struct dataset_input {
    struct list tags;
    struct run_dataset *dataset;
};
struct model_ref {
    const char *model_id;
    struct opt_i64 step;
};

struct run_data {
    struct list metrics, params, tags;
};
struct run_inputs {
    struct list dataset_inputs, model_inputs;
};
struct run_outputs {
    struct list model_outputs;
};
struct run {
    struct run_info *info;
    struct run_data *data;
    struct run_inputs *inputs;
    struct run_outputs *outputs;
};

struct file_info {
    const char *path;
    struct opt_bool is_dir;
    struct opt_i64 file_size;
};

struct logged_model_facts {
    int64_t row, experiment;
    bool deleted;
    const char *model_id, *experiment_id, *name;
    struct opt_i64 creation_timestamp_ms, last_updated_timestamp_ms;
    const char *artifact_uri, *status, *model_type, *source_run_id;
    struct list tags;
};
struct logged_model_data {
    struct list params, metrics;
};
struct logged_model {
    struct logged_model_facts *info;
    struct logged_model_data *data;
};

/* Enumerations in the order of their wire numbers. */
extern const char *const run_status_names[];
extern const char *const view_type_names[];
extern const char *const logged_model_status_names[];

extern const struct shape wire_tag;           /* struct pair */
extern const struct shape wire_tag_in;        /* struct pair, key required */
extern const struct shape wire_experiment;    /* struct experiment */
extern const struct shape wire_run_info;      /* struct run_info */
extern const struct shape wire_run;           /* struct run */
extern const struct shape wire_metric;        /* struct metric_value */
extern const struct shape wire_metric_in;     /* with required members */
extern const struct shape wire_metric_of_run; /* with run_id */
extern const struct shape wire_dataset_in;    /* struct dataset_input */
extern const struct shape wire_model_ref_in;  /* struct model_ref */
extern const struct shape wire_model_output_in;
extern const struct shape wire_file_info;    /* struct file_info */
extern const struct shape wire_logged_model; /* struct logged_model */

#endif
