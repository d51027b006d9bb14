/* SPDX-License-Identifier: Apache-2.0 */
/* User doors: MLflow's users/..., over the principals of this installation. */
#include <string.h>

#include "access_api.h"
#include "access_state.h"
#include "access_store.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"
#include "quern/metric/metric.h"
#include "user.h"

#define USERS_MAX 10000 /* in one answer: the list has no pages */

SHAPE(wire_user_experiment, "ExperimentPermission", struct user_experiment,
      FIELD(struct user_experiment, experiment_id, T_STR, F_ALWAYS, "Experiment"),
      FIELD(struct user_experiment, user_id, T_I64, F_ALWAYS, "Number of the user"),
      FIELD(struct user_experiment, permission, T_STR, F_ALWAYS,
            "READ, USE, EDIT, MANAGE or NO_PERMISSIONS"));
SHAPE(wire_user_model, "RegisteredModelPermission", struct user_model,
      FIELD(struct user_model, name, T_STR, F_ALWAYS, "Registered model"),
      FIELD(struct user_model, user_id, T_I64, F_ALWAYS, "Number of the user"),
      FIELD(struct user_model, permission, T_STR, F_ALWAYS,
            "READ, USE, EDIT, MANAGE or NO_PERMISSIONS"),
      FIELD(struct user_model, workspace, T_STR, 0, "Project"));

/* Whole, as clients of 2.x read it; lists of what this server has no permissions for are empty. */
struct user {
    struct opt_i64 id;
    const char *username;
    struct opt_bool is_admin;
    struct list experiment_permissions, registered_model_permissions, scorer_permissions,
        gateway_secret_permissions, gateway_endpoint_permissions,
        gateway_model_definition_permissions;
};
SHAPE_LOCAL(no_permission, "NoPermission", struct user_experiment,
            FIELD(struct user_experiment, permission, T_STR, 0, "Never there"));
#define NONE(member)                                                                               \
    FIELD_SUB(struct user, member, T_LIST, F_ALWAYS, &no_permission, "Always empty here")
SHAPE_LOCAL(wire_user, "User", struct user, FIELD(struct user, id, T_I64, F_ALWAYS, "Number"),
            FIELD(struct user, username, T_STR, F_ALWAYS, "Name"),
            FIELD(struct user, is_admin, T_BOOL, F_ALWAYS, "Administers the installation"),
            FIELD_SUB(struct user, experiment_permissions, T_LIST, F_ALWAYS, &wire_user_experiment,
                      "On single experiments of the project"),
            FIELD_SUB(struct user, registered_model_permissions, T_LIST, F_ALWAYS, &wire_user_model,
                      "On single models of the project"),
            NONE(scorer_permissions), NONE(gateway_secret_permissions),
            NONE(gateway_endpoint_permissions), NONE(gateway_model_definition_permissions));
struct user_out {
    struct user *user;
};
SHAPE_LOCAL(user_out_shape, "UserAnswer", struct user_out,
            FIELD_SUB(struct user_out, user, T_OBJ, F_ALWAYS, &wire_user, "The user"));

SHAPE_LOCAL(wire_user_brief, "UserBrief", struct user,
            FIELD(struct user, id, T_I64, F_ALWAYS, "Number"),
            FIELD(struct user, username, T_STR, F_ALWAYS, "Name"),
            FIELD(struct user, is_admin, T_BOOL, F_ALWAYS, "Administers the installation"));
struct users_out {
    struct list users;
};
SHAPE_LOCAL(users_shape, "Users", struct users_out,
            FIELD_SUB(struct users_out, users, T_LIST, F_ALWAYS, &wire_user_brief, "By number"));
struct current_out {
    struct user *user;
    struct opt_bool is_basic_auth;
};
SHAPE_LOCAL(current_shape, "CurrentUser", struct current_out,
            FIELD_SUB(struct current_out, user, T_OBJ, F_ALWAYS, &wire_user_brief, "The caller"),
            FIELD(struct current_out, is_basic_auth, T_BOOL, F_ALWAYS,
                  "Whether the caller has a password to change"));

struct user_in {
    const char *username, *password, *current_password;
    struct opt_bool is_admin;
};
SHAPE_LOCAL(create_shape, "CreateUser", struct user_in,
            FIELD(struct user_in, username, T_STR, F_REQUIRED | F_EMPTY_OK,
                  "Letters, digits, '.', '_' and '-'"),
            FIELD(struct user_in, password, T_STR, F_REQUIRED | F_EMPTY_OK,
                  "At least 12 characters"));
