/* SPDX-License-Identifier: Apache-2.0 */
#include "logged_model_store.h"

#include <inttypes.h>
#include <string.h>

#include "metric_store.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "rows.h"

void logged_model_row(struct ctx *c, struct stmt *st, struct logged_model *m) {
    struct logged_model_facts *f = m->info = ARENA_NEW(c->arena, struct logged_model_facts);
    m->data = ARENA_NEW(c->arena, struct logged_model_data);
    f->row = stmt_i64(st, 0);
    f->model_id = stmt_text(c, st, 1);
    f->experiment = stmt_i64(st, 2);
    f->experiment_id = arena_printf(c->arena, "%" PRId64, f->experiment);
    f->name = stmt_text(c, st, 3);
    f->artifact_uri = stmt_text(c, st, 4);
    f->status = stmt_text(c, st, 5);
    f->model_type = stmt_text(c, st, 6);
    f->source_run_id = stmt_text(c, st, 7);
    f->creation_timestamp_ms = SET_I64(stmt_i64(st, 8));
    f->last_updated_timestamp_ms = SET_I64(stmt_i64(st, 9));
    f->deleted = stmt_i64(st, 10) != 0;
}

static int one(struct ctx *c, struct stmt *st, struct logged_model *m) {
    int rc = stmt_next(st);
    if (rc > 0)
        logged_model_row(c, st, m);
    stmt_end(st);
    return rc;
}

#define FROM_MODEL                                                                                 \
    "SELECT " LOGGED_MODEL_COLUMNS " FROM logged_model m"                                          \
    " JOIN experiment e ON e.id = m.experiment_id WHERE e.project_id = ? AND "

int logged_model_find(struct ctx *c, const char *model_id, struct logged_model *m) {
    return one(c, db_query(c, FROM_MODEL "m.uuid = ?", "is", c->project, model_id), m);
}

int logged_model_newest(struct ctx *c, const char *run_id, const char *name,
                        struct logged_model *m) {
    return one(c,
               db_query(c,
                        FROM_MODEL
                        "m.source_run_uuid = ? AND m.deleted = 0"
                        " AND m.status = 'LOGGED_MODEL_READY' AND (? IS NULL OR m.name = ?)"
                        " ORDER BY m.created_ms DESC, m.id DESC LIMIT 1",
                        "isss", c->project, run_id, name, name),
               m);
}

struct filling {
    struct ctx *c;
    const char *ids; /* a JSON array that json_each walks in order */
    struct logged_model *models;
    size_t n;
    size_t *caps; /* of the list being filled, per model */
};

static int fill_pairs(struct filling *f, const char *sql, bool tags) {
    memset(f->caps, 0, f->n * sizeof *f->caps);
    struct stmt *st = db_query(f->c, sql, "s", f->ids);
    int rc;
    while ((rc = stmt_next(st)) > 0 && (rc = answer_check(f->c)) == 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        struct logged_model *m = &f->models[i];
        struct pair *p =
            list_push(f->c, tags ? &m->info->tags : &m->data->params, &f->caps[i], sizeof *p);
        p->key = stmt_text(f->c, st, 1);
        p->value = stmt_text(f->c, st, 2);
    }
    stmt_end(st);
    return rc;
}

static int fill_points(struct filling *f) {
    memset(f->caps, 0, f->n * sizeof *f->caps);
    struct stmt *st = db_query(f->c,
                               "SELECT j.key, p.name, p.value, p.is_nan, p.time_ms, p.step,"
                               " p.run_uuid, p.dataset_name, p.dataset_digest FROM json_each(?) j"
                               " CROSS JOIN logged_model_metric p ON p.model_id = j.value",
                               "s", f->ids);
    int rc;
    while ((rc = stmt_next(st)) > 0 && (rc = answer_check(f->c)) == 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        struct logged_model *m = &f->models[i];
        struct metric_value *v = list_push(f->c, &m->data->metrics, &f->caps[i], sizeof *v);
        v->key = stmt_text(f->c, st, 1);
        v->value = SET_F64(stmt_i64(st, 3) ? __builtin_nan("") : stmt_f64(st, 2));
        v->timestamp = SET_I64(stmt_i64(st, 4));
        v->step = SET_I64(stmt_i64(st, 5));
        v->run_id = stmt_text(f->c, st, 6);
        v->model_id = m->info->model_id;
        const char *name = stmt_text(f->c, st, 7), *digest = stmt_text(f->c, st, 8);
        v->dataset_name = *name ? name : NULL;
        v->dataset_digest = *digest ? digest : NULL;
    }
    stmt_end(st);
    return rc;
}

