/* SPDX-License-Identifier: Apache-2.0 */
/* Permission doors: MLflow's experiments/permissions/..., registered-models/permissions/... and, as
 * clients from 3.14 on have them, users/permissions/... of both kinds. */
#include <string.h>

#include "access_store.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "user.h"

struct wish {
    const char *experiment_id, *name, *username, *permission;
};
#define EXPERIMENT(more)                                                                           \
    FIELD(struct wish, experiment_id, T_STR, F_REQUIRED | F_NUMBER_TEXT | (more), "Experiment")
#define MODEL(more) FIELD(struct wish, name, T_STR, F_REQUIRED | (more), "Registered model")
#define USER(more) FIELD(struct wish, username, T_STR, F_REQUIRED | (more), "User")
#define PERMISSION                                                                                 \
    FIELD(struct wish, permission, T_STR, F_REQUIRED, "READ, USE, EDIT, MANAGE or NO_PERMISSIONS")

SHAPE_LOCAL(experiment_set, "SetExperimentPermission", struct wish, EXPERIMENT(0), USER(0),
            PERMISSION);
SHAPE_LOCAL(experiment_query, "ExperimentPermissionQuery", struct wish, EXPERIMENT(F_QUERY),
            USER(F_QUERY));
SHAPE_LOCAL(experiment_key, "ExperimentPermissionKey", struct wish, EXPERIMENT(0), USER(0));
SHAPE_LOCAL(model_set, "SetRegisteredModelPermission", struct wish, MODEL(0), USER(0), PERMISSION);
SHAPE_LOCAL(model_query, "RegisteredModelPermissionQuery", struct wish, MODEL(F_QUERY),
            USER(F_QUERY));
SHAPE_LOCAL(model_key, "RegisteredModelPermissionKey", struct wish, MODEL(0), USER(0));

struct experiment_out {
    struct user_experiment *experiment_permission;
};
SHAPE_LOCAL(experiment_out_shape, "ExperimentPermissionAnswer", struct experiment_out,
            FIELD_SUB(struct experiment_out, experiment_permission, T_OBJ, F_ALWAYS,
                      &wire_user_experiment, "The permission"));
struct model_out {
    struct user_model *registered_model_permission;
};
SHAPE_LOCAL(model_out_shape, "RegisteredModelPermissionAnswer", struct model_out,
            FIELD_SUB(struct model_out, registered_model_permission, T_OBJ, F_ALWAYS,
                      &wire_user_model, "The permission"));

/* ------------------------------------------------------------------ rules */

struct found {
    enum object_kind kind;
    const char *object; /* as it was named */
    int64_t id, user, level;
    bool there;
};

static int word_check(struct ctx *c, const char *word, enum object_need *level) {
    return permission_read(word, level)
               ? 0
               : fail_field(c, ERR_INVALID, "permission",
                            "Invalid permission '%s'. Valid permissions are: ('READ', 'USE', "
                            "'EDIT', 'MANAGE', 'NO_PERMISSIONS')",
                            word);
}

/* The object and the user's permission on it, for a caller who may give permissions on it. */
static int find(struct ctx *c, const char *object, const char *username, struct found *f) {
    struct principal_row row;
    f->object = object;
    int rc = object_find(c, f->kind, object, &f->id);
    if (rc == 0) {
        rc = access_object(c, f->kind, f->id, OBJECT_MANAGE);
    }
    if (rc == 0) {
        rc = user_find(c, username, &row);
    }
    if (rc == 0) {
        f->user = row.id;
        rc = permission_get(c, row.id, f->kind, f->id, &f->level, &f->there);
    }
    return rc;
}

static int missing(struct ctx *c, const struct found *f, const char *username) {
    return f->kind == OBJECT_EXPERIMENT
               ? fail(c, ERR_NOT_FOUND,
                      "Experiment permission with experiment_id=%s and username=%s not found",
                      f->object, username)
               : fail(c, ERR_NOT_FOUND,
                      "Registered model permission with name=%s and username=%s not found",
                      f->object, username);
}

static int taken(struct ctx *c, const struct found *f, const char *username) {
    return f->kind == OBJECT_EXPERIMENT
               ? fail(c, ERR_EXISTS,
                      "Experiment permission (experiment_id=%s, username=%s) already exists.",
                      f->object, username)
               : fail(c, ERR_EXISTS,
                      "Registered model permission (name=%s, username=%s) already exists.",
                      f->object, username);
}

