/* SPDX-License-Identifier: Apache-2.0 */
/* User store: whose permission is on what. The one place of this room that reads names and numbers
 * of objects that rooms to the right own. */
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "user.h"

#define PERMISSIONS_MAX 10000 /* of one user, in one answer */

int user_experiments(struct ctx *c, int64_t user, struct list *out) {
    struct stmt *st = db_query(c,
                               "SELECT p.object, p.level FROM permission p WHERE p.principal_id = ?"
                               " AND p.project_id = ? AND p.kind = 1 ORDER BY p.object LIMIT ?",
                               "iii", user, c->project, (int64_t)PERMISSIONS_MAX);
    struct user_experiment *items = ARENA_ARRAY(c->arena, struct user_experiment, PERMISSIONS_MAX);
    int rc;
    out->items = items;
    while ((rc = stmt_next(st)) > 0) {
        items[out->n++] = (struct user_experiment){
            .experiment_id = arena_printf(c->arena, "%lld", (long long)stmt_i64(st, 0)),
            .permission = permission_name(stmt_i64(st, 1)),
            .user_id = SET_I64(user)};
    }
    return rc;
}

int user_models(struct ctx *c, int64_t user, struct list *out) {
    struct stmt *st =
        db_query(c,
                 "SELECT m.name, p.level, j.name FROM permission p"
                 " JOIN registered_model m ON m.id = p.object JOIN project j ON j.id = p.project_id"
                 " WHERE p.principal_id = ? AND p.project_id = ? AND p.kind = 2 ORDER BY m.name"
                 " LIMIT ?",
                 "iii", user, c->project, (int64_t)PERMISSIONS_MAX);
    struct user_model *items = ARENA_ARRAY(c->arena, struct user_model, PERMISSIONS_MAX);
    int rc;
    out->items = items;
    while ((rc = stmt_next(st)) > 0) {
        items[out->n++] = (struct user_model){.name = stmt_text(c, st, 0),
                                              .permission = permission_name(stmt_i64(st, 1)),
                                              .workspace = stmt_text(c, st, 2),
                                              .user_id = SET_I64(user)};
    }
    return rc;
}

int object_find(struct ctx *c, enum object_kind kind, const char *text, int64_t *id) {
    bool found = false;
    int64_t number = 0;
    int rc = 0;
    if (kind == OBJECT_MODEL) {
        rc = db_get_i64(c, "SELECT id FROM registered_model WHERE project_id = ? AND name = ?", id,
                        &found, "is", c->project, text);
        if (rc == 0 && !found) {
            return fail_field(c, ERR_NOT_FOUND, "name", "Registered Model with name=%s not found",
                              text);
        }
        return rc;
    }
    if (str_to_i64(text, &number)) {
        rc = db_get_i64(c, "SELECT id FROM experiment WHERE project_id = ? AND id = ?", id, &found,
                        "ii", c->project, number);
    }
    if (rc == 0 && !found) {
        return fail_field(c, ERR_NOT_FOUND, "experiment_id", "No Experiment with id=%s exists",
                          text);
    }
    return rc;
}
