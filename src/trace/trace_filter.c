/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_filter.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/filter.h"
#include "quern/db/db.h"

#define CLAUSES_MAX 100

enum entity { E_TRACE, E_TAG, E_METADATA, E_FEEDBACK, E_EXPECTATION, E_SPAN, E_ISSUE };

/* In the order in which they are worth asking. */
enum cost { COST_ROW, COST_CHILD, COST_TEXT, COST_SPAN, COSTS };

struct attribute {
    const char *key, *column;
    bool number, lists;
};
static const struct attribute attributes[] = {
    {"request_id", "t.trace_id", false, true},
    {"trace_id", "t.trace_id", false, true},
    {"client_request_id", "t.client_request_id", false, true},
    {"name", "t.name", false, true},
    {"status", "t.state", false, true},
    {"state", "t.state", false, true},
    {"timestamp", "t.timestamp_ms", true, false},
    {"timestamp_ms", "t.timestamp_ms", true, false},
    {"execution_time", "t.execution_ms", true, false},
    {"execution_time_ms", "t.execution_ms", true, false},
    {"end_time", "(t.timestamp_ms + t.execution_ms)", true, false},
    {"end_time_ms", "(t.timestamp_ms + t.execution_ms)", true, false},
};
#define VALID_KEYS                                                                                 \
    "{'request_id', 'client_request_id', 'name', 'status', 'run_id', 'prompt', 'text', "           \
    "'timestamp', 'execution_time', 'end_time'}"

static int entity_of(struct ctx *c, const char *text, enum entity *out) {
    static const struct {
        const char *name;
        enum entity entity;
    } names[] = {
        {"attribute", E_TRACE},   {"attributes", E_TRACE},
        {"trace", E_TRACE},       {"tag", E_TAG},
        {"tags", E_TAG},          {"metadata", E_METADATA},
        {"feedback", E_FEEDBACK}, {"request_metadata", E_METADATA},
        {"span", E_SPAN},         {"expectation", E_EXPECTATION},
        {"issue", E_ISSUE},
    };
    *out = E_TRACE;
    if (!text)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(names[i].name, text)) {
            *out = names[i].entity;
            return 0;
        }
    return fail_field(c, ERR_INVALID, "filter",
                      "Invalid entity type '%s'. Valid values are {'attribute', 'trace', 'tag', "
                      "'metadata', 'feedback', 'expectation', 'span', 'issue'}",
                      text);
}

static int bad_operator(struct ctx *c, const struct filter_clause *k, const char *valid) {
    return fail_field(c, ERR_INVALID, "filter", "Invalid comparator '%s' not one of '{%s}'",
                      filter_op_text(k->op), valid);
}

static int need_text(struct ctx *c, const struct filter_clause *k) {
    if (k->kind == VALUE_TEXT)
        return 0;
    return fail_field(c, ERR_INVALID, "filter",
                      "Parameter value is either not quoted or unidentified quote types used for "
                      "string value %s. Use either single or double quotes.",
                      k->text ? k->text : "");
}

static void add_list(struct ctx *c, struct sql *q, const char *expr,
                     const struct filter_clause *k) {
    sql_add(c, q, expr, "");
    sql_add(c, q, k->op == OP_IN ? " IN (" : " NOT IN (", "");
    for (size_t i = 0; i < k->n; i++)
        sql_add(c, q, i ? ", ?" : "?", "s", k->items[i]);
    sql_add(c, q, ")", "");
}

/* expr op value for texts; expr is a constant. */
static int add_text(struct ctx *c, struct sql *q, const char *expr, const struct filter_clause *k,
                    bool lists) {
    static const char *const forms[] = {
        [OP_EQ] = "%s = ?",
        [OP_NE] = "%s <> ?",
        [OP_LIKE] = "mlflow_like(%s, ?)",
        [OP_ILIKE] = "mlflow_ilike(%s, ?)",
        [OP_RLIKE] = "mlflow_rlike(%s, ?)",
    };
    if ((k->op == OP_IN || k->op == OP_NOT_IN) && lists) {
        add_list(c, q, expr, k);
        return 0;
    }
    const char *form = k->op < ARRAY_LEN(forms) ? forms[k->op] : NULL;
    if (!form)
        return bad_operator(
            c, k, lists ? "=, !=, LIKE, ILIKE, RLIKE, IN, NOT IN" : "=, !=, LIKE, ILIKE, RLIKE");
    int rc = need_text(c, k);
    if (rc != 0)
        return rc;
    const char *mark = strstr(form, "%s");
    sql_add(c, q, arena_printf(c->arena, "%.*s%s%s", (int)(mark - form), form, expr, mark + 2), "s",
            k->text);
    return 0;
}

