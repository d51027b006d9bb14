/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GRAPHQL_DOCUMENT_H
#define QUERN_GRAPHQL_DOCUMENT_H
/* Document: a GraphQL request as a syntax tree in the arena. Pure. */
#include <stdbool.h>
#include <stddef.h>

struct ctx;

#define GQL_TEXT_MAX 16384
#define GQL_DEPTH_MAX 10
#define GQL_SELECTIONS_MAX 1000
#define GQL_ROOTS_MAX 10
#define GQL_ALIASES_MAX 10
#define GQL_ANSWER_MAX (64u << 20) /* bytes */

enum gql_kind {
    GQL_NULL,
    GQL_BOOL,   /* text "true" or "false" */
    GQL_INT,    /* text as written */
    GQL_FLOAT,  /* text as written */
    GQL_STRING, /* text without quotes and escapes */
    GQL_ENUM,
    GQL_VARIABLE, /* text without '$' */
    GQL_LIST,
    GQL_OBJECT,
};

/* A value, an item of a list, or a member or argument with its name. */
struct gql_value {
    enum gql_kind kind;
    const char *name;
    const char *text;
    struct gql_value *first; /* GQL_LIST, GQL_OBJECT */
    struct gql_value *next;
};

struct gql_directive {
    const char *name;
    struct gql_value *arguments;
    struct gql_directive *next;
};

enum gql_selection_kind { GQL_FIELD, GQL_SPREAD, GQL_INLINE };

struct gql_selection {
    enum gql_selection_kind kind;
    const char *alias; /* NULL: none */
    const char *name;  /* field, fragment, or type condition of an inline fragment (may be NULL) */
    struct gql_value *arguments;
    struct gql_directive *directives;
    struct gql_selection *first; /* selection set; NULL: none */
    struct gql_selection *next;
};

struct gql_variable {
    const char *name;
    const char *type; /* as written, "MlflowGetRunInput!" */
    bool required;
    struct gql_value *fallback; /* NULL: none */
    struct gql_variable *next;
};

struct gql_definition {
    bool fragment, mutation;
    const char *name; /* NULL: anonymous */
    struct gql_variable *variables;
    struct gql_selection *first;
    struct gql_definition *next;
};

/* The definitions in order. Fails ERR_INVALID "Syntax Error: ..." with line and column. */
int gql_parse(struct ctx *c, const char *text, size_t n, struct gql_definition **out);

/* Counts what the bounds above bound, through fragments; a fragment that contains itself or does
 * not exist fails too. The message is what the caller is told. */
int gql_bounds(struct ctx *c, const struct gql_definition *all, const struct gql_definition *op);
const struct gql_definition *gql_fragment(const struct gql_definition *all, const char *name);

#endif