int logged_model_fill(struct ctx *c, struct logged_model *models, size_t n) {
    if (n == 0)
        return 0;
    struct buf ids = {0};
    for (size_t i = 0; i < n; i++)
        buf_printf(&ids, "%c%" PRId64, i ? ',' : '[', models[i].info->row);
    buf_putc(&ids, ']');
    struct filling f = {
        .c = c, .ids = arena_strndup(c->arena, ids.data, ids.len), .models = models, .n = n};
    buf_free(&ids);
    f.caps = ARENA_ARRAY(c->arena, size_t, n);
    int rc = fill_pairs(&f,
                        "SELECT j.key, t.name, t.value FROM json_each(?) j"
                        " CROSS JOIN logged_model_tag t ON t.model_id = j.value",
                        true);
    if (rc >= 0)
        rc = fill_pairs(&f,
                        "SELECT j.key, p.name, p.value FROM json_each(?) j"
                        " CROSS JOIN logged_model_param p ON p.model_id = j.value",
                        false);
    if (rc >= 0)
        rc = fill_points(&f);
    return rc < 0 ? rc : 0;
}

int logged_model_read_tag(struct ctx *c, int64_t row, const char *key, char **value) {
    return db_get_text(c, "SELECT value FROM logged_model_tag WHERE model_id = ? AND name = ?",
                       value, "is", row, key);
}

int logged_model_insert(struct ctx *c, const struct logged_model_facts *f, int64_t *row) {
    int rc = db_exec(c,
                     "INSERT INTO logged_model (uuid, experiment_id, name, artifact_uri, status,"
                     " model_type, source_run_uuid, created_ms, updated_ms)"
                     " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     "sisssssii", f->model_id, f->experiment, f->name, f->artifact_uri, f->status,
                     f->model_type, f->source_run_id, c->now_ms, c->now_ms);
    if (rc >= 0)
        *row = db_last_id(c);
    return rc < 0 ? rc : 0;
}

int logged_model_write_status(struct ctx *c, int64_t row, const char *status) {
    return db_exec(c, "UPDATE logged_model SET status = ?, updated_ms = ? WHERE id = ?", "sii",
                   status, c->now_ms, row);
}

int logged_model_write_deleted(struct ctx *c, int64_t row) {
    return db_exec(c, "UPDATE logged_model SET deleted = 1, updated_ms = ? WHERE id = ?", "ii",
                   c->now_ms, row);
}

int logged_model_write_tag(struct ctx *c, int64_t row, const char *key, const char *value) {
    return db_exec(c,
                   "INSERT INTO logged_model_tag (model_id, name, value) VALUES (?, ?, ?)"
                   " ON CONFLICT (model_id, name) DO UPDATE SET value = excluded.value",
                   "iss", row, key, value);
}

int logged_model_erase_tag(struct ctx *c, int64_t row, const char *key, bool *was) {
    int rc =
        db_exec(c, "DELETE FROM logged_model_tag WHERE model_id = ? AND name = ?", "is", row, key);
    *was = rc >= 0 && db_changes(c) > 0;
    return rc;
}

int logged_model_write_param(struct ctx *c, int64_t row, const char *key, const char *value) {
    return db_exec(c,
                   "INSERT INTO logged_model_param (model_id, name, value) VALUES (?, ?, ?)"
                   " ON CONFLICT DO NOTHING",
                   "iss", row, key, value);
}

int logged_model_write_point(struct ctx *c, int64_t row, const char *run_id,
                             const struct metric_value *m, const struct point *p) {
    return db_exec(
        c,
        "INSERT INTO logged_model_metric (model_id, name, time_ms, step, run_uuid, value,"
        " is_nan, dataset_name, dataset_digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (model_id, name, time_ms, step, run_uuid) DO UPDATE"
        " SET value = excluded.value, is_nan = excluded.is_nan,"
        " dataset_name = excluded.dataset_name, dataset_digest = excluded.dataset_digest",
        "isiisdiss", row, m->key, p->time_ms, p->step, run_id, p->value, p->is_nan,
        m->dataset_name ? m->dataset_name : "", m->dataset_digest ? m->dataset_digest : "");
}
