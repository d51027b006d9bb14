/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ACCESS_STATE_H
#define QUERN_ACCESS_STATE_H
/* What the parts of access share: the options and whether anybody has been let in by name. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "quern/access/access.h"
#include "throttle.h"

#define PASSWORD_CACHE 64

struct password_entry {
    unsigned char key[32]; /* SHA-256 of the stored hash, the name and the password */
    int64_t until_ms;
};

struct access {
    struct access_options options;
    char *allowed_hosts;
    char *allowed_origins;
    atomic_bool principals; /* at least one row in `principal`: local mode is over */
    pthread_mutex_t lock;   /* guards passwords */
    struct password_entry passwords[PASSWORD_CACHE];
    size_t next_password;
    struct throttle throttle;            /* passwords tried */
    enum object_need default_permission; /* of members */
};

extern struct access *access_state; /* the one of this process, NULL before access_start */

/* Host, Origin and Sec-Fetch-Site: keeps web pages and rebound names out. */
int host_check(struct ctx *c, const struct access *a);
bool host_is_loopback(const char *host); /* "localhost:7780", "127.0.0.1", "[::1]:80" */

/* Fills c->who from the Authorization header. ERR_UNAUTHENTICATED when it is wrong. */
int credential_check(struct ctx *c, struct access *a, const char *authorization);
/* Forgets every remembered password, after a principal was deleted. */
void credential_forget(struct access *a);
/* Level of the principal on c->project. */
int role_level(struct ctx *c, int64_t principal_id, enum perm *level);

/* "qn_" + 43 base62 characters of randomness + 6 of a checksum. */
#define TOKEN_LEN (3 + 43 + 6)
void token_make(char out[TOKEN_LEN + 1]);
bool token_well_formed(const char *text); /* the checksum holds; no look-up needed otherwise */
void token_hash(const char *text, unsigned char out[32]);

#endif
