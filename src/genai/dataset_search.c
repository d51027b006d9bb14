/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "dataset.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/filter.h"
#include "quern/db/db.h"
#include "quern/db/filter_sql.h"

static const struct key {
    const char *name, *column;
    bool number, orders;
    unsigned ops;
} keys[] = {{"name", "d.name", false, true, OPS_TEXT | 1u << OP_IN},
            {"created_time", "d.created_ms", true, true, OPS_NUMBER},
            {"last_update_time", "d.updated_ms", true, true, OPS_NUMBER},
            {"created_by", "d.created_by", false, false, OPS_TEXT},
            {"last_updated_by", "d.updated_by", false, false, OPS_TEXT}};

static const struct key *find_key(const char *name) {
    const struct key *out = NULL;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        out = str_eq(keys[i].name, name) ? &keys[i] : out;
    return out;
}

static int no_key(struct ctx *c, const char *field, const char *name, bool orders) {
    const char *valid = "";
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (keys[i].orders || !orders)
            valid = arena_printf(c->arena, "%s%s'%s'", valid, *valid ? ", " : "", keys[i].name);
    return fail_field(c, ERR_INVALID, field,
                      "Invalid attribute key '%s' specified. Valid keys are: {%s}", name, valid);
}

static int no_entity(struct ctx *c, const char *field, const char *entity) {
    return fail_field(c, ERR_INVALID, field, "Invalid identifier token '%s' specified", entity);
}

static int add_attribute(struct ctx *c, struct sql *q, const struct filter_clause *k) {
    const struct key *key = find_key(k->key);
    if (!key)
        return no_key(c, "filter_string", k->key, false);
    if (!(key->ops & 1u << k->op))
        return fail_field(c, ERR_INVALID, "filter_string",
                          "Invalid comparator for %s attribute: %s",
                          key->number ? "numeric" : "string", filter_op_text(k->op));
    if (key->number && (k->kind != VALUE_NUMBER || strpbrk(k->text, ".eE")))
        return fail_field(c, ERR_INVALID, "filter_string",
                          "Invalid value for numeric attribute '%s': '%s'", k->key,
                          k->text ? k->text : "a list");
    int rc = key->number ? 0 : filter_text_check(c, k, k->key);
    sql_add(c, q, " AND ", "");
    filter_emit(c, q, key->column, k);
    return rc;
}

static int add_tag(struct ctx *c, struct sql *q, const struct filter_clause *k) {
    if (!(OPS_TEXT & 1u << k->op))
        return fail_field(c, ERR_INVALID, "filter_string", "Invalid comparator for tag: %s",
                          filter_op_text(k->op));
    int rc = filter_text_check(c, k, "tag");
    sql_add(c, q,
            " AND EXISTS (SELECT 1 FROM evaluation_dataset_tag t WHERE t.dataset = d.id"
            " AND t.key = ? AND ",
            "s", k->key);
    filter_emit(c, q, "t.value", k);
    sql_add(c, q, ")", "");
    return rc;
}

static int add_filter(struct ctx *c, struct sql *q, const struct evaluation_search *s) {
    struct filter f;
    int rc = filter_parse(c, s->filter, &f);
    rc = rc ? rc : filter_size_check(c, f.n, s->order_by.n, s->experiments.n);
    for (size_t i = 0; rc == 0 && i < f.n; i++) {
        const struct filter_clause *k = &f.clauses[i];
        rc = !k->entity                  ? add_attribute(c, q, k)
             : str_eq(k->entity, "tags") ? add_tag(c, q, k)
                                         : no_entity(c, "filter_string", k->entity);
    }
    return rc;
}

static int add_order(struct ctx *c, struct sql *q, const struct strs *order_by) {
    sql_add(c, q, " ORDER BY ", "");
    for (size_t i = 0; i < order_by->n; i++) {
        struct order_term t;
        int rc = order_parse(c, order_by->items[i], &t);
        if (rc != 0)
            return rc;
        const struct key *key = find_key(t.key);
        if (t.entity)
            return no_entity(c, "order_by", t.entity);
        if (!key || !key->orders)
            return no_key(c, "order_by", t.key, true);
        sql_add(c, q, key->column, "");
        sql_add(c, q, t.desc ? " DESC, " : ", ", "");
    }
    sql_add(c, q, order_by->n ? "d.dataset_id DESC" : "d.created_ms DESC, d.dataset_id DESC", "");
    return 0;
}

/* What has an experiment that the caller may not read is left out; what has none is of the
 * project. */
static int add_readable(struct ctx *c, struct sql *q) {
    bool rest = false, orphans = false;
    int rc = access_object_allows(c, OBJECT_EXPERIMENT, -1, OBJECT_READ, &rest);
    rc = rc ? rc : access_object_allows(c, OBJECT_EXPERIMENT, -1, OBJECT_MANAGE, &orphans);
    sql_add(c, q,
            " AND NOT EXISTS (SELECT 1 FROM evaluation_dataset_experiment x WHERE x.dataset = d.id"
            " AND NOT (1",
            "");
    rc = rc ? rc : access_object_filter(c, OBJECT_EXPERIMENT, "x.experiment_id", q);
    sql_add(c, q, "))", "");
    if (!rest)
        sql_add(c, q,
                " AND EXISTS (SELECT 1 FROM evaluation_dataset_experiment x"
                " WHERE x.dataset = d.id)",
                "");
    if (!orphans)
        sql_add(c, q, " AND d.orphan = 0", "");
    return rc;
}

static void add_experiments(struct ctx *c, struct sql *q, const struct strs *experiments) {
    int64_t *ids = ARENA_ARRAY(c->arena, int64_t, experiments->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < experiments->n; i++)
        n += str_to_i64(experiments->items[i], &ids[n]) ? 1 : 0;
    sql_add(c, q,
            " AND d.id IN (SELECT x.dataset FROM evaluation_dataset_experiment x"
            " WHERE x.experiment_id",
            "");
    filter_emit_ids(c, q, ids, n);
    sql_add(c, q, ")", "");
}

int evaluation_search(struct ctx *c, const struct evaluation_search *s,
                      struct evaluation_datasets *out) {
    struct sql q;
    sql_begin(c, &q);
    sql_add(c, &q,
            "SELECT " DATASET_COLUMNS " FROM evaluation_dataset d"
            " WHERE d.project_id = ? AND d.gone = 0",
            "i", c->project);
    if (s->experiments.n)
        add_experiments(c, &q, &s->experiments);
    int rc = add_readable(c, &q);
    rc = rc ? rc : add_filter(c, &q, s);
    rc = rc ? rc : add_order(c, &q, &s->order_by);
    if (rc != 0)
        return rc;
    sql_add(c, &q, " LIMIT ? OFFSET ?", "ii", s->limit + 1, s->offset);
    struct stmt *st = sql_query(c, &q);
    size_t bytes = 0;
    while ((rc = stmt_next(st)) > 0) {
        out->more = (int64_t)out->n == s->limit || bytes > DATASET_PAGE_MAX;
        if (out->more)
            break;
        struct evaluation_dataset *d =
            arena_push(c->arena, (void **)&out->items, &out->n, &out->cap, sizeof *out->items);
        evaluation_read(c, st, d);
        bytes += d->schema ? strlen(d->schema) : 0;
    }
    stmt_end(st);
    return rc < 0 ? rc : 0;
}