static int add_number(struct ctx *c, struct sql *q, const struct attribute *a,
                      const struct filter_clause *k) {
    static const char *const ops[] = {
        [OP_EQ] = " = ?",  [OP_NE] = " <> ?", [OP_GT] = " > ?",
        [OP_GE] = " >= ?", [OP_LT] = " < ?",  [OP_LE] = " <= ?",
    };
    const char *op = k->op < ARRAY_LEN(ops) ? ops[k->op] : NULL;
    if (!op)
        return bad_operator(c, k, "=, !=, >, >=, <, <=");
    if (k->kind != VALUE_NUMBER)
        return fail_field(c, ERR_INVALID, "filter",
                          "Expected numeric value type for numeric attribute: %s. Found '%s'",
                          a->key, k->text ? k->text : "");
    sql_add(c, q, a->column, "");
    sql_add(c, q, op, "d", k->number);
    return 0;
}

static int add_run(struct ctx *c, struct sql *q, const struct filter_clause *k) {
    sql_add(c, q,
            "(EXISTS (SELECT 1 FROM trace_metadata m WHERE m.trace = t.id"
            " AND m.key = 'mlflow.sourceRun' AND ",
            "");
    int rc = add_text(c, q, "m.value", k, true);
    sql_add(c, q, ") OR EXISTS (SELECT 1 FROM trace_run r WHERE r.trace = t.id AND ", "");
    rc = rc ? rc : add_text(c, q, "r.run_uuid", k, true);
    sql_add(c, q, "))", "");
    return rc;
}

static int add_prompt(struct ctx *c, struct sql *q, const struct filter_clause *k) {
    const char *slash = k->kind == VALUE_TEXT ? strrchr(k->text, '/') : NULL;
    if (k->op != OP_EQ)
        return fail_field(c, ERR_INVALID, "filter",
                          "Invalid comparator '%s' for prompt: only = is supported, as in "
                          "prompt = 'name/version'",
                          filter_op_text(k->op));
    if (!slash || slash == k->text || !slash[1])
        return fail_field(c, ERR_INVALID, "filter",
                          "Invalid prompt filter: it must be written 'name/version'.");
    sql_add(c, q,
            "EXISTS (SELECT 1 FROM trace_tag g, json_each(g.value) x WHERE g.trace = t.id"
            " AND g.key = 'mlflow.linkedPrompts' AND json_valid(g.value)"
            " AND json_extract(x.value, '$.name') = ? AND json_extract(x.value, '$.version') = ?)",
            "ss", arena_strndup(c->arena, k->text, (size_t)(slash - k->text)), slash + 1);
    return 0;
}

static int add_trace(struct ctx *c, struct sql *q, const struct filter_clause *k) {
    if (str_eq(k->key, "run_id"))
        return add_run(c, q, k);
    if (str_eq(k->key, "prompt"))
        return add_prompt(c, q, k);
    if (str_eq(k->key, "text")) {
        sql_add(c, q, "EXISTS (SELECT 1 FROM span s WHERE s.trace = t.id AND ", "");
        int rc = add_text(c, q, "s.content", k, false);
        sql_add(c, q, ")", "");
        return rc;
    }
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        const struct attribute *a = &attributes[i];
        if (str_eq(a->key, k->key))
            return a->number ? add_number(c, q, a, k) : add_text(c, q, a->column, k, a->lists);
    }
    return fail_field(c, ERR_INVALID, "filter",
                      "Invalid attribute key '%s' specified. Valid keys are '" VALID_KEYS "'",
                      k->key);
}

/* A row of a child table by key, and its value. */
static int add_child(struct ctx *c, struct sql *q, const char *table, const char *value,
                     const char *also, const struct filter_clause *k) {
    bool absent = k->op == OP_IS_NULL;
    sql_add(c, q, absent ? "NOT EXISTS (SELECT 1 FROM " : "EXISTS (SELECT 1 FROM ", "");
    sql_add(c, q, table, "");
    sql_add(c, q, also, "s", k->key);
    int rc = 0;
    if (!absent && k->op != OP_NOT_NULL) {
        sql_add(c, q, " AND ", "");
        rc = add_text(c, q, value, k, false);
    }
    sql_add(c, q, ")", "");
    return rc;
}

/* Numbers and booleans may be asked for without quotes. */
static const struct filter_clause *as_text(struct ctx *c, const struct filter_clause *k) {
    struct filter_clause *copy = arena_dup(c->arena, k, sizeof *k);
    if (copy->kind == VALUE_NUMBER)
        copy->kind = VALUE_TEXT;
    return copy;
}

#define ASSESSMENT_VALUE                                                                           \
    "(CASE json_type(a.value) WHEN 'text' THEN json_extract(a.value, '$') ELSE a.value END)"

