/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "issue.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/filter.h"
#include "quern/core/page.h"
#include "quern/db/db.h"

#define DEFAULT_RESULTS 100
#define MAX_RESULTS 50000
#define CLAUSES_MAX 100
#define ANSWER_BYTES (256u << 20)

static int limit_of(struct ctx *c, struct opt_i64 asked, int64_t *limit) {
    *limit = asked.set ? asked.v : DEFAULT_RESULTS;
    if (*limit >= 1 && *limit <= MAX_RESULTS)
        return 0;
    return fail_field(c, ERR_INVALID, "max_results",
                      "Invalid value %" PRId64 " for parameter 'max_results' supplied. It must be "
                      "%s %d",
                      *limit, *limit < 1 ? "a positive integer, at most" : "at most", MAX_RESULTS);
}

static int add_clause(struct ctx *c, struct sql *q, const struct filter_clause *f) {
    const char *key = f->entity ? arena_printf(c->arena, "%s.%s", f->entity, f->key) : f->key;
    bool status = str_eq(key, "status");
    if (!status && !str_eq(key, "source_run_id"))
        return fail_field(c, ERR_INVALID, "filter_string",
                          "Invalid filter field '%s'. Supported fields: {'status', "
                          "'source_run_id'}",
                          key);
    if (f->op != OP_EQ && f->op != OP_NE)
        return fail_field(c, ERR_INVALID, "filter_string",
                          "Invalid comparator '%s'. Supported comparators: {'=', '!='}",
                          filter_op_text(f->op));
    sql_add(c, q, status ? " AND i.status" : " AND i.source_run", "");
    sql_add(c, q, f->op == OP_EQ ? " = ?" : " <> ?", "s", f->text);
    return 0;
}

static int add_filter(struct ctx *c, struct sql *q, const char *text) {
    struct filter f;
    int rc = filter_parse(c, text, &f);
    if (rc == 0 && f.n > CLAUSES_MAX)
        rc = fail_field(c, ERR_INVALID, "filter_string",
                        "Invalid filter: it holds %zu clauses, at most %d are allowed", f.n,
                        CLAUSES_MAX);
    for (size_t i = 0; rc == 0 && i < f.n; i++)
        rc = add_clause(c, q, &f.clauses[i]);
    return rc;
}

/* Traces of experiments that the caller may read. */
static int add_count(struct ctx *c, struct sql *q, bool wanted) {
    if (!wanted) {
        sql_add(c, q, ", NULL", "");
        return 0;
    }
    sql_add(c, q,
            ", (SELECT count(DISTINCT a.trace) FROM assessment a JOIN trace t ON t.id = a.trace"
            " JOIN experiment te ON te.id = t.experiment_id WHERE a.name = i.issue_id"
            " AND a.kind = 'issue' AND te.project_id = ?",
            "i", c->project);
    int rc = access_object_filter(c, OBJECT_EXPERIMENT, "te.id", q);
    sql_add(c, q, ")", "");
    return rc;
}

static int build(struct ctx *c, const struct issue_search *in, struct sql *q) {
    int64_t experiment = 0;
    sql_begin(c, q);
    sql_add(c, q, "SELECT " ISSUE_COLUMNS, "");
    int rc = add_count(c, q, in->include_trace_count.v);
    sql_add(c, q,
            " AS traces FROM issue i JOIN experiment e ON e.id = i.experiment_id"
            " WHERE e.project_id = ?",
            "i", c->project);
    if (rc == 0 && in->experiment_id && *in->experiment_id) {
        if (!str_to_i64(in->experiment_id, &experiment))
            return fail_field(c, ERR_INVALID, "experiment_id",
                              "Invalid experiment ID '%s'. Experiment ID must be a valid integer.",
                              in->experiment_id);
        sql_add(c, q, " AND i.experiment_id = ?", "i", experiment);
    }
    rc = rc ? rc : access_object_filter(c, OBJECT_EXPERIMENT, "e.id", q);
    rc = rc ? rc : add_filter(c, q, in->filter_string);
    sql_add(c, q,
            " ORDER BY CASE i.severity WHEN 'high' THEN 3 WHEN 'medium' THEN 2 WHEN 'low' THEN 1"
            " WHEN 'not_an_issue' THEN 0 ELSE -1 END DESC, traces DESC, i.created_ms DESC,"
            " i.issue_id DESC",
            "");
    return rc;
}

int issue_search(struct ctx *c, const struct issue_search *in, struct issue_page *out) {
    struct sql q;
    int64_t limit = 0, offset = 0;
    size_t cap = 0;
    int rc = limit_of(c, in->max_results, &limit);
    rc = rc ? rc : page_offset(c, in->page_token, &offset);
    rc = rc ? rc : build(c, in, &q);
    if (rc != 0)
        return rc;
    sql_add(c, &q, " LIMIT ? OFFSET ?", "ii", limit + 1, offset);
    struct stmt *st = sql_query(c, &q);
    out->next_page_token = "";
    while ((rc = stmt_next(st)) > 0) {
        if (out->issues.n == (size_t)limit) {
            out->next_page_token = page_token(c, offset + limit);
            stmt_end(st);
            return 0;
        }
        if (arena_bytes(c->arena) > ANSWER_BYTES) {
            stmt_end(st);
            return fail_field(c, ERR_INVALID, "max_results",
                              "The answer would exceed %u MiB; ask for fewer at once with "
                              "'max_results'",
                              ANSWER_BYTES >> 20);
        }
        struct issue *i = arena_push(c->arena, &out->issues.items, &out->issues.n, &cap, sizeof *i);
        issue_row(c, st, i);
        if (!stmt_null(st, 12))
            i->trace_count = SET_I64(stmt_i64(st, 12));
    }
    return rc;
}
