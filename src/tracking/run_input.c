/* SPDX-License-Identifier: Apache-2.0 */
#include "run_input.h"

#include <inttypes.h>

#include "key.h"
#include "logged_model.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/db/filter_sql.h"
#include "rows.h"
#include "run.h"
#include "run_lineage.h"

#define SUMMARY_EXPERIMENTS 20
#define SUMMARY_ROWS 1000

static int dataset_check(struct ctx *c, const struct dataset_input *d) {
    const struct pair *t = d->tags.items;
    int rc = items_check(c, "tags", d->tags.n);
    if (!rc)
        rc = text_limit(c, "name", d->dataset->name, 500);
    if (!rc)
        rc = text_limit(c, "digest", d->dataset->digest, 36);
    if (!rc)
        rc = text_limit(c, "source", d->dataset->source, 65535);
    if (!rc)
        rc = text_limit(c, "schema", d->dataset->schema, 1048575);
    if (!rc)
        rc = text_limit(c, "profile", d->dataset->profile, 16777215);
    for (size_t i = 0; !rc && i < d->tags.n; i++) {
        rc = text_limit(c, "key", t[i].key, 255);
        if (!rc)
            rc = text_limit(c, "value", t[i].value, 500);
    }
    return rc;
}

static int dataset_ensure(struct ctx *c, int64_t experiment, const struct run_dataset *d,
                          int64_t *id) {
    bool found = false;
    int rc = db_get_i64(c,
                        "SELECT id FROM run_dataset WHERE experiment_id = ? AND name = ?"
                        " AND digest = ?",
                        id, &found, "iss", experiment, d->name, d->digest);
    if (rc < 0 || found)
        return rc;
    rc =
        db_exec(c,
                "INSERT INTO run_dataset (experiment_id, name, digest, source_type, source, schema,"
                " profile) VALUES (?, ?, ?, ?, ?, ?, ?)",
                "issssss", experiment, d->name, d->digest, d->source_type, d->source, d->schema,
                d->profile);
    if (rc >= 0)
        *id = db_last_id(c);
    return rc;
}

static int use_dataset(struct ctx *c, const struct run_ref *r, const struct dataset_input *d) {
    int64_t id = 0;
    int rc = dataset_ensure(c, r->experiment, d->dataset, &id);
    if (rc >= 0)
        rc = db_exec(c,
                     "INSERT INTO run_input (run_id, dataset_id) VALUES (?, ?)"
                     " ON CONFLICT DO NOTHING",
                     "ii", r->row, id);
    if (rc < 0)
        return rc;
    if (db_changes(c) == 0) /* the use is known: its tags stay as they are */
        return 0;
    const struct pair *t = d->tags.items;
    for (size_t i = 0; rc >= 0 && i < d->tags.n; i++)
        rc = db_exec(c,
                     "INSERT INTO run_input_tag (run_id, dataset_id, name, value)"
                     " VALUES (?, ?, ?, ?) ON CONFLICT (run_id, dataset_id, name)"
                     " DO UPDATE SET value = excluded.value",
                     "iiss", r->row, id, t[i].key, t[i].value ? t[i].value : "");
    return rc < 0 ? rc : run_used_dataset(c, r, d->dataset->name, d->dataset->digest);
}

static int put_model(struct ctx *c, const struct run_ref *r, bool output, const char *model_id,
                     int64_t step) {
    int rc = db_exec(c,
                     "INSERT INTO run_model (run_id, output, model_uuid, step) VALUES (?, ?, ?, ?)"
                     " ON CONFLICT (run_id, output, model_uuid) DO UPDATE SET step = excluded.step",
                     "iisi", r->row, (int64_t)output, model_id, step);
    return rc < 0 ? rc : 0;
}

int run_log_inputs(struct ctx *c, const struct inputs_wish *in) {
    struct run_ref r;
    const struct dataset_input *d = in->datasets.items;
    const struct model_ref *m = in->models.items;
    int rc = items_check(c, "datasets", in->datasets.n);
    if (!rc)
        rc = items_check(c, "models", in->models.n);
    if (!rc)
        rc = run_id_check(c, in->run_id);
    for (size_t i = 0; !rc && i < in->datasets.n; i++)
        rc = dataset_check(c, &d[i]);
    if (!rc)
        rc = run_for_write(c, in->run_id, &r);
    for (size_t i = 0; !rc && i < in->datasets.n; i++)
        rc = use_dataset(c, &r, &d[i]);
    for (size_t i = 0; !rc && i < in->models.n; i++) {
        rc = put_model(c, &r, false, m[i].model_id, 0);
        if (!rc)
            rc = run_used_model(c, &r, m[i].model_id);
    }
    return rc;
}

int run_log_outputs(struct ctx *c, const struct outputs_wish *in) {
    struct run_ref r;
    const struct model_ref *m = in->models.items;
    int rc = items_check(c, "models", in->models.n);
    if (!rc)
        rc = run_for_write(c, in->run_id, &r);
    for (size_t i = 0; !rc && i < in->models.n; i++) {
        rc = logged_model_claim(c, m[i].model_id);
        if (!rc)
            rc = put_model(c, &r, true, m[i].model_id, m[i].step.v);
        if (!rc)
            rc = run_made_model(c, r.uuid, m[i].model_id, NULL);
    }
    return rc;
}

int dataset_search(struct ctx *c, const struct strs *experiment_ids, struct list *out) {
    int64_t ids[SUMMARY_EXPERIMENTS];
    if (experiment_ids->n == 0)
        return fail_field(c, ERR_INVALID, "experiment_ids",
                          "SearchDatasets request must specify at least one experiment_id.");
    if (experiment_ids->n > SUMMARY_EXPERIMENTS)
        return fail_field(c, ERR_INVALID, "experiment_ids",
                          "SearchDatasets request cannot specify more than %d experiment_ids. "
                          "Received %zu experiment_ids.",
                          SUMMARY_EXPERIMENTS, experiment_ids->n);
    for (size_t i = 0; i < experiment_ids->n; i++) {
        long long id = 0;
        int rc = experiment_number(c, experiment_ids->items[i], &id);
        if (rc)
            return rc;
        ids[i] = id;
    }
    struct sql q;
    size_t cap = 0;
    sql_begin(c, &q);
    sql_add(c, &q,
            "SELECT DISTINCT d.experiment_id, d.name, d.digest, t.value FROM run_dataset d"
            " JOIN experiment e ON e.id = d.experiment_id JOIN run_input i ON i.dataset_id = d.id"
            " JOIN run r ON r.id = i.run_id AND r.deleted = 0"
            " LEFT JOIN run_input_tag t ON t.run_id = i.run_id AND t.dataset_id = i.dataset_id"
            " AND t.name = 'mlflow.data.context' WHERE e.project_id = ? AND d.experiment_id",
            "i", c->project);
    filter_emit_ids(c, &q, ids, experiment_ids->n);
    (void)access_object_filter(c, OBJECT_EXPERIMENT, "d.experiment_id", &q);
    sql_add(c, &q, " LIMIT ?", "i", (int64_t)SUMMARY_ROWS);
    struct stmt *st = sql_query(c, &q);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct dataset_summary *s = list_push(c, out, &cap, sizeof *s);
        s->experiment_id = arena_printf(c->arena, "%" PRId64, stmt_i64(st, 0));
        s->name = stmt_text(c, st, 1);
        s->digest = stmt_text(c, st, 2);
        s->context = stmt_text(c, st, 3);
    }
    return rc;
}
