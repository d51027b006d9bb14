/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_HTTP_ROUTE_H
#define QUERN_HTTP_ROUTE_H
/* Route: one row per method and path. Router, decoding, authorization, OpenAPI, the reference page,
 * metric labels and the coverage test are derived from it.
 *
 * Patterns: "/a/{name}/b" binds one segment (decoded once, not empty, no '/' or NUL);
 * "/a/{path...}" at the end binds the rest, slashes included, each segment decoded once; "."/".."
 * segments, empty segments, encoded slashes, backslashes and NULs were refused before. Literal
 * segments win over variables. HEAD is answered wherever GET is. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "quern/core/ctx.h"
#include "quern/core/dialect.h"
#include "quern/core/perm.h"
#include "quern/core/shape.h"

enum lane {
    LANE_UNSET = 0,
    LANE_READ,  /* network thread, reader snapshot in c->db */
    LANE_WRITE, /* writer thread, inside the group commit; may run twice */
    LANE_WORK,  /* worker thread; may block; no c->db: use db_read_begin / db_write */
    LANE_CALL,  /* network thread, no database */
};

enum route_flag {
    ROUTE_MLFLOW_AJAX = 1u << 0,   /* also served with "/ajax-api" in place of "/api" */
    ROUTE_RAW_BODY = 1u << 1,      /* body is left in c->body, not parsed; any content type */
    ROUTE_UPLOAD = 1u << 2,        /* body is streamed to `upload`; cap is in 64 bits of config */
    ROUTE_NO_HOST_CHECK = 1u << 3, /* liveness and version only */
    ROUTE_AUDIT = 1u << 4,         /* state changes of importance: written to the audit chain */
    ROUTE_NO_LOG = 1u << 5, /* successful calls are not logged (health, metrics, predictions) */
    ROUTE_SECRET = 1u << 6, /* the answer holds a secret: it is not kept for a repeat */
    /* The permission on the experiment or model decides, not the row's alone: callers without a
     * role but with grants come in, and the handler must ask (access_object and its kin). One that
     * ends well without having asked is answered 500, and what it changed is undone. */
    ROUTE_OBJECT = 1u << 7,
    /* Open also to callers whose only right on the project is that of a member or of grants. */
    ROUTE_MEMBER = 1u << 8,
    /* Open to every caller with a credential, whatever his right on the project: the row is about
     * the caller himself, or its handler decides. */
    ROUTE_SELF = 1u << 9,
    /* Of a row with ROUTE_RAW_BODY: a compressed body is unpacked before the handler sees it (as
     * bodies of other rows always are), and answers of any type are packed when the caller asks. */
    ROUTE_PACKED = 1u << 10,
};

/* Streamed body. begin runs before the first byte on a network thread (no database), chunk there
 * too; finish runs on the row's lane (WORK) as the handler with `state` in c->upload... see
 * route_fn: `in` is the decoded path and query. abort frees the state whenever finish was not
 * reached. */
struct upload_ops {
    int (*begin)(struct ctx *c, const void *in, void **state);
    int (*chunk)(struct ctx *c, void *state, const char *data, size_t n);
    int (*finish)(struct ctx *c, const void *in, void *state, void *out);
    void (*abort)(void *state);
};

struct call; /* quern/http/server.h */

/* 0, or fail(...). `in` is a struct of row->in (NULL shape: NULL), `out` of row->out, zeroed. */
typedef int route_fn(struct ctx *c, const void *in, void *out);

struct route {
    const char *id; /* "tracking.runs.create": unique, metrics label, operationId */
    const char *method;
    const char *path;
    const struct shape *in;  /* NULL: takes nothing */
    const struct shape *out; /* NULL: answers {} */
    enum perm perm;
    enum lane lane;
    enum dialect dialect;
    unsigned flags;
    uint32_t body_cap; /* bytes; 0: http.body-cap */
    route_fn *fn;
    const struct upload_ops *upload;
    const char *summary; /* one sentence */
    /* Id of the GET row (lane READ) whose answer shows the thing that this row changes, found by
     * the members that both inputs have; its own id on the GET row itself. Gives the thing an ETag
     * and the change If-Match (see lane). NULL: neither. */
    const char *twin;
    /* CALL rows only, when what they do may block: 0 runs the handler here; 1 says that the call
     * was held and handed to another thread, which ends it with call_run and call_finish; a
     * negative code fails it. NULL: never blocks. */
    int (*divert)(struct call *k);
};

/* Runs a row's handler and holds it to ROUTE_OBJECT. Rows that run other rows call this, never
 * fn: what the inner handler asked does not count for the outer one. */
int route_run(struct ctx *c, const struct route *row, const void *in, void *out);

struct route_list {
    const struct route *rows;
    size_t n;
};

#endif
