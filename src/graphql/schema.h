/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GRAPHQL_SCHEMA_H
#define QUERN_GRAPHQL_SCHEMA_H
/* Schema: which names a query may use. Root fields name rows of routes; types are the shapes of
 * these rows, so only what differs from them is written down here. */
#include <stdbool.h>

struct ctx;
struct field;
struct route;
struct shape;

/* A field that is answered by reading a row: at the root, or below an object whose member gives the
 * argument (run.experiment reads the experiment of info.experimentId). */
struct gql_read {
    const char *parent; /* shape's name; NULL: the root */
    const char *name;
    bool query, mutation; /* roots: where it stands */
    const char *route;    /* id of its row */
    const char *member;   /* below the root: the member of the answer that is meant, else NULL */
    const char *argument; /* below the root: JSON of the input; %s is the text that `from` finds */
    const char *from;     /* "info.run_id": wire names, from the parent */
};

const struct gql_read *gql_read(const char *parent, bool mutation, const char *name);
const struct route *gql_route(const char *id); /* NULL: no such row */

/* Member of a shape by its GraphQL name (camelCase); NULL when there is none. */
const struct field *gql_member(const struct shape *s, const char *name);
/* Names that the page may ask for and that are always null here. */
bool gql_absent(const struct shape *s, const char *name);
/* __typename of what stands in parent's member; parent NULL: the answer of a root field `name`. */
const char *gql_type_name(struct ctx *c, const struct shape *parent, const char *name,
                          const struct shape *s);

#endif
