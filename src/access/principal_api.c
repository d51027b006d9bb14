/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "access_api.h"
#include "access_state.h"
#include "access_store.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"

const char *const role_names[] = {"reader", "writer", "admin", NULL};
const char *const kind_names[] = {"user", "service", NULL};

SHAPE(principal_in_shape, "PrincipalCreate", struct principal_in,
      FIELD_MAX(struct principal_in, name, T_STR, F_REQUIRED, 1, 128,
                "Letters, digits, '.', '_' and '-'; begins with a letter or digit"),
      FIELD_ENUM(struct principal_in, kind, 0, kind_names, "user (default) or service"),
      FIELD(struct principal_in, password, T_STR, 0,
            "At least 12 characters; absent: the principal has tokens only"),
      FIELD(struct principal_in, system, T_BOOL, 0,
            "Administers the whole installation; the first principal always does"),
      FIELD_ENUM(struct principal_in, role, 0, role_names, "Role on the project of the request"));

SHAPE(principal_shape, "Principal", struct principal_out,
      FIELD(struct principal_out, name, T_STR, F_ALWAYS, "Name"),
      FIELD(struct principal_out, kind, T_STR, F_ALWAYS, "user or service"),
      FIELD(struct principal_out, system, T_BOOL, F_ALWAYS, "Administers the installation"),
      FIELD(struct principal_out, role, T_STR, 0, "Role on the project of the request"),
      FIELD(struct principal_out, created_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"));

SHAPE(page_in_shape, "Page", struct page_in,
      FIELD_MAX(struct page_in, max_results, T_I64, F_QUERY, 1, 1000, "Rows per page; default 100"),
      FIELD(struct page_in, page_token, T_STR, F_QUERY, "next_page_token of the page before"));

int page_read(struct ctx *c, const struct page_in *in, int64_t *limit, int64_t *offset) {
    *limit = in->max_results.set ? in->max_results.v : 100;
    return page_offset(c, in->page_token, offset);
}

struct principal_list {
    struct list principals;
    const char *next_page_token;
};
SHAPE_LOCAL(principal_list_shape, "PrincipalList", struct principal_list,
            FIELD_SUB(struct principal_list, principals, T_LIST, F_ALWAYS, &principal_shape,
                      "By name"),
            FIELD(struct principal_list, next_page_token, T_STR, 0, "Absent on the last page"));

struct name_in {
    const char *name;
};
SHAPE_LOCAL(name_shape, "PrincipalName", struct name_in,
            FIELD(struct name_in, name, T_STR, F_PATH | F_REQUIRED, "Principal's name"));

struct role_in {
    const char *name, *role;
};
SHAPE_LOCAL(role_shape, "RoleSet", struct role_in,
            FIELD(struct role_in, name, T_STR, F_PATH | F_REQUIRED, "Principal's name"),
            FIELD_ENUM(struct role_in, role, F_REQUIRED, role_names,
                       "reader, writer or admin on the project of the request"));

int name_check(struct ctx *c, const char *field, const char *name) {
    bool good = isalnum((unsigned char)name[0]) != 0 && strlen(name) <= 128;
    for (const char *p = name; *p && good; p++) {
        good = isalnum((unsigned char)*p) || *p == '.' || *p == '_' || *p == '-';
    }
    if (good && token_well_formed(name)) {
        return fail_field(c, ERR_INVALID, field,
                          "This is a token, not a name; revoke it if others saw it.");
    }
    return good ? 0
                : fail_field(c, ERR_INVALID, field,
                             "'%s' is not a name: letters, digits, '.', '_' and '-', at most 128, "
                             "beginning with a letter or digit.",
                             name);
}

static void principals_exist(void *arg) {
    (void)arg;
    if (access_state) {
        atomic_store(&access_state->principals, true);
    }
}

int principal_create(struct ctx *c, const struct principal_in *in, const char *hash,
                     struct principal_out *out) {
    int64_t count = 0;
    struct principal_row row;
    int rc = name_check(c, "name", in->name);
    if (rc == 0) {
        rc = principal_count(c, &count);
    }
    if (rc != 0) {
        return rc;
    }
    if (principal_find(c, in->name, &row) == 0) {
        return fail_field(c, ERR_CONFLICT, "name", "A principal named '%s' exists.", in->name);
    }
    err_clear(c);
    int64_t id = 0;
    /* Nobody could administer the house if the first to come in could not. */
    bool system = count == 0 || in->system.v;
    const char *kind = in->kind ? in->kind : "user";
    rc = principal_insert(c, in->name, kind, hash, system, &id);
    if (rc == 0 && in->role) {
        rc = role_set(c, id, c->project, in->role);
    }
    db_after_commit(c, principals_exist, NULL);
    *out = (struct principal_out){.name = in->name,
                                  .kind = kind,
                                  .system = SET_BOOL(system),
                                  .role = in->role,
                                  .created_ms = SET_I64(c->now_ms)};
    return rc;
}

struct create {
    const struct principal_in *in;
    const char *hash;
    struct principal_out *out;
};

static int create_write(struct ctx *c, void *arg) {
    struct create *k = arg;
    int rc = principal_create(c, k->in, k->hash, k->out);
    return rc ? rc : audit_append(c, "access.principals.create", k->in->name, NULL);
}

static int principals_create(struct ctx *c, const void *in_, void *out) {
    const struct principal_in *in = in_;
    char hash[160];
    struct create k = {.in = in, .out = out};
    if (in->password) {
        if (utf8_count(in->password) < 12) {
            return fail_field(c, ERR_INVALID, "password", "A password has at least 12 characters.");
        }
        /* A third of a second of work: this row runs on a worker. */
        if (password_hash(in->password, hash) != 0) {
            return fail(c, ERR_INTERNAL, "scrypt failed");
        }
        k.hash = hash;
    }
    return db_write(access_state->options.db, c, create_write, &k);
}

static int principals_list(struct ctx *c, const void *in, void *out_) {
    struct principal_list *out = out_;
    int64_t most, offset;
    int rc = page_read(c, in, &most, &offset);
    if (rc != 0) {
        return rc;
    }
    struct stmt *st = db_query(c,
                               "SELECT p.name, p.kind, p.system, r.level, p.created_ms "
                               "FROM principal p LEFT JOIN role r ON r.principal_id = p.id "
                               "AND r.project_id = ? ORDER BY p.name LIMIT ? OFFSET ?",
                               "iii", c->project, most + 1, offset);
    struct principal_out *items = ARENA_ARRAY(c->arena, struct principal_out, (size_t)most);
    while ((rc = stmt_next(st)) > 0) {
        if (out->principals.n == (size_t)most) {
            out->next_page_token = page_token(c, offset + most);
            stmt_end(st);
            rc = 0;
            break;
        }
        items[out->principals.n++] =
            (struct principal_out){.name = stmt_text(c, st, 0),
                                   .kind = stmt_text(c, st, 1),
                                   .system = SET_BOOL(stmt_i64(st, 2) != 0),
                                   .role = stmt_text(c, st, 3),
                                   .created_ms = SET_I64(stmt_i64(st, 4))};
    }
    out->principals.items = items;
    return rc;
}

static void forget_passwords(void *arg) {
    (void)arg;
    if (access_state) {
        credential_forget(access_state);
    }
}

/* Local mode ends for good: without anybody to administer the installation it would come back with
 * the next start. */
int principal_last_system(struct ctx *c, const struct principal_row *row, bool *last) {
    int64_t others = 0;
    int rc = db_get_i64(c,
                        "SELECT count(*) FROM principal WHERE system = 1 AND disabled = 0 "
                        "AND id <> ?",
                        &others, NULL, "i", row->id);
    *last = others == 0;
    return rc;
}

static int principals_delete(struct ctx *c, const void *in_, void *out) {
    const struct name_in *in = in_;
    (void)out;
    struct principal_row row;
    int rc = principal_find(c, in->name, &row);
    if (rc == 0 && row.id == c->who.id) {
        rc = fail(c, ERR_CONFLICT, "You cannot delete yourself; another administrator can.");
    }
    bool last = false;
    if (rc == 0) {
        rc = principal_last_system(c, &row, &last);
    }
    if (rc == 0 && last) {
        rc = fail(c, ERR_CONFLICT, "'%s' is the last who administers the installation.", in->name);
    }
    if (rc == 0) {
        rc = principal_delete(c, row.id);
        db_after_commit(c, forget_passwords, NULL);
    }
    return rc;
}

static int roles_set(struct ctx *c, const void *in_, void *out) {
    const struct role_in *in = in_;
    (void)out;
    struct principal_row row;
    int rc = principal_find(c, in->name, &row);
    return rc ? rc : role_set(c, row.id, c->project, in->role);
}

struct whoami_out {
    const char *name, *kind, *level;
    struct opt_i64 project_id;
    struct opt_bool local_mode;
};
SHAPE_LOCAL(whoami_shape, "Caller", struct whoami_out,
            FIELD(struct whoami_out, name, T_STR, F_ALWAYS, "Name; 'local' in local mode"),
            FIELD(struct whoami_out, kind, T_STR, F_ALWAYS, "local, user, service or run"),
            FIELD(struct whoami_out, level, T_STR, F_ALWAYS,
                  "Permission on the project of the request"),
            FIELD(struct whoami_out, project_id, T_I64, F_ALWAYS, "Number of that project"),
            FIELD(struct whoami_out, local_mode, T_BOOL, F_ALWAYS,
                  "Whether callers on this machine need no credential"));

static int whoami(struct ctx *c, const void *in, void *out_) {
    (void)in;
    struct whoami_out *out = out_;
    *out = (struct whoami_out){.name = c->who.name,
                               .kind = c->who.kind,
                               .level = perm_name(c->who.level),
                               .project_id = SET_I64(c->project),
                               .local_mode = SET_BOOL(access_local_mode(access_state))};
    return 0;
}

static const struct route principal_rows[] = {
    {.id = "access.whoami",
     .method = "GET",
     .path = "/api/v1/whoami",
     .out = &whoami_shape,
     .perm = PERM_READ,
     .lane = LANE_CALL,
     .fn = whoami,
     .summary = "Tells who the caller is and what it may do on the project."},
    {.id = "access.principals.list",
     .method = "GET",
     .path = "/api/v1/principals",
     .in = &page_in_shape,
     .out = &principal_list_shape,
     .perm = PERM_ADMIN,
     .lane = LANE_READ,
     .fn = principals_list,
     .summary = "Lists the principals with their role on the project."},
    {.id = "access.principals.create",
     .method = "POST",
     .path = "/api/v1/principals",
     .in = &principal_in_shape,
     .out = &principal_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WORK,
     .fn = principals_create,
     .summary = "Makes a principal; the first one made ends local mode for good."},
    {.id = "access.principals.delete",
     .method = "DELETE",
     .path = "/api/v1/principals/{name}",
     .in = &name_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT,
     .fn = principals_delete,
     .summary = "Deletes a principal with its tokens and roles."},
    {.id = "access.roles.set",
     .method = "PUT",
     .path = "/api/v1/principals/{name}/role",
     .in = &role_shape,
     .perm = PERM_ADMIN,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT,
     .fn = roles_set,
     .summary = "Gives a principal a role on the project of the request."},
};
const struct route_list principal_routes = {principal_rows, ARRAY_LEN(principal_rows)};
