/* SPDX-License-Identifier: Apache-2.0 */
#include "mlflow_db.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/db/db.h"

/* ------------------------------------------------------------------ logged models */

#define MODEL                                                                                      \
    "SELECT model_id, r.experiment_id, r.name, r.artifact_location, r.status, model_type,"         \
    " source_run_id, creation_timestamp_ms, last_updated_timestamp_ms, r.lifecycle_stage"          \
    " FROM logged_models r"

static const char *status_name(int64_t status) {
    static const char *const names[] = {"LOGGED_MODEL_STATUS_UNSPECIFIED", "LOGGED_MODEL_PENDING",
                                        "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"};
    return names[status > 0 && status < (int64_t)ARRAY_LEN(names) ? status : 0];
}

static int measures(struct ctx *c, struct copy_model *out) {
    struct stmt *st =
        db_query(c,
                 "SELECT metric_name, run_id, dataset_name, dataset_digest, metric_timestamp_ms,"
                 " metric_step, metric_value FROM logged_model_metrics WHERE model_id = ?"
                 " ORDER BY metric_name, metric_timestamp_ms, metric_step, run_id",
                 "s", out->id);
    void *items = NULL;
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct copy_measure *m = arena_push(c->arena, &items, &out->nmeasures, &cap, sizeof *m);
        m->key = mlflow_db_text(c, st, 0);
        m->run_id = mlflow_db_text(c, st, 1);
        m->dataset_name = mlflow_db_text(c, st, 2);
        m->dataset_digest = mlflow_db_text(c, st, 3);
        m->time_ms = stmt_i64(st, 4);
        m->step = stmt_i64(st, 5);
        m->is_nan = stmt_null(st, 6);
        m->value = m->is_nan ? 0 : mlflow_db_number(st, 6);
    }
    stmt_end(st);
    out->measures = items;
    return rc;
}

int mlflow_db_model(struct source *s, struct ctx *c, const char *after, struct copy_model *out) {
    struct mlflow_db *m = mlflow_db_enter(s, c);
    *out = (struct copy_model){0};
    if (!m->logged_models)
        return 0;
    struct stmt *st =
        m->workspaces
            ? db_query(c, MODEL IN_WORKSPACE " WHERE model_id > ? ORDER BY model_id LIMIT 1", "ss",
                       m->workspace, after)
            : db_query(c, MODEL " WHERE model_id > ? ORDER BY model_id LIMIT 1", "s", after);
    int rc = stmt_next(st);
    if (rc > 0) {
        out->id = mlflow_db_text(c, st, 0);
        out->experiment = stmt_i64(st, 1);
        out->name = mlflow_db_text(c, st, 2);
        out->artifact_uri = mlflow_db_text(c, st, 3);
        out->status = status_name(stmt_i64(st, 4));
        out->type = mlflow_db_text(c, st, 5);
        out->source_run = mlflow_db_text(c, st, 6);
        out->created_ms = stmt_i64(st, 7);
        out->updated_ms = stmt_i64(st, 8);
        out->deleted = str_eq(mlflow_db_text(c, st, 9), "deleted");
    }
    stmt_end(st);
    if (rc <= 0)
        return rc;
    rc = mlflow_db_pairs(c,
                         db_query(c,
                                  "SELECT param_key, param_value FROM logged_model_params"
                                  " WHERE model_id = ? ORDER BY param_key",
                                  "s", out->id),
                         &out->params);
    if (rc >= 0)
        rc = mlflow_db_pairs(c,
                             db_query(c,
                                      "SELECT tag_key, tag_value FROM logged_model_tags"
                                      " WHERE model_id = ? ORDER BY tag_key",
                                      "s", out->id),
                             &out->tags);
    if (rc >= 0)
        rc = measures(c, out);
    return mlflow_db_end(c, rc);
}

/* ------------------------------------------------------------------ registered models */

#define REGISTERED                                                                                 \
    "SELECT name, description, creation_time, last_updated_time FROM registered_models"            \
    " WHERE name > ?"

/* Both lines of MLflow name a model's rows by its name, the newer one by workspace too. */
static struct stmt *of_model(struct ctx *c, const struct mlflow_db *m, const char *plain,
                             const char *spaced, const char *name) {
    return m->workspaces ? db_query(c, spaced, "ss", name, m->workspace)
                         : db_query(c, plain, "s", name);
}

#define VERSION_COLUMNS                                                                            \
    "SELECT version, source, run_id, run_link, description, current_stage, status,"                \
    " creation_time, last_updated_time, "
#define VERSION_TABLE " FROM model_versions WHERE name = ?"

