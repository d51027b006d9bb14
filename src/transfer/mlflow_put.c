/* SPDX-License-Identifier: Apache-2.0 */
#include "mlflow_put.h"

#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "span_form.h"

static const char *stage(bool deleted) {
    return deleted ? "deleted" : "active";
}

static const char *uuid(struct ctx *c) {
    char text[33];
    id_hex32(text);
    return arena_strdup(c->arena, text);
}

int mlflow_put_experiment(struct ctx *c, const struct copy_experiment *e) {
    int rc = db_exec(c,
                     "INSERT INTO experiments (experiment_id, name, artifact_location,"
                     " lifecycle_stage, creation_time, last_update_time) VALUES (?, ?, ?, ?, ?, ?)",
                     "isssii", e->id, e->name, e->location, stage(e->deleted), e->created_ms,
                     e->updated_ms);
    for (size_t i = 0; i < e->tags.n && rc >= 0; i++)
        rc = db_exec(c, "INSERT INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, ?)",
                     "ssi", e->tags.items[i].key, e->tags.items[i].value, e->id);
    return rc < 0 ? rc : 0;
}

static int put_dataset(struct ctx *c, const struct copy_run *r, const struct copy_dataset *d) {
    char *id = NULL;
    const char *input = uuid(c);
    int rc = db_exec(c,
                     "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest,"
                     " dataset_source_type, dataset_source, dataset_schema, dataset_profile)"
                     " VALUES (?, ?, ?, ?, coalesce(?, ''), coalesce(?, ''), ?, ?)"
                     " ON CONFLICT DO NOTHING",
                     "sissssss", uuid(c), r->experiment, d->name, d->digest, d->source_type,
                     d->source, d->schema, d->profile);
    if (rc >= 0)
        rc = db_get_text(c,
                         "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ?"
                         " AND digest = ?",
                         &id, "iss", r->experiment, d->name, d->digest);
    if (rc >= 0)
        rc = db_exec(c,
                     "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type,"
                     " destination_id) VALUES (?, 'DATASET', ?, 'RUN', ?)",
                     "sss", input, id, r->id);
    for (size_t i = 0; i < d->tags.n && rc >= 0; i++)
        rc = db_exec(c, "INSERT INTO input_tags (input_uuid, name, value) VALUES (?, ?, ?)", "sss",
                     input, d->tags.items[i].key, d->tags.items[i].value);
    return rc;
}

static int put_use(struct ctx *c, const char *run_id, const struct copy_model_use *u, bool output) {
    return db_exec(c,
                   "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type,"
                   " destination_id, step) VALUES (?, ?, ?, ?, ?, ?)",
                   "sssssi", uuid(c), output ? "RUN_OUTPUT" : "RUN_INPUT", run_id,
                   output ? "MODEL_OUTPUT" : "MODEL_INPUT", u->model_id, u->step);
}

int mlflow_put_run(struct ctx *c, const struct copy_run *r) {
    int rc = db_exec(c,
                     "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name,"
                     " user_id, status, start_time, source_version, lifecycle_stage, artifact_uri,"
                     " experiment_id) VALUES (?, ?, 'UNKNOWN', '', '', ?, ?, ?, '', ?, ?, ?)",
                     "ssssissi", r->id, r->name, r->user, r->status, r->start_ms,
                     stage(r->deleted_ms.set), r->artifact_uri, r->experiment);
    if (rc >= 0 && r->end_ms.set)
        rc =
            db_exec(c, "UPDATE runs SET end_time = ? WHERE run_uuid = ?", "is", r->end_ms.v, r->id);
    if (rc >= 0 && r->deleted_ms.set)
        rc = db_exec(c, "UPDATE runs SET deleted_time = ? WHERE run_uuid = ?", "is",
                     r->deleted_ms.v, r->id);
    for (size_t i = 0; i < r->params.n && rc >= 0; i++)
        rc = db_exec(c, "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", "sss",
                     r->params.items[i].key, r->params.items[i].value, r->id);
    for (size_t i = 0; i < r->tags.n && rc >= 0; i++)
        rc = db_exec(c, "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", "sss",
                     r->tags.items[i].key, r->tags.items[i].value, r->id);
    for (size_t i = 0; i < r->ndatasets && rc >= 0; i++)
        rc = put_dataset(c, r, &r->datasets[i]);
    for (size_t i = 0; i < r->ninputs && rc >= 0; i++)
        rc = put_use(c, r->id, &r->inputs[i], false);
    for (size_t i = 0; i < r->noutputs && rc >= 0; i++)
        rc = put_use(c, r->id, &r->outputs[i], true);
    return rc < 0 ? rc : 0;
}

