/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/genai/copy.h"

#include <jansson.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "record.h"

/* ------------------------------------------------------------------ evaluation datasets */

/* The place is free: nothing there, or what this project has there is gone now. */
static int make_room(struct ctx *c, const char *id) {
    int64_t row = 0, project = 0;
    bool found = false;
    int rc = db_get_i64(c, "SELECT id FROM evaluation_dataset WHERE dataset_id = ?", &row, &found,
                        "s", id);
    if (rc != 0 || !found)
        return rc;
    rc = db_get_i64(c, "SELECT project_id FROM evaluation_dataset WHERE id = ?", &project, NULL,
                    "i", row);
    if (rc == 0 && project != c->project)
        return fail(c, ERR_CONFLICT, "the id '%s' belongs to another project here", id);
    return rc ? rc : db_exec(c, "DELETE FROM evaluation_dataset WHERE id = ?", "i", row);
}

/* As records of clients are told apart; NULL: they are no object. */
static const char *inputs_hash(struct ctx *c, const char *inputs) {
    json_t *tree = json_loads(inputs, 0, NULL);
    const char *hash = json_is_object(tree) ? record_inputs_hash(c, tree) : NULL;
    json_decref(tree);
    return hash;
}

static int put_record(struct ctx *c, int64_t row, const struct copy_record *r) {
    const char *hash = inputs_hash(c, r->inputs);
    if (!hash)
        return fail(c, ERR_INVALID, "the inputs of record '%s' are no JSON object", r->id);
    return db_exec(c,
                   "INSERT INTO evaluation_record (dataset, record_id, inputs_sha256, inputs,"
                   " outputs, expectations, tags, source, created_ms, updated_ms, created_by,"
                   " updated_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "isssssssiiss", row, r->id, hash, r->inputs, r->outputs, r->expectations,
                   r->tags, r->source, r->created_ms, r->updated_ms, r->created_by, r->updated_by);
}

int evaluation_copy_in(struct ctx *c, const struct copy_evaluation *in) {
    int rc = make_room(c, in->id);
    if (rc >= 0)
        rc = db_exec(c,
                     "INSERT INTO evaluation_dataset (project_id, dataset_id, name, digest, schema,"
                     " records, created_ms, updated_ms, created_by, updated_by)"
                     " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     "issssiiiss", c->project, in->id, in->name, in->digest, in->schema,
                     (int64_t)in->nrecords, in->created_ms, in->updated_ms, in->created_by,
                     in->updated_by);
    int64_t row = db_last_id(c);
    for (size_t i = 0; i < in->tags.n && rc >= 0; i++)
        rc = db_exec(c, "INSERT INTO evaluation_dataset_tag (dataset, key, value) VALUES (?, ?, ?)",
                     "iss", row, in->tags.items[i].key, in->tags.items[i].value);
    for (size_t i = 0; i < in->nexperiments && rc >= 0; i++)
        rc = db_exec(c,
                     "INSERT INTO evaluation_dataset_experiment (dataset, experiment_id)"
                     " VALUES (?, ?)",
                     "ii", row, in->experiments[i]);
    for (size_t i = 0; i < in->nrecords && rc >= 0; i++)
        rc = put_record(c, row, &in->records[i]);
    return rc < 0 ? rc : 0;
}

static int get_tags(struct ctx *c, int64_t row, struct pairs *out) {
    struct stmt *st =
        db_query(c, "SELECT key, value FROM evaluation_dataset_tag WHERE dataset = ? ORDER BY key",
                 "i", row);
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct pair *p = arena_push(c->arena, (void **)&out->items, &out->n, &cap, sizeof *p);
        *p = (struct pair){stmt_text(c, st, 0), stmt_text(c, st, 1)};
    }
    return rc;
}

static int get_experiments(struct ctx *c, int64_t row, struct copy_evaluation *out) {
    struct stmt *st = db_query(c,
                               "SELECT experiment_id FROM evaluation_dataset_experiment"
                               " WHERE dataset = ? ORDER BY experiment_id",
                               "i", row);
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0)
        *(int64_t *)arena_push(c->arena, (void **)&out->experiments, &out->nexperiments, &cap,
                               sizeof *out->experiments) = stmt_i64(st, 0);
    return rc;
}