/* The condition on "assessment a". */
static int add_judged(struct ctx *c, struct sql *q, const struct filter_clause *k, bool feedback) {
    sql_add(c, q,
            feedback ? " AND a.kind = 'feedback' AND a.valid = 1 AND a.name = ?"
                     : " AND a.kind = 'expectation' AND a.valid = 1 AND a.name = ?",
            "s", k->key);
    if (k->op == OP_IS_NULL || k->op == OP_NOT_NULL)
        return 0;
    sql_add(c, q, " AND ", "");
    return add_text(c, q, ASSESSMENT_VALUE, k, false);
}

/* One that was given to a whole session (its metadata name one) counts for each of the session's
 * traces in the same experiment. That half does not depend on t: it is worked out once. */
static int add_assessment(struct ctx *c, struct sql *q, const struct filter_clause *clause,
                          bool feedback) {
    const struct filter_clause *k = as_text(c, clause);
    sql_add(c, q, k->op == OP_IS_NULL ? "NOT (" : "(", "");
    sql_add(c, q, "EXISTS (SELECT 1 FROM assessment a WHERE a.trace = t.id", "");
    int rc = add_judged(c, q, k, feedback);
    sql_add(c, q,
            ") OR (t.id, t.experiment_id) IN (SELECT own.trace, o.experiment_id FROM assessment a"
            " JOIN trace o ON o.id = a.trace"
            " JOIN trace_metadata other ON other.trace = a.trace"
            " AND other.key = 'mlflow.trace.session'"
            " JOIN trace_metadata own ON own.key = 'mlflow.trace.session'"
            " AND substr(own.value, 1, 64) = substr(other.value, 1, 64) AND own.value = other.value"
            " WHERE json_type(a.metadata, '$.\"mlflow.trace.session\"') IS NOT NULL",
            "");
    rc = rc ? rc : add_judged(c, q, k, feedback);
    sql_add(c, q, "))", "");
    return rc;
}

static int add_issue(struct ctx *c, struct sql *q, const struct filter_clause *k) {
    if (!str_eq(k->key, "id") || k->op != OP_EQ)
        return fail_field(c, ERR_INVALID, "filter",
                          "Invalid issue filter: only issue.id = '...' is supported.");
    int rc = need_text(c, k);
    if (rc == 0)
        sql_add(c, q,
                "EXISTS (SELECT 1 FROM assessment a WHERE a.trace = t.id AND a.kind = 'issue'"
                " AND a.name = ?)",
                "s", k->text);
    return rc;
}

/* A condition on "span s". */
static int add_span(struct ctx *c, struct sql *q, const struct filter_clause *k) {
    static const struct {
        const char *key, *column;
    } columns[] = {{"name", "s.name"}, {"type", "s.type"}, {"status", "s.status"}};
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        if (str_eq(columns[i].key, k->key))
            return add_text(c, q, columns[i].column, k, true);
    if (str_eq(k->key, "content")) {
        if (k->op != OP_LIKE && k->op != OP_ILIKE && k->op != OP_RLIKE)
            return bad_operator(c, k, "LIKE, ILIKE");
        return add_text(c, q, "s.content", k, false);
    }
    if (str_starts(k->key, "attributes.") && k->key[11]) {
        sql_add(c, q,
                "EXISTS (SELECT 1 FROM json_each(s.content, '$.attributes') x"
                " WHERE json_extract(x.value, '$.key') = ? AND ",
                "s", k->key + 11);
        int rc = add_text(c, q,
                          "CAST(coalesce(json_extract(x.value, '$.value.string_value'),"
                          " json_extract(x.value, '$.value.int_value'),"
                          " json_extract(x.value, '$.value.double_value'),"
                          " json_extract(x.value, '$.value')) AS TEXT)",
                          as_text(c, k), false);
        sql_add(c, q, ")", "");
        return rc;
    }
    return fail_field(c, ERR_INVALID, "filter",
                      "Invalid span attribute '%s'. Valid ones are name, type, status, content and "
                      "attributes.<key>",
                      k->key);
}

static enum cost cost_of(enum entity e, const struct filter_clause *k) {
    if (e == E_SPAN)
        return COST_SPAN;
    if (e == E_TRACE && str_eq(k->key, "text"))
        return COST_TEXT;
    if (e != E_TRACE || str_eq(k->key, "run_id") || str_eq(k->key, "prompt"))
        return COST_CHILD;
    return COST_ROW;
}

