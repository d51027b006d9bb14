/* SPDX-License-Identifier: Apache-2.0 */
#include "search.h"

#include <string.h>

#include "model.h"
#include "model_store.h"
#include "prompt.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/filter.h"
#include "quern/db/db.h"
#include "quern/db/filter_sql.h"
#include "version.h"
#include "version_store.h"

/* What a filter may speak of. Column texts are constants; only values come from the caller. */
struct attribute {
    const char *key, *column;
    bool numeric, in_list;
};
struct order_key {
    const char *key, *column;
};
struct searched {
    const struct attribute *attributes;
    size_t nattributes;
    const char *attribute_names;
    const struct order_key *order_keys;
    size_t norder;
    const char *order_names;
    const char *default_order;
    const char *tag_exists; /* ends before the comparison of the value */
    const char *not_prompt;
    const char *tie_break;
};

static const struct attribute model_attributes[] = {{"name", "m.name", false, true}};
static const struct order_key model_order[] = {
    {"name", "m.name"},
    {"timestamp", "m.updated_ms"},
    {"last_updated_timestamp", "m.updated_ms"},
};
static const struct searched models = {
    .attributes = model_attributes,
    .nattributes = ARRAY_LEN(model_attributes),
    .attribute_names = "{'name'}",
    .order_keys = model_order,
    .norder = ARRAY_LEN(model_order),
    .order_names = "{'name', 'timestamp', 'last_updated_timestamp'}",
    .default_order = "m.name ASC",
    .tag_exists = " AND EXISTS (SELECT 1 FROM registered_model_tag t"
                  " WHERE t.model = m.id AND t.key = ? AND ",
    .not_prompt = " AND NOT EXISTS (SELECT 1 FROM registered_model_tag p WHERE p.model = m.id"
                  " AND p.key = '" PROMPT_TAG "' AND lower(p.value) = 'true')",
    .tie_break = "m.name ASC",
};

static const struct attribute version_attributes[] = {
    {"name", "m.name", false, true},
    {"source_path", "v.source", false, false},
    {"run_id", "v.run_id", false, true},
    {"version_number", "v.version", true, false},
};
static const struct order_key version_order[] = {
    {"name", "m.name"},
    {"version_number", "v.version"},
    {"creation_timestamp", "v.created_ms"},
    {"last_updated_timestamp", "v.updated_ms"},
};
static const struct searched versions = {
    .attributes = version_attributes,
    .nattributes = ARRAY_LEN(version_attributes),
    .attribute_names = "{'name', 'version_number', 'run_id', 'source_path'}",
    .order_keys = version_order,
    .norder = ARRAY_LEN(version_order),
    .order_names = "{'name', 'version_number', 'creation_timestamp', 'last_updated_timestamp'}",
    .default_order = "v.updated_ms DESC, m.name ASC, v.version DESC",
    .tag_exists = " AND EXISTS (SELECT 1 FROM model_version_tag t WHERE t.model = v.model"
                  " AND t.version = v.version AND t.key = ? AND ",
    .not_prompt =
        " AND NOT EXISTS (SELECT 1 FROM model_version_tag p WHERE p.model = v.model"
        " AND p.version = v.version AND p.key = '" PROMPT_TAG "' AND lower(p.value) = 'true')"
        " AND NOT EXISTS (SELECT 1 FROM registered_model_tag p WHERE p.model = m.id"
        " AND p.key = '" PROMPT_TAG "' AND lower(p.value) = 'true')",
    .tie_break = "m.name ASC, v.version DESC",
};

static bool is_attribute_entity(const char *entity) {
    return !entity || str_eq(entity, "attribute") || str_eq(entity, "attributes") ||
           str_eq(entity, "attr");
}

static int wrong_comparator(struct ctx *c, const char *what, enum filter_op op) {
    return fail_field(c, ERR_INVALID, "filter", "Invalid comparator for %s: %s", what,
                      filter_op_text(op));
}

static int need_text(struct ctx *c, const struct filter_clause *k) {
    if (k->kind == VALUE_TEXT)
        return 0;
    return fail_field(c, ERR_INVALID, "filter",
                      "Parameter value is either not quoted or unidentified quote types used for "
                      "string value %s. Use either single or double quotes.",
                      k->text ? k->text : "");
}

static int add_text(struct ctx *c, struct sql *q, const char *what, const char *column,
                    const struct filter_clause *k) {
    if (!(OPS_TEXT & 1u << k->op))
        return wrong_comparator(c, what, k->op);
    int rc = need_text(c, k);
    if (rc == 0)
        filter_emit(c, q, column, k);
    return rc;
}

static int add_number(struct ctx *c, struct sql *q, const struct attribute *a,
                      const struct filter_clause *k) {
    struct filter_clause number = *k;
    if (!(OPS_NUMBER & 1u << k->op))
        return wrong_comparator(c, arena_printf(c->arena, "attribute %s", a->key), k->op);
    if (k->kind == VALUE_TEXT ? !str_to_f64(k->text, &number.number) : k->kind != VALUE_NUMBER)
        return fail_field(c, ERR_INVALID, "filter",
                          "Expected numeric value type for numeric attribute: %s. Found '%s'",
                          a->key, k->text ? k->text : "");
    number.kind = VALUE_NUMBER;
    filter_emit(c, q, a->column, &number);
    return 0;
}

