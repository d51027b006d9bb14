/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "experiment.h"
#include "experiment_store.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/db/db.h"
#include "quern/db/filter_sql.h"

#define DEFAULT_RESULTS 1000
#define MAX_RESULTS 50000

static int emit_attribute(struct ctx *c, struct sql *q, const struct filter_clause *f) {
    int bad = filter_null_check(c, f, "tags", "attribute");
    if (bad)
        return bad;
    bool name = !strcmp(f->key, "name");
    if (name || !strcmp(f->key, "experiment_id")) {
        if (name && f->kind == VALUE_LIST)
            return fail_field(c, ERR_INVALID, "filter",
                              "Only 'experiment_id' attributes support comparison with a list of "
                              "quoted string values.");
        int rc = filter_ops_check(c, f, OPS_TEXT | OPS_LIST);
        if (!rc)
            rc = filter_text_check(c, f, "attributes");
        if (!rc)
            filter_emit(c, q, name ? "e.name" : "CAST(e.id AS TEXT)", f);
        return rc;
    }
    bool created = !strcmp(f->key, "creation_time");
    if (!created && strcmp(f->key, "last_update_time") != 0)
        return fail_field(c, ERR_INVALID, "filter",
                          "Invalid attribute key '%s' specified. Valid keys are '{'name', "
                          "'experiment_id', 'creation_time', 'last_update_time'}'",
                          f->key);
    int rc = filter_ops_check(c, f, OPS_NUMBER);
    if (!rc)
        rc = filter_number_check(c, f, arena_printf(c->arena, "numeric attribute: %s", f->key));
    if (!rc)
        filter_emit(c, q, created ? "e.created_ms" : "e.updated_ms", f);
    return rc;
}

static int emit_tag(struct ctx *c, struct sql *q, const struct filter_clause *f) {
    int rc = filter_ops_check(c, f, OPS_TEXT | OPS_NULL);
    if (!rc)
        rc = filter_text_check(c, f, "tag");
    if (rc)
        return rc;
    sql_add(c, q, f->op == OP_IS_NULL ? "NOT EXISTS (" : "EXISTS (", "");
    sql_add(c, q, "SELECT 1 FROM experiment_tag t WHERE t.experiment_id = e.id AND t.name = ? AND ",
            "s", f->key);
    struct filter_clause any = *f;
    any.op = f->op == OP_IS_NULL ? OP_NOT_NULL : f->op;
    filter_emit(c, q, "t.value", &any);
    sql_add(c, q, ")", "");
    return 0;
}

static int emit_filter(struct ctx *c, struct sql *q, const char *text) {
    struct filter f;
    int rc = filter_parse(c, text, &f);
    if (!rc)
        rc = filter_size_check(c, f.n, 0, 0);
    for (size_t i = 0; !rc && i < f.n; i++) {
        const char *e = f.clauses[i].entity;
        sql_add(c, q, " AND ", "");
        if (!e || !strcmp(e, "attribute"))
            rc = emit_attribute(c, q, &f.clauses[i]);
        else if (!strcmp(e, "tag") || !strcmp(e, "tags"))
            rc = emit_tag(c, q, &f.clauses[i]);
        else
            rc = fail_field(
                c, ERR_INVALID, "filter",
                "Invalid entity type '%s'. Valid entity types are {'attribute', 'tag', 'tags'}", e);
    }
    return rc;
}

static int emit_order(struct ctx *c, struct sql *q, const struct strs *order) {
    static const struct {
        const char *key, *up, *down;
    } keys[] = {
        {"name", "e.name, ", "e.name DESC, "},
        {"experiment_id", "e.id, ", "e.id DESC, "},
        {"creation_time", "e.created_ms, ", "e.created_ms DESC, "},
        {"last_update_time", "e.updated_ms, ", "e.updated_ms DESC, "},
    };
    int fits = filter_size_check(c, 0, order->n, 0);
    if (fits)
        return fits;
    sql_add(c, q, " ORDER BY ", "");
    for (size_t i = 0; i < order->n; i++) {
        struct order_term t;
        int rc = order_parse(c, order->items[i], &t);
        if (rc)
            return rc;
        if (t.entity && strcmp(t.entity, "attribute") != 0)
            return fail_field(c, ERR_INVALID, "order_by", "Invalid order_by entity: %s", t.entity);
        size_t k = 0;
        while (k < ARRAY_LEN(keys) && strcmp(keys[k].key, t.key) != 0)
            k++;
        if (k == ARRAY_LEN(keys))
            return fail_field(c, ERR_INVALID, "order_by",
                              "Invalid attribute key '%s' specified. Valid keys are '{'name', "
                              "'experiment_id', 'creation_time', 'last_update_time'}'",
                              t.key);
        sql_add(c, q, t.desc ? keys[k].down : keys[k].up, "");
    }
    sql_add(c, q, order->n ? "e.id DESC" : "e.created_ms DESC, e.id", "");
    return 0;
}

static int read_page(struct ctx *c, struct sql *q, int64_t limit, int64_t offset,
                     struct experiment_page *out) {
    size_t cap = 0;
    sql_add(c, q, " LIMIT ? OFFSET ?", "ii", limit + 1, offset);
    struct stmt *st = sql_query(c, q);
    int rc;
    while ((rc = stmt_next(st)) > 0)
        experiment_read(c, st, list_push(c, &out->experiments, &cap, sizeof(struct experiment)));
    if (rc < 0)
        return rc;
    if (out->experiments.n > (size_t)limit) {
        out->experiments.n = (size_t)limit;
        out->next_page_token = page_token(c, offset + limit);
    }
    return experiment_load_tags(c, out->experiments.items, out->experiments.n);
}

int experiment_search(struct ctx *c, const struct experiment_search *in,
                      struct experiment_page *out) {
    int64_t limit = in->max_results.set ? in->max_results.v : DEFAULT_RESULTS, offset = 0;
    if (limit > MAX_RESULTS || limit < 1)
        return fail_field(c, ERR_INVALID, "max_results",
                          "Invalid value %" PRId64 " for parameter 'max_results' supplied. It must "
                          "be %s",
                          limit, limit < 1 ? "a positive integer" : "at most 50000");
    int rc = page_offset(c, in->page_token, &offset);
    if (rc)
        return rc;
    struct sql q;
    sql_begin(c, &q);
    sql_add(c, &q, "SELECT " EXPERIMENT_COLUMNS " FROM experiment e WHERE e.project_id = ?", "i",
            c->project);
    if (str_eq(in->view_type, "DELETED_ONLY"))
        sql_add(c, &q, " AND e.deleted = 1", "");
    else if (!str_eq(in->view_type, "ALL"))
        sql_add(c, &q, " AND e.deleted = 0", "");
    rc = access_object_filter(c, OBJECT_EXPERIMENT, "e.id", &q);
    if (!rc)
        rc = emit_filter(c, &q, in->filter);
    if (!rc)
        rc = emit_order(c, &q, &in->order_by);
    return rc ? rc : read_page(c, &q, limit, offset, out);
}
