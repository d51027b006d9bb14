/* SPDX-License-Identifier: Apache-2.0 */
#include "run_search.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/db/db.h"
#include "quern/db/filter_sql.h"
#include "rows.h"
#include "run.h"

#define DEFAULT_RESULTS 1000
#define MAX_RESULTS 50000
#define MAX_OFFSET 1000000000 /* no run lies beyond */

struct attribute {
    const char *name, *column;
    bool number;
};
static const struct attribute attributes[] = {
    {"run_id", "r.uuid", false},        {"run_name", "r.name", false},
    {"run name", "r.name", false},      {"Run name", "r.name", false},
    {"Run Name", "r.name", false},      {"user_id", "r.user_id", false},
    {"status", "r.status", false},      {"artifact_uri", "r.artifact_uri", false},
    {"start_time", "r.start_ms", true}, {"end_time", "r.end_ms", true},
    {"created", "r.start_ms", true},    {"Created", "r.start_ms", true},
};
#define VALID_KEYS                                                                                 \
    "'run_id', 'run_name', 'user_id', 'status', 'artifact_uri', 'start_time', 'end_time', "        \
    "'created', 'Created'"
#define NAME_ALIASES ", 'run name', 'Run name', 'Run Name'"

enum entity { E_METRIC, E_PARAM, E_TAG, E_ATTRIBUTE, E_DATASET };
static const char *const entity_names[] = {"metric", "parameter", "tag", "attribute", "dataset"};

static int entity_of(struct ctx *c, const char *text, enum entity *out) {
    static const struct {
        const char *name;
        enum entity entity;
    } names[] = {
        {"metric", E_METRIC},
        {"metrics", E_METRIC},
        {"parameter", E_PARAM},
        {"parameters", E_PARAM},
        {"param", E_PARAM},
        {"params", E_PARAM},
        {"tag", E_TAG},
        {"tags", E_TAG},
        {"attribute", E_ATTRIBUTE},
        {"attributes", E_ATTRIBUTE},
        {"attr", E_ATTRIBUTE},
        {"run", E_ATTRIBUTE},
        {"dataset", E_DATASET},
        {"datasets", E_DATASET},
    };
    *out = E_ATTRIBUTE;
    if (!text)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i].name, text)) {
            *out = names[i].entity;
            return 0;
        }
    return fail(c, ERR_INVALID,
                "Invalid entity type '%s'. Valid values are ['metric', 'parameter', 'tag', "
                "'attribute', 'dataset']",
                text);
}

static const struct attribute *attribute_of(struct ctx *c, const char *key, bool order) {
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        if (!strcmp(attributes[i].name, key))
            return &attributes[i];
    fail(c, ERR_INVALID,
         "Invalid attribute key '%s' specified. Valid keys are '{" VALID_KEYS "%s}'", key,
         order ? "" : NAME_ALIASES);
    return NULL;
}

int run_search_keys(struct ctx *c, const struct search_plan *p, const char *name,
                    const int64_t **keys, size_t *n) {
    int64_t *ids = ARENA_ARRAY(c->arena, int64_t, p->nexperiments + 1);
    *n = 0;
    for (size_t i = 0; i < p->nexperiments; i++) {
        int rc = run_key_find(c, p->experiments[i], name, &ids[*n]);
        if (rc < 0)
            return rc;
        *n += rc > 0;
    }
    *keys = ids;
    return 0;
}

static int plan_attribute(struct ctx *c, struct search_plan *p, const struct filter_clause *f,
                          struct search_cond *s) {
    const struct attribute *a = attribute_of(c, f->key, false);
    if (!a)
        return -ERR_INVALID;
    s->kind = a->number ? BY_NUMBER : BY_TEXT;
    s->column = a->column;
    if (a->number) {
        int rc = filter_ops_check(c, f, OPS_NUMBER);
        return rc ? rc
                  : filter_number_check(c, f,
                                        arena_printf(c->arena, "numeric attribute: %s", a->name));
    }
    if (f->kind == VALUE_LIST && strcmp(a->column, "r.uuid") != 0)
        return fail_field(c, ERR_INVALID, "filter",
                          "Only the 'run_id' attribute supports comparison with a list of quoted "
                          "string values.");
    int rc = filter_ops_check(c, f, OPS_TEXT | OPS_LIST);
    if (!rc)
        rc = filter_text_check(c, f, "attribute");
    if (rc || strcmp(a->column, "r.name") != 0)
        return rc;
    /* As MLflow does, and the tag has an index. */
    s->kind = BY_TAG;
    s->column = NULL;
    s->name = RUN_NAME_TAG;
    rc = run_search_keys(c, p, RUN_NAME_TAG, &s->keys, &s->nkeys);
    p->nothing |= s->nkeys == 0;
    return rc;
}

