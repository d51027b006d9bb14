/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "access_api.h"
#include "access_state.h"
#include "access_store.h"
#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/db/db.h"

#define DAY_MS INT64_C(86400000)
#define DEFAULT_LIFE_MS (90 * DAY_MS)

struct token_in {
    const char *principal, *name, *role, *expires_in;
    struct opt_bool system;
};
SHAPE_LOCAL(token_in_shape, "TokenCreate", struct token_in,
            FIELD_MAX(struct token_in, principal, T_STR, F_REQUIRED, 1, 128,
                      "Whose token; the principal is made when missing"),
            FIELD_MAX(struct token_in, name, T_STR, 0, 0, 200, "What it is for"),
            FIELD_ENUM(struct token_in, role, 0, role_names,
                       "Role on the project of the request, given along with it"),
            FIELD(struct token_in, system, T_BOOL, 0,
                  "For a new principal: administers the installation"),
            FIELD(struct token_in, expires_in, T_STR, 0,
                  "Life such as 12h or 30d; default 90d; 'never' is allowed"));

struct token_out {
    const char *id, *principal, *name, *last4, *token;
    struct opt_i64 created_ms, expires_ms, used_ms;
};
SHAPE_LOCAL(token_shape, "Token", struct token_out,
            FIELD(struct token_out, id, T_STR, F_ALWAYS, "Names the token when revoking it"),
            FIELD(struct token_out, principal, T_STR, F_ALWAYS, "Owner"),
            FIELD(struct token_out, name, T_STR, F_ALWAYS, "What it is for"),
            FIELD(struct token_out, last4, T_STR, F_ALWAYS, "Its last four letters"),
            FIELD(struct token_out, token, T_STR, 0, "The secret itself: shown this once"),
            FIELD(struct token_out, created_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"),
            FIELD(struct token_out, expires_ms, T_I64, 0, "Absent: never"),
            FIELD(struct token_out, used_ms, T_I64, 0, "Last use, to the minute"));

struct token_list {
    struct list tokens;
    const char *next_page_token;
};
SHAPE_LOCAL(token_list_shape, "TokenList", struct token_list,
            FIELD_SUB(struct token_list, tokens, T_LIST, F_ALWAYS, &token_shape,
                      "By owner and age"),
            FIELD(struct token_list, next_page_token, T_STR, 0, "Absent on the last page"));

struct id_in {
    const char *id;
};
SHAPE_LOCAL(id_shape, "TokenId", struct id_in,
            FIELD(struct id_in, id, T_STR, F_PATH | F_REQUIRED, "Token's id"));

static int life(struct ctx *c, const char *text, int64_t *expires_ms) {
    int64_t ms = DEFAULT_LIFE_MS;
    if (str_eq(text, "never")) {
        *expires_ms = 0;
        return 0;
    }
    if (text && (!str_to_ms(text, &ms) || ms <= 0 || ms > 3650 * DAY_MS)) {
        return fail_field(c, ERR_INVALID, "expires_in",
                          "'%s' is not a life such as 12h or 30d, at most 3650d, or never.", text);
    }
    *expires_ms = c->now_ms + ms;
    return 0;
}

static int tokens_create(struct ctx *c, const void *in_, void *out_) {
    const struct token_in *in = in_;
    struct token_out *out = out_;
    struct principal_row row;
    int64_t expires = 0;
    int rc = life(c, in->expires_in, &expires);
    if (rc == 0) {
        rc = name_check(c, "principal", in->principal);
    }
    if (rc != 0) {
        return rc;
    }
    if (principal_find(c, in->principal, &row) != 0) {
        err_clear(c);
        struct principal_in fresh = {
            .name = in->principal, .kind = "service", .system = in->system, .role = in->role};
        struct principal_out made;
        rc = principal_create(c, &fresh, NULL, &made);
        if (rc == 0) {
            rc = principal_find(c, in->principal, &row);
        }
    } else if (in->role) {
        rc = role_set(c, row.id, c->project, in->role);
    }
    char text[TOKEN_LEN + 1];
    char random[9];
    unsigned char hash[32];
    token_make(text);
    token_hash(text, hash);
    id_base62(random, 8);
    const char *id = arena_printf(c->arena, "tok-%s", random);
    const char *last4 = arena_strdup(c->arena, text + TOKEN_LEN - 4);
    const char *name = in->name ? in->name : "";
    if (rc == 0) {
        rc = token_insert(c, hash, id, row.id, NULL, name, last4, expires);
    }
    *out = (struct token_out){.id = id,
                              .principal = row.name,
                              .name = name,
                              .last4 = last4,
                              .token = arena_strdup(c->arena, text),
                              .created_ms = SET_I64(c->now_ms),
                              .expires_ms = {expires, expires != 0}};
    return rc;
}

static int tokens_list(struct ctx *c, const void *in, void *out_) {
    struct token_list *out = out_;
    int64_t most, offset;
    int rc = page_read(c, in, &most, &offset);
    if (rc != 0) {
        return rc;
    }
    struct stmt *st = db_query(c,
                               "SELECT t.id, p.name, t.name, t.last4, t.created_ms, t.expires_ms, "
                               "t.used_ms FROM token t JOIN principal p ON p.id = t.principal_id "
                               "ORDER BY p.name, t.created_ms, t.id LIMIT ? OFFSET ?",
                               "ii", most + 1, offset);
    struct token_out *items = ARENA_ARRAY(c->arena, struct token_out, (size_t)most);
    while ((rc = stmt_next(st)) > 0) {
        if (out->tokens.n == (size_t)most) {
            out->next_page_token = page_token(c, offset + most);
            stmt_end(st);
            rc = 0;
            break;
        }
        items[out->tokens.n++] =
            (struct token_out){.id = stmt_text(c, st, 0),
                               .principal = stmt_text(c, st, 1),
                               .name = stmt_text(c, st, 2),
                               .last4 = stmt_text(c, st, 3),
                               .created_ms = SET_I64(stmt_i64(st, 4)),
                               .expires_ms = {stmt_i64(st, 5), !stmt_null(st, 5)},
                               .used_ms = {stmt_i64(st, 6), !stmt_null(st, 6)}};
    }
    out->tokens.items = items;
    return rc;
}

static int tokens_revoke(struct ctx *c, const void *in_, void *out) {
    const struct id_in *in = in_;
    (void)out;
    return token_delete(c, in->id);
}

static const struct route token_rows[] = {
    {.id = "access.tokens.list",
     .method = "GET",
     .path = "/api/v1/tokens",
     .in = &page_in_shape,
     .out = &token_list_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_READ,
     .fn = tokens_list,
     .summary = "Lists tokens without their secrets."},
    {.id = "access.tokens.create",
     .method = "POST",
     .path = "/api/v1/tokens",
     .in = &token_in_shape,
     .out = &token_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT | ROUTE_SECRET,
     .fn = tokens_create,
     .summary = "Makes a bearer token, and its principal when missing; shows it once."},
    {.id = "access.tokens.revoke",
     .method = "DELETE",
     .path = "/api/v1/tokens/{id}",
     .in = &id_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT,
     .fn = tokens_revoke,
     .summary = "Revokes a token at once."},
};
const struct route_list token_routes = {token_rows, ARRAY_LEN(token_rows)};
