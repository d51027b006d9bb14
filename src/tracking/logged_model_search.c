/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "key.h"
#include "logged_model.h"
#include "logged_model_token.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/db/filter_sql.h"
#include "rows.h"

#define DEFAULT_RESULTS 50
#define MAX_RESULTS 10000

struct attribute {
    const char *name, *column;
    bool number;
};
static const struct attribute attributes[] = {
    {"name", "m.name", false},
    {"model_id", "m.uuid", false},
    {"model_type", "m.model_type", false},
    {"source_run_id", "m.source_run_uuid", false},
    {"artifact_uri", "m.artifact_uri", false},
    {"status", "m.status", false},
    {"experiment_id", "m.experiment_id", true},
    {"creation_timestamp", "m.created_ms", true},
    {"creation_time", "m.created_ms", true},
    {"creation_timestamp_ms", "m.created_ms", true},
    {"last_updated_timestamp", "m.updated_ms", true},
    {"last_updated_timestamp_ms", "m.updated_ms", true},
};

static const struct attribute *attribute_of(const char *key) {
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        if (!strcmp(attributes[i].name, key))
            return &attributes[i];
    return NULL;
}

/* READY stands for LOGGED_MODEL_READY. */
static const char *status_text(struct ctx *c, const char *text) {
    return !text || str_starts(text, "LOGGED_MODEL_") || strchr(text, '%')
               ? text
               : arena_printf(c->arena, "LOGGED_MODEL_%s", text);
}

static int emit_attribute(struct ctx *c, struct sql *q, const struct filter_clause *f) {
    const struct attribute *a = attribute_of(f->key);
    if (!a)
        return fail_field(c, ERR_INVALID, "filter",
                          "Invalid attribute key '%s' specified. Valid keys are '{'name', "
                          "'model_id', 'model_type', 'source_run_id', 'artifact_uri', 'status', "
                          "'experiment_id', 'creation_timestamp', 'last_updated_timestamp'}'",
                          f->key);
    struct filter_clause id = *f;
    if (!strcmp(a->name, "experiment_id") && f->kind == VALUE_TEXT &&
        str_to_f64(f->text, &id.number)) {
        id.kind = VALUE_NUMBER;
        f = &id;
    }
    int rc = filter_ops_check(c, f, a->number ? OPS_NUMBER : OPS_TEXT | OPS_LIST);
    if (!rc)
        rc = a->number ? filter_number_check(
                             c, f, arena_printf(c->arena, "numeric attribute: %s", a->name))
                       : filter_text_check(c, f, "attribute");
    if (rc)
        return rc;
    struct filter_clause own = *f;
    if (!strcmp(a->name, "status")) {
        own.text = status_text(c, f->text);
        own.items = ARENA_ARRAY(c->arena, const char *, f->n + 1);
        for (size_t i = 0; i < f->n; i++)
            own.items[i] = status_text(c, f->items[i]);
    }
    filter_emit(c, q, a->column, &own);
    return 0;
}

static void emit_datasets(struct ctx *c, struct sql *q, const struct list *datasets) {
    const struct model_dataset *d = datasets->items;
    for (size_t i = 0; i < datasets->n; i++) {
        sql_add(c, q, i ? " OR (x.dataset_name = ?" : " AND ((x.dataset_name = ?", "s",
                d[i].dataset_name);
        if (d[i].dataset_digest && *d[i].dataset_digest)
            sql_add(c, q, " AND x.dataset_digest = ?", "s", d[i].dataset_digest);
        sql_add(c, q, ")", "");
    }
    if (datasets->n)
        sql_add(c, q, ")", "");
}

static int emit_clause(struct ctx *c, struct sql *q, const struct filter_clause *f,
                       const struct list *datasets) {
    const char *e = f->entity;
    if (!e || !strcmp(e, "attributes"))
        return emit_attribute(c, q, f);
    bool metric = !strcmp(e, "metrics"), param = !strcmp(e, "params");
    if (!metric && !param && strcmp(e, "tags") != 0)
        return fail_field(c, ERR_INVALID, "filter",
                          "Invalid entity type: '%s'. Expected one of ['attributes', 'metrics', "
                          "'params', 'tags'].",
                          e);
    int rc = filter_ops_check(c, f, metric ? OPS_NUMBER : OPS_TEXT | OPS_LIST);
    if (!rc)
        rc = metric ? filter_number_check(c, f, "metric")
                    : filter_text_check(c, f, param ? "parameter" : "tag");
    if (rc)
        return rc;
    sql_add(c, q,
            metric  ? "EXISTS (SELECT 1 FROM logged_model_metric x WHERE x.model_id = m.id"
            : param ? "EXISTS (SELECT 1 FROM logged_model_param x WHERE x.model_id = m.id"
                    : "EXISTS (SELECT 1 FROM logged_model_tag x WHERE x.model_id = m.id",
            "");
    sql_add(c, q, " AND x.name = ? AND ", "s", f->key);
    filter_emit(c, q, "x.value", f);
    if (metric)
        emit_datasets(c, q, datasets);
    sql_add(c, q, ")", "");
    return 0;
}

