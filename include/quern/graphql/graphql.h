/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GRAPHQL_GRAPHQL_H
#define QUERN_GRAPHQL_GRAPHQL_H
/* Graphql: the queries of MLflow's web page, answered by the routes that already exist.
 *
 * A root field (mlflowGetRun) names a route row of another room. Its argument `input` is decoded by
 * the row's input shape, its handler runs in the request's own snapshot, and the selection set
 * picks members of the output shape: wire name run_id is field runId, int64 travels as text, an
 * absent scalar is "", "0", 0.0 or false, an absent list is []. There is no second implementation
 * of a read, so permissions and limits are those of the rows.
 *
 * Language: operations (query, mutation), variables with defaults, aliases, fragments, inline
 * fragments, @skip, @include; other directives are ignored; __typename is answered, introspection
 * is not. Bounds: 16 KiB of text, depth 10, 1,000 selections, 10 root fields, 10 aliases in one
 * selection set, 2,000 reads per request, 64 MiB of answer. Answer: {"data": {...} or null,
 * "errors": null or
 * ["message", ...]}, always status 200, as MLflow does; a failing root field is null. */
#include "quern/http/route.h"

extern const struct route_list graphql_routes;

#endif
