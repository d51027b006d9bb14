/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "metric.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/core/reply.h"
#include "quern/json/json_out.h"
#include "run_artifact.h"
#include "run_input.h"
#include "tracking_api.h"

SHAPE(in_log_inputs, "LogInputs", struct inputs_wish,
      FIELD(struct inputs_wish, run_id, T_STR, F_REQUIRED, "Run."),
      FIELD_SUB(struct inputs_wish, datasets, T_LIST, 0, &wire_dataset_in, "Data sets it read."),
      FIELD_SUB(struct inputs_wish, models, T_LIST, 0, &wire_model_ref_in, "Models it read."));
SHAPE(in_log_outputs, "LogOutputs", struct outputs_wish,
      FIELD(struct outputs_wish, run_id, T_STR, F_REQUIRED, "Run."),
      FIELD_SUB(struct outputs_wish, models, T_LIST, F_REQUIRED, &wire_model_output_in,
                "Models it made."));

struct dataset_wish {
    struct strs experiment_ids;
};
SHAPE(in_dataset_search, "SearchDatasets", struct dataset_wish,
      FIELD(struct dataset_wish, experiment_ids, T_STRS, 0, "1 to 20 experiments."));
SHAPE(wire_dataset_summary, "DatasetSummary", struct dataset_summary,
      FIELD(struct dataset_summary, experiment_id, T_STR, 0, "Experiment."),
      FIELD(struct dataset_summary, name, T_STR, 0, "Name."),
      FIELD(struct dataset_summary, digest, T_STR, 0, "Digest."),
      FIELD(struct dataset_summary, context, T_STR, 0, "What it was used for."));
struct dataset_page {
    struct list dataset_summaries;
};
SHAPE(out_dataset_page, "DatasetPage", struct dataset_page,
      FIELD_SUB(struct dataset_page, dataset_summaries, T_LIST, 0, &wire_dataset_summary,
                "Distinct data sets, at most 1000."));

SHAPE(in_history, "GetMetricHistory", struct history_wish,
      {.name = "run_id",
       .type = T_STR,
       .flags = F_REQUIRED,
       .offset = offsetof(struct history_wish, run_id),
       .doc = "Run.",
       .alias = "run_uuid"},
      FIELD(struct history_wish, metric_key, T_STR, F_REQUIRED, "Metric."),
      FIELD(struct history_wish, page_token, T_STR, 0, "From the page before."),
      FIELD(struct history_wish, max_results, T_I64, 0, "All when absent or 0."));
SHAPE(out_history, "MetricHistory", struct history_page,
      FIELD_SUB(struct history_page, metrics, T_LIST, 0, &wire_metric,
                "Points by timestamp, step, value."),
      FIELD(struct history_page, next_page_token, T_STR, 0, "Absent on the last page."));

#define BULK(wire) FIELD_AS(struct bulk_wish, run_ids, wire, T_STRS, 0, "1 to 100 runs.")
SHAPE(in_history_bulk, "GetMetricHistoryBulk", struct bulk_wish, BULK("run_id"),
      FIELD(struct bulk_wish, metric_key, T_STR, 0, "Metric."),
      FIELD(struct bulk_wish, max_results, T_I64, 0, "At most 25000."));
SHAPE(in_history_interval, "GetMetricHistoryBulkInterval", struct bulk_wish, BULK("run_ids"),
      FIELD(struct bulk_wish, metric_key, T_STR, F_REQUIRED, "Metric."),
      FIELD(struct bulk_wish, start_step, T_I64, 0, "First step; with end_step."),
      FIELD(struct bulk_wish, end_step, T_I64, 0, "Last step; with start_step."),
      FIELD(struct bulk_wish, max_results, T_I64, 0, "1 to 2500 steps."));
struct bulk_answer {
    struct list metrics;
};
SHAPE(out_history_bulk, "MetricHistoryBulk", struct bulk_answer,
      FIELD_SUB(struct bulk_answer, metrics, T_LIST, F_ALWAYS, &wire_metric_of_run, "Points."));

