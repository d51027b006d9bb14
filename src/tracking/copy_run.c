/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "copy_rows.h"
#include "metric.h"
#include "metric_view.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/tracking/copy.h"
#include "run.h"
#include "run_store.h"

#define PIECE 4096 /* points told at once */

/* ------------------------------------------------------------------ in */

static int put_row(struct ctx *c, const struct copy_run *in, struct run_ref *r) {
    int rc = run_find_ref(c, in->id, r);
    if (rc < 0)
        return rc;
    if (rc > 0 && r->experiment != in->experiment)
        return fail(c, ERR_CONFLICT, "Run %s exists here in experiment %lld.", in->id,
                    (long long)r->experiment);
    if (rc == 0) {
        rc = db_exec(c,
                     "INSERT INTO run (id, uuid, experiment_id, name, user_id, status, start_ms,"
                     " artifact_uri) VALUES (" RUN_NEXT_ROW ", ?, ?, '', '', '', 0, '')",
                     "si", in->id, in->experiment);
        if (rc >= 0)
            rc = run_find_ref(c, in->id, r);
        if (rc == 0) /* the id belongs to a run of another project, or the experiment does */
            return fail(c, ERR_CONFLICT, "Run %s cannot be put into experiment %lld.", in->id,
                        (long long)in->experiment);
    }
    if (rc > 0)
        rc =
            db_exec(c,
                    "UPDATE run SET name = ?, user_id = ?, status = ?, start_ms = ?, end_ms = NULL,"
                    " artifact_uri = ?, deleted = ?, deleted_ms = NULL WHERE id = ?",
                    "sssisii", in->name, in->user, in->status, in->start_ms, in->artifact_uri,
                    (int64_t)in->deleted_ms.set, r->row);
    if (rc >= 0 && in->end_ms.set)
        rc = db_exec(c, "UPDATE run SET end_ms = ? WHERE id = ?", "ii", in->end_ms.v, r->row);
    if (rc >= 0 && in->deleted_ms.set)
        rc = db_exec(c, "UPDATE run SET deleted_ms = ? WHERE id = ?", "ii", in->deleted_ms.v,
                     r->row);
    return rc < 0 ? rc : 0;
}

static int put_pairs(struct ctx *c, const struct run_ref *r, const struct pairs *p, bool tags) {
    int rc = db_exec(
        c, tags ? "DELETE FROM run_tag WHERE run_id = ?" : "DELETE FROM run_param WHERE run_id = ?",
        "i", r->row);
    for (size_t i = 0; i < p->n && rc >= 0; i++) {
        int64_t key = 0;
        rc = run_key_ensure(c, r->experiment, p->items[i].key, &key);
        if (rc >= 0)
            rc = db_exec(c,
                         tags ? "INSERT INTO run_tag (run_id, key_id, value) VALUES (?, ?, ?)"
                              : "INSERT INTO run_param (run_id, key_id, value) VALUES (?, ?, ?)",
                         "iis", r->row, key, p->items[i].value);
    }
    return rc;
}

static int put_dataset(struct ctx *c, const struct run_ref *r, const struct copy_dataset *d) {
    int64_t id = 0;
    int rc = db_exec(c,
                     "INSERT INTO run_dataset (experiment_id, name, digest, source_type, source,"
                     " schema, profile) VALUES (?, ?, ?, ?, ?, ?, ?)"
                     " ON CONFLICT (experiment_id, name, digest) DO NOTHING",
                     "issssss", r->experiment, d->name, d->digest, d->source_type, d->source,
                     d->schema, d->profile);
    if (rc >= 0)
        rc = db_get_i64(c,
                        "SELECT id FROM run_dataset WHERE experiment_id = ? AND name = ?"
                        " AND digest = ?",
                        &id, NULL, "iss", r->experiment, d->name, d->digest);
    if (rc >= 0)
        rc = db_exec(c, "INSERT INTO run_input (run_id, dataset_id) VALUES (?, ?)", "ii", r->row,
                     id);
    for (size_t i = 0; i < d->tags.n && rc >= 0; i++)
        rc = db_exec(c,
                     "INSERT INTO run_input_tag (run_id, dataset_id, name, value)"
                     " VALUES (?, ?, ?, ?)",
                     "iiss", r->row, id, d->tags.items[i].key, d->tags.items[i].value);
    return rc;
}