SHAPE_LOCAL(get_shape, "UserQuery", struct user_in,
            FIELD(struct user_in, username, T_STR, F_QUERY | F_REQUIRED, "Name"));
SHAPE_LOCAL(delete_shape, "DeleteUser", struct user_in,
            FIELD(struct user_in, username, T_STR, F_REQUIRED, "Name"));
SHAPE_LOCAL(password_shape, "UpdateUserPassword", struct user_in,
            FIELD(struct user_in, username, T_STR, F_REQUIRED, "Name"),
            FIELD(struct user_in, password, T_STR, F_REQUIRED, "The new one"),
            FIELD(struct user_in, current_password, T_STR, 0,
                  "Needed to change one's own password"));
SHAPE_LOCAL(admin_shape, "UpdateUserAdmin", struct user_in,
            FIELD(struct user_in, username, T_STR, F_REQUIRED, "Name"),
            FIELD(struct user_in, is_admin, T_BOOL, F_REQUIRED, "Administers the installation"));

/* ------------------------------------------------------------------ rules */

int user_find(struct ctx *c, const char *name, struct principal_row *out) {
    int rc = principal_find(c, name, out);
    if (rc == -ERR_NOT_FOUND) {
        err_clear(c);
        rc = fail_field(c, ERR_NOT_FOUND, "username", "User with username=%s not found", name);
    }
    return rc;
}

int user_may_see(struct ctx *c, const char *name) {
    if (c->who.level == PERM_SYSTEM || (c->who.id != 0 && str_eq(c->who.name, name))) {
        return 0;
    }
    return fail(c, ERR_FORBIDDEN, "Permission denied");
}

int password_rule(struct ctx *c, const char *field, const char *name, const char *password) {
    static const char *const known[] = {"password1234",  "passwordpassword", "password12345",
                                        "123456789012",  "1234567890123",    "qwertyuiopas",
                                        "administrator", "changemechangeme"};
    if (utf8_count(password) < 12) {
        return fail_field(c, ERR_INVALID, field, "Password must be at least 12 characters.");
    }
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_ieq(known[i], password)) {
            return fail_field(c, ERR_INVALID, field,
                              "Everybody tries this password; choose another.");
        }
    }
    if (str_ieq(name, password)) {
        return fail_field(c, ERR_INVALID, field, "The password must not be the name.");
    }
    return 0;
}

static int show(struct ctx *c, const struct principal_row *row, struct user_out *out) {
    struct user *u = out->user = ARENA_NEW(c->arena, struct user);
    u->id = SET_I64(row->id);
    u->username = row->name;
    u->is_admin = SET_BOOL(row->system);
    int rc = user_experiments(c, row->id, &u->experiment_permissions);
    return rc ? rc : user_models(c, row->id, &u->registered_model_permissions);
}

/* ------------------------------------------------------------------ making */

struct create {
    const struct user_in *in;
    const char *hash;
    struct user_out *out;
};

static int create_write(struct ctx *c, void *arg) {
    struct create *k = arg;
    struct principal_row row;
    struct principal_out made;
    struct principal_in in = {.name = k->in->username, .kind = "user"};
    if (principal_find(c, in.name, &row) == 0) {
        return fail_field(c, ERR_EXISTS, "username", "User (username=%s) already exists.", in.name);
    }
    err_clear(c);
    int rc = principal_create(c, &in, k->hash, &made);
    if (rc == 0) {
        rc = principal_find(c, in.name, &row);
    }
    if (rc == 0) {
        rc = member_add(c, row.id);
    }
    if (rc == 0) {
        rc = audit_append(c, "access.users.create", in.name, NULL);
    }
    return rc ? rc : show(c, &row, k->out);
}

static int users_create(struct ctx *c, const void *in_, void *out) {
    const struct user_in *in = in_;
    char hash[160];
    struct create k = {.in = in, .hash = hash, .out = out};
    if (!*in->username || !*in->password) {
        return fail_field(c, ERR_INVALID, *in->username ? "password" : "username",
                          "Username and password cannot be empty.");
    }
    int rc = name_check(c, "username", in->username);
    if (rc == 0) {
        rc = password_rule(c, "password", in->username, in->password);
    }
    if (rc == 0 && password_hash(in->password, hash) != 0) {
        rc = fail(c, ERR_INTERNAL, "scrypt failed");
    }
    return rc ? rc : db_write(access_state->options.db, c, create_write, &k);
}

/* ------------------------------------------------------------------ looking */