static int plan_dataset(struct ctx *c, const struct filter_clause *f, struct search_cond *s) {
    s->kind = BY_DATASET;
    if (!strcmp(f->key, "name"))
        s->column = "d.name";
    else if (!strcmp(f->key, "digest"))
        s->column = "d.digest";
    else if (!strcmp(f->key, "context"))
        s->column = "t.value";
    else
        return fail_field(c, ERR_INVALID, "filter",
                          "Invalid dataset key '%s' specified. Valid keys are '{'name', 'digest', "
                          "'context'}'",
                          f->key);
    int rc = filter_ops_check(c, f, OPS_TEXT | OPS_LIST);
    return rc ? rc : filter_text_check(c, f, "dataset");
}

static int plan_cond(struct ctx *c, struct search_plan *p, const struct filter_clause *f,
                     struct search_cond *s) {
    enum entity e;
    int rc = entity_of(c, f->entity, &e);
    s->clause = f;
    s->name = f->key;
    if (!rc && e != E_PARAM && e != E_TAG)
        rc = filter_null_check(c, f, "tags and params", entity_names[e]);
    if (rc)
        return rc;
    if (e == E_ATTRIBUTE)
        return plan_attribute(c, p, f, s);
    if (e == E_DATASET)
        return plan_dataset(c, f, s);
    if (e == E_METRIC) {
        s->kind = BY_METRIC;
        rc = filter_ops_check(c, f, OPS_NUMBER);
        if (!rc)
            rc = filter_number_check(c, f, "metric");
    } else {
        s->kind = e == E_PARAM ? BY_PARAM : BY_TAG;
        rc = filter_ops_check(c, f, OPS_TEXT | OPS_NULL);
        if (!rc)
            rc = filter_text_check(c, f, e == E_PARAM ? "parameter" : "tag");
    }
    if (!rc)
        rc = run_search_keys(c, p, f->key, &s->keys, &s->nkeys);
    if (!rc && s->nkeys == 0 && f->op != OP_IS_NULL)
        p->nothing = true;
    return rc;
}

static int plan_order(struct ctx *c, struct search_plan *p, const char *text,
                      struct search_order *o) {
    struct order_term t;
    enum entity e;
    int rc = order_parse(c, text, &t);
    if (!rc)
        rc = entity_of(c, t.entity, &e);
    if (rc)
        return rc;
    o->desc = t.desc;
    o->name = t.key;
    if (e == E_DATASET)
        return fail_field(c, ERR_INVALID, "order_by", "Invalid identifier type 'dataset'");
    if (e == E_ATTRIBUTE) {
        const struct attribute *a = attribute_of(c, t.key, true);
        if (!a)
            return -ERR_INVALID;
        o->kind = a->number ? BY_NUMBER : BY_TEXT;
        o->column = a->column;
        o->name = "";
        p->start_ordered |= !strcmp(a->column, "r.start_ms");
        return 0;
    }
    o->kind = e == E_METRIC ? BY_METRIC : e == E_PARAM ? BY_PARAM : BY_TAG;
    return run_search_keys(c, p, t.key, &o->keys, &o->nkeys);
}

static int plan_orders(struct ctx *c, const struct run_search *in, struct search_plan *p) {
    p->orders = ARENA_ARRAY(c->arena, struct search_order, in->order_by.n + 1);
    for (size_t i = 0; i < in->order_by.n; i++) {
        struct search_order *o = &p->orders[p->norders];
        int rc = plan_order(c, p, in->order_by.items[i], o);
        if (rc)
            return rc;
        for (size_t k = 0; k < p->norders; k++)
            if (p->orders[k].kind == o->kind && str_eq(p->orders[k].column, o->column) &&
                !strcmp(p->orders[k].name, o->name))
                return fail_field(c, ERR_INVALID, "order_by",
                                  "`order_by` contains duplicate fields: ['%s']",
                                  in->order_by.items[i]);
        p->norders++;
    }
    /* A name that no run has orders nothing; it was wanted above to see duplicates. */
    size_t kept = 0;
    for (size_t i = 0; i < p->norders; i++)
        if (p->orders[i].kind >= BY_TEXT || p->orders[i].nkeys)
            p->orders[kept++] = p->orders[i];
    p->norders = kept;
    /* The last order is what breaks ties anyway. */
    if (kept && p->orders[kept - 1].desc && str_eq(p->orders[kept - 1].column, "r.start_ms")) {
        p->norders--;
        p->start_ordered = false;
    }
    return 0;
}

