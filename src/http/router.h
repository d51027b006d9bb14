/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_HTTP_ROUTER_H
#define QUERN_HTTP_ROUTER_H
/* Router: a tree of path segments made once from the rows. A step tries the literal child, then
 * children with a suffix ("{id}:cancel"), then "{name}", then "{path...}", going back where a
 * branch leads nowhere. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "quern/http/route.h"
#include "target.h"

struct buf;
struct metric_cell;
struct router;

enum method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_COUNT
};

#define ROUTE_VARS_MAX 8
#define STATUS_CELLS 32

/* A row with what requests of it need at hand. */
struct entry {
    const struct route *row;
    struct metric_cell *seconds;
    _Atomic(struct metric_cell *) requests[STATUS_CELLS]; /* by status_slot() */
    struct pair vars[ROUTE_VARS_MAX]; /* keys: names of the path's variables, in order */
    unsigned nvars;
};

struct route_match {
    struct entry *entry; /* NULL: 404, or 405 when allow is not empty */
    unsigned allow;      /* bit per enum method that the path answers */
    struct pair vars[ROUTE_VARS_MAX];
    size_t nvars;
};

enum method method_of(const char *name); /* METHOD_COUNT when unknown */
const char *method_text(enum method m);

struct router *router_new(const struct route_list *lists);
void router_free(struct router *r);
/* Walks a checked, raw path without its query. Values live in the arena. */
void router_find(const struct router *r, struct arena *a, enum method m, const char *path, size_t n,
                 struct route_match *out);

const struct entry *router_entries(const struct router *r, size_t *n);
/* nearest.c: the pattern that a path without a row may have meant, or NULL. */
const char *router_nearest(const struct router *r, struct arena *a, const char *path, size_t n);

/* "/ajax-api/..." for a row with ROUTE_MLFLOW_AJAX, NULL for others; written to out. */
const char *route_ajax_path(const struct route *row, char *out, size_t size);

#endif