static int users_get(struct ctx *c, const void *in_, void *out) {
    const struct user_in *in = in_;
    struct principal_row row;
    int rc = user_may_see(c, in->username);
    if (rc == 0) {
        rc = user_find(c, in->username, &row);
    }
    return rc ? rc : show(c, &row, out);
}

static int users_list(struct ctx *c, const void *in, void *out_) {
    struct users_out *out = out_;
    struct user *items = ARENA_ARRAY(c->arena, struct user, USERS_MAX);
    struct stmt *st = db_query(c, "SELECT id, name, system FROM principal ORDER BY id LIMIT ?", "i",
                               (int64_t)USERS_MAX);
    int rc;
    (void)in;
    out->users.items = items;
    while ((rc = stmt_next(st)) > 0) {
        items[out->users.n++] = (struct user){.id = SET_I64(stmt_i64(st, 0)),
                                              .username = stmt_text(c, st, 1),
                                              .is_admin = SET_BOOL(stmt_i64(st, 2) != 0)};
    }
    return rc;
}

static int users_current(struct ctx *c, const void *in, void *out_) {
    struct current_out *out = out_;
    struct principal_row row = {0};
    (void)in;
    int rc = c->who.id ? principal_by_id(c, c->who.id, &row) : 0;
    out->user = ARENA_NEW(c->arena, struct user);
    *out->user = (struct user){.id = SET_I64(c->who.id),
                               .username = c->who.name,
                               .is_admin = SET_BOOL(c->who.level == PERM_SYSTEM)};
    out->is_basic_auth = SET_BOOL(row.password != NULL);
    return rc;
}

/* ------------------------------------------------------------------ changing */

static void forget(void *arg) {
    (void)arg;
    if (access_state) {
        credential_forget(access_state);
    }
}

struct change {
    const char *name, *old, *hash; /* old: the hash that was looked at, NULL: any */
};

static int password_write(struct ctx *c, void *arg) {
    const struct change *k = arg;
    struct principal_row row;
    int rc = user_find(c, k->name, &row);
    if (rc == 0 && k->old && !str_eq(k->old, row.password)) {
        rc = fail(c, ERR_CONFLICT, "The password was changed meanwhile.");
    }
    if (rc == 0) {
        rc = db_exec(c, "UPDATE principal SET password = ? WHERE id = ?", "si", k->hash, row.id);
    }
    if (rc == 0) {
        rc = audit_append(c, "access.users.password", k->name, NULL);
    }
    db_after_commit(c, forget, NULL);
    return rc;
}

/* Tries are counted as those of a login are. */
static int current_check(struct ctx *c, const struct user_in *in, const char *stored) {
    struct throttle *t = &access_state->throttle;
    if (!in->current_password || !*in->current_password) {
        return fail_field(c, ERR_INVALID, "current_password",
                          "Current password is required when changing your own password.");
    }
    if (!throttle_take(t, c->remote, clock_mono_ms())) {
        metric_add(METRIC_AUTH_FAILURES, 1, "throttled", NULL, NULL);
        return fail(c, ERR_RATE, "Too many wrong passwords; try again in a minute.");
    }
    if (!stored || !password_verify(in->current_password, stored)) {
        metric_add(METRIC_AUTH_FAILURES, 1, "password", NULL, NULL);
        return fail_field(c, ERR_INVALID, "current_password", "Current password does not match.");
    }
    throttle_give_back(t, c->remote);
    if (str_eq(in->password, in->current_password)) {
        return fail_field(c, ERR_INVALID, "password",
                          "New password must differ from the current password.");
    }
    return 0;
}

static int users_password(struct ctx *c, const void *in_, void *out) {
    const struct user_in *in = in_;
    char hash[160];
    struct principal_row row;
    (void)out;
    int rc = user_may_see(c, in->username);
    if (rc == 0) {
        rc = db_read_begin(access_state->options.db, c);
    }
    if (rc != 0) {
        return rc;
    }
    rc = user_find(c, in->username, &row);
    db_read_end(c);
    struct change k = {.name = in->username, .hash = hash};
    if (rc == 0 && row.id == c->who.id) {
        k.old = row.password ? row.password : "";
        rc = current_check(c, in, row.password);
    }
    if (rc == 0) {
        rc = password_rule(c, "password", in->username, in->password);
    }
    if (rc == 0 && password_hash(in->password, hash) != 0) {
        rc = fail(c, ERR_INTERNAL, "scrypt failed");
    }
    return rc ? rc : db_write(access_state->options.db, c, password_write, &k);
}