/* The answer's other member is chosen by the row's shape. */
static int answer(struct ctx *c, const struct found *f, void *out) {
    struct list all = {0};
    if (f->kind == OBJECT_EXPERIMENT) {
        struct user_experiment *e = ARENA_NEW(c->arena, struct user_experiment);
        *e = (struct user_experiment){.experiment_id = f->object,
                                      .permission = permission_name(f->level),
                                      .user_id = SET_I64(f->user)};
        ((struct experiment_out *)out)->experiment_permission = e;
        return 0;
    }
    int rc = user_models(c, f->user, &all);
    struct user_model *m = all.items;
    for (size_t i = 0; rc == 0 && i < all.n; i++) {
        if (str_eq(m[i].name, f->object)) {
            ((struct model_out *)out)->registered_model_permission = &m[i];
        }
    }
    return rc;
}

static const char *object_of(enum object_kind kind, const struct wish *w) {
    return kind == OBJECT_EXPERIMENT ? w->experiment_id : w->name;
}

static int make(struct ctx *c, enum object_kind kind, const struct wish *w, void *out) {
    struct found f = {.kind = kind};
    enum object_need level = OBJECT_NONE;
    int rc = word_check(c, w->permission, &level);
    if (rc == 0) {
        rc = find(c, object_of(kind, w), w->username, &f);
    }
    if (rc == 0 && f.there) {
        rc = taken(c, &f, w->username);
    }
    if (rc == 0) {
        rc = permission_put(c, f.user, kind, f.id, level);
    }
    f.level = level;
    return rc ? rc : answer(c, &f, out);
}

static int look(struct ctx *c, enum object_kind kind, const struct wish *w, void *out) {
    struct found f = {.kind = kind};
    int rc = find(c, object_of(kind, w), w->username, &f);
    if (rc == 0 && !f.there) {
        rc = missing(c, &f, w->username);
    }
    return rc ? rc : answer(c, &f, out);
}

static int change(struct ctx *c, enum object_kind kind, const struct wish *w) {
    struct found f = {.kind = kind};
    enum object_need level = OBJECT_NONE;
    int rc = word_check(c, w->permission, &level);
    if (rc == 0) {
        rc = find(c, object_of(kind, w), w->username, &f);
    }
    if (rc == 0 && !f.there) {
        rc = missing(c, &f, w->username);
    }
    return rc ? rc : permission_put(c, f.user, kind, f.id, level);
}

static int drop(struct ctx *c, enum object_kind kind, const struct wish *w) {
    struct found f = {.kind = kind};
    int rc = find(c, object_of(kind, w), w->username, &f);
    if (rc == 0 && !f.there) {
        rc = missing(c, &f, w->username);
    }
    return rc ? rc : permission_drop(c, f.user, kind, f.id);
}

#define DOORS(prefix, kind)                                                                        \
    static int prefix##_make(struct ctx *c, const void *in, void *out) {                           \
        return make(c, kind, in, out);                                                             \
    }                                                                                              \
    static int prefix##_look(struct ctx *c, const void *in, void *out) {                           \
        return look(c, kind, in, out);                                                             \
    }                                                                                              \
    static int prefix##_change(struct ctx *c, const void *in, void *out) {                         \
        (void)out;                                                                                 \
        return change(c, kind, in);                                                                \
    }                                                                                              \
    static int prefix##_drop(struct ctx *c, const void *in, void *out) {                           \
        (void)out;                                                                                 \
        return drop(c, kind, in);                                                                  \
    }
DOORS(experiment, OBJECT_EXPERIMENT)
DOORS(model, OBJECT_MODEL)

/* ------------------------------------------------------------------ both kinds in one */

struct grant_in {
    const char *username, *resource_type, *resource_id, *permission;
};
#define RESOURCE(more)                                                                             \
    FIELD(struct grant_in, username, T_STR, F_REQUIRED | (more), "User"),                          \
        FIELD(struct grant_in, resource_type, T_STR, F_REQUIRED | (more),                          \
              "experiment or registered_model"),                                                   \
        FIELD(struct grant_in, resource_id, T_STR, F_REQUIRED | F_NUMBER_TEXT | (more),            \
              "Number of the experiment, or name of the model")
SHAPE_LOCAL(grant_shape, "GrantUserPermission", struct grant_in, RESOURCE(0),
            FIELD(struct grant_in, permission, T_STR, F_REQUIRED,
                  "READ, USE, EDIT, MANAGE or NO_PERMISSIONS"));
SHAPE_LOCAL(revoke_shape, "RevokeUserPermission", struct grant_in, RESOURCE(0));
SHAPE_LOCAL(resource_query, "UserPermissionQuery", struct grant_in, RESOURCE(F_QUERY));

