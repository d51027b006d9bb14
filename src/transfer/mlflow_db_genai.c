/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation datasets (since 3.4), scorers (3.5) and issues (3.11). */
#include <jansson.h>

#include "json_part.h"
#include "mlflow_db.h"
#include "quern/base/arena.h"
#include "quern/db/db.h"

#define WRAPPED "mlflow_wrapped"

/* ------------------------------------------------------------------ evaluation datasets */

/* Outputs lie within an object, which alone that column may hold. */
static const char *unwrapped(struct ctx *c, const char *text) {
    json_t *tree = text ? json_loads(text, 0, NULL) : NULL;
    const char *out = json_part(c, json_object_get(tree, WRAPPED), JSON_NULL);
    json_decref(tree);
    return out;
}

static int read_records(struct ctx *c, struct copy_evaluation *out) {
    struct stmt *st = db_query(
        c,
        "SELECT dataset_record_id, inputs, tags, outputs, expectations, source, created_by,"
        " last_updated_by, created_time, last_update_time FROM evaluation_dataset_records"
        " WHERE dataset_id = ? ORDER BY created_time, dataset_record_id",
        "s", out->id);
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct copy_record *r =
            arena_push(c->arena, (void **)&out->records, &out->nrecords, &cap, sizeof *r);
        *r = (struct copy_record){
            .id = mlflow_db_text(c, st, 0),
            .inputs = mlflow_db_text(c, st, 1),
            .tags = mlflow_db_maybe(c, st, 2),
            .outputs = unwrapped(c, json_part_text(c, mlflow_db_maybe(c, st, 3), JSON_OBJECT)),
            .expectations = mlflow_db_maybe(c, st, 4),
            .source = mlflow_db_maybe(c, st, 5),
            .created_by = mlflow_db_maybe(c, st, 6),
            .updated_by = mlflow_db_maybe(c, st, 7),
            .created_ms = stmt_i64(st, 8),
            .updated_ms = stmt_i64(st, 9)};
    }
    return rc;
}

static int read_experiments(struct ctx *c, struct copy_evaluation *out) {
    struct stmt *st = db_query(c,
                               "SELECT DISTINCT CAST(destination_id AS INTEGER) AS id"
                               " FROM entity_associations WHERE source_type = 'evaluation_dataset'"
                               " AND source_id = ? AND destination_type = 'experiment' ORDER BY id",
                               "s", out->id);
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0)
        *(int64_t *)arena_push(c->arena, (void **)&out->experiments, &out->nexperiments, &cap,
                               sizeof *out->experiments) = stmt_i64(st, 0);
    return rc;
}

#define DATASET                                                                                    \
    "SELECT dataset_id, name, digest, schema, created_by, last_updated_by, created_time,"          \
    " last_update_time FROM evaluation_datasets WHERE dataset_id > ?"

int mlflow_db_evaluation(struct source *s, struct ctx *c, const char *after,
                         struct copy_evaluation *out) {
    struct mlflow_db *m = mlflow_db_enter(s, c);
    *out = (struct copy_evaluation){0};
    if (!m->evaluations)
        return 0;
    struct stmt *st = m->workspaces
                          ? db_query(c, DATASET " AND workspace = ? ORDER BY dataset_id LIMIT 1",
                                     "ss", after, m->workspace)
                          : db_query(c, DATASET " ORDER BY dataset_id LIMIT 1", "s", after);
    int rc = stmt_next(st);
    if (rc > 0)
        *out = (struct copy_evaluation){.id = mlflow_db_text(c, st, 0),
                                        .name = mlflow_db_text(c, st, 1),
                                        .digest = mlflow_db_text(c, st, 2),
                                        .schema = mlflow_db_maybe(c, st, 3),
                                        .created_by = mlflow_db_maybe(c, st, 4),
                                        .updated_by = mlflow_db_maybe(c, st, 5),
                                        .created_ms = stmt_i64(st, 6),
                                        .updated_ms = stmt_i64(st, 7)};
    stmt_end(st);
    if (rc <= 0)
        return rc;
    rc = mlflow_db_pairs(c,
                         db_query(c,
                                  "SELECT key, value FROM evaluation_dataset_tags"
                                  " WHERE dataset_id = ? ORDER BY key",
                                  "s", out->id),
                         &out->tags);
    rc = rc < 0 || !m->links ? rc : read_experiments(c, out);
    rc = rc < 0 ? rc : read_records(c, out);
    rc = rc < 0 ? rc : json_parts_evaluation(c, out);
    return mlflow_db_end(c, rc);
}

