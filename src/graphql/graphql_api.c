/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "execute.h"
#include "quern/base/arena.h"
#include "quern/graphql/graphql.h"
#include "quern/json/json_in.h"

struct ask {
    const char *query, *operation;
    struct json_t *variables;
};
SHAPE_LOCAL(in_ask, "GraphqlRequest", struct ask,
            FIELD(struct ask, query, T_STR, F_REQUIRED, "The document."),
            FIELD_AS(struct ask, operation, "operationName", T_STR, F_EMPTY_OK,
                     "Which of its operations; none: the only one."),
            FIELD(struct ask, variables, T_JSON, 0, "Object of variables."));

static int api_graphql(struct ctx *c, const void *in, void *out) {
    const struct ask *a = in;
    struct buf text = {0};
    (void)out;
    if (a->variables && !json_is_null(a->variables) && !json_is_object(a->variables))
        return fail_field(c, ERR_INVALID, "variables", "variables must be an object.");
    struct gql_request ask = {
        .query = a->query, .operation = a->operation, .variables = a->variables};
    gql_execute(c, &ask, &text);
    reply_bytes(c, "application/json", arena_dup(c->arena, text.data, text.len), text.len);
    buf_free(&text);
    return 0;
}

static const struct route rows[] = {
    {.id = "graphql.query",
     .method = "POST",
     .path = "/graphql",
     .in = &in_ask,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .dialect = DIALECT_MLFLOW,
     .flags = ROUTE_MEMBER, /* the rows that it runs ask for themselves */
     .body_cap = 65536,
     .fn = api_graphql,
     .summary = "Answers the GraphQL queries of MLflow's web page."},
    {.id = "graphql.query_get",
     .method = "GET",
     .path = "/graphql",
     .in = &in_ask,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .dialect = DIALECT_MLFLOW,
     .flags = ROUTE_MEMBER,
     .fn = api_graphql,
     .summary = "The same with a GET."},
};

const struct route_list graphql_routes = {.rows = rows, .n = ARRAY_LEN(rows)};
