/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/access/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access_state.h"
#include "access_store.h"
#include "object.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/metric/metric.h"

struct access *access_state;

int access_start(const struct access_options *o, struct access **out, struct buf *error) {
    struct access *a = mem_alloc(sizeof *a);
    a->options = *o;
    a->allowed_hosts = mem_strdup(o->allowed_hosts ? o->allowed_hosts : "");
    a->allowed_origins = mem_strdup(o->allowed_origins ? o->allowed_origins : "");
    a->default_permission = OBJECT_READ;
    if (o->default_permission && !permission_read(o->default_permission, &a->default_permission)) {
        a->default_permission = OBJECT_NONE;
    }
    pthread_mutex_init(&a->lock, NULL);
    throttle_init(&a->throttle);
    struct ctx c;
    ctx_begin(&c);
    int64_t n = 0;
    int rc = db_read_begin(o->db, &c);
    if (rc == 0) {
        rc = principal_count(&c, &n);
        db_read_end(&c);
    }
    if (rc != 0) {
        buf_printf(error, "cannot read the principals: %s", c.err.message);
    }
    ctx_end(&c);
    if (rc != 0) {
        access_stop(a);
        return -1;
    }
    atomic_store(&a->principals, n > 0);
    access_state = a;
    *out = a;
    return 0;
}

void access_stop(struct access *a) {
    if (!a) {
        return;
    }
    access_state = NULL;
    pthread_mutex_destroy(&a->lock);
    throttle_destroy(&a->throttle);
    free(a->allowed_hosts);
    free(a->allowed_origins);
    free(a);
}

bool access_local_mode(struct access *a) {
    return !a->options.auth_on && a->options.loopback && !atomic_load(&a->principals);
}

static bool peer_is_local(const struct ctx *c) {
    /* A proxy on this machine speaks for callers elsewhere; it says so in these headers. */
    static const char *const proxied[] = {"x-forwarded-for",   "forwarded",        "x-real-ip",
                                          "x-forwarded-proto", "x-forwarded-host", "via"};
    for (size_t i = 0; i < ARRAY_LEN(proxied); i++) {
        if (ctx_header(c, proxied[i])) {
            return false;
        }
    }
    return str_starts(c->remote, "127.") || str_eq(c->remote, "::1") ||
           str_starts(c->remote, "::ffff:127.");
}

static const char *project_name(const struct ctx *c) {
    const char *name = ctx_header(c, "x-quern-project");
    return name ? name : ctx_header(c, "x-mlflow-workspace");
}

/* An unknown name leaves project 0, on which nobody has a role: whoever may not use a project
 * cannot find out whether there is one of that name either. */
static int project_pick(struct ctx *c) {
    const char *name = project_name(c);
    c->project = 1;
    if (!name || str_eq(name, "default")) {
        return 0;
    }
    int rc = project_find(c, name, &c->project);
    if (rc == -ERR_NOT_FOUND) {
        err_clear(c);
        c->project = 0;
        rc = 0;
    }
    return rc;
}

static int identify(struct ctx *c, struct access *a) {
    const char *authorization = ctx_header(c, "authorization");
    if (authorization) {
        return credential_check(c, a, authorization);
    }
    if (access_local_mode(a) && peer_is_local(c)) {
        c->who = (struct principal){.name = "local", .kind = "local", .level = PERM_SYSTEM};
        return 0;
    }
    metric_add(METRIC_AUTH_FAILURES, 1, "missing", NULL, NULL);
    return fail(c, ERR_UNAUTHENTICATED,
                "A credential is needed: send 'Authorization: Bearer <token>' (make one with "
                "'quern token create'), or set MLFLOW_TRACKING_TOKEN.");
}

/* Rooms that hold every change against the run of the caller's token (access_check_run), or against
 * its experiment. Anything else that changes something is closed to such a token, so that a new
 * door is closed to it, too. */
static bool heeds_run_tokens(const struct route *row) {
    static const char *const rooms[] = {"tracking.", "artifact.", "registry.", "trace.",
                                        "datasets."};
    static const char *const closed[] = {"trace.delete", "trace.delete_v2", "datasets.delete",
                                         "datasets.delete_records"};
    bool heeds = false;
    for (size_t i = 0; i < ARRAY_LEN(rooms); i++)
        heeds = heeds || str_starts(row->id, rooms[i]);
    for (size_t i = 0; i < ARRAY_LEN(closed); i++) /* what others of the experiment have made */
        heeds = heeds && !str_eq(row->id, closed[i]);
    return heeds;
}

static int permit(struct ctx *c, const struct route *row) {
    if (c->project == 0 && c->who.level == PERM_SYSTEM) {
        return fail_field(c, ERR_NOT_FOUND, "project", "There is no project named '%s'.",
                          project_name(c));
    }
    if (c->who.run_id && row->perm > PERM_READ && !heeds_run_tokens(row)) {
        return fail(c, ERR_FORBIDDEN, "This token may write only run %s.", c->who.run_id);
    }
    if (c->who.level >= row->perm) {
        return 0;
    }
    if ((row->flags & ROUTE_SELF) && !c->who.run_id) {
        return 0;
    }
    if ((row->flags & (ROUTE_OBJECT | ROUTE_MEMBER)) && c->project != 0 &&
        (c->who.member || c->who.grants)) {
        return 0;
    }
    return fail(c, ERR_FORBIDDEN, "'%s' may not do this: it needs %s permission on the project.",
                c->who.name, perm_name(row->perm));
}

int access_admit(struct ctx *c, const struct route *row, void *access) {
    struct access *a = access;
    int rc = row->flags & ROUTE_NO_HOST_CHECK ? 0 : host_check(c, a);
    if (rc != 0 || row->perm == PERM_PUBLIC) {
        c->project = 1;
        c->who = (struct principal){.name = "anonymous", .kind = "anonymous", .level = PERM_PUBLIC};
        return rc;
    }
    /* The common case on one's own machine needs no look at the database. */
    c->project = 1;
    bool needs_db = project_name(c) || ctx_header(c, "authorization");
    if (needs_db && (rc = db_read_begin(a->options.db, c)) != 0) {
        return rc;
    }
    rc = needs_db ? project_pick(c) : 0;
    if (rc == 0) {
        rc = identify(c, a);
    }
    if (needs_db) {
        db_read_end(c);
    }
    if (rc == -ERR_UNAUTHENTICATED) {
        reply_header(c, "WWW-Authenticate", "Basic realm=\"quern\"");
    }
    return rc == 0 ? permit(c, row) : rc;
}

int access_check_run(struct ctx *c, const char *run_id) {
    if (!c->who.run_id || str_eq(c->who.run_id, run_id)) {
        return 0;
    }
    return fail(c, ERR_FORBIDDEN, "This token may write only run %s.", c->who.run_id);
}

int access_run_token(struct ctx *c, const char *run_id, int64_t expires_ms, char **token) {
    char text[TOKEN_LEN + 1];
    char id[33];
    unsigned char hash[32];
    token_make(text);
    token_hash(text, hash);
    snprintf(id, sizeof id, "run-%.8s-%.8s", run_id, text + 3);
    *token = arena_strdup(c->arena, text);
    return token_insert(c, hash, id, 0, run_id, "pipeline step", text + TOKEN_LEN - 4, expires_ms);
}

int access_run_tokens_expire(struct ctx *c, int64_t most) {
    return token_delete_expired_runs(c, most);
}

int access_run_token_revoke(struct ctx *c, const char *run_id) {
    return token_delete_run(c, run_id);
}