/* The newest point of a key, wanted as NaN-aware sort key: 2 missing, 1 NaN, 0 a number. */
static void emit_metric_order(struct ctx *c, struct sql *q, const struct model_order *o,
                              const char *key, bool up) {
    static const char *const what[] = {"coalesce((SELECT x.is_nan", "(SELECT x.value"};
    for (size_t i = 0; i < 2; i++) {
        sql_add(c, q, what[i], "");
        sql_add(c, q, " FROM logged_model_metric x WHERE x.model_id = m.id AND x.name = ?", "s",
                key);
        if (o->dataset_name && *o->dataset_name)
            sql_add(c, q, " AND x.dataset_name = ?", "s", o->dataset_name);
        if (o->dataset_digest && *o->dataset_digest)
            sql_add(c, q, " AND x.dataset_digest = ?", "s", o->dataset_digest);
        sql_add(c, q, " ORDER BY x.step DESC, x.time_ms DESC, x.value DESC LIMIT 1)", "");
        sql_add(c, q, i == 0 ? ", 2), " : up ? ", " : " DESC, ", "");
    }
}

static int emit_order(struct ctx *c, struct sql *q, const struct list *order) {
    const struct model_order *o = order->items;
    bool created = false;
    sql_add(c, q, " ORDER BY ", "");
    for (size_t i = 0; i < order->n; i++) {
        bool up = !o[i].ascending.set || o[i].ascending.v;
        const char *dot = strchr(o[i].field_name, '.');
        if (dot && str_starts(o[i].field_name, "metrics.")) {
            emit_metric_order(c, q, &o[i], dot + 1, up);
            continue;
        }
        const struct attribute *a = attribute_of(o[i].field_name);
        if (!a)
            return fail_field(c, ERR_INVALID, "order_by", "Invalid order by field name: %s%s",
                              o[i].field_name, dot ? ". Only metrics are supported." : "");
        if ((o[i].dataset_name && *o[i].dataset_name) ||
            (o[i].dataset_digest && *o[i].dataset_digest))
            return fail_field(c, ERR_INVALID, "order_by",
                              "dataset_name and dataset_digest can only be given for metrics, not "
                              "for %s",
                              o[i].field_name);
        sql_add(c, q, a->column, "");
        sql_add(c, q, up ? ", " : " DESC, ", "");
        created |= !strcmp(a->column, "m.created_ms");
    }
    sql_add(c, q, created ? "m.uuid" : "m.created_ms DESC, m.uuid", "");
    return 0;
}

static int read_page(struct ctx *c, struct sql *q, const struct logged_model_search *in,
                     int64_t limit, int64_t offset, struct logged_model_page *out) {
    size_t cap = 0;
    sql_add(c, q, " LIMIT ? OFFSET ?", "ii", limit + 1, offset);
    struct stmt *st = sql_query(c, q);
    int rc;
    while ((rc = stmt_next(st)) > 0)
        logged_model_row(c, st, list_push(c, &out->models, &cap, sizeof(struct logged_model)));
    if (rc >= 0 && out->models.n > (size_t)limit) {
        out->models.n = (size_t)limit;
        out->next_page_token = logged_model_token(c, in, offset + limit);
    }
    return rc < 0 ? rc : logged_model_fill(c, out->models.items, out->models.n);
}

int logged_model_search(struct ctx *c, const struct logged_model_search *in,
                        struct logged_model_page *out) {
    struct filter f;
    struct sql q;
    int64_t offset = 0, limit = in->max_results.v > 0 ? in->max_results.v : DEFAULT_RESULTS;
    if (limit > MAX_RESULTS)
        limit = MAX_RESULTS;
    int rc = logged_model_token_read(c, in, &offset);
    if (!rc)
        rc = filter_parse(c, in->filter, &f);
    if (!rc)
        rc = filter_size_check(c, f.n + in->datasets.n, in->order_by.n, in->experiment_ids.n);
    if (rc)
        return rc;
    int64_t *ids = ARENA_ARRAY(c->arena, int64_t, in->experiment_ids.n + 1);
    for (size_t i = 0; i < in->experiment_ids.n; i++) {
        long long id = 0;
        rc = experiment_number(c, in->experiment_ids.items[i], &id);
        if (rc)
            return rc;
        ids[i] = id;
    }
    sql_begin(c, &q);
    sql_add(c, &q,
            "SELECT " LOGGED_MODEL_COLUMNS " FROM logged_model m JOIN experiment e"
            " ON e.id = m.experiment_id WHERE e.project_id = ? AND m.deleted = 0"
            " AND m.experiment_id",
            "i", c->project);
    filter_emit_ids(c, &q, ids, in->experiment_ids.n);
    rc = access_object_filter(c, OBJECT_EXPERIMENT, "m.experiment_id", &q);
    for (size_t i = 0; !rc && i < f.n; i++) {
        sql_add(c, &q, " AND ", "");
        rc = emit_clause(c, &q, &f.clauses[i], &in->datasets);
    }
    if (!rc)
        rc = emit_order(c, &q, &in->order_by);
    return rc ? rc : read_page(c, &q, in, limit, offset, out);
}