static int put_inputs(struct ctx *c, const struct run_ref *r, const struct copy_run *in) {
    int rc = db_exec(c, "DELETE FROM run_input_tag WHERE run_id = ?", "i", r->row);
    if (rc >= 0)
        rc = db_exec(c, "DELETE FROM run_input WHERE run_id = ?", "i", r->row);
    if (rc >= 0)
        rc = db_exec(c, "DELETE FROM run_model WHERE run_id = ?", "i", r->row);
    for (size_t i = 0; i < in->ndatasets && rc >= 0; i++)
        rc = put_dataset(c, r, &in->datasets[i]);
    for (size_t i = 0; i < in->ninputs + in->noutputs && rc >= 0; i++) {
        bool output = i >= in->ninputs;
        const struct copy_model_use *u = output ? &in->outputs[i - in->ninputs] : &in->inputs[i];
        rc = db_exec(c,
                     "INSERT INTO run_model (run_id, output, model_uuid, step) VALUES (?, ?, ?, ?)",
                     "iisi", r->row, (int64_t)output, u->model_id, u->step);
    }
    return rc;
}

int run_copy_in(struct ctx *c, const struct copy_run *in) {
    struct run_ref r;
    int rc = put_row(c, in, &r);
    if (rc >= 0)
        rc = put_pairs(c, &r, &in->params, false);
    if (rc >= 0)
        rc = put_pairs(c, &r, &in->tags, true);
    if (rc >= 0)
        rc = put_inputs(c, &r, in);
    return rc < 0 ? rc : 0;
}

int run_points_in(struct ctx *c, const char *id, const struct copy_point *p, size_t n) {
    struct run_ref r;
    struct metric_value *m = ARENA_ARRAY(c->arena, struct metric_value, n ? n : 1);
    for (size_t i = 0; i < n; i++)
        m[i] = (struct metric_value){.key = p[i].key,
                                     .value = SET_F64(p[i].is_nan ? NAN : p[i].value),
                                     .timestamp = SET_I64(p[i].time_ms),
                                     .step = SET_I64(p[i].step)};
    int rc = run_find_ref(c, id, &r);
    if (rc == 0)
        return fail(c, ERR_NOT_FOUND, "Run with id=%s not found", id);
    return rc < 0 || !n ? rc : metric_log(c, &r, m, n);
}

/* ------------------------------------------------------------------ out */

#define COLUMNS                                                                                    \
    "r.id, r.uuid, r.experiment_id, r.name, r.user_id, r.status, r.start_ms, r.end_ms,"            \
    " r.artifact_uri, r.deleted, r.deleted_ms FROM run r JOIN experiment e"                        \
    " ON e.id = r.experiment_id WHERE e.project_id = ? AND "

static int read_row(struct ctx *c, struct stmt *st, struct copy_run *out, int64_t *row) {
    int rc = stmt_next(st);
    *out = (struct copy_run){0};
    if (rc > 0) {
        *row = stmt_i64(st, 0);
        out->id = stmt_text(c, st, 1);
        out->experiment = stmt_i64(st, 2);
        out->name = stmt_text(c, st, 3);
        out->user = stmt_text(c, st, 4);
        out->status = stmt_text(c, st, 5);
        out->start_ms = stmt_i64(st, 6);
        if (!stmt_null(st, 7))
            out->end_ms = SET_I64(stmt_i64(st, 7));
        out->artifact_uri = stmt_text(c, st, 8);
        if (stmt_i64(st, 9))
            out->deleted_ms = SET_I64(stmt_i64(st, 10));
    }
    stmt_end(st);
    return rc;
}

static int read_datasets(struct ctx *c, int64_t row, struct copy_run *out) {
    struct stmt *st = db_query(c,
                               "SELECT d.id, d.name, d.digest, d.source_type, d.source, d.schema,"
                               " d.profile FROM run_input i JOIN run_dataset d"
                               " ON d.id = i.dataset_id WHERE i.run_id = ? ORDER BY d.name,"
                               " d.digest",
                               "i", row);
    size_t cap = 0, ids_cap = 0, nids = 0;
    int64_t *ids = NULL;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        out->datasets =
            arena_room(c->arena, out->datasets, out->ndatasets, &cap, sizeof *out->datasets);
        struct copy_dataset *d = &out->datasets[out->ndatasets++];
        ids = arena_room(c->arena, ids, nids, &ids_cap, sizeof *ids);
        ids[nids++] = stmt_i64(st, 0);
        d->name = stmt_text(c, st, 1);
        d->digest = stmt_text(c, st, 2);
        d->source_type = stmt_text(c, st, 3);
        d->source = stmt_text(c, st, 4);
        d->schema = stmt_text(c, st, 5);
        d->profile = stmt_text(c, st, 6);
    }
    stmt_end(st);
    for (size_t i = 0; i < nids && rc >= 0; i++)
        rc = copy_pairs(c,
                        db_query(c,
                                 "SELECT name, value FROM run_input_tag WHERE run_id = ?"
                                 " AND dataset_id = ? ORDER BY name",
                                 "ii", row, ids[i]),
                        &out->datasets[i].tags);
    return rc;
}

