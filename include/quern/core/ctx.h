/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CORE_CTX_H
#define QUERN_CORE_CTX_H
/* Ctx: everything one request (or one background job) carries: memory, error, caller, project,
 * database connection, reply. One thread at a time holds it. Handlers and rules take it first. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/err.h"
#include "quern/core/perm.h"
#include "quern/core/reply.h"

struct arena;
struct db_conn;

struct principal {
    int64_t id;         /* 0 for the local-mode caller and the daemon itself */
    const char *name;   /* "local", "daemon", or the principal's name */
    const char *kind;   /* "local" "daemon" "user" "service" "run" */
    enum perm level;    /* highest level on the request's project */
    const char *run_id; /* for run tokens: the only run that may be written, else NULL */
    bool member;        /* let into the project without a role: see quern/access/access.h */
    bool grants;        /* has permissions on single objects of the project */
};

struct header {
    const char *name; /* lower case */
    const char *value;
};

struct ctx {
    struct arena *arena;
    struct err err;
    struct principal who;
    int64_t project;        /* id of the request's project; every query filters by it */
    const char *request_id; /* echoed as X-Request-Id */
    int64_t now_ms;         /* wall time, fixed for the request */
    int64_t deadline_ns;    /* monotonic; 0: none */
    struct db_conn *db;     /* set by the lane; writer's inside WRITE, reader's elsewhere */
    const char *remote;     /* peer address in text, "" for jobs */

    /* The request as text, for rows that take it raw. */
    const char *method;
    const char *path;         /* as sent, before decoding, no query */
    const char *query;        /* as sent, "" if none */
    const char *content_type; /* "" if none */
    const char *body;         /* NUL-terminated behind body_len; "" if none */
    size_t body_len;
    const struct header *headers;
    size_t header_count;

    struct reply reply;

    /* A row with ROUTE_OBJECT is at work, and its handler has asked for the permission on what it
     * works on. A change whose handler did not ask is undone by the writer. */
    bool must_ask, asked;

    /* Memory of trees made of JSON texts within values (json_inner), and whether one had no room.
     */
    size_t inner_bytes;
    bool inner_full;
};

/* A context for background work: a fresh arena, principal "daemon" with PERM_SYSTEM, project 1.
 * Free with ctx_end. */
void ctx_begin(struct ctx *c);
void ctx_end(struct ctx *c);
/* 0, or fails ERR_INTERNAL, which is logged, when must_ask was not honoured. */
int ctx_asked(struct ctx *c);
const char *ctx_header(const struct ctx *c, const char *lower_name); /* NULL when absent */

#endif