static int versions(struct ctx *c, const struct mlflow_db *m, struct copy_registered *out) {
    struct stmt *st =
        !m->storage
            ? db_query(c, VERSION_COLUMNS "NULL" VERSION_TABLE " ORDER BY version", "s", out->name)
            : of_model(c, m, VERSION_COLUMNS "storage_location" VERSION_TABLE " ORDER BY version",
                       VERSION_COLUMNS "storage_location" VERSION_TABLE
                                       " AND workspace = ? ORDER BY version",
                       out->name);
    void *items = NULL;
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        out->last_version = stmt_i64(st, 0);
        const char *stage = mlflow_db_text(c, st, 5);
        if (str_eq(stage, "Deleted_Internal")) /* its number is spent, nothing else is left */
            continue;
        struct copy_version *v = arena_push(c->arena, &items, &out->nversions, &cap, sizeof *v);
        v->version = stmt_i64(st, 0);
        v->source = mlflow_db_text(c, st, 1);
        v->run_id = mlflow_db_text(c, st, 2);
        v->run_link = mlflow_db_text(c, st, 3);
        v->description = mlflow_db_text(c, st, 4);
        v->stage = *stage ? stage : "None";
        v->status = *mlflow_db_text(c, st, 6) ? mlflow_db_text(c, st, 6) : "READY";
        v->created_ms = stmt_i64(st, 7);
        v->updated_ms = stmt_i64(st, 8);
        v->storage = *mlflow_db_text(c, st, 9) && !str_eq(mlflow_db_text(c, st, 9), v->source)
                         ? mlflow_db_text(c, st, 9)
                         : NULL;
        v->logged_model = str_starts(v->source, "models:/m-") ? v->source + 8 : "";
    }
    stmt_end(st);
    out->versions = items;
    return rc;
}

static int version_tags(struct ctx *c, const struct mlflow_db *m, const char *name,
                        struct copy_version *v) {
    struct stmt *st =
        m->workspaces
            ? db_query(c,
                       "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"
                       " AND workspace = ? ORDER BY key",
                       "sis", name, v->version, m->workspace)
            : db_query(c,
                       "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"
                       " ORDER BY key",
                       "si", name, v->version);
    return mlflow_db_pairs(c, st, &v->tags);
}

static bool has_version(const struct copy_registered *m, int64_t version) {
    for (size_t i = 0; i < m->nversions; i++)
        if (m->versions[i].version == version)
            return true;
    return false;
}

/* An alias of a deleted version dangles in MLflow; it leads nowhere and is left behind. */
static int aliases(struct ctx *c, const struct mlflow_db *m, struct copy_registered *out) {
    struct stmt *st = of_model(
        c, m, "SELECT alias, version FROM registered_model_aliases WHERE name = ? ORDER BY alias",
        "SELECT alias, version FROM registered_model_aliases WHERE name = ? AND workspace = ?"
        " ORDER BY alias",
        out->name);
    void *items = NULL;
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        if (!has_version(out, stmt_i64(st, 1)))
            continue;
        struct copy_alias *a = arena_push(c->arena, &items, &out->naliases, &cap, sizeof *a);
        a->alias = mlflow_db_text(c, st, 0);
        a->version = stmt_i64(st, 1);
    }
    stmt_end(st);
    out->aliases = items;
    return rc;
}

int mlflow_db_registered(struct source *s, struct ctx *c, const char *after,
                         struct copy_registered *out) {
    struct mlflow_db *m = mlflow_db_enter(s, c);
    *out = (struct copy_registered){0};
    struct stmt *st = of_model(c, m, REGISTERED " ORDER BY name LIMIT 1",
                               REGISTERED " AND workspace = ? ORDER BY name LIMIT 1", after);
    int rc = stmt_next(st);
    if (rc > 0) {
        out->name = mlflow_db_text(c, st, 0);
        out->description = mlflow_db_text(c, st, 1);
        out->created_ms = stmt_i64(st, 2);
        out->updated_ms = stmt_i64(st, 3);
    }
    stmt_end(st);
    if (rc <= 0)
        return rc;
    rc = mlflow_db_pairs(
        c,
        of_model(c, m, "SELECT key, value FROM registered_model_tags WHERE name = ? ORDER BY key",
                 "SELECT key, value FROM registered_model_tags WHERE name = ? AND workspace = ?"
                 " ORDER BY key",
                 out->name),
        &out->tags);
    if (rc >= 0)
        rc = versions(c, m, out);
    for (size_t i = 0; i < out->nversions && rc >= 0; i++)
        rc = version_tags(c, m, out->name, &out->versions[i]);
    if (rc >= 0 && m->aliases)
        rc = aliases(c, m, out);
    return mlflow_db_end(c, rc);
}