static int add_clause(struct ctx *c, struct sql *q, enum entity e, const struct filter_clause *k) {
    switch (e) {
    case E_TRACE:
        return add_trace(c, q, k);
    case E_TAG:
        return add_child(c, q, "trace_tag g", "g.value", " WHERE g.trace = t.id AND g.key = ?", k);
    case E_METADATA:
        return add_child(c, q, "trace_metadata m", "m.value", " WHERE m.trace = t.id AND m.key = ?",
                         k);
    case E_FEEDBACK:
        return add_assessment(c, q, k, true);
    case E_EXPECTATION:
        return add_assessment(c, q, k, false);
    case E_ISSUE:
        return add_issue(c, q, k);
    case E_SPAN:
        break;
    }
    return add_span(c, q, k);
}

const char *filter_join(struct ctx *c, const char *filter, const char *mark) {
    size_t n = strlen(mark), first = strcspn(mark, ".") + 1;
    char *text = arena_strdup(c->arena, filter);
    char quote = 0;
    for (char *p = text; *p; p++) {
        if (quote) {
            quote = *p == quote ? 0 : quote;
        } else if (strncmp(p, mark, n) == 0 && p[n] && strchr("`\"", p[n])) {
            char q = p[n];
            memmove(p + first + 1, p + first, n - first);
            p[first] = q;
            p += n;
            quote = q;
        } else if (*p == '\'' || *p == '"' || *p == '`') {
            quote = *p;
        }
    }
    return text;
}

int trace_filter_sql(struct ctx *c, const char *filter, struct sql *q) {
    struct filter f;
    bool span = false;
    int rc = filter_parse(c, filter ? filter_join(c, filter, "span.attributes.") : NULL, &f);
    if (rc == 0 && f.n > CLAUSES_MAX)
        rc = fail_field(c, ERR_INVALID, "filter", "A filter may have at most %d clauses.",
                        CLAUSES_MAX);
    for (int cost = 0; cost < COSTS && rc == 0; cost++) {
        for (size_t i = 0; i < f.n && rc == 0; i++) {
            const struct filter_clause *k = &f.clauses[i];
            enum entity e;
            rc = entity_of(c, k->entity, &e);
            if (rc != 0 || cost_of(e, k) != (enum cost)cost)
                continue;
            if (e == E_SPAN && !span)
                sql_add(c, q, " AND EXISTS (SELECT 1 FROM span s WHERE s.trace = t.id", "");
            span = span || e == E_SPAN; /* they are last: all within one EXISTS */
            sql_add(c, q, " AND ", "");
            rc = add_clause(c, q, e, k);
        }
    }
    if (span)
        sql_add(c, q, ")", "");
    return rc;
}

/* ------------------------------------------------------------------ order */

static void add_order(struct ctx *c, struct sql *q, const char *expr, bool desc) {
    sql_add(c, q, arena_printf(c->arena, "(%s) IS NULL, %s %s", expr, expr, desc ? "DESC" : "ASC"),
            "");
}

int trace_order_sql(struct ctx *c, const char *order, struct sql *q) {
    struct order_term o;
    enum entity e;
    int rc = order_parse(c, order, &o);
    rc = rc ? rc : entity_of(c, o.entity, &e);
    if (rc != 0)
        return rc;
    if (e == E_TAG || e == E_METADATA) {
        static const char *const values[] = {
            "(SELECT value FROM trace_tag WHERE trace = t.id AND key = ?)",
            "(SELECT value FROM trace_metadata WHERE trace = t.id AND key = ?)"};
        const char *value = values[e == E_METADATA];
        sql_add(c, q, value, "s", o.key);
        sql_add(c, q, " IS NULL, ", "");
        sql_add(c, q, value, "s", o.key);
        sql_add(c, q, o.desc ? " DESC" : " ASC", "");
        return 0;
    }
    if (e == E_TRACE && str_eq(o.key, "run_id")) {
        add_order(c, q,
                  "(SELECT value FROM trace_metadata WHERE trace = t.id"
                  " AND key = 'mlflow.sourceRun')",
                  o.desc);
        return 0;
    }
    if (e == E_TRACE && str_eq(o.key, "experiment_id")) {
        add_order(c, q, "t.experiment_id", o.desc);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(attributes) && e == E_TRACE; i++) {
        const struct attribute *a = &attributes[i];
        if (!str_eq(a->key, o.key))
            continue;
        if (str_starts(o.key, "timestamp")) /* never null: the index gives this order */
            sql_add(c, q, o.desc ? "t.timestamp_ms DESC" : "t.timestamp_ms ASC", "");
        else
            add_order(c, q, a->column, o.desc);
        return 0;
    }
    return fail_field(c, ERR_INVALID, "order_by",
                      "Invalid order by key '%s' specified. Valid keys are '{'timestamp', "
                      "'execution_time', 'end_time', 'status', 'request_id', 'name', 'run_id', "
                      "'experiment_id'}', tags and metadata",
                      o.key);
}