static int users_admin(struct ctx *c, const void *in_, void *out) {
    const struct user_in *in = in_;
    struct principal_row row;
    bool last = false;
    (void)out;
    int rc = user_find(c, in->username, &row);
    if (rc == 0 && !in->is_admin.v) {
        rc = principal_last_system(c, &row, &last);
    }
    if (rc == 0 && last) {
        rc = fail_field(c, ERR_INVALID, "is_admin",
                        "'%s' is the last who administers the installation.", in->username);
    }
    return rc ? rc
              : db_exec(c, "UPDATE principal SET system = ? WHERE id = ?", "ii",
                        (int64_t)in->is_admin.v, row.id);
}

static int users_delete(struct ctx *c, const void *in_, void *out) {
    const struct user_in *in = in_;
    struct principal_row row;
    bool last = false;
    (void)out;
    int rc = user_find(c, in->username, &row);
    if (rc == 0 && row.id == c->who.id) {
        rc = fail(c, ERR_BAD_REQUEST,
                  "Users cannot delete their own account. Ask another admin to delete this user "
                  "instead.");
    }
    if (rc == 0) {
        rc = principal_last_system(c, &row, &last);
    }
    if (rc == 0 && last) {
        rc = fail(c, ERR_BAD_REQUEST, "'%s' is the last who administers the installation.",
                  in->username);
    }
    if (rc == 0) {
        rc = principal_delete(c, row.id);
        db_after_commit(c, forget, NULL);
    }
    return rc;
}

/* Nobody makes himself an account here. */
static int no_signup(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    return fail(c, ERR_NOT_IMPLEMENTED,
                "There is no sign-up: an administrator makes users, with POST "
                "/api/2.0/mlflow/users/create or 'quern token create'.");
}

#define USERS "/api/2.0/mlflow/users/"
#define AJAX .dialect = DIALECT_MLFLOW, .flags = ROUTE_MLFLOW_AJAX

static const struct route rows[] = {
    {.id = "access.users.create",
     .method = "POST",
     .path = USERS "create",
     .in = &create_shape,
     .out = &user_out_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WORK,
     AJAX,
     .fn = users_create,
     .summary = "Makes a user and lets him into the project; the first one ends local mode."},
    {.id = "access.users.get",
     .method = "GET",
     .path = USERS "get",
     .in = &get_shape,
     .out = &user_out_shape,
     .perm = PERM_READ,
     .lane = LANE_READ,
     AJAX | ROUTE_SELF,
     .fn = users_get,
     .summary = "Gives a user with his permissions: to administrators, and of oneself."},
    {.id = "access.users.list",
     .method = "GET",
     .path = USERS "list",
     .out = &users_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_READ,
     AJAX,
     .fn = users_list,
     .summary = "Lists the users."},
    {.id = "access.users.current",
     .method = "GET",
     .path = USERS "current",
     .out = &current_shape,
     .perm = PERM_READ,
     .lane = LANE_READ,
     AJAX | ROUTE_SELF,
     .fn = users_current,
     .summary = "Tells which user the caller is."},
    {.id = "access.users.update-password",
     .method = "PATCH",
     .path = USERS "update-password",
     .in = &password_shape,
     .perm = PERM_READ,
     .lane = LANE_WORK,
     AJAX | ROUTE_SELF,
     .fn = users_password,
     .summary = "Sets a password: one's own with the current one, others' as administrator."},
    {.id = "access.users.update-admin",
     .method = "PATCH",
     .path = USERS "update-admin",
     .in = &admin_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WRITE,
     AJAX | ROUTE_AUDIT,
     .fn = users_admin,
     .summary = "Makes a user an administrator of the installation, or no longer one."},
    {.id = "access.users.delete",
     .method = "DELETE",
     .path = USERS "delete",
     .in = &delete_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WRITE,
     AJAX | ROUTE_AUDIT,
     .fn = users_delete,
     .summary = "Deletes a user with his tokens and permissions."},
    {.id = "access.users.create-ui",
     .method = "POST",
     .path = USERS "create-ui",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .dialect = DIALECT_MLFLOW,
     .flags = ROUTE_RAW_BODY,
     .fn = no_signup,
     .summary = "Tells that there is no sign-up."},
    {.id = "access.users.signup",
     .method = "GET",
     .path = "/signup",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .dialect = DIALECT_MLFLOW,
     .fn = no_signup,
     .summary = "Tells that there is no sign-up."},
};
const struct route_list user_routes = {rows, ARRAY_LEN(rows)};