static int read_models(struct ctx *c, int64_t row, bool output, struct copy_model_use **to,
                       size_t *n) {
    struct stmt *st = db_query(c,
                               "SELECT model_uuid, step FROM run_model WHERE run_id = ?"
                               " AND output = ? ORDER BY model_uuid",
                               "ii", row, (int64_t)output);
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        *to = arena_room(c->arena, *to, *n, &cap, sizeof **to);
        struct copy_model_use *u = &(*to)[(*n)++];
        u->model_id = stmt_text(c, st, 0);
        u->step = stmt_i64(st, 1);
    }
    stmt_end(st);
    return rc;
}

static int read_rest(struct ctx *c, int64_t row, struct copy_run *out) {
    int rc = copy_pairs(c,
                        db_query(c,
                                 "SELECT k.name, p.value FROM run_param p JOIN run_key k"
                                 " ON k.id = p.key_id WHERE p.run_id = ? ORDER BY k.name",
                                 "i", row),
                        &out->params);
    if (rc >= 0)
        rc = copy_pairs(c,
                        db_query(c,
                                 "SELECT k.name, t.value FROM run_tag t JOIN run_key k"
                                 " ON k.id = t.key_id WHERE t.run_id = ? ORDER BY k.name",
                                 "i", row),
                        &out->tags);
    if (rc >= 0)
        rc = read_datasets(c, row, out);
    if (rc >= 0)
        rc = read_models(c, row, false, &out->inputs, &out->ninputs);
    if (rc >= 0)
        rc = read_models(c, row, true, &out->outputs, &out->noutputs);
    return rc < 0 ? rc : 1;
}

int run_copy_out(struct ctx *c, const char *after, struct copy_run *out) {
    int64_t row = 0;
    int rc = read_row(c,
                      db_query(c, "SELECT " COLUMNS "r.uuid > ? ORDER BY r.uuid LIMIT 1", "is",
                               c->project, after),
                      out, &row);
    return rc > 0 ? read_rest(c, row, out) : rc;
}

int run_copy_get(struct ctx *c, const char *id, struct copy_run *out) {
    int64_t row = 0;
    int rc =
        read_row(c, db_query(c, "SELECT " COLUMNS "r.uuid = ?", "is", c->project, id), out, &row);
    return rc > 0 ? read_rest(c, row, out) : rc;
}

static int tell_series(struct ctx *c, int64_t row, int64_t key, const char *name,
                       copy_points_fn *each, void *arg) {
    struct view v;
    int rc = view_open(c, row, key, &v);
    struct copy_point *piece = ARENA_ARRAY(c->arena, struct copy_point, PIECE);
    struct points *room = view_room(c);
    for (int64_t at = 0; rc >= 0 && at < v.points; at += (int64_t)room->n) {
        room->n = 0;
        rc = view_slice(c, &v, at, PIECE, room);
        if (rc >= 0 && !room->n)
            break;
        for (size_t i = 0; rc >= 0 && i < room->n; i++)
            piece[i] = (struct copy_point){.key = name,
                                           .time_ms = room->items[i].time_ms,
                                           .step = room->items[i].step,
                                           .value = room->items[i].value,
                                           .is_nan = room->items[i].is_nan != 0};
        rc = rc < 0 ? rc : each(arg, piece, room->n);
    }
    return rc < 0 ? rc : 0;
}

int run_points_out(struct ctx *c, const char *id, copy_points_fn *each, void *arg) {
    struct run_ref r;
    int rc = run_find_ref(c, id, &r);
    if (rc == 0)
        return fail(c, ERR_NOT_FOUND, "Run with id=%s not found", id);
    struct stmt *st = rc < 0
                          ? NULL
                          : db_query(c,
                                     "SELECT m.key_id, k.name FROM metric_latest m JOIN run_key k"
                                     " ON k.id = m.key_id WHERE m.run_id = ? ORDER BY k.name",
                                     "i", r.row);
    while (rc >= 0 && (rc = stmt_next(st)) > 0)
        rc = tell_series(c, r.row, stmt_i64(st, 0), stmt_text(c, st, 1), each, arg);
    stmt_end(st);
    return rc;
}