static int add_attribute(struct ctx *c, const struct searched *s, struct sql *q,
                         const struct filter_clause *k) {
    const struct attribute *a = NULL;
    for (size_t i = 0; i < s->nattributes; i++)
        if (str_eq(s->attributes[i].key, k->key))
            a = &s->attributes[i];
    if (!a)
        return fail_field(c, ERR_INVALID, "filter",
                          "Invalid attribute key '%s' specified. Valid keys are '%s'", k->key,
                          s->attribute_names);
    sql_add(c, q, " AND ", "");
    if (a->numeric)
        return add_number(c, q, a, k);
    if (!a->in_list || !(OPS_LIST & 1u << k->op))
        return add_text(c, q, "attribute", a->column, k);
    filter_emit(c, q, a->column, k);
    return 0;
}

/* Clients append `is_prompt != 'true'` to every search of models; unlike other tags it must not ask
 * that the tag exists. */
static bool asks_for_models_only(const struct filter_clause *k) {
    return k->kind == VALUE_TEXT && ((k->op == OP_NE && str_ieq(k->text, "true")) ||
                                     (k->op == OP_EQ && str_ieq(k->text, "false")));
}

static int add_clause(struct ctx *c, const struct searched *s, struct sql *q,
                      const struct filter_clause *k, bool *prompts_wanted) {
    if (is_attribute_entity(k->entity))
        return add_attribute(c, s, q, k);
    if (!str_eq(k->entity, "tag") && !str_eq(k->entity, "tags"))
        return fail_field(
            c, ERR_INVALID, "filter",
            "Invalid entity type '%s'. Valid entity types are {'attribute', 'tag', 'tags'}",
            k->entity);
    if (str_eq(k->key, PROMPT_TAG)) {
        if (asks_for_models_only(k))
            return 0;
        *prompts_wanted = true;
    }
    sql_add(c, q, s->tag_exists, "s", k->key);
    int rc = add_text(c, q, "tag", "t.value", k);
    sql_add(c, q, ")", "");
    return rc;
}

static int add_filter(struct ctx *c, const struct searched *s, const char *text, struct sql *q) {
    struct filter f;
    bool prompts_wanted = false;
    int rc = filter_parse(c, text, &f);
    if (rc == 0)
        rc = filter_size_check(c, f.n, 0, 0);
    for (size_t i = 0; rc == 0 && i < f.n; i++)
        rc = add_clause(c, s, q, &f.clauses[i], &prompts_wanted);
    if (rc == 0 && !prompts_wanted)
        sql_add(c, q, s->not_prompt, "");
    return rc;
}

static int add_order(struct ctx *c, const struct searched *s, const struct strs *order_by,
                     struct sql *q) {
    int fits = filter_size_check(c, 0, order_by->n, 0);
    if (fits != 0)
        return fits;
    sql_add(c, q, " ORDER BY ", "");
    for (size_t i = 0; i < order_by->n; i++) {
        struct order_term t;
        const char *column = NULL;
        int rc = order_parse(c, order_by->items[i], &t);
        if (rc != 0)
            return rc;
        for (size_t k = 0; is_attribute_entity(t.entity) && k < s->norder; k++)
            if (str_eq(s->order_keys[k].key, t.key))
                column = s->order_keys[k].column;
        if (!column)
            return fail_field(c, ERR_INVALID, "order_by",
                              "Invalid order by key '%s' specified. Valid keys are '%s'", t.key,
                              s->order_names);
        sql_add(c, q, column, "");
        sql_add(c, q, t.desc ? " DESC, " : " ASC, ", "");
    }
    sql_add(c, q, order_by->n ? s->tie_break : s->default_order, "");
    return 0;
}

static int compile(struct ctx *c, const struct searched *s, const struct search *in,
                   struct sql *q) {
    int rc = add_filter(c, s, in->filter, q);
    if (rc == 0)
        rc = add_order(c, s, &in->order_by, q);
    if (rc == 0)
        sql_add(c, q, " LIMIT ? OFFSET ?", "ii", in->limit, in->offset);
    return rc;
}

int models_search(struct ctx *c, const struct search *in, struct model_rows *out) {
    struct sql q;
    sql_begin(c, &q);
    sql_add(c, &q, "SELECT " MODEL_COLUMNS " FROM registered_model m WHERE m.project_id = ?", "i",
            c->project);
    int rc = access_object_filter(c, OBJECT_MODEL, "m.id", &q);
    if (rc == 0)
        rc = compile(c, &models, in, &q);
    if (rc != 0)
        return rc;
    struct stmt *st = sql_query(c, &q);
    while ((rc = stmt_next(st)) > 0) {
        out->items = arena_room(c->arena, out->items, out->n, &out->cap, sizeof *out->items);
        model_store_read(c, st, &out->items[out->n++]);
    }
    return rc;
}

int versions_search(struct ctx *c, const struct search *in, struct version_rows *out) {
    struct sql q;
    sql_begin(c, &q);
    sql_add(c, &q, "SELECT " VERSION_COLUMNS " FROM " VERSION_TABLES " WHERE m.project_id = ?", "i",
            c->project);
    int rc = access_object_filter(c, OBJECT_MODEL, "m.id", &q);
    if (rc == 0)
        rc = compile(c, &versions, in, &q);
    return rc == 0 ? version_store_read_all(c, sql_query(c, &q), out) : rc;
}
