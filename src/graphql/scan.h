/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GRAPHQL_SCAN_H
#define QUERN_GRAPHQL_SCAN_H
/* Scan: GraphQL text to tokens. Blanks, commas and comments are skipped. */
#include <stddef.h>

struct ctx;

enum gql_token_kind {
    GQL_END,
    GQL_PUNCT,  /* mark: one of ! $ & ( ) : = @ [ ] { | } or '.' for "..." */
    GQL_NAME,   /* text */
    GQL_NUMBER, /* text; fraction tells an Int from a Float */
    GQL_TEXT,   /* text, unescaped */
};

struct gql_token {
    enum gql_token_kind kind;
    char mark;
    int fraction;
    const char *text;
    size_t at; /* byte offset */
};

struct gql_scan {
    struct ctx *c;
    const char *text;
    size_t n, at;
    struct gql_token now;
};

/* Moves to the next token; negative with "Syntax Error: ..." */
int gql_scan_next(struct gql_scan *s);
int gql_scan_fail(struct gql_scan *s, const char *what);

#endif
