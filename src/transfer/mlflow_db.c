/* SPDX-License-Identifier: Apache-2.0 */
#include "mlflow_db.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/db/db.h"

#define PIECE 4096 /* points told at once */

const char *mlflow_db_maybe(struct ctx *c, struct stmt *st, int col) {
    size_t n = 0;
    const char *s = stmt_peek(st, col, &n);
    if (!s)
        return NULL;
    if (memchr(s, '\0', n) || !utf8_valid(s, n)) {
        (void)fail(c, ERR_INVALID, "One of its texts is no UTF-8, or has a NUL byte in it.");
        return "";
    }
    return arena_strndup(c->arena, s, n);
}

const char *mlflow_db_text(struct ctx *c, struct stmt *st, int col) {
    const char *s = mlflow_db_maybe(c, st, col);
    return s ? s : "";
}

int mlflow_db_end(const struct ctx *c, int rc) {
    return rc < 0 ? rc : c->err.code ? -c->err.code : 1;
}

double mlflow_db_number(struct stmt *st, int col) {
    double v = stmt_f64(st, col);
    return isinf(v) ? (v < 0 ? -DBL_MAX : DBL_MAX) : v;
}

int mlflow_db_pairs(struct ctx *c, struct stmt *st, struct pairs *out) {
    void *items = NULL;
    size_t cap = 0;
    int rc;
    *out = (struct pairs){0};
    while ((rc = stmt_next(st)) > 0) {
        struct pair *p = arena_push(c->arena, &items, &out->n, &cap, sizeof *p);
        p->key = mlflow_db_text(c, st, 0);
        p->value = mlflow_db_text(c, st, 1);
    }
    stmt_end(st);
    out->items = items;
    return rc;
}

struct mlflow_db *mlflow_db_enter(struct source *s, struct ctx *c) {
    struct mlflow_db *m = (struct mlflow_db *)s;
    c->db = m->conn;
    return m;
}

/* ------------------------------------------------------------------ experiments */

#define EXPERIMENT                                                                                 \
    "SELECT experiment_id, name, artifact_location, lifecycle_stage, creation_time,"               \
    " last_update_time FROM experiments WHERE experiment_id > ?"

