/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ACCESS_USER_H
#define QUERN_ACCESS_USER_H
/* User: principals as MLflow's basic-auth app has them, and their permissions on objects. */
#include "object.h"
#include "quern/core/shape.h"

struct ctx;
struct principal_row;

struct user_experiment {
    const char *experiment_id, *permission;
    struct opt_i64 user_id;
};
struct user_model {
    const char *name, *permission, *workspace;
    struct opt_i64 user_id;
};
extern const struct shape wire_user_experiment, wire_user_model;

/* In MLflow's words. */
int user_find(struct ctx *c, const char *name, struct principal_row *out);
/* Administrators of the installation, and the user himself. */
int user_may_see(struct ctx *c, const char *name);
/* At least twelve characters, no name, none of those that everybody tries. */
int password_rule(struct ctx *c, const char *field, const char *name, const char *password);

/* Permissions of one user on objects of c->project: struct user_experiment, struct user_model. */
int user_experiments(struct ctx *c, int64_t user, struct list *out);
int user_models(struct ctx *c, int64_t user, struct list *out);
/* The number of an object by the text that clients name it by; ERR_NOT_FOUND in MLflow's words. */
int object_find(struct ctx *c, enum object_kind kind, const char *text, int64_t *id);

#endif