static int by_number(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int plan_experiments(struct ctx *c, const struct strs *ids, struct search_plan *p) {
    p->experiments = ARENA_ARRAY(c->arena, int64_t, ids->n + 1);
    size_t marking = 0;
    access_object_nothing(c); /* those that may not be read are left out below */
    for (size_t i = 0; i < ids->n; i++) {
        int64_t id = 0, sweep = 0;
        bool found = false, may = false;
        if (!str_to_i64(ids->items[i], &id))
            continue;
        int rc = db_get_i64(c,
                            "SELECT coalesce(sweep, 0) FROM experiment"
                            " WHERE id = ? AND project_id = ?",
                            &sweep, &found, "ii", id, c->project);
        if (rc < 0)
            return rc;
        /* All its runs count as what they are just being marked as. */
        if ((sweep > 0 && p->deleted == 0) || (sweep < 0 && p->deleted == 1))
            continue;
        marking += found && sweep;
        if (found && (rc = access_object_allows(c, OBJECT_EXPERIMENT, id, OBJECT_READ, &may)) < 0)
            return rc;
        if (may)
            p->experiments[p->nexperiments++] = id;
    }
    size_t n = 0;
    qsort(p->experiments, p->nexperiments, sizeof *p->experiments, by_number);
    for (size_t i = 0; i < p->nexperiments; i++)
        if (i == 0 || p->experiments[i] != p->experiments[i - 1])
            p->experiments[n++] = p->experiments[i];
    p->nexperiments = n;
    p->nothing = p->nexperiments == 0;
    if (marking && marking == ids->n)
        p->deleted = -1;
    return 0;
}

static int plan_limits(struct ctx *c, const struct run_search *in, struct search_plan *p) {
    p->limit = in->max_results.set ? in->max_results.v : DEFAULT_RESULTS;
    if (p->limit > MAX_RESULTS)
        return fail_field(
            c, ERR_INVALID, "max_results",
            "Invalid value %" PRId64 " for parameter 'max_results' supplied:  Hint: "
            "Value was of type 'int'. It must be at most %d. See the API docs for more "
            "information about request parameters.",
            p->limit, MAX_RESULTS);
    if (p->limit < 1)
        return fail_field(c, ERR_INVALID, "max_results",
                          "Invalid value %" PRId64 " for parameter 'max_results' supplied. It must "
                          "be a positive integer",
                          p->limit);
    p->deleted = 0;
    if (str_eq(in->run_view_type, "DELETED_ONLY"))
        p->deleted = 1;
    else if (str_eq(in->run_view_type, "ALL"))
        p->deleted = -1;
    int rc = page_offset(c, in->page_token, &p->offset);
    if (p->offset > MAX_OFFSET)
        p->offset = MAX_OFFSET;
    return rc;
}

int run_search_plan(struct ctx *c, const struct run_search *in, struct search_plan *p) {
    struct filter f;
    memset(p, 0, sizeof *p);
    int rc = plan_limits(c, in, p);
    if (!rc)
        rc = filter_parse(c, in->filter, &f);
    if (!rc)
        rc = filter_size_check(c, f.n, in->order_by.n, in->experiment_ids.n);
    if (!rc)
        rc = plan_experiments(c, &in->experiment_ids, p);
    if (rc)
        return rc;
    p->conds = ARENA_ARRAY(c->arena, struct search_cond, f.n + 1);
    p->nconds = f.n;
    for (size_t i = 0; !rc && i < f.n; i++)
        rc = plan_cond(c, p, &f.clauses[i], &p->conds[i]);
    return rc ? rc : plan_orders(c, in, p);
}

int run_search(struct ctx *c, const struct run_search *in, struct run_page *out) {
    struct search_plan p;
    int64_t *rows = NULL;
    size_t n = 0;
    int rc = run_search_plan(c, in, &p);
    if (rc || p.nothing)
        return rc;
    rc = run_search_rows(c, &p, &rows, &n);
    if (rc)
        return rc;
    if (n > (size_t)p.limit) {
        n = (size_t)p.limit;
        out->next_page_token = page_token(c, p.offset + p.limit);
    }
    out->runs.n = n;
    out->runs.items = ARENA_ARRAY(c->arena, struct run, n + 1);
    return run_load_whole(c, rows, n, true, out->runs.items);
}
