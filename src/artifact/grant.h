/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ARTIFACT_PRIVATE_GRANT_H
#define QUERN_ARTIFACT_PRIVATE_GRANT_H
/* Grant: what a signed URL allows, and its signature: HMAC-SHA-256 with a key of the data directory
 * over all of it, so that no member can be changed. */
#include <stdint.h>

struct ctx;

#define GRANT_PROXY "/api/2.0/mlflow-artifacts/"

struct grant {
    const char *verb; /* "get", "put", "part" */
    int64_t project;
    const char *path; /* logical name */
    const char *what; /* get: sha256; put: who signed; part: "<upload>/<number>" */
    int64_t expires;  /* seconds since 1970 */
};
char *grant_sign(struct ctx *c, const struct grant *g); /* 64 hex digits */
/* ERR_FORBIDDEN when the signature does not fit, or the time is over. */
int grant_check(struct ctx *c, const struct grant *g, const char *signature);
/* "https://host:port" under which the caller reaches this server; NULL when that is not known. */
const char *grant_base(struct ctx *c);

#endif