/* ------------------------------------------------------------------ scorers */

#define SCORER "SELECT scorer_id, scorer_name, r.experiment_id FROM scorers r"

int mlflow_db_scorer(struct source *s, struct ctx *c, const char *after, struct copy_scorer *out) {
    struct mlflow_db *m = mlflow_db_enter(s, c);
    size_t cap = 0;
    *out = (struct copy_scorer){0};
    if (!m->scorers)
        return 0;
    struct stmt *st =
        m->workspaces
            ? db_query(c, SCORER IN_WORKSPACE " WHERE scorer_id > ? ORDER BY scorer_id LIMIT 1",
                       "ss", m->workspace, after)
            : db_query(c, SCORER " WHERE scorer_id > ? ORDER BY scorer_id LIMIT 1", "s", after);
    int rc = stmt_next(st);
    if (rc > 0)
        *out = (struct copy_scorer){.id = mlflow_db_text(c, st, 0),
                                    .name = mlflow_db_text(c, st, 1),
                                    .experiment = stmt_i64(st, 2)};
    stmt_end(st);
    if (rc <= 0)
        return rc;
    st = db_query(c,
                  "SELECT scorer_version, creation_time, serialized_scorer FROM scorer_versions"
                  " WHERE scorer_id = ? ORDER BY scorer_version",
                  "s", out->id);
    while ((rc = stmt_next(st)) > 0) {
        struct copy_scorer_version *v =
            arena_push(c->arena, (void **)&out->versions, &out->nversions, &cap, sizeof *v);
        *v = (struct copy_scorer_version){stmt_i64(st, 0), stmt_i64(st, 1),
                                          mlflow_db_text(c, st, 2)};
        if (!json_part_text(c, v->content, JSON_OBJECT))
            (void)fail(c, ERR_INVALID, "One of its versions has no content.");
    }
    return mlflow_db_end(c, rc);
}

/* ------------------------------------------------------------------ issues */

static const char *list(struct ctx *c, struct stmt *st, int col) {
    return json_part_filled(json_part_text(c, mlflow_db_maybe(c, st, col), JSON_ARRAY));
}

#define ISSUE                                                                                      \
    "SELECT issue_id, r.name, r.description, r.status, r.severity, source_run_id, r.created_by,"   \
    " root_causes, categories, r.experiment_id, created_timestamp, last_updated_timestamp"         \
    " FROM issues r"

int mlflow_db_issue(struct source *s, struct ctx *c, const char *after, struct copy_issue *out) {
    struct mlflow_db *m = mlflow_db_enter(s, c);
    *out = (struct copy_issue){0};
    if (!m->issues)
        return 0;
    struct stmt *st =
        m->workspaces
            ? db_query(c, ISSUE IN_WORKSPACE " WHERE issue_id > ? ORDER BY issue_id LIMIT 1", "ss",
                       m->workspace, after)
            : db_query(c, ISSUE " WHERE issue_id > ? ORDER BY issue_id LIMIT 1", "s", after);
    int rc = stmt_next(st);
    if (rc > 0) {
        const char **texts[] = {&out->id,       &out->name,       &out->description, &out->status,
                                &out->severity, &out->source_run, &out->created_by};
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
            *texts[i] = mlflow_db_maybe(c, st, (int)i);
        for (size_t i = 4; i < ARRAY_LEN(texts); i++) /* an empty one is not told by servers */
            *texts[i] = *texts[i] && **texts[i] ? *texts[i] : NULL;
        out->root_causes = list(c, st, 7);
        out->categories = list(c, st, 8);
        out->experiment = stmt_i64(st, 9);
        out->created_ms = stmt_i64(st, 10);
        out->updated_ms = stmt_i64(st, 11);
    }
    stmt_end(st);
    return rc <= 0 ? rc : mlflow_db_end(c, rc);
}