static int kind_of(struct ctx *c, const char *type, enum object_kind *kind) {
    /* Prompts are registered models, in MLflow as here. */
    *kind = str_eq(type, "experiment") ? OBJECT_EXPERIMENT : OBJECT_MODEL;
    if (str_eq(type, "experiment") || str_eq(type, "registered_model") || str_eq(type, "prompt")) {
        return 0;
    }
    return fail_field(c, ERR_INVALID, "resource_type",
                      "Invalid resource_type '%s'. Permissions are held on 'experiment' and "
                      "'registered_model'.",
                      type);
}

static int users_grant(struct ctx *c, const void *in_, void *out) {
    const struct grant_in *in = in_;
    struct found f = {0};
    enum object_need level = OBJECT_NONE;
    (void)out;
    int rc = kind_of(c, in->resource_type, &f.kind);
    if (rc == 0) {
        rc = word_check(c, in->permission, &level);
    }
    if (rc == 0) {
        rc = find(c, in->resource_id, in->username, &f);
    }
    return rc ? rc : permission_put(c, f.user, f.kind, f.id, level);
}

static int users_revoke(struct ctx *c, const void *in_, void *out) {
    const struct grant_in *in = in_;
    struct found f = {0};
    (void)out;
    int rc = kind_of(c, in->resource_type, &f.kind);
    if (rc == 0) {
        rc = find(c, in->resource_id, in->username, &f);
    }
    if (rc == 0 && !f.there) {
        rc = fail(c, ERR_NOT_FOUND,
                  "Permission for user=%s on resource_type=%s, resource_id=%s not found.",
                  in->username, in->resource_type, in->resource_id);
    }
    return rc ? rc : permission_drop(c, f.user, f.kind, f.id);
}

struct allowed_out {
    struct opt_bool allowed;
    const char *permission;
};
SHAPE_LOCAL(allowed_shape, "UserPermission", struct allowed_out,
            FIELD(struct allowed_out, allowed, T_BOOL, F_ALWAYS, "USE or more"),
            FIELD(struct allowed_out, permission, T_STR, F_ALWAYS, "What holds for the user"));

/* What another user may do, as it would be decided for him. An object that is not there gives no
 * permission, as in MLflow. */
static int users_allowed(struct ctx *c, const void *in_, void *out_) {
    const struct grant_in *in = in_;
    struct allowed_out *out = out_;
    struct principal_row row;
    enum object_kind kind;
    enum object_need have = OBJECT_NONE;
    int64_t id = 0;
    int rc = kind_of(c, in->resource_type, &kind);
    if (rc == 0) {
        rc = user_find(c, in->username, &row);
    }
    if (rc == 0) {
        rc = object_find(c, kind, in->resource_id, &id);
        if (rc == -ERR_NOT_FOUND) {
            err_clear(c);
            rc = 0;
            id = -1;
        }
    }
    if (rc == 0 && c->who.id != row.id) {
        rc = id < 0 ? user_may_see(c, in->username) : access_object(c, kind, id, OBJECT_MANAGE);
    }
    if (rc == 0 && id >= 0) {
        rc = permission_of(c, &row, kind, id, &have);
    }
    access_object_nothing(c);
    out->allowed = SET_BOOL(have >= OBJECT_USE);
    out->permission = have == OBJECT_NONE     ? "NO_PERMISSIONS"
                      : have == OBJECT_DELETE ? "EDIT"
                                              : permission_name(have);
    return rc;
}

struct row {
    struct opt_i64 role_id;
    const char *role_name, *workspace, *resource_type, *resource_pattern, *permission;
};
SHAPE_LOCAL(wire_row, "UserPermissionRow", struct row,
            FIELD(struct row, role_id, T_I64, F_ALWAYS, "Number of the user"),
            FIELD(struct row, role_name, T_STR, F_ALWAYS, "__user_<number>__"),
            FIELD(struct row, workspace, T_STR, F_ALWAYS, "Project"),
            FIELD(struct row, resource_type, T_STR, F_ALWAYS, "experiment or registered_model"),
            FIELD(struct row, resource_pattern, T_STR, F_ALWAYS, "Number or name"),
            FIELD(struct row, permission, T_STR, F_ALWAYS, "The permission"));
struct rows_out {
    struct opt_bool is_admin;
    struct list permissions;
};
SHAPE_LOCAL(rows_shape, "UserPermissions", struct rows_out,
            FIELD(struct rows_out, is_admin, T_BOOL, F_ALWAYS, "Administers the installation"),
            FIELD_SUB(struct rows_out, permissions, T_LIST, F_ALWAYS, &wire_row,
                      "On single objects of the project"));
struct name_in {
    const char *username;
};
SHAPE_LOCAL(name_shape, "UserPermissionsQuery", struct name_in,
            FIELD(struct name_in, username, T_STR, F_QUERY | F_REQUIRED, "Name"));

