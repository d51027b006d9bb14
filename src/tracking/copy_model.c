/* SPDX-License-Identifier: Apache-2.0 */
#include "copy_rows.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/tracking/copy.h"

static int put_row(struct ctx *c, const struct copy_model *in, int64_t *row) {
    int64_t experiment = 0;
    bool there = false, ours = false;
    int rc = db_get_i64(c, "SELECT 1 FROM experiment WHERE id = ? AND project_id = ?", &experiment,
                        &ours, "ii", in->experiment, c->project);
    if (rc == 0 && !ours)
        return fail(c, ERR_CONFLICT, "Logged model %s cannot be put into experiment %lld.", in->id,
                    (long long)in->experiment);
    if (rc == 0)
        rc = db_get_i64(c, "SELECT experiment_id FROM logged_model WHERE uuid = ?", &experiment,
                        &there, "s", in->id);
    if (rc == 0 && there && experiment != in->experiment)
        return fail(c, ERR_CONFLICT, "Logged model %s exists here in experiment %lld.", in->id,
                    (long long)experiment);
    if (rc == 0)
        rc =
            db_exec(c,
                    "INSERT INTO logged_model (uuid, experiment_id, name, artifact_uri, status,"
                    " model_type, source_run_uuid, created_ms, updated_ms, deleted)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uuid) DO UPDATE SET"
                    " name = excluded.name, artifact_uri = excluded.artifact_uri,"
                    " status = excluded.status, model_type = excluded.model_type,"
                    " source_run_uuid = excluded.source_run_uuid,"
                    " created_ms = excluded.created_ms, updated_ms = excluded.updated_ms,"
                    " deleted = excluded.deleted",
                    "sisssssiii", in->id, in->experiment, in->name, in->artifact_uri, in->status,
                    in->type, in->source_run, in->created_ms, in->updated_ms, (int64_t)in->deleted);
    return rc < 0 ? rc
                  : db_get_i64(c, "SELECT id FROM logged_model WHERE uuid = ?", row, NULL, "s",
                               in->id);
}

static int put_measure(struct ctx *c, int64_t row, const struct copy_measure *m) {
    return db_exec(
        c,
        "INSERT INTO logged_model_metric (model_id, name, time_ms, step, run_uuid, value,"
        " is_nan, dataset_name, dataset_digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "isiisdiss", row, m->key, m->time_ms, m->step, m->run_id, m->value, (int64_t)m->is_nan,
        m->dataset_name, m->dataset_digest);
}

int model_copy_in(struct ctx *c, const struct copy_model *in) {
    int64_t row = 0;
    int rc = put_row(c, in, &row);
    if (rc >= 0)
        rc = db_exec(c, "DELETE FROM logged_model_param WHERE model_id = ?", "i", row);
    if (rc >= 0)
        rc = db_exec(c, "DELETE FROM logged_model_tag WHERE model_id = ?", "i", row);
    if (rc >= 0)
        rc = db_exec(c, "DELETE FROM logged_model_metric WHERE model_id = ?", "i", row);
    for (size_t i = 0; i < in->params.n && rc >= 0; i++)
        rc = db_exec(c, "INSERT INTO logged_model_param (model_id, name, value) VALUES (?, ?, ?)",
                     "iss", row, in->params.items[i].key, in->params.items[i].value);
    for (size_t i = 0; i < in->tags.n && rc >= 0; i++)
        rc = db_exec(c, "INSERT INTO logged_model_tag (model_id, name, value) VALUES (?, ?, ?)",
                     "iss", row, in->tags.items[i].key, in->tags.items[i].value);
    for (size_t i = 0; i < in->nmeasures && rc >= 0; i++)
        rc = put_measure(c, row, &in->measures[i]);
    return rc < 0 ? rc : 0;
}

#define COLUMNS                                                                                    \
    "m.id, m.uuid, m.experiment_id, m.name, m.artifact_uri, m.status, m.model_type,"               \
    " m.source_run_uuid, m.created_ms, m.updated_ms, m.deleted FROM logged_model m"                \
    " JOIN experiment e ON e.id = m.experiment_id WHERE e.project_id = ? AND "

static int read_row(struct ctx *c, struct stmt *st, struct copy_model *out, int64_t *row) {
    int rc = stmt_next(st);
    *out = (struct copy_model){0};
    if (rc > 0) {
        *row = stmt_i64(st, 0);
        out->id = stmt_text(c, st, 1);
        out->experiment = stmt_i64(st, 2);
        out->name = stmt_text(c, st, 3);
        out->artifact_uri = stmt_text(c, st, 4);
        out->status = stmt_text(c, st, 5);
        out->type = stmt_text(c, st, 6);
        out->source_run = stmt_text(c, st, 7);
        out->created_ms = stmt_i64(st, 8);
        out->updated_ms = stmt_i64(st, 9);
        out->deleted = stmt_i64(st, 10) != 0;
    }
    stmt_end(st);
    return rc;
}

static int read_measures(struct ctx *c, int64_t row, struct copy_model *out) {
    struct stmt *st = db_query(c,
                               "SELECT name, run_uuid, dataset_name, dataset_digest, time_ms, step,"
                               " value, is_nan FROM logged_model_metric WHERE model_id = ?"
                               " ORDER BY name, time_ms, step, run_uuid",
                               "i", row);
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        out->measures =
            arena_room(c->arena, out->measures, out->nmeasures, &cap, sizeof *out->measures);
        struct copy_measure *m = &out->measures[out->nmeasures++];
        m->key = stmt_text(c, st, 0);
        m->run_id = stmt_text(c, st, 1);
        m->dataset_name = stmt_text(c, st, 2);
        m->dataset_digest = stmt_text(c, st, 3);
        m->time_ms = stmt_i64(st, 4);
        m->step = stmt_i64(st, 5);
        m->value = stmt_f64(st, 6);
        m->is_nan = stmt_i64(st, 7) != 0;
    }
    stmt_end(st);
    return rc;
}

static int read_rest(struct ctx *c, int64_t row, struct copy_model *out) {
    int rc = copy_pairs(c,
                        db_query(c,
                                 "SELECT name, value FROM logged_model_param WHERE model_id = ?"
                                 " ORDER BY name",
                                 "i", row),
                        &out->params);
    if (rc >= 0)
        rc = copy_pairs(c,
                        db_query(c,
                                 "SELECT name, value FROM logged_model_tag WHERE model_id = ?"
                                 " ORDER BY name",
                                 "i", row),
                        &out->tags);
    if (rc >= 0)
        rc = read_measures(c, row, out);
    return rc < 0 ? rc : 1;
}

int model_copy_out(struct ctx *c, const char *after, struct copy_model *out) {
    int64_t row = 0;
    int rc = read_row(c,
                      db_query(c, "SELECT " COLUMNS "m.uuid > ? ORDER BY m.uuid LIMIT 1", "is",
                               c->project, after),
                      out, &row);
    return rc > 0 ? read_rest(c, row, out) : rc;
}

int model_copy_get(struct ctx *c, const char *id, struct copy_model *out) {
    int64_t row = 0;
    int rc =
        read_row(c, db_query(c, "SELECT " COLUMNS "m.uuid = ?", "is", c->project, id), out, &row);
    return rc > 0 ? read_rest(c, row, out) : rc;
}
