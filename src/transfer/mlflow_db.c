/* SPDX-License-Identifier: Apache-2.0 */
#include "mlflow_db.h"

#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/db/db.h"

#define PIECE 4096 /* points told at once */

static const char *text(struct ctx *c, struct stmt *st, int col) {
    const char *s = stmt_null(st, col) ? NULL : stmt_text(c, st, col);
    return s ? s : "";
}

int mlflow_db_pairs(struct ctx *c, struct stmt *st, struct pairs *out) {
    void *items = NULL;
    size_t cap = 0;
    int rc;
    *out = (struct pairs){0};
    while ((rc = stmt_next(st)) > 0) {
        struct pair *p = arena_push(c->arena, &items, &out->n, &cap, sizeof *p);
        p->key = text(c, st, 0);
        p->value = text(c, st, 1);
    }
    stmt_end(st);
    out->items = items;
    return rc;
}

static struct mlflow_db *enter(struct source *s, struct ctx *c) {
    struct mlflow_db *m = (struct mlflow_db *)s;
    c->db = m->conn;
    return m;
}

/* ------------------------------------------------------------------ experiments */

#define EXPERIMENT                                                                                 \
    "SELECT experiment_id, name, artifact_location, lifecycle_stage, creation_time,"               \
    " last_update_time FROM experiments WHERE experiment_id > ?"

static int experiment(struct source *s, struct ctx *c, int64_t after, struct copy_experiment *out) {
    struct mlflow_db *m = enter(s, c);
    struct stmt *st =
        m->workspaces ? db_query(c, EXPERIMENT " AND workspace = ? ORDER BY experiment_id LIMIT 1",
                                 "is", after, m->workspace)
                      : db_query(c, EXPERIMENT " ORDER BY experiment_id LIMIT 1", "i", after);
    int rc = stmt_next(st);
    *out = (struct copy_experiment){0};
    if (rc > 0) {
        out->id = stmt_i64(st, 0);
        out->name = text(c, st, 1);
        out->location = text(c, st, 2);
        out->deleted = str_eq(text(c, st, 3), "deleted");
        out->created_ms = stmt_i64(st, 4);
        out->updated_ms = stmt_i64(st, 5);
    }
    stmt_end(st);
    if (rc <= 0)
        return rc;
    rc = mlflow_db_pairs(c,
                         db_query(c,
                                  "SELECT key, value FROM experiment_tags WHERE experiment_id = ?"
                                  " ORDER BY key",
                                  "i", out->id),
                         &out->tags);
    return rc < 0 ? rc : 1;
}

/* ------------------------------------------------------------------ runs */

#define RUN                                                                                        \
    "SELECT run_uuid, r.experiment_id, r.name, user_id, status, start_time, end_time,"             \
    " artifact_uri, r.lifecycle_stage, deleted_time FROM runs r"
#define IN_WORKSPACE " JOIN experiments e ON e.experiment_id = r.experiment_id AND e.workspace = ?"

static int run_row(struct mlflow_db *m, struct ctx *c, const char *after, struct copy_run *out) {
    struct stmt *st =
        m->workspaces
            ? db_query(c, RUN IN_WORKSPACE " WHERE run_uuid > ? ORDER BY run_uuid LIMIT 1", "ss",
                       m->workspace, after)
            : db_query(c, RUN " WHERE run_uuid > ? ORDER BY run_uuid LIMIT 1", "s", after);
    int rc = stmt_next(st);
    *out = (struct copy_run){0};
    if (rc > 0) {
        out->id = text(c, st, 0);
        out->experiment = stmt_i64(st, 1);
        out->name = text(c, st, 2);
        out->user = text(c, st, 3);
        out->status = text(c, st, 4);
        out->start_ms = stmt_i64(st, 5);
        if (!stmt_null(st, 6))
            out->end_ms = SET_I64(stmt_i64(st, 6));
        out->artifact_uri = text(c, st, 7);
        /* Old servers marked a run deleted without saying when. */
        if (str_eq(text(c, st, 8), "deleted"))
            out->deleted_ms = SET_I64(stmt_null(st, 9) ? c->now_ms : stmt_i64(st, 9));
    }
    stmt_end(st);
    return rc;
}

