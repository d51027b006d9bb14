/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "access_api.h"
#include "access_state.h"
#include "access_store.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/db/db.h"

struct project_in {
    const char *name;
};
SHAPE_LOCAL(project_in_shape, "ProjectCreate", struct project_in,
            FIELD_MAX(struct project_in, name, T_STR, F_REQUIRED, 1, 128,
                      "Letters, digits, '.', '_' and '-'"));

struct project_out {
    const char *name;
    struct opt_i64 id, created_ms;
};
SHAPE_LOCAL(project_shape, "Project", struct project_out,
            FIELD(struct project_out, name, T_STR, F_ALWAYS, "Name, for X-Quern-Project"),
            FIELD(struct project_out, id, T_I64, F_ALWAYS, "Number"),
            FIELD(struct project_out, created_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"));

struct project_list {
    struct list projects;
    const char *next_page_token;
};
SHAPE_LOCAL(project_list_shape, "ProjectList", struct project_list,
            FIELD_SUB(struct project_list, projects, T_LIST, F_ALWAYS, &project_shape, "By number"),
            FIELD(struct project_list, next_page_token, T_STR, 0, "Absent on the last page"));

static int projects_create(struct ctx *c, const void *in_, void *out_) {
    const struct project_in *in = in_;
    struct project_out *out = out_;
    int64_t id = 0;
    int rc = name_check(c, "name", in->name);
    if (rc != 0) {
        return rc;
    }
    if (project_find(c, in->name, &id) == 0) {
        return fail_field(c, ERR_CONFLICT, "name", "A project named '%s' exists.", in->name);
    }
    err_clear(c);
    rc = db_exec(c, "INSERT INTO project (name, created_ms) VALUES (?, ?)", "si", in->name,
                 c->now_ms);
    *out = (struct project_out){
        .name = in->name, .id = SET_I64(db_last_id(c)), .created_ms = SET_I64(c->now_ms)};
    return rc;
}

static int projects_list(struct ctx *c, const void *in, void *out_) {
    struct project_list *out = out_;
    int64_t most, offset;
    int rc = page_read(c, in, &most, &offset);
    if (rc != 0) {
        return rc;
    }
    struct stmt *st =
        db_query(c, "SELECT name, id, created_ms FROM project ORDER BY id LIMIT ? OFFSET ?", "ii",
                 most + 1, offset);
    struct project_out *items = ARENA_ARRAY(c->arena, struct project_out, (size_t)most);
    while ((rc = stmt_next(st)) > 0) {
        if (out->projects.n == (size_t)most) {
            out->next_page_token = page_token(c, offset + most);
            stmt_end(st);
            rc = 0;
            break;
        }
        items[out->projects.n++] = (struct project_out){.name = stmt_text(c, st, 0),
                                                        .id = SET_I64(stmt_i64(st, 1)),
                                                        .created_ms = SET_I64(stmt_i64(st, 2))};
    }
    out->projects.items = items;
    return rc;
}

/* The chain only grows at its end, so a page begins behind a row that stays where it is. */
struct audit_in {
    struct opt_i64 after, limit, max_results;
    const char *page_token;
};
SHAPE_LOCAL(audit_in_shape, "AuditQuery", struct audit_in,
            FIELD_MAX(struct audit_in, after, T_I64, F_QUERY, 0, INT64_MAX,
                      "Rows with a greater sequence number; default 0"),
            FIELD_MAX(struct audit_in, limit, T_I64, F_QUERY, 1, 1000, "As max_results"),
            FIELD_MAX(struct audit_in, max_results, T_I64, F_QUERY, 1, 1000,
                      "Rows per page; default 100"),
            FIELD(struct audit_in, page_token, T_STR, F_QUERY,
                  "next_page_token of the page before; overrules after"));

struct audit_out {
    const char *principal, *remote, *request_id, *action, *subject, *outcome;
    struct opt_i64 seq, time_ms, project_id;
};
SHAPE_LOCAL(audit_shape, "AuditRow", struct audit_out,
            FIELD(struct audit_out, seq, T_I64, F_ALWAYS, "Place in the chain, from 1"),
            FIELD(struct audit_out, time_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"),
            FIELD(struct audit_out, project_id, T_I64, F_ALWAYS, "Project's number"),
            FIELD(struct audit_out, principal, T_STR, F_ALWAYS, "Who"),
            FIELD(struct audit_out, remote, T_STR, F_ALWAYS, "From which address"),
            FIELD(struct audit_out, request_id, T_STR, F_ALWAYS, "In which request"),
            FIELD(struct audit_out, action, T_STR, F_ALWAYS, "Route's id"),
            FIELD(struct audit_out, subject, T_STR, F_ALWAYS, "On what"),
            FIELD(struct audit_out, outcome, T_STR, F_ALWAYS, "ok"));

struct audit_list {
    struct list rows;
    const char *next_page_token;
};
SHAPE_LOCAL(audit_list_shape, "AuditList", struct audit_list,
            FIELD_SUB(struct audit_list, rows, T_LIST, F_ALWAYS, &audit_shape, "In order"),
            FIELD(struct audit_list, next_page_token, T_STR, 0, "Absent on the last page"));

static int audit_list(struct ctx *c, const void *in_, void *out_) {
    const struct audit_in *in = in_;
    struct audit_list *out = out_;
    int64_t most = in->max_results.set ? in->max_results.v : in->limit.set ? in->limit.v : 100;
    int64_t after = 0;
    int rc = page_offset(c, in->page_token, &after);
    if (rc != 0) {
        return rc;
    }
    after = after ? after : in->after.v;
    struct stmt *st = db_query(c,
                               "SELECT seq, time_ms, project_id, principal, remote, request_id, "
                               "action, subject, outcome FROM audit WHERE seq > ? "
                               "ORDER BY seq LIMIT ?",
                               "ii", after, most + 1);
    struct audit_out *items = ARENA_ARRAY(c->arena, struct audit_out, (size_t)most);
    while ((rc = stmt_next(st)) > 0) {
        if (out->rows.n == (size_t)most) {
            out->next_page_token = page_token(c, after);
            stmt_end(st);
            rc = 0;
            break;
        }
        after = stmt_i64(st, 0);
        items[out->rows.n++] = (struct audit_out){.seq = SET_I64(stmt_i64(st, 0)),
                                                  .time_ms = SET_I64(stmt_i64(st, 1)),
                                                  .project_id = SET_I64(stmt_i64(st, 2)),
                                                  .principal = stmt_text(c, st, 3),
                                                  .remote = stmt_text(c, st, 4),
                                                  .request_id = stmt_text(c, st, 5),
                                                  .action = stmt_text(c, st, 6),
                                                  .subject = stmt_text(c, st, 7),
                                                  .outcome = stmt_text(c, st, 8)};
    }
    out->rows.items = items;
    return rc;
}

struct verify_out {
    struct opt_i64 rows;
    struct opt_bool intact;
    const char *problem;
};
SHAPE_LOCAL(verify_shape, "AuditVerdict", struct verify_out,
            FIELD(struct verify_out, intact, T_BOOL, F_ALWAYS, "Every hash fits the row before"),
            FIELD(struct verify_out, rows, T_I64, F_ALWAYS, "Rows that were verified"),
            FIELD(struct verify_out, problem, T_STR, 0, "Where the chain breaks"));

static int audit_check(struct ctx *c, const void *in, void *out_) {
    (void)in;
    struct verify_out *out = out_;
    int rc = db_read_begin(access_state->options.db, c);
    if (rc != 0) {
        return rc;
    }
    rc = audit_verify(c, &out->rows.v);
    db_read_end(c);
    out->rows.set = true;
    out->intact = SET_BOOL(rc == 0);
    if (rc != 0) {
        out->problem = c->err.message;
        err_clear(c);
    }
    return 0;
}

static const struct route project_rows[] = {
    {.id = "access.projects.list",
     .method = "GET",
     .path = "/api/v1/projects",
     .in = &page_in_shape,
     .out = &project_list_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_READ,
     .fn = projects_list,
     .summary = "Lists the projects of the installation."},
    {.id = "access.projects.create",
     .method = "POST",
     .path = "/api/v1/projects",
     .in = &project_in_shape,
     .out = &project_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT,
     .fn = projects_create,
     .summary = "Makes a project: its experiments, models and endpoints are its own."},
    {.id = "access.audit.list",
     .method = "GET",
     .path = "/api/v1/audit",
     .in = &audit_in_shape,
     .out = &audit_list_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_READ,
     .fn = audit_list,
     .summary = "Lists the audit chain in order."},
    {.id = "access.audit.verify",
     .method = "GET",
     .path = "/api/v1/audit/verify",
     .out = &verify_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WORK,
     .fn = audit_check,
     .summary = "Walks the audit chain and tells whether it is intact."},
};
const struct route_list project_routes = {project_rows, ARRAY_LEN(project_rows)};