static int tell(struct ctx *c, int64_t user, bool admin, struct rows_out *out) {
    struct list experiments = {0}, models = {0};
    char *project = NULL;
    int rc = user_experiments(c, user, &experiments);
    if (rc == 0) {
        rc = user_models(c, user, &models);
    }
    if (rc == 0) {
        rc = project_name_of(c, c->project, &project);
    }
    struct row *rows = ARENA_ARRAY(c->arena, struct row, experiments.n + models.n + 1);
    const char *role = arena_printf(c->arena, "__user_%lld__", (long long)user);
    const struct user_experiment *e = experiments.items;
    const struct user_model *m = models.items;
    for (size_t i = 0; i < experiments.n + models.n; i++) {
        bool first = i < experiments.n;
        rows[i] =
            (struct row){.role_id = SET_I64(user),
                         .role_name = role,
                         .workspace = project ? project : "",
                         .resource_type = first ? "experiment" : "registered_model",
                         .resource_pattern = first ? e[i].experiment_id : m[i - experiments.n].name,
                         .permission = first ? e[i].permission : m[i - experiments.n].permission};
    }
    out->is_admin = SET_BOOL(admin);
    out->permissions = (struct list){.items = rows, .n = experiments.n + models.n};
    return rc;
}

static int current_list(struct ctx *c, const void *in, void *out) {
    (void)in;
    return tell(c, c->who.id, c->who.level == PERM_SYSTEM, out);
}

static int users_list(struct ctx *c, const void *in_, void *out) {
    const struct name_in *in = in_;
    struct principal_row row;
    int rc = user_may_see(c, in->username);
    if (rc == 0) {
        rc = user_find(c, in->username, &row);
    }
    return rc ? rc : tell(c, row.id, row.system, out);
}

/* ------------------------------------------------------------------ rows */

#define ROW(ident, verb, where, takes, gives, on, more, handler, says)                             \
    {                                                                                              \
        .id = "access." ident, .method = (verb), .path = (where), .in = (takes), .out = (gives),   \
        .perm = PERM_READ, .lane = (on), .dialect = DIALECT_MLFLOW,                                \
        .flags = ROUTE_MLFLOW_AJAX | (more), .fn = (handler), .summary = (says)                    \
    }
#define FOUR(ident, where, prefix, what)                                                           \
    ROW(ident ".create", "POST", where "create", &prefix##_set, &prefix##_out_shape, LANE_WRITE,   \
        ROUTE_OBJECT | ROUTE_AUDIT, prefix##_make, "Gives a user a permission on " what "."),      \
        ROW(ident ".get", "GET", where "get", &prefix##_query, &prefix##_out_shape, LANE_READ,     \
            ROUTE_OBJECT, prefix##_look, "Gives a user's permission on " what "."),                \
        ROW(ident ".update", "PATCH", where "update", &prefix##_set, NULL, LANE_WRITE,             \
            ROUTE_OBJECT | ROUTE_AUDIT, prefix##_change,                                           \
            "Changes a user's permission on " what "."),                                           \
        ROW(ident ".delete", "DELETE", where "delete", &prefix##_key, NULL, LANE_WRITE,            \
            ROUTE_OBJECT | ROUTE_AUDIT, prefix##_drop, "Takes a user's permission on " what ".")
#define V3 "/api/3.0/mlflow/users/"

static const struct route rows[] = {
    FOUR("experiment-permissions", "/api/2.0/mlflow/experiments/permissions/", experiment,
         "an experiment"),
    FOUR("model-permissions", "/api/2.0/mlflow/registered-models/permissions/", model,
         "a registered model"),
    ROW("user-permissions.grant", "POST", V3 "permissions/grant", &grant_shape, NULL, LANE_WRITE,
        ROUTE_OBJECT | ROUTE_AUDIT, users_grant, "Gives a user a permission, or changes it."),
    ROW("user-permissions.revoke", "POST", V3 "permissions/revoke", &revoke_shape, NULL, LANE_WRITE,
        ROUTE_OBJECT | ROUTE_AUDIT, users_revoke, "Takes a user's permission on one object."),
    ROW("user-permissions.get", "GET", V3 "permissions/get", &resource_query, &allowed_shape,
        LANE_READ, ROUTE_OBJECT, users_allowed, "Tells what a user may do with one object."),
    ROW("user-permissions.list", "GET", V3 "permissions/list", &name_shape, &rows_shape, LANE_READ,
        ROUTE_SELF, users_list, "Lists a user's permissions on single objects."),
    ROW("user-permissions.current", "GET", V3 "current/permissions", NULL, &rows_shape, LANE_READ,
        ROUTE_SELF, current_list, "Lists the caller's permissions on single objects."),
};
const struct route_list permission_routes = {rows, ARRAY_LEN(rows)};
