/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ACCESS_ACCESS_H
#define QUERN_ACCESS_ACCESS_H
/* Access: who may come in, and the record of what they changed.
 *
 * A request's project is named by X-Quern-Project or X-MLFLOW-WORKSPACE, else "default" (id 1).
 * Credentials: "Authorization: Bearer qn_..." or Basic name:password (a token is accepted as the
 * password). Local mode: loopback peer, no principal in the table, auth=auto. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/http/route.h"

struct access;
struct buf;
struct db;

struct access_options {
    struct db *db;
    bool auth_on;              /* --auth on */
    bool loopback;             /* the listening address is loopback */
    int port;                  /* our own, for Host and Origin checks */
    const char *allowed_hosts; /* comma-separated, may be "" */
    const char *allowed_origins;
    const char *default_permission; /* of members; NULL: READ */
};

int access_start(const struct access_options *o, struct access **out, struct buf *error);
void access_stop(struct access *a);
/* server_options.admit: Host, Origin, Sec-Fetch-Site, credential, project, permission. */
int access_admit(struct ctx *c, const struct route *row, void *access);
bool access_local_mode(struct access *a);

/* A token that lives for one pipeline step: kind "run", WRITE on one project, may write only the
 * tracking run `run_id`. Local mode does not end by it. Inside a write; text shown once. */
int access_run_token(struct ctx *c, const char *run_id, int64_t expires_ms, char **token);
int access_run_token_revoke(struct ctx *c, const char *run_id);
/* Housekeeping, inside a write: deletes at most `most` run tokens whose time is over. The number
 * deleted, or negative. */
int access_run_tokens_expire(struct ctx *c, int64_t most);
/* For rooms: fails ERR_FORBIDDEN when the caller is a run token for another run. */
int access_check_run(struct ctx *c, const char *run_id);

/* ------------------------------------------------------------------ objects
 *
 * Rows with ROUTE_OBJECT (quern/http/route.h) ask here before they answer from, or change, an
 * experiment or a registered model; runs, logged models, traces and artifacts ask for their
 * experiment, versions and aliases for their model. The permission that holds is the first of:
 *   the caller administers the project or the installation: everything;
 *   a grant of (caller, object), NO_PERMISSIONS included;
 *   the role on the project: reader READ, writer DELETE, admin MANAGE;
 *   for members (made by MLflow's users/create, no role): the setting mlflow.default-permission;
 *   nothing.
 * A grant can take away from a role as well as add to it. Grants disappear with their object and
 * with their principal (triggers of 0010). Callers without grants cost no look at the database.
 * An object's id must have been found within c->project before it is asked about. */
enum object_kind { OBJECT_EXPERIMENT = 1, OBJECT_MODEL = 2 };
/* Each includes those before. DELETE is no word of MLflow's: writers of a project may delete and
 * restore, holders of EDIT may not. */
enum object_need {
    OBJECT_NONE = 0,
    OBJECT_READ,
    OBJECT_USE,
    OBJECT_EDIT,
    OBJECT_DELETE,
    OBJECT_MANAGE
};
/* 0, or fails ERR_FORBIDDEN. */
int access_object(struct ctx *c, enum object_kind kind, int64_t id, enum object_need need);
/* The same as a question: *yes. Counts as asked. */
int access_object_allows(struct ctx *c, enum object_kind kind, int64_t id, enum object_need need,
                         bool *yes);
/* May the caller make such an object here? Members may, readers may not. ERR_FORBIDDEN. */
int access_object_make(struct ctx *c, enum object_kind kind);
/* The maker gets MANAGE. Inside the write that made it. */
int access_object_created(struct ctx *c, enum object_kind kind, int64_t id);
/* Keeps a search to what the caller may read: appends " AND <condition on column>" with its values,
 * or nothing when all may be read. Counts as asked. `column` is text of the source. */
struct sql;
int access_object_filter(struct ctx *c, enum object_kind kind, const char *column, struct sql *q);
/* For rows that turn out to touch no object (an empty list, a failure told as an answer). */
void access_object_nothing(struct ctx *c);

/* lane_options.audit. The chain: hash = SHA-256(previous hash || fields, length-prefixed). */
int access_audit(struct ctx *c, const struct route *row, const char *outcome);
int audit_append(struct ctx *c, const char *action, const char *subject, const char *detail_json);
/* Walks the chain; *rows counts; a break fails with its sequence number. */
int audit_verify(struct ctx *c, int64_t *rows);

extern const struct route_list principal_routes;
extern const struct route_list token_routes;
extern const struct route_list user_routes;       /* MLflow's users/... */
extern const struct route_list permission_routes; /* MLflow's .../permissions/... */
extern const struct route_list project_routes;    /* projects and the audit chain */

#endif
