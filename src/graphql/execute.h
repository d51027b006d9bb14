/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GRAPHQL_EXECUTE_H
#define QUERN_GRAPHQL_EXECUTE_H
/* Execute: from a request's text to the JSON answer, inside the caller's read. */
#include "quern/base/buf.h"

struct ctx;
struct json_t;

struct gql_request {
    const char *query;
    const char *operation;          /* NULL: the only one */
    const struct json_t *variables; /* NULL or an object */
};

/* Writes {"data": ..., "errors": ...} to `out`; nothing fails. */
void gql_execute(struct ctx *c, const struct gql_request *in, struct buf *out);

#endif
