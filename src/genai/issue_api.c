/* SPDX-License-Identifier: Apache-2.0 */
#include "issue.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/genai/genai.h"

#define STATUS FIELD(struct issue, status, T_STR, F_EMPTY_OK, "pending, rejected or resolved.")
#define SEVERITY                                                                                   \
    FIELD(struct issue, severity, T_STR, F_EMPTY_OK, "not_an_issue, low, medium or high.")
#define ID FIELD(struct issue, issue_id, T_STR, F_PATH | F_REQUIRED, "Issue.")

SHAPE_LOCAL(in_create, "CreateIssue", struct issue,
            FIELD(struct issue, experiment_id, T_STR, F_REQUIRED, "Experiment."),
            FIELD_MAX(struct issue, name, T_STR, F_REQUIRED, 0, ISSUE_NAME_MAX, "Short name."),
            FIELD(struct issue, description, T_STR, F_REQUIRED, "What is wrong."), STATUS, SEVERITY,
            FIELD_MAX(struct issue, root_causes, T_STRS, 0, 0, ISSUE_ITEMS_MAX, "Why it is so."),
            FIELD(struct issue, source_run_id, T_STR, F_EMPTY_OK, "Run that found it."),
            FIELD_MAX(struct issue, created_by, T_STR, F_EMPTY_OK, 0, ISSUE_MAKER_MAX,
                      "Who found it."),
            FIELD_MAX(struct issue, categories, T_STRS, 0, 0, ISSUE_ITEMS_MAX,
                      "Kinds, free texts."));
SHAPE_LOCAL(in_id, "IssueById", struct issue, ID);
SHAPE_LOCAL(in_update, "UpdateIssue", struct issue, ID,
            FIELD_MAX(struct issue, name, T_STR, F_EMPTY_OK, 0, ISSUE_NAME_MAX, "New name."),
            FIELD(struct issue, description, T_STR, F_EMPTY_OK, "New description."), STATUS,
            SEVERITY);
SHAPE_LOCAL(in_search, "SearchIssues", struct issue_search,
            FIELD(struct issue_search, experiment_id, T_STR, F_EMPTY_OK,
                  "Experiment; all that may be read when absent."),
            FIELD(struct issue_search, filter_string, T_STR, F_EMPTY_OK,
                  "status and source_run_id, with = and !=, joined by AND."),
            FIELD(struct issue_search, max_results, T_I64, 0,
                  "Per page, at most 50000; 100 when absent."),
            FIELD(struct issue_search, page_token, T_STR, F_EMPTY_OK,
                  "next_page_token of the page before."),
            FIELD(struct issue_search, include_trace_count, T_BOOL, 0,
                  "Whether to count the traces that have the issue."));

SHAPE_LOCAL(wire_issue, "Issue", struct issue,
            FIELD(struct issue, issue_id, T_STR, 0, "iss- and 32 hex digits."),
            FIELD(struct issue, experiment_id, T_STR, 0, "Experiment."),
            FIELD(struct issue, name, T_STR, 0, "Short name."),
            FIELD(struct issue, description, T_STR, 0, "What is wrong."), STATUS, SEVERITY,
            FIELD(struct issue, root_causes, T_STRS, 0, "Why it is so."),
            FIELD(struct issue, source_run_id, T_STR, 0, "Run that found it."),
            FIELD(struct issue, created_timestamp, T_I64, 0, "In ms."),
            FIELD(struct issue, last_updated_timestamp, T_I64, 0, "In ms."),
            FIELD(struct issue, created_by, T_STR, 0, "Who found it."),
            FIELD(struct issue, categories, T_STRS, 0, "Kinds, free texts."),
            FIELD(struct issue, trace_count, T_I64, 0, "Traces that have it, when asked for."));
struct answer {
    struct issue *issue;
};
SHAPE_LOCAL(out_issue, "OneIssue", struct answer,
            FIELD_SUB(struct answer, issue, T_OBJ, 0, &wire_issue, "The issue."));
SHAPE_LOCAL(out_page, "IssuePage", struct issue_page,
            FIELD_SUB(struct issue_page, issues, T_LIST, 0, &wire_issue, "Issues of this page."),
            FIELD(struct issue_page, next_page_token, T_STR, 0, "Empty on the last page."));

static struct issue *place(struct ctx *c, void *out) {
    return ((struct answer *)out)->issue = ARENA_NEW(c->arena, struct issue);
}

static int api_create(struct ctx *c, const void *in, void *out) {
    return issue_create(c, in, place(c, out));
}

static int api_get(struct ctx *c, const void *in, void *out) {
    return issue_get(c, ((const struct issue *)in)->issue_id, place(c, out));
}

static int api_update(struct ctx *c, const void *in, void *out) {
    return issue_update(c, in, place(c, out));
}

static int api_search(struct ctx *c, const void *in, void *out) {
    return issue_search(c, in, out);
}

#define ROW(ident, verb, where, takes, gives, level, on, handler, shown_by, says)                  \
    {                                                                                              \
        .id = "issues." ident, .method = (verb), .path = "/api/3.0/mlflow/issues" where,           \
        .in = (takes), .out = (gives), .perm = (level), .lane = (on), .dialect = DIALECT_MLFLOW,   \
        .flags = ROUTE_MLFLOW_AJAX | ROUTE_OBJECT, .fn = (handler), .summary = (says),             \
        .twin = (shown_by)                                                                         \
    }

#define SHOWN "issues.get"
static const struct route rows[] = {
    ROW("create", "POST", "", &in_create, &out_issue, PERM_WRITE, LANE_WRITE, api_create, NULL,
        "Notes an issue of an experiment's traces."),
    ROW("get", "GET", "/{issue_id}", &in_id, &out_issue, PERM_READ, LANE_READ, api_get, SHOWN,
        "Gives an issue."),
    ROW("update", "PATCH", "/{issue_id}", &in_update, &out_issue, PERM_WRITE, LANE_WRITE,
        api_update, SHOWN, "Changes an issue's texts, state or severity."),
    ROW("search", "POST", "/search", &in_search, &out_page, PERM_READ, LANE_READ, api_search, NULL,
        "Finds issues, the worst first."),
};

const struct route_list issue_routes = {.rows = rows, .n = ARRAY_LEN(rows)};
