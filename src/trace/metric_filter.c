/* SPDX-License-Identifier: Apache-2.0 */
/* Metric filter: <view>.<what>[.<key>] = 'text', one clause each, to SQL over "trace t" and the
 * view's "span s" or "assessment a". */
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/filter.h"
#include "quern/db/db.h"
#include "trace_filter.h"
#include "trace_metrics.h"

static const struct {
    const char *entity, *key; /* key ends with a dot: a name follows */
    const char *sql;
    int view; /* the only one; -1: any */
} clauses[] = {
    {"trace", "status", " AND t.state = ?", -1},
    {"trace", "tag.",
     " AND EXISTS (SELECT 1 FROM trace_tag g WHERE g.trace = t.id AND g.key = ? AND g.value = ?)",
     -1},
    {"trace", "metadata.",
     " AND EXISTS (SELECT 1 FROM trace_metadata m WHERE m.trace = t.id AND m.key = ?"
     " AND m.value = ?)",
     -1},
    {"span", "name", " AND s.name = ?", VIEW_SPANS},
    {"span", "status", " AND s.status = ?", VIEW_SPANS},
    {"span", "type", " AND s.type = ?", VIEW_SPANS},
    {"assessment", "name", " AND a.name = ?", VIEW_ASSESSMENTS},
    {"assessment", "type", " AND a.kind = ?", VIEW_ASSESSMENTS},
};
#define SOURCE_RUN                                                                                 \
    " AND (EXISTS (SELECT 1 FROM trace_metadata m WHERE m.trace = t.id"                            \
    " AND m.key = 'mlflow.sourceRun' AND m.value = ?)"                                             \
    " OR EXISTS (SELECT 1 FROM trace_run r WHERE r.trace = t.id AND r.run_uuid = ?))"

static int check(struct ctx *c, const char *filter, const struct filter *f) {
    const struct filter_clause *k = f->clauses;
    if (f->n != 1)
        return fail_field(c, ERR_INVALID, "filters",
                          f->n ? "Invalid clause(s) in filter string: AND. '%s' must be one clause."
                               : "Invalid filter: '%s'. Expected one filter clause.",
                          filter);
    if (!k->entity)
        return fail_field(c, ERR_INVALID, "filters",
                          "Invalid identifier '%s'. Columns should be specified as 'trace.<key>', "
                          "'span.<key>', 'assessment.<key>'.",
                          k->key);
    if (k->op != OP_EQ)
        return fail_field(c, ERR_INVALID, "filters",
                          "Invalid comparator: '%s', only '=' operator is supported",
                          filter_op_text(k->op));
    if (k->kind != VALUE_TEXT)
        return fail_field(c, ERR_INVALID, "filters",
                          "Expected a quoted string value for %s value (e.g. 'my-value'). Got "
                          "value %s",
                          k->key, k->text ? k->text : "");
    return 0;
}

static int unknown(struct ctx *c, const struct filter_clause *k) {
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(clauses); i++)
        known = known || str_eq(clauses[i].entity, k->entity);
    if (!known)
        return fail_field(c, ERR_INVALID, "filters",
                          "Invalid view type '%s'. Valid values are dict_keys(['trace', 'span', "
                          "'assessment'])",
                          k->entity);
    if (str_eq(k->entity, "trace") && (str_eq(k->key, "tag") || str_eq(k->key, "metadata")))
        return fail_field(c, ERR_INVALID, "filters",
                          "Filtering by %s requires a key, e.g. 'trace.%s.<key> = <value>'", k->key,
                          k->key);
    const char *valid = str_eq(k->entity, "trace")  ? "'status', 'tag', 'metadata'"
                        : str_eq(k->entity, "span") ? "'name', 'status', 'type'"
                                                    : "'name', 'type'";
    return fail_field(c, ERR_INVALID, "filters",
                      "Invalid entity '%s' specified for view type '%s'. Valid entities are [%s]",
                      k->key, k->entity, valid);
}

int metric_filter_sql(struct ctx *c, enum metric_view view, const char *filter, struct sql *q) {
    static const char *const marks[] = {"trace.tag.", "trace.metadata."};
    struct filter f;
    for (size_t i = 0; i < ARRAY_LEN(marks); i++)
        filter = filter_join(c, filter, marks[i]);
    int rc = filter_parse(c, filter, &f);
    rc = rc ? rc : check(c, filter, &f);
    if (rc != 0)
        return rc;
    const struct filter_clause *k = f.clauses;
    for (size_t i = 0; i < ARRAY_LEN(clauses); i++) {
        size_t n = strlen(clauses[i].key);
        bool named = clauses[i].key[n - 1] == '.';
        if (!str_eq(clauses[i].entity, k->entity) ||
            (named ? !str_starts(k->key, clauses[i].key) || !k->key[n]
                   : !str_eq(clauses[i].key, k->key)))
            continue;
        if (clauses[i].view >= 0 && clauses[i].view != (int)view)
            return fail_field(c, ERR_INVALID, "filters",
                              "Filtering by %s is only supported for %s view type, got %s",
                              k->entity, metric_view_names[clauses[i].view + 1],
                              metric_view_names[view + 1]);
        if (!named)
            sql_add(c, q, clauses[i].sql, "s", k->text);
        else if (str_eq(k->key, "metadata.mlflow.sourceRun"))
            sql_add(c, q, SOURCE_RUN, "ss", k->text, k->text);
        else
            sql_add(c, q, clauses[i].sql, "ss", k->key + n, k->text);
        return 0;
    }
    return unknown(c, k);
}
