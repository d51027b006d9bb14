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

/* lane_options.audit. The chain: hash = SHA-256(previous hash || fields, length-prefixed). */
int access_audit(struct ctx *c, const struct route *row, const char *outcome);
int audit_append(struct ctx *c, const char *action, const char *subject, const char *detail_json);
/* Walks the chain; *rows counts; a break fails with its sequence number. */
int audit_verify(struct ctx *c, int64_t *rows);

extern const struct route_list principal_routes;
extern const struct route_list token_routes;
extern const struct route_list project_routes; /* projects and the audit chain */

#endif
