/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ACCESS_STORE_H
#define QUERN_ACCESS_STORE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;

struct token_row {
    int64_t principal_id; /* 0: a run token */
    int64_t project_id;   /* run tokens */
    const char *run_id;
    int64_t expires_ms; /* 0: never */
    int64_t used_ms;
    const char *principal, *kind; /* of the owner */
    bool disabled, system;
};
int token_find(struct ctx *c, const unsigned char hash[32],
               struct token_row *out); /* ERR_NOT_FOUND */
int token_touch(struct ctx *c, const unsigned char hash[32], int64_t now_ms);
int token_insert(struct ctx *c, const unsigned char hash[32], const char *id, int64_t principal_id,
                 const char *run_id, const char *name, const char *last4, int64_t expires_ms);
int token_delete(struct ctx *c, const char *id); /* ERR_NOT_FOUND */
int token_delete_run(struct ctx *c, const char *run_id);
int token_delete_expired_runs(struct ctx *c, int64_t most); /* how many, or negative */

struct principal_row {
    int64_t id;
    const char *name, *kind;
    const char *password; /* scrypt text or NULL */
    bool disabled, system;
    int64_t created_ms;
};
int principal_find(struct ctx *c, const char *name, struct principal_row *out);
int principal_by_id(struct ctx *c, int64_t id, struct principal_row *out);
int principal_insert(struct ctx *c, const char *name, const char *kind, const char *password,
                     bool system, int64_t *id);
int principal_delete(struct ctx *c, int64_t id);
int principal_count(struct ctx *c, int64_t *n);
int role_set(struct ctx *c, int64_t principal_id, int64_t project_id, const char *level);
int project_find(struct ctx *c, const char *name, int64_t *id); /* ERR_NOT_FOUND */

#endif