static int get_records(struct ctx *c, int64_t row, struct copy_evaluation *out) {
    struct stmt *st = db_query(c,
                               "SELECT record_id, inputs, tags, outputs, expectations, source,"
                               " created_by, updated_by, created_ms, updated_ms"
                               " FROM evaluation_record WHERE dataset = ?"
                               " ORDER BY created_ms, record_id",
                               "i", row);
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct copy_record *r =
            arena_push(c->arena, (void **)&out->records, &out->nrecords, &cap, sizeof *r);
        const char **texts[] = {&r->id,           &r->inputs, &r->tags,       &r->outputs,
                                &r->expectations, &r->source, &r->created_by, &r->updated_by};
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
            *texts[i] = stmt_text(c, st, (int)i);
        r->created_ms = stmt_i64(st, 8);
        r->updated_ms = stmt_i64(st, 9);
    }
    return rc;
}

int evaluation_copy_get(struct ctx *c, const char *id, struct copy_evaluation *out) {
    struct stmt *st = db_query(c,
                               "SELECT id, dataset_id, name, digest, schema, created_by,"
                               " updated_by, created_ms, updated_ms FROM evaluation_dataset"
                               " WHERE dataset_id = ? AND project_id = ? AND gone = 0",
                               "si", id, c->project);
    int64_t row = 0;
    int rc = stmt_next(st);
    *out = (struct copy_evaluation){0};
    if (rc > 0) {
        row = stmt_i64(st, 0);
        *out = (struct copy_evaluation){.id = stmt_text(c, st, 1),
                                        .name = stmt_text(c, st, 2),
                                        .digest = stmt_text(c, st, 3),
                                        .schema = stmt_text(c, st, 4),
                                        .created_by = stmt_text(c, st, 5),
                                        .updated_by = stmt_text(c, st, 6),
                                        .created_ms = stmt_i64(st, 7),
                                        .updated_ms = stmt_i64(st, 8)};
    }
    stmt_end(st);
    if (rc <= 0)
        return rc;
    rc = get_tags(c, row, &out->tags);
    rc = rc < 0 ? rc : get_experiments(c, row, out);
    rc = rc < 0 ? rc : get_records(c, row, out);
    return rc < 0 ? rc : 1;
}

int evaluation_copy_out(struct ctx *c, const char *after, struct copy_evaluation *out) {
    char *id = NULL;
    int rc = db_get_text(c,
                         "SELECT dataset_id FROM evaluation_dataset WHERE dataset_id > ?"
                         " AND project_id = ? AND gone = 0 ORDER BY dataset_id LIMIT 1",
                         &id, "si", after, c->project);
    return rc != 0 || !id ? rc : evaluation_copy_get(c, id, out);
}

/* ------------------------------------------------------------------ scorers */

int scorer_copy_in(struct ctx *c, const struct copy_scorer *in) {
    int64_t row = 0;
    int rc = db_exec(c,
                     "DELETE FROM scorer WHERE scorer_id = ?1 AND experiment_id IN"
                     " (SELECT id FROM experiment WHERE project_id = ?2)",
                     "si", in->id, c->project);
    if (rc >= 0)
        rc = db_exec(c, "INSERT INTO scorer (scorer_id, experiment_id, name) VALUES (?, ?, ?)",
                     "sis", in->id, in->experiment, in->name);
    row = db_last_id(c);
    for (size_t i = 0; i < in->nversions && rc >= 0; i++)
        rc = db_exec(c,
                     "INSERT INTO scorer_version (scorer, version, content, created_ms)"
                     " VALUES (?, ?, ?, ?)",
                     "iisi", row, in->versions[i].version, in->versions[i].content,
                     in->versions[i].created_ms);
    return rc < 0 ? rc : 0;
}

