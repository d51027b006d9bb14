/* SPDX-License-Identifier: Apache-2.0 */
#include "access_store.h"

#include "quern/core/ctx.h"
#include "quern/db/db.h"

int token_find(struct ctx *c, const unsigned char hash[32], struct token_row *out) {
    struct stmt *st = db_query(
        c,
        "SELECT t.principal_id, t.project_id, t.run_id, t.expires_ms, t.used_ms, p.name, "
        "p.kind, p.disabled, p.system FROM token t LEFT JOIN principal p ON p.id = t.principal_id "
        "WHERE t.hash = ?",
        "b", hash, (size_t)32);
    int rc = stmt_next(st);
    if (rc > 0) {
        *out = (struct token_row){.principal_id = stmt_i64(st, 0),
                                  .project_id = stmt_i64(st, 1),
                                  .run_id = stmt_text(c, st, 2),
                                  .expires_ms = stmt_i64(st, 3),
                                  .used_ms = stmt_i64(st, 4),
                                  .principal = stmt_text(c, st, 5),
                                  .kind = stmt_text(c, st, 6),
                                  .disabled = stmt_i64(st, 7) != 0,
                                  .system = stmt_i64(st, 8) != 0};
        stmt_end(st);
        return 0;
    }
    return rc < 0 ? rc : fail(c, ERR_NOT_FOUND, "No such token");
}

int token_touch(struct ctx *c, const unsigned char hash[32], int64_t now_ms) {
    return db_exec(c, "UPDATE token SET used_ms = ? WHERE hash = ?", "ib", now_ms, hash,
                   (size_t)32);
}

int token_insert(struct ctx *c, const unsigned char hash[32], const char *id, int64_t principal_id,
                 const char *run_id, const char *name, const char *last4, int64_t expires_ms) {
    return db_exec(c,
                   "INSERT INTO token (hash, id, principal_id, project_id, run_id, name, last4, "
                   "created_ms, expires_ms) VALUES (?, ?, nullif(?, 0), ?, ?, ?, ?, ?, "
                   "nullif(?, 0))",
                   "bsiisssii", hash, (size_t)32, id, principal_id, c->project, run_id, name, last4,
                   c->now_ms, expires_ms);
}

int token_delete(struct ctx *c, const char *id) {
    int rc = db_exec(c, "DELETE FROM token WHERE id = ? AND run_id IS NULL", "s", id);
    if (rc == 0 && db_changes(c) == 0) {
        return fail(c, ERR_NOT_FOUND, "There is no token with id '%s'.", id);
    }
    return rc;
}

int token_delete_run(struct ctx *c, const char *run_id) {
    return db_exec(c, "DELETE FROM token WHERE run_id = ?", "s", run_id);
}

int token_delete_expired_runs(struct ctx *c, int64_t most) {
    int rc = db_exec(c,
                     "DELETE FROM token WHERE hash IN (SELECT hash FROM token"
                     " WHERE run_id IS NOT NULL AND expires_ms <= ? LIMIT ?)",
                     "ii", c->now_ms, most);
    return rc < 0 ? rc : (int)db_changes(c);
}

#define PRINCIPAL "SELECT id, name, kind, password, disabled, system, created_ms FROM principal "

static int principal_read(struct ctx *c, struct stmt *st, struct principal_row *out) {
    int rc = stmt_next(st);
    if (rc > 0) {
        *out = (struct principal_row){.id = stmt_i64(st, 0),
                                      .name = stmt_text(c, st, 1),
                                      .kind = stmt_text(c, st, 2),
                                      .password = stmt_text(c, st, 3),
                                      .disabled = stmt_i64(st, 4) != 0,
                                      .system = stmt_i64(st, 5) != 0,
                                      .created_ms = stmt_i64(st, 6)};
        stmt_end(st);
    }
    return rc;
}

int principal_find(struct ctx *c, const char *name, struct principal_row *out) {
    int rc = principal_read(c, db_query(c, PRINCIPAL "WHERE name = ?", "s", name), out);
    return rc > 0 ? 0
           : rc < 0
               ? rc
               : fail_field(c, ERR_NOT_FOUND, "name", "There is no principal named '%s'.", name);
}

int principal_by_id(struct ctx *c, int64_t id, struct principal_row *out) {
    int rc = principal_read(c, db_query(c, PRINCIPAL "WHERE id = ?", "i", id), out);
    return rc > 0 ? 0 : rc < 0 ? rc : fail(c, ERR_NOT_FOUND, "That principal is gone.");
}

int principal_insert(struct ctx *c, const char *name, const char *kind, const char *password,
                     bool system, int64_t *id) {
    int rc = db_exec(c,
                     "INSERT INTO principal (name, kind, password, system, created_ms) "
                     "VALUES (?, ?, ?, ?, ?)",
                     "sssii", name, kind, password, (int64_t)system, c->now_ms);
    *id = rc == 0 ? db_last_id(c) : 0;
    return rc;
}

int principal_delete(struct ctx *c, int64_t id) {
    return db_exec(c, "DELETE FROM principal WHERE id = ?", "i", id);
}

int principal_count(struct ctx *c, int64_t *n) {
    return db_get_i64(c, "SELECT count(*) FROM principal", n, NULL, "");
}

int role_set(struct ctx *c, int64_t principal_id, int64_t project_id, const char *level) {
    return db_exec(c,
                   "INSERT INTO role (principal_id, project_id, level) VALUES (?, ?, ?) "
                   "ON CONFLICT (principal_id, project_id) DO UPDATE SET level = excluded.level",
                   "iis", principal_id, project_id, level);
}

int project_find(struct ctx *c, const char *name, int64_t *id) {
    bool found = false;
    int rc = db_get_i64(c, "SELECT id FROM project WHERE name = ?", id, &found, "s", name);
    if (rc == 0 && !found) {
        return fail_field(c, ERR_NOT_FOUND, "project", "There is no project named '%s'.", name);
    }
    return rc;
}
