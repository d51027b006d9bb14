/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GRAPHQL_INPUT_H
#define QUERN_GRAPHQL_INPUT_H
/* Input: values of a request with its variables filled in. */
#include <stdbool.h>

#include "document.h"

struct json_t;

struct gql_input {
    struct ctx *c;
    const struct gql_definition *op;
    const struct json_t *variables;
};

/* Every required variable is given; "Variable '$x' of required type 'T!' was not provided." */
int gql_input_check(const struct gql_input *in);
/* The value as a JSON tree that hangs on the arena; *out is NULL for a variable that is absent. */
int gql_input_tree(const struct gql_input *in, const struct gql_value *v, struct json_t **out);
/* Neither @skip(if: true) nor @include(if: false). */
int gql_input_wanted(const struct gql_input *in, const struct gql_directive *d, bool *wanted);
const struct gql_value *gql_argument(const struct gql_value *first, const char *name);

#endif