static int run_datasets(struct ctx *c, struct copy_run *out) {
    struct stmt *st = db_query(
        c,
        "SELECT d.name, d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema,"
        " d.dataset_profile, i.input_uuid FROM inputs i JOIN datasets d ON d.dataset_uuid ="
        " i.source_id WHERE i.destination_type = 'RUN' AND i.destination_id = ?"
        " AND i.source_type = 'DATASET' ORDER BY d.name, d.digest",
        "s", out->id);
    void *items = NULL, *ids = NULL;
    size_t cap = 0, ids_cap = 0, nids = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct copy_dataset *d = arena_push(c->arena, &items, &out->ndatasets, &cap, sizeof *d);
        const char **id = arena_push(c->arena, &ids, &nids, &ids_cap, sizeof *id);
        d->name = text(c, st, 0);
        d->digest = text(c, st, 1);
        d->source_type = stmt_text(c, st, 2);
        d->source = stmt_text(c, st, 3);
        d->schema = stmt_text(c, st, 4);
        d->profile = stmt_text(c, st, 5);
        *id = text(c, st, 6);
    }
    stmt_end(st);
    out->datasets = items;
    for (size_t i = 0; i < nids && rc >= 0; i++)
        rc = mlflow_db_pairs(c,
                             db_query(c,
                                      "SELECT name, value FROM input_tags WHERE input_uuid = ?"
                                      " ORDER BY name",
                                      "s", ((const char **)ids)[i]),
                             &out->datasets[i].tags);
    return rc;
}

static int run_models(struct ctx *c, const char *run_id, bool output, struct copy_model_use **to,
                      size_t *n) {
    struct stmt *st = db_query(c,
                               "SELECT destination_id, max(step) FROM inputs WHERE source_type = ?"
                               " AND source_id = ? AND destination_type = ?"
                               " GROUP BY destination_id ORDER BY destination_id",
                               "sss", output ? "RUN_OUTPUT" : "RUN_INPUT", run_id,
                               output ? "MODEL_OUTPUT" : "MODEL_INPUT");
    void *items = NULL;
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct copy_model_use *u = arena_push(c->arena, &items, n, &cap, sizeof *u);
        u->model_id = text(c, st, 0);
        u->step = stmt_i64(st, 1);
    }
    stmt_end(st);
    *to = items;
    return rc;
}

static int run(struct source *s, struct ctx *c, const char *after, struct copy_run *out) {
    struct mlflow_db *m = enter(s, c);
    int rc = run_row(m, c, after, out);
    if (rc <= 0)
        return rc;
    rc = mlflow_db_pairs(
        c,
        db_query(c, "SELECT key, value FROM params WHERE run_uuid = ? ORDER BY key", "s", out->id),
        &out->params);
    if (rc >= 0)
        rc = mlflow_db_pairs(c,
                             db_query(c,
                                      "SELECT key, value FROM tags WHERE run_uuid = ? ORDER BY key",
                                      "s", out->id),
                             &out->tags);
    if (rc >= 0)
        rc = run_datasets(c, out);
    if (rc >= 0 && m->logged_models)
        rc = run_models(c, out->id, false, &out->inputs, &out->ninputs);
    if (rc >= 0 && m->logged_models)
        rc = run_models(c, out->id, true, &out->outputs, &out->noutputs);
    for (size_t i = 0; !*out->name && i < out->tags.n; i++)
        if (str_eq(out->tags.items[i].key, "mlflow.runName"))
            out->name = out->tags.items[i].value;
    return rc < 0 ? rc : 1;
}