struct place {
    const char *run_id, *path, *page_token;
};
SHAPE(in_artifact_list, "ListArtifacts", struct place,
      {.name = "run_id",
       .type = T_STR,
       .flags = F_REQUIRED,
       .offset = offsetof(struct place, run_id),
       .doc = "Run.",
       .alias = "run_uuid"},
      FIELD(struct place, path, T_STR, 0, "Folder below the run's root."),
      FIELD(struct place, page_token, T_STR, 0, "Unused: listings have one page."));
SHAPE(in_artifact_get, "GetArtifact", struct place,
      {.name = "run_id",
       .type = T_STR,
       .flags = F_REQUIRED,
       .offset = offsetof(struct place, run_id),
       .doc = "Run.",
       .alias = "run_uuid"},
      FIELD(struct place, path, T_STR, F_REQUIRED, "File below the run's root."));
SHAPE(out_artifact_list, "ArtifactPage", struct artifact_page,
      FIELD(struct artifact_page, root_uri, T_STR, 0, "URI of the root."),
      FIELD_SUB(struct artifact_page, files, T_LIST, 0, &wire_file_info, "Entries by path."));

int api_log_inputs(struct ctx *c, const void *in, void *out) {
    (void)out;
    return run_log_inputs(c, in);
}

int api_log_outputs(struct ctx *c, const void *in, void *out) {
    (void)out;
    return run_log_outputs(c, in);
}

int api_dataset_search(struct ctx *c, const void *in, void *out) {
    return dataset_search(c, &((const struct dataset_wish *)in)->experiment_ids,
                          &((struct dataset_page *)out)->dataset_summaries);
}

int api_history(struct ctx *c, const void *in, void *out) {
    return metric_history(c, in, out);
}

/* This route alone has plain JSON as Python writes it, with a bare NaN. */
static void answer_with_nan(struct ctx *c, const struct list *l) {
    const struct metric_value *m = l->items;
    struct buf b = {0};
    struct json_writer w;
    jw_init(&w, &b);
    jw_obj(&w);
    jw_key(&w, "metrics");
    jw_arr(&w);
    for (size_t i = 0; i < l->n; i++) {
        jw_obj(&w);
        jw_key_str(&w, "key", m[i].key);
        jw_key_str(&w, "run_id", m[i].run_id);
        jw_key_i64(&w, "step", m[i].step.v);
        jw_key_i64(&w, "timestamp", m[i].timestamp.v);
        jw_key(&w, "value");
        if (isnan(m[i].value.v))
            jw_raw(&w, "NaN", 3);
        else
            jw_f64(&w, m[i].value.v);
        jw_obj_end(&w);
    }
    jw_arr_end(&w);
    jw_obj_end(&w);
    reply_bytes(c, "application/json", arena_dup(c->arena, b.data, b.len), b.len);
    buf_free(&b);
}

int api_history_bulk(struct ctx *c, const void *in, void *out) {
    struct list *l = &((struct bulk_answer *)out)->metrics;
    int rc = metric_history_bulk(c, in, l);
    const struct metric_value *m = l->items;
    for (size_t i = 0; !rc && i < l->n; i++)
        if (isnan(m[i].value.v)) {
            answer_with_nan(c, l);
            break;
        }
    return rc;
}

int api_history_interval(struct ctx *c, const void *in, void *out) {
    return metric_history_interval(c, in, &((struct bulk_answer *)out)->metrics);
}

int api_artifact_list(struct ctx *c, const void *in, void *out) {
    const struct place *p = in;
    struct artifact_root root;
    int rc = run_artifact_uri(c, p->run_id, &root);
    return rc ? rc : run_artifacts(c, &root, p->path, out);
}

int api_artifact_get(struct ctx *c, const void *in, void *out) {
    const struct place *p = in;
    struct artifact_root root;
    (void)out;
    int rc = run_artifact_uri(c, p->run_id, &root);
    return rc ? rc : run_artifact_send(c, &root, p->path);
}