static int experiment(struct source *s, struct ctx *c, int64_t after, struct copy_experiment *out) {
    struct mlflow_db *m = mlflow_db_enter(s, c);
    struct stmt *st =
        m->workspaces ? db_query(c, EXPERIMENT " AND workspace = ? ORDER BY experiment_id LIMIT 1",
                                 "is", after, m->workspace)
                      : db_query(c, EXPERIMENT " ORDER BY experiment_id LIMIT 1", "i", after);
    int rc = stmt_next(st);
    *out = (struct copy_experiment){0};
    if (rc > 0) {
        out->id = stmt_i64(st, 0);
        out->name = mlflow_db_text(c, st, 1);
        out->location = mlflow_db_text(c, st, 2);
        out->deleted = str_eq(mlflow_db_text(c, st, 3), "deleted");
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
    return mlflow_db_end(c, rc);
}

/* ------------------------------------------------------------------ runs */

#define RUN                                                                                        \
    "SELECT run_uuid, r.experiment_id, r.name, user_id, status, start_time, end_time,"             \
    " artifact_uri, r.lifecycle_stage, deleted_time FROM runs r"

static int run_row(struct mlflow_db *m, struct ctx *c, const char *after, struct copy_run *out) {
    struct stmt *st =
        m->workspaces
            ? db_query(c, RUN IN_WORKSPACE " WHERE run_uuid > ? ORDER BY run_uuid LIMIT 1", "ss",
                       m->workspace, after)
            : db_query(c, RUN " WHERE run_uuid > ? ORDER BY run_uuid LIMIT 1", "s", after);
    int rc = stmt_next(st);
    *out = (struct copy_run){0};
    if (rc > 0) {
        out->id = mlflow_db_text(c, st, 0);
        out->experiment = stmt_i64(st, 1);
        out->name = mlflow_db_text(c, st, 2);
        out->user = mlflow_db_text(c, st, 3);
        out->status = mlflow_db_text(c, st, 4);
        out->start_ms = stmt_i64(st, 5);
        if (!stmt_null(st, 6))
            out->end_ms = SET_I64(stmt_i64(st, 6));
        out->artifact_uri = mlflow_db_text(c, st, 7);
        /* Old servers marked a run deleted without saying when. */
        if (str_eq(mlflow_db_text(c, st, 8), "deleted"))
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
        d->name = mlflow_db_text(c, st, 0);
        d->digest = mlflow_db_text(c, st, 1);
        d->source_type = mlflow_db_maybe(c, st, 2);
        d->source = mlflow_db_maybe(c, st, 3);
        d->schema = mlflow_db_maybe(c, st, 4);
        d->profile = mlflow_db_maybe(c, st, 5);
        *id = mlflow_db_text(c, st, 6);
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
        u->model_id = mlflow_db_text(c, st, 0);
        u->step = stmt_i64(st, 1);
    }
    stmt_end(st);
    *to = items;
    return rc;
}

static int run(struct source *s, struct ctx *c, const char *after, struct copy_run *out) {
    struct mlflow_db *m = mlflow_db_enter(s, c);
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
    if (rc >= 0 && m->inputs)
        rc = run_datasets(c, out);
    if (rc >= 0 && m->logged_models)
        rc = run_models(c, out->id, false, &out->inputs, &out->ninputs);
    if (rc >= 0 && m->logged_models)
        rc = run_models(c, out->id, true, &out->outputs, &out->noutputs);
    for (size_t i = 0; !*out->name && i < out->tags.n; i++)
        if (str_eq(out->tags.items[i].key, "mlflow.runName"))
            out->name = out->tags.items[i].value;
    return mlflow_db_end(c, rc);
}

static bool same_point(const struct copy_point *a, const struct copy_point *b) {
    return a->key == b->key && a->time_ms == b->time_ms && a->step == b->step &&
           a->is_nan == b->is_nan && !(a->value < b->value) && !(a->value > b->value);
}

/* The text of a key is copied once per series, not per point; a point that stands there twice, as
 * only a table without its key can have it, is told once. */
static int points(struct source *s, struct ctx *c, const char *run_id, copy_points_fn *each,
                  void *arg) {
    (void)mlflow_db_enter(s, c);
    struct copy_point *piece = ARENA_ARRAY(c->arena, struct copy_point, PIECE);
    struct stmt *st = db_query(c,
                               "SELECT key, timestamp, step, value, is_nan FROM metrics"
                               " WHERE run_uuid = ? ORDER BY key, timestamp, step, value, is_nan",
                               "s", run_id);
    struct copy_point last = {0};
    size_t n = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        size_t len = 0;
        const char *raw = stmt_peek(st, 0, &len);
        struct copy_point p = {
            .key = last.key, .time_ms = stmt_i64(st, 1), .step = stmt_i64(st, 2)};
        if (!p.key || strlen(p.key) != len || (len && memcmp(p.key, raw, len) != 0))
            p.key = mlflow_db_text(c, st, 0);
        if (c->err.code) {
            rc = -c->err.code;
            break;
        }
        p.is_nan = stmt_i64(st, 4) != 0;
        p.value = p.is_nan ? 0 : mlflow_db_number(st, 3);
        if (last.key && same_point(&last, &p))
            continue;
        last = piece[n++] = p;
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

/* Counted without the indexes that the things themselves are found by: what an index that is
 * damaged does not lead to, or an id that no order has, would otherwise be missed by nobody. */
#define EVERY(table) "SELECT count(*) FROM " table " r NOT INDEXED"
#define OF_WORKSPACE " WHERE r.workspace = ?"

static int rows(struct source *s, struct ctx *c, enum transfer_kind kind, int64_t *n) {
    const struct mlflow_db *m = mlflow_db_enter(s, c);
    static const struct {
        const char *plain, *spaced;
    } sql[TRANSFER_KINDS] = {
        [TRANSFER_EXPERIMENTS] = {EVERY("experiments"), EVERY("experiments") OF_WORKSPACE},
        [TRANSFER_RUNS] = {EVERY("runs"), EVERY("runs") IN_WORKSPACE},
        [TRANSFER_LOGGED_MODELS] = {EVERY("logged_models"), EVERY("logged_models") IN_WORKSPACE},
        [TRANSFER_MODELS] = {EVERY("registered_models"), EVERY("registered_models") OF_WORKSPACE},
        [TRANSFER_TRACES] = {EVERY("trace_info"), EVERY("trace_info") IN_WORKSPACE},
        [TRANSFER_EVALUATIONS] = {EVERY("evaluation_datasets"),
                                  EVERY("evaluation_datasets") OF_WORKSPACE},
        [TRANSFER_SCORERS] = {EVERY("scorers"), EVERY("scorers") IN_WORKSPACE},
        [TRANSFER_ISSUES] = {EVERY("issues"), EVERY("issues") IN_WORKSPACE},
    };
    *n = 0;
    if (!sql[kind].plain || (kind == TRANSFER_LOGGED_MODELS && !m->logged_models) ||
        (kind == TRANSFER_TRACES && !m->traces) ||
        (kind == TRANSFER_EVALUATIONS && !m->evaluations) ||
        (kind == TRANSFER_SCORERS && !m->scorers) || (kind == TRANSFER_ISSUES && !m->issues))
        return 0;
    return m->workspaces ? db_get_i64(c, sql[kind].spaced, n, NULL, "s", m->workspace)
                         : db_get_i64(c, sql[kind].plain, n, NULL, "");
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
                                      .evaluation = mlflow_db_evaluation,
                                      .scorer = mlflow_db_scorer,
                                      .issue = mlflow_db_issue,
                                      .rows = rows,
                                      .close = close_db};

static int has(struct ctx *c, const char *table, const char *column, bool *yes) {
    int64_t n = 0;
    int rc = db_get_i64(c, "SELECT count(*) FROM pragma_table_info(?) WHERE name = ?", &n, NULL,
                        "ss", table, column);
    *yes = n > 0;
    return rc;
}

/* A view in a table's place could compute for ever, a virtual table is somebody else's code. */
static int check_tables(struct ctx *c) {
    char *name = NULL;
    int rc = db_get_text(c,
                         "SELECT name FROM sqlite_schema WHERE (type = 'view' OR (type = 'table'"
                         " AND sql LIKE 'CREATE VIRTUAL%')) AND lower(name) IN ('experiments',"
                         " 'experiment_tags', 'runs', 'params', 'tags', 'metrics', 'inputs',"
                         " 'input_tags', 'datasets', 'logged_models', 'logged_model_params',"
                         " 'logged_model_tags', 'logged_model_metrics', 'registered_models',"
                         " 'registered_model_tags', 'registered_model_aliases', 'model_versions',"
                         " 'model_version_tags', 'trace_info', 'trace_tags',"
                         " 'trace_request_metadata', 'entity_associations', 'spans',"
                         " 'assessments', 'evaluation_datasets', 'evaluation_dataset_tags',"
                         " 'evaluation_dataset_records', 'scorers', 'scorer_versions', 'issues')"
                         " LIMIT 1",
                         &name, "");
    return rc == 0 && name
               ? fail(c, ERR_INVALID, "It is no database of MLflow: '%s' is no table there.", name)
               : rc;
}

static int look(struct ctx *c, struct mlflow_db *m) {
    bool runs = false, times = false;
    int rc = check_tables(c);
    rc = rc ? rc : has(c, "runs", "run_uuid", &runs);
    rc = rc ? rc : has(c, "experiments", "creation_time", &times);
    rc = rc ? rc : has(c, "experiments", "workspace", &m->workspaces);
    rc = rc ? rc : has(c, "inputs", "source_id", &m->inputs);
    rc = rc ? rc : has(c, "registered_model_aliases", "alias", &m->aliases);
    rc = rc ? rc : has(c, "logged_models", "model_id", &m->logged_models);
    rc = rc ? rc : has(c, "model_versions", "storage_location", &m->storage);
    rc = rc ? rc : has(c, "trace_info", "request_id", &m->traces);
    rc = rc ? rc : has(c, "trace_info", "request_preview", &m->previews);
    rc = rc ? rc : has(c, "trace_info", "trace_name", &m->promoted);
    rc = rc ? rc : has(c, "entity_associations", "source_id", &m->links);
    rc = rc ? rc : has(c, "spans", "content", &m->spans);
    rc = rc ? rc : has(c, "assessments", "assessment_id", &m->assessments);
    rc = rc ? rc : has(c, "evaluation_dataset_records", "outputs", &m->evaluations);
    rc = rc ? rc : has(c, "scorer_versions", "serialized_scorer", &m->scorers);
    rc = rc ? rc : has(c, "issues", "categories", &m->issues);
    if (rc == 0 && !runs)
        rc = fail(c, ERR_INVALID, "It is no database of MLflow: there is no table 'runs'.");
    if (rc == 0 && !times)
        rc = fail(c, ERR_INVALID,
                  "Its schema is older than MLflow 1.29: run 'mlflow db upgrade' on a copy first.");
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