/* The text of a key is copied once per series, not per point. */
static int points(struct source *s, struct ctx *c, const char *run_id, copy_points_fn *each,
                  void *arg) {
    (void)enter(s, c);
    struct copy_point *piece = ARENA_ARRAY(c->arena, struct copy_point, PIECE);
    struct stmt *st = db_query(c,
                               "SELECT key, timestamp, step, value, is_nan FROM metrics"
                               " WHERE run_uuid = ? ORDER BY key, timestamp, step, value, is_nan",
                               "s", run_id);
    const char *key = NULL;
    size_t n = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        size_t len = 0;
        const char *raw = stmt_blob(st, 0, &len);
        if (!key || strlen(key) != len || memcmp(key, raw, len) != 0)
            key = arena_strndup(c->arena, raw, len);
        bool nan = stmt_i64(st, 4) != 0;
        piece[n++] = (struct copy_point){.key = key,
                                         .time_ms = stmt_i64(st, 1),
                                         .step = stmt_i64(st, 2),
                                         .value = nan ? 0 : stmt_f64(st, 3),
                                         .is_nan = nan};
        if (n == PIECE) {
            rc = each(arg, piece, n);
            n = 0;
            if (rc < 0)
                break;
        }
    }
    stmt_end(st);
    return rc >= 0 && n ? each(arg, piece, n) : rc;
}

/* ------------------------------------------------------------------ opening */

static void close_db(struct source *s) {
    struct ctx c;
    struct mlflow_db *m = (struct mlflow_db *)s;
    ctx_begin(&c);
    c.db = m->conn;
    db_foreign_close(&c);
    ctx_end(&c);
    free(m->workspace);
    free(m);
}

static const struct source_ops ops = {.experiment = experiment,
                                      .run = run,
                                      .points = points,
                                      .model = mlflow_db_model,
                                      .registered = mlflow_db_registered,
                                      .trace = mlflow_db_trace,
                                      .close = close_db};

static int has(struct ctx *c, const char *table, const char *column, bool *yes) {
    int64_t n = 0;
    int rc = db_get_i64(c, "SELECT count(*) FROM pragma_table_info(?) WHERE name = ?", &n, NULL,
                        "ss", table, column);
    *yes = n > 0;
    return rc;
}

static int look(struct ctx *c, struct mlflow_db *m) {
    bool runs = false, deleted = false;
    int rc = has(c, "runs", "run_uuid", &runs);
    rc = rc ? rc : has(c, "runs", "deleted_time", &deleted);
    rc = rc ? rc : has(c, "experiments", "workspace", &m->workspaces);
    rc = rc ? rc : has(c, "logged_models", "model_id", &m->logged_models);
    rc = rc ? rc : has(c, "model_versions", "storage_location", &m->storage);
    rc = rc ? rc : has(c, "trace_info", "request_id", &m->traces);
    rc = rc ? rc : has(c, "trace_info", "request_preview", &m->previews);
    rc = rc ? rc : has(c, "trace_info", "trace_name", &m->promoted);
    rc = rc ? rc : has(c, "entity_associations", "source_id", &m->links);
    rc = rc ? rc : has(c, "spans", "content", &m->spans);
    rc = rc ? rc : has(c, "assessments", "assessment_id", &m->assessments);
    if (rc == 0 && !runs)
        rc = fail(c, ERR_INVALID, "It is no database of MLflow: there is no table 'runs'.");
    if (rc == 0 && !deleted)
        rc = fail(c, ERR_INVALID,
                  "Its schema is older than MLflow 1.28: run 'mlflow db upgrade' on a copy first.");
    return rc;
}

int mlflow_db_open(struct ctx *c, const char *path, const char *workspace, struct source **out) {
    struct mlflow_db *m = mem_alloc(sizeof *m);
    int rc = db_foreign_open(c, path, false);
    if (rc != 0) {
        free(m);
        return rc;
    }
    m->source.ops = &ops;
    m->conn = c->db;
    m->workspace = mem_strdup(workspace ? workspace : "default");
    rc = look(c, m);
    c->db = NULL;
    if (rc != 0)
        close_db(&m->source);
    else
        *out = &m->source;
    return rc;
}