int scorer_copy_get(struct ctx *c, const char *id, struct copy_scorer *out) {
    struct stmt *st = db_query(c,
                               "SELECT s.id, s.scorer_id, s.name, s.experiment_id FROM scorer s"
                               " JOIN experiment e ON e.id = s.experiment_id"
                               " WHERE s.scorer_id = ? AND e.project_id = ?",
                               "si", id, c->project);
    int64_t row = 0;
    size_t cap = 0;
    int rc = stmt_next(st);
    *out = (struct copy_scorer){0};
    if (rc > 0) {
        row = stmt_i64(st, 0);
        *out = (struct copy_scorer){
            .id = stmt_text(c, st, 1), .name = stmt_text(c, st, 2), .experiment = stmt_i64(st, 3)};
    }
    stmt_end(st);
    if (rc <= 0)
        return rc;
    st = db_query(c,
                  "SELECT version, created_ms, content FROM scorer_version WHERE scorer = ?"
                  " ORDER BY version",
                  "i", row);
    while ((rc = stmt_next(st)) > 0) {
        struct copy_scorer_version *v =
            arena_push(c->arena, (void **)&out->versions, &out->nversions, &cap, sizeof *v);
        *v = (struct copy_scorer_version){stmt_i64(st, 0), stmt_i64(st, 1), stmt_text(c, st, 2)};
    }
    return rc < 0 ? rc : 1;
}

int scorer_copy_out(struct ctx *c, const char *after, struct copy_scorer *out) {
    char *id = NULL;
    int rc = db_get_text(c,
                         "SELECT s.scorer_id FROM scorer s JOIN experiment e"
                         " ON e.id = s.experiment_id WHERE s.scorer_id > ? AND e.project_id = ?"
                         " ORDER BY s.scorer_id LIMIT 1",
                         &id, "si", after, c->project);
    return rc != 0 || !id ? rc : scorer_copy_get(c, id, out);
}

/* ------------------------------------------------------------------ issues */

int issue_copy_in(struct ctx *c, const struct copy_issue *in) {
    int rc = db_exec(c,
                     "DELETE FROM issue WHERE issue_id = ?1 AND experiment_id IN"
                     " (SELECT id FROM experiment WHERE project_id = ?2)",
                     "si", in->id, c->project);
    if (rc >= 0)
        rc = db_exec(c,
                     "INSERT INTO issue (issue_id, experiment_id, name, description, status,"
                     " severity, root_causes, categories, source_run, created_by, created_ms,"
                     " updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     "sissssssssii", in->id, in->experiment, in->name, in->description, in->status,
                     in->severity, in->root_causes, in->categories, in->source_run, in->created_by,
                     in->created_ms, in->updated_ms);
    return rc < 0 ? rc : 0;
}

int issue_copy_get(struct ctx *c, const char *id, struct copy_issue *out) {
    struct stmt *st = db_query(c,
                               "SELECT i.issue_id, i.name, i.description, i.status, i.severity,"
                               " i.source_run, i.created_by, i.root_causes, i.categories,"
                               " i.experiment_id, i.created_ms, i.updated_ms FROM issue i"
                               " JOIN experiment e ON e.id = i.experiment_id"
                               " WHERE i.issue_id = ? AND e.project_id = ?",
                               "si", id, c->project);
    int rc = stmt_next(st);
    *out = (struct copy_issue){0};
    if (rc > 0) {
        const char **texts[] = {&out->id,         &out->name,        &out->description,
                                &out->status,     &out->severity,    &out->source_run,
                                &out->created_by, &out->root_causes, &out->categories};
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
            *texts[i] = stmt_text(c, st, (int)i);
        out->experiment = stmt_i64(st, 9);
        out->created_ms = stmt_i64(st, 10);
        out->updated_ms = stmt_i64(st, 11);
    }
    stmt_end(st);
    return rc;
}

int issue_copy_count(struct ctx *c, int64_t *n) {
    return db_get_i64(c,
                      "SELECT count(*) FROM issue i JOIN experiment e ON e.id = i.experiment_id"
                      " WHERE e.project_id = ?",
                      n, NULL, "i", c->project);
}
