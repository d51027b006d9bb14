/* SPDX-License-Identifier: Apache-2.0 */
/* Whole runs: seven queries for any number of runs. The rows wanted travel as one JSON array that
 * json_each walks in order, so each statement's text is constant and stays prepared. */
#include <inttypes.h>
#include <string.h>

#include "experiment_sweep.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "rows.h"
#include "run.h"

#define EACH "FROM json_each(?) j CROSS JOIN "

struct load {
    struct ctx *c;
    const char *ids;
    struct run *runs;
    size_t n;
    size_t *caps; /* of the list being filled, per run */
};

static void read_info(struct ctx *c, struct stmt *st, int col, struct run_info *i) {
    i->row = stmt_i64(st, col);
    i->run_id = i->run_uuid = stmt_text(c, st, col + 1);
    i->experiment = stmt_i64(st, col + 2);
    i->experiment_id = arena_printf(c->arena, "%" PRId64, i->experiment);
    i->run_name = stmt_text(c, st, col + 3);
    i->user_id = stmt_text(c, st, col + 4);
    i->status = stmt_text(c, st, col + 5);
    i->start_time = SET_I64(stmt_i64(st, col + 6));
    if (!stmt_null(st, col + 7))
        i->end_time = SET_I64(stmt_i64(st, col + 7));
    i->artifact_uri = stmt_text(c, st, col + 8);
    i->lifecycle_stage = stmt_i64(st, col + 9) ? "deleted" : "active";
}

#define INFO                                                                                       \
    "r.id, r.uuid, r.experiment_id, r.name, r.user_id, r.status, r.start_ms, r.end_ms,"            \
    " r.artifact_uri, " RUN_DELETED
#define OF_EXPERIMENT " CROSS JOIN experiment e ON e.id = r.experiment_id"

int run_load_infos(struct ctx *c, const char *rows_json, size_t n, struct run_info *out) {
    struct stmt *st = db_query(
        c, "SELECT j.key, " INFO " " EACH "run r ON r.id = j.value" OF_EXPERIMENT, "s", rows_json);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        if (i < n)
            read_info(c, st, 1, &out[i]);
    }
    stmt_end(st);
    return rc;
}

const char *run_rows_json(struct ctx *c, const int64_t *rows, size_t n) {
    struct buf ids = {0};
    for (size_t i = 0; i < n; i++)
        buf_printf(&ids, "%c%" PRId64, i ? ',' : '[', rows[i]);
    buf_puts(&ids, n ? "]" : "[]");
    const char *text = arena_strndup(c->arena, ids.data, ids.len);
    buf_free(&ids);
    return text;
}

static struct pair *push_pair(struct load *l, struct list *to, size_t i) {
    return list_push(l->c, to, &l->caps[i], sizeof(struct pair));
}

static int load_pairs(struct load *l, const char *sql, bool tags) {
    memset(l->caps, 0, l->n * sizeof *l->caps);
    struct stmt *st = db_query(l->c, sql, "s", l->ids);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        if (i >= l->n)
            continue;
        if ((rc = answer_check(l->c)) != 0)
            break;
        struct run_data *d = l->runs[i].data;
        struct pair *p = push_pair(l, tags ? &d->tags : &d->params, i);
        p->key = stmt_text(l->c, st, 1);
        p->value = stmt_text(l->c, st, 2);
    }
    stmt_end(st);
    return rc;
}

static int load_metrics(struct load *l) {
    memset(l->caps, 0, l->n * sizeof *l->caps);
    struct stmt *st = db_query(l->c,
                               "SELECT j.key, k.name, m.value, m.is_nan, m.time_ms, m.step " EACH
                               "metric_latest m ON m.run_id = j.value"
                               " CROSS JOIN run_key k ON k.id = m.key_id",
                               "s", l->ids);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        if (i >= l->n)
            continue;
        if ((rc = answer_check(l->c)) != 0)
            break;
        struct metric_value *m = list_push(l->c, &l->runs[i].data->metrics, &l->caps[i], sizeof *m);
        m->key = stmt_text(l->c, st, 1);
        m->value = SET_F64(stmt_i64(st, 3) ? __builtin_nan("") : stmt_f64(st, 2));
        m->timestamp = SET_I64(stmt_i64(st, 4));
        m->step = SET_I64(stmt_i64(st, 5));
    }
    stmt_end(st);
    return rc;
}