int mlflow_put_points(struct ctx *c, const char *run_id, const struct copy_point *p, size_t n) {
    int rc = 0;
    for (size_t i = 0; i < n && rc >= 0; i++)
        rc = db_exec(c,
                     "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)"
                     " VALUES (?, ?, ?, ?, ?, ?)",
                     "sdisii", p[i].key, p[i].value, p[i].time_ms, run_id, p[i].step,
                     (int64_t)p[i].is_nan);
    return rc < 0 ? rc : 0;
}

int mlflow_put_latest(struct ctx *c, const char *run_id, const struct copy_point *p) {
    int rc = db_exec(c,
                     "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)"
                     " VALUES (?, ?, ?, ?, ?, ?)",
                     "sdiiis", p->key, p->value, p->time_ms, p->step, (int64_t)p->is_nan, run_id);
    return rc < 0 ? rc : 0;
}

static int64_t status_number(const char *name) {
    static const char *const names[] = {"LOGGED_MODEL_STATUS_UNSPECIFIED", "LOGGED_MODEL_PENDING",
                                        "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(names[i], name))
            return (int64_t)i;
    return 0;
}

static int put_measure(struct ctx *c, const struct copy_model *m, const struct copy_measure *v) {
    int rc = db_exec(c,
                     "INSERT INTO logged_model_metrics (model_id, metric_name, metric_timestamp_ms,"
                     " metric_step, metric_value, experiment_id, run_id, dataset_name,"
                     " dataset_digest) VALUES (?, ?, ?, ?, ?, ?, ?, nullif(?, ''), nullif(?, ''))",
                     "ssiidisss", m->id, v->key, v->time_ms, v->step, v->value, m->experiment,
                     v->run_id, v->dataset_name, v->dataset_digest);
    if (rc >= 0 && v->is_nan)
        rc = db_exec(c,
                     "UPDATE logged_model_metrics SET metric_value = NULL WHERE model_id = ?"
                     " AND metric_name = ? AND metric_timestamp_ms = ? AND metric_step = ?"
                     " AND run_id = ?",
                     "ssiis", m->id, v->key, v->time_ms, v->step, v->run_id);
    return rc;
}

int mlflow_put_model(struct ctx *c, const struct copy_model *m) {
    int rc =
        db_exec(c,
                "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location,"
                " creation_timestamp_ms, last_updated_timestamp_ms, status, lifecycle_stage,"
                " model_type, source_run_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''),"
                " nullif(?, ''))",
                "sissiiisss", m->id, m->experiment, m->name, m->artifact_uri, m->created_ms,
                m->updated_ms, status_number(m->status), stage(m->deleted), m->type, m->source_run);
    for (size_t i = 0; i < m->params.n && rc >= 0; i++)
        rc =
            db_exec(c,
                    "INSERT INTO logged_model_params (model_id, experiment_id, param_key,"
                    " param_value) VALUES (?, ?, ?, ?)",
                    "siss", m->id, m->experiment, m->params.items[i].key, m->params.items[i].value);
    for (size_t i = 0; i < m->tags.n && rc >= 0; i++)
        rc = db_exec(c,
                     "INSERT INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value)"
                     " VALUES (?, ?, ?, ?)",
                     "siss", m->id, m->experiment, m->tags.items[i].key, m->tags.items[i].value);
    for (size_t i = 0; i < m->nmeasures && rc >= 0; i++)
        rc = put_measure(c, m, &m->measures[i]);
    return rc < 0 ? rc : 0;
}

static int put_version(struct ctx *c, const char *name, const struct copy_version *v) {
    int rc = db_exec(c,
                     "INSERT INTO model_versions (name, version, creation_time, last_updated_time,"
                     " description, current_stage, source, run_id, status, run_link,"
                     " storage_location) VALUES (?, ?, ?, ?, nullif(?, ''), ?, ?, ?, ?,"
                     " nullif(?, ''), coalesce(?, ?))",
                     "siiissssssss", name, v->version, v->created_ms, v->updated_ms, v->description,
                     v->stage, v->source, v->run_id, v->status, v->run_link, v->storage, v->source);
    for (size_t i = 0; i < v->tags.n && rc >= 0; i++)
        rc = db_exec(c,
                     "INSERT INTO model_version_tags (key, value, name, version)"
                     " VALUES (?, ?, ?, ?)",
                     "sssi", v->tags.items[i].key, v->tags.items[i].value, name, v->version);
    return rc;
}

/* MLflow counts versions by what stands in its table: a number that was spent stays as the
 * tombstone that a deletion leaves. */
static int put_tombstone(struct ctx *c, const struct copy_registered *m) {
    if (!m->last_version ||
        (m->nversions && m->versions[m->nversions - 1].version >= m->last_version))
        return 0;
    return db_exec(c,
                   "INSERT INTO model_versions (name, version, creation_time, last_updated_time,"
                   " current_stage, source, run_id, status) VALUES (?, ?, ?, ?,"
                   " 'Deleted_Internal', 'REDACTED-SOURCE-PATH', 'REDACTED-RUN-ID', 'READY')",
                   "siii", m->name, m->last_version, m->created_ms, m->updated_ms);
}

int mlflow_put_registered(struct ctx *c, const struct copy_registered *m) {
    int rc = db_exec(c,
                     "INSERT INTO registered_models (name, creation_time, last_updated_time,"
                     " description) VALUES (?, ?, ?, nullif(?, ''))",
                     "siis", m->name, m->created_ms, m->updated_ms, m->description);
    for (size_t i = 0; i < m->tags.n && rc >= 0; i++)
        rc = db_exec(c, "INSERT INTO registered_model_tags (key, value, name) VALUES (?, ?, ?)",
                     "sss", m->tags.items[i].key, m->tags.items[i].value, m->name);
    for (size_t i = 0; i < m->nversions && rc >= 0; i++)
        rc = put_version(c, m->name, &m->versions[i]);
    if (rc >= 0)
        rc = put_tombstone(c, m);
    for (size_t i = 0; i < m->naliases && rc >= 0; i++)
        rc = db_exec(c,
                     "INSERT INTO registered_model_aliases (alias, version, name) VALUES (?, ?, ?)",
                     "sis", m->aliases[i].alias, m->aliases[i].version, m->name);
    return rc < 0 ? rc : 0;
}

static int put_span(struct ctx *c, const struct copy_trace *t, const struct copy_span *s) {
    int rc = db_exec(c,
                     "INSERT INTO spans (trace_id, experiment_id, span_id, parent_span_id, name,"
                     " type, status, start_time_unix_nano, end_time_unix_nano, content)"
                     " VALUES (?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?)",
                     "sisssssiis", t->id, t->experiment, s->id, s->parent, s->name, s->type,
                     s->status, s->start_ns, s->end_ns, span_to_mlflow(c, s));
    return rc;
}

static int put_assessment(struct ctx *c, const char *trace_id, const struct copy_assessment *a) {
    return db_exec(c,
                   "INSERT INTO assessments (assessment_id, trace_id, name, assessment_type, value,"
                   " error, created_timestamp, last_updated_timestamp, source_type, source_id,"
                   " span_id, rationale, overrides, valid, assessment_metadata)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "ssssssiisssssis", a->id, trace_id, a->name, a->kind, a->value, a->error,
                   a->created_ms, a->updated_ms, a->source_type, a->source_id, a->span_id,
                   a->rationale, a->overrides, (int64_t)a->valid, a->metadata);
}

int mlflow_put_trace(struct ctx *c, const struct copy_trace *t) {
    int rc = db_exec(c,
                     "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, status,"
                     " client_request_id, request_preview, response_preview)"
                     " VALUES (?, ?, ?, ?, ?, ?, ?)",
                     "siissss", t->id, t->experiment, t->timestamp_ms,
                     str_eq(t->state, "STATE_UNSPECIFIED") ? "TRACE_STATUS_UNSPECIFIED" : t->state,
                     t->client_request_id, t->request_preview, t->response_preview);
    if (rc >= 0 && t->execution_ms.set)
        rc = db_exec(c, "UPDATE trace_info SET execution_time_ms = ? WHERE request_id = ?", "is",
                     t->execution_ms.v, t->id);
    for (size_t i = 0; i < t->tags.n && rc >= 0; i++)
        rc = db_exec(c, "INSERT INTO trace_tags (key, value, request_id) VALUES (?, ?, ?)", "sss",
                     t->tags.items[i].key, t->tags.items[i].value, t->id);
    for (size_t i = 0; i < t->metadata.n && rc >= 0; i++)
        rc = db_exec(c,
                     "INSERT INTO trace_request_metadata (key, value, request_id) VALUES (?, ?, ?)",
                     "sss", t->metadata.items[i].key, t->metadata.items[i].value, t->id);
    for (size_t i = 0; i < t->nspans && rc >= 0; i++)
        rc = put_span(c, t, &t->spans[i]);
    for (size_t i = 0; i < t->nassessments && rc >= 0; i++)
        rc = put_assessment(c, t->id, &t->assessments[i]);
    return rc < 0 ? rc : mlflow_put_links(c, t);
}
