/* SPDX-License-Identifier: Apache-2.0 */
#include "object.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

int permission_put(struct ctx *c, int64_t principal, enum object_kind kind, int64_t object,
                   enum object_need level) {
    return db_exec(c,
                   "INSERT INTO permission (principal_id, project_id, kind, object, level) "
                   "VALUES (?, ?, ?, ?, ?) ON CONFLICT (principal_id, project_id, kind, object) "
                   "DO UPDATE SET level = excluded.level",
                   "iiiii", principal, c->project, (int64_t)kind, object, (int64_t)level);
}

int permission_get(struct ctx *c, int64_t principal, enum object_kind kind, int64_t object,
                   int64_t *level, bool *found) {
    return db_get_i64(c,
                      "SELECT level FROM permission WHERE principal_id = ? AND project_id = ? "
                      "AND kind = ? AND object = ?",
                      level, found, "iiii", principal, c->project, (int64_t)kind, object);
}

int permission_drop(struct ctx *c, int64_t principal, enum object_kind kind, int64_t object) {
    return db_exec(c,
                   "DELETE FROM permission WHERE principal_id = ? AND project_id = ? "
                   "AND kind = ? AND object = ?",
                   "iiii", principal, c->project, (int64_t)kind, object);
}

int project_name_of(struct ctx *c, int64_t id, char **name) {
    return db_get_text(c, "SELECT name FROM project WHERE id = ?", name, "i", id);
}

int member_add(struct ctx *c, int64_t principal) {
    return db_exec(c,
                   "INSERT INTO member (principal_id, project_id) VALUES (?, ?) "
                   "ON CONFLICT (principal_id, project_id) DO NOTHING",
                   "ii", principal, c->project);
}

int standing_read(struct ctx *c, int64_t principal, char **role) {
    struct stmt *st =
        db_query(c,
                 "SELECT (SELECT level FROM role WHERE principal_id = ?1 AND project_id = ?2),"
                 " EXISTS (SELECT 1 FROM member WHERE principal_id = ?1 AND project_id = ?2),"
                 " EXISTS (SELECT 1 FROM permission WHERE principal_id = ?1 AND project_id = ?2)",
                 "ii", principal, c->project);
    int rc = stmt_next(st);
    if (rc > 0) {
        *role = stmt_text(c, st, 0);
        c->who.member = stmt_i64(st, 1) != 0;
        c->who.grants = stmt_i64(st, 2) != 0;
        rc = 0;
    }
    stmt_end(st);
    return rc;
}