/* One row per tag of an input, or one with a NULL tag. Rows of one input are neighbours. */
static int load_datasets(struct load *l) {
    memset(l->caps, 0, l->n * sizeof *l->caps);
    struct stmt *st = db_query(
        l->c,
        "SELECT j.key, d.id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile,"
        " t.name, t.value " EACH "run_input i ON i.run_id = j.value"
        " CROSS JOIN run_dataset d ON d.id = i.dataset_id"
        " LEFT JOIN run_input_tag t ON t.run_id = i.run_id AND t.dataset_id = i.dataset_id",
        "s", l->ids);
    int64_t last_run = -1, last_set = -1;
    size_t tag_cap = 0;
    struct dataset_input *in = NULL;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        if (i >= l->n)
            continue;
        if ((rc = answer_check(l->c)) != 0)
            break;
        if (!in || last_run != (int64_t)i || last_set != stmt_i64(st, 1)) {
            last_run = (int64_t)i;
            last_set = stmt_i64(st, 1);
            tag_cap = 0;
            in = list_push(l->c, &l->runs[i].inputs->dataset_inputs, &l->caps[i], sizeof *in);
            struct run_dataset *d = in->dataset = ARENA_NEW(l->c->arena, struct run_dataset);
            d->name = stmt_text(l->c, st, 2);
            d->digest = stmt_text(l->c, st, 3);
            d->source_type = stmt_text(l->c, st, 4);
            d->source = stmt_text(l->c, st, 5);
            d->schema = stmt_text(l->c, st, 6);
            d->profile = stmt_text(l->c, st, 7);
        }
        if (!stmt_null(st, 8)) {
            struct pair *p = list_push(l->c, &in->tags, &tag_cap, sizeof *p);
            p->key = stmt_text(l->c, st, 8);
            p->value = stmt_text(l->c, st, 9);
        }
    }
    stmt_end(st);
    return rc;
}

static int load_models(struct load *l) {
    size_t *out_caps = ARENA_ARRAY(l->c->arena, size_t, l->n);
    memset(l->caps, 0, l->n * sizeof *l->caps);
    struct stmt *st = db_query(l->c,
                               "SELECT j.key, m.output, m.model_uuid, m.step " EACH
                               "run_model m ON m.run_id = j.value",
                               "s", l->ids);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        if (i >= l->n)
            continue;
        if ((rc = answer_check(l->c)) != 0)
            break;
        bool output = stmt_i64(st, 1) != 0;
        struct model_ref *m = NULL;
        if (!output)
            m = list_push(l->c, &l->runs[i].inputs->model_inputs, &l->caps[i], sizeof *m);
        else if (l->runs[i].outputs)
            m = list_push(l->c, &l->runs[i].outputs->model_outputs, &out_caps[i], sizeof *m);
        if (!m)
            continue;
        m->model_id = stmt_text(l->c, st, 2);
        if (output)
            m->step = SET_I64(stmt_i64(st, 3));
    }
    stmt_end(st);
    return rc;
}

int run_load_whole(struct ctx *c, const int64_t *rows, size_t n, bool outputs, struct run *out) {
    if (n == 0)
        return 0;
    struct load l = {.c = c, .ids = run_rows_json(c, rows, n), .runs = out, .n = n};
    struct run_info *infos = ARENA_ARRAY(c->arena, struct run_info, n);
    l.caps = ARENA_ARRAY(c->arena, size_t, n);
    for (size_t i = 0; i < n; i++) {
        out[i].info = &infos[i];
        out[i].data = ARENA_NEW(c->arena, struct run_data);
        out[i].inputs = ARENA_NEW(c->arena, struct run_inputs);
        out[i].outputs = outputs ? ARENA_NEW(c->arena, struct run_outputs) : NULL;
    }
    int rc = run_load_infos(c, l.ids, n, infos);
    if (rc >= 0)
        rc = load_metrics(&l);
    if (rc >= 0)
        rc = load_pairs(&l,
                        "SELECT j.key, k.name, p.value " EACH "run_param p ON p.run_id = j.value"
                        " CROSS JOIN run_key k ON k.id = p.key_id",
                        false);
    if (rc >= 0)
        rc = load_pairs(&l,
                        "SELECT j.key, k.name, t.value " EACH "run_tag t ON t.run_id = j.value"
                        " CROSS JOIN run_key k ON k.id = t.key_id",
                        true);
    if (rc >= 0)
        rc = load_datasets(&l);
    if (rc >= 0)
        rc = load_models(&l);
    return rc < 0 ? rc : 0;
}

int run_load_new(struct ctx *c, int64_t row, struct run *out) {
    *out = (struct run){.data = ARENA_NEW(c->arena, struct run_data),
                        .inputs = ARENA_NEW(c->arena, struct run_inputs)};
    int rc = run_load_info(c, row, &out->info);
    size_t cap = 0;
    struct stmt *st = rc ? NULL
                         : db_query(c,
                                    "SELECT k.name, t.value FROM run_tag t"
                                    " CROSS JOIN run_key k ON k.id = t.key_id WHERE t.run_id = ?",
                                    "i", row);
    while (!rc && (rc = stmt_next(st)) > 0) {
        struct pair *p = list_push(c, &out->data->tags, &cap, sizeof *p);
        p->key = stmt_text(c, st, 0);
        p->value = stmt_text(c, st, 1);
        rc = 0;
    }
    return rc;
}

int run_load_info(struct ctx *c, int64_t row, struct run_info **out) {
    struct stmt *st =
        db_query(c, "SELECT " INFO " FROM run r" OF_EXPERIMENT " WHERE r.id = ?", "i", row);
    int rc = stmt_next(st);
    if (rc > 0) {
        *out = ARENA_NEW(c->arena, struct run_info);
        read_info(c, st, 0, *out);
    }
    stmt_end(st);
    return rc < 0 ? rc : 0;
}
