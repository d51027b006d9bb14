/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "scorer.h"

#define COLUMNS "s.scorer_id, s.experiment_id, s.name, v.version, v.content, v.created_ms"
#define OF " FROM scorer s JOIN scorer_version v ON v.scorer = s.id"
#define ANSWER_BYTES (256u << 20)

static void read_row(struct ctx *c, struct stmt *st, struct scorer *s) {
    *s = (struct scorer){.scorer_id = stmt_text(c, st, 0),
                         .experiment_id = SET_I64(stmt_i64(st, 1)),
                         .scorer_name = stmt_text(c, st, 2),
                         .scorer_version = SET_I64(stmt_i64(st, 3)),
                         .serialized_scorer = stmt_text(c, st, 4),
                         .creation_time = SET_I64(stmt_i64(st, 5))};
}

/* These lists have no pages. */
static int read_rows(struct ctx *c, struct stmt *st, struct list *out) {
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        read_row(c, st, arena_push(c->arena, &out->items, &out->n, &cap, sizeof(struct scorer)));
        if (arena_bytes(c->arena) > ANSWER_BYTES) {
            stmt_end(st);
            return fail(c, ERR_INVALID, "The answer would exceed %u MiB; ask for fewer scorers.",
                        ANSWER_BYTES >> 20);
        }
    }
    return rc;
}

int scorer_find(struct ctx *c, int64_t experiment, const char *name, int64_t *row) {
    bool found = false;
    int rc = db_get_i64(c, "SELECT id FROM scorer WHERE experiment_id = ? AND name = ?", row,
                        &found, "is", experiment, name);
    return rc < 0 ? rc : found;
}

int scorer_insert(struct ctx *c, int64_t experiment, const char *name, int64_t *row) {
    char id[37];
    id_uuid(id);
    int rc = db_exec(c, "INSERT INTO scorer (scorer_id, experiment_id, name) VALUES (?, ?, ?)",
                     "sis", id, experiment, name);
    *row = db_last_id(c);
    return rc < 0 ? rc : 0;
}

int scorer_insert_version(struct ctx *c, int64_t row, const char *content) {
    int rc = db_exec(c,
                     "INSERT INTO scorer_version (scorer, version, content, created_ms)"
                     " SELECT ?1, coalesce(max(version), 0) + 1, ?2, ?3 FROM scorer_version"
                     " WHERE scorer = ?1",
                     "isi", row, content, c->now_ms);
    return rc < 0 ? rc : 0;
}

int scorer_find_version(struct ctx *c, int64_t row, struct opt_i64 version, struct scorer *out) {
    struct stmt *st =
        version.set
            ? db_query(c, "SELECT " COLUMNS OF " WHERE s.id = ? AND v.version = ?", "ii", row,
                       version.v)
            : db_query(c, "SELECT " COLUMNS OF " WHERE s.id = ? ORDER BY v.version DESC LIMIT 1",
                       "i", row);
    int rc = stmt_next(st);
    if (rc > 0)
        read_row(c, st, out);
    stmt_end(st);
    return rc;
}

int scorer_load_versions(struct ctx *c, int64_t row, struct list *out) {
    struct stmt *st =
        db_query(c, "SELECT " COLUMNS OF " WHERE s.id = ? ORDER BY v.version", "i", row);
    return read_rows(c, st, out);
}

int scorer_load_latest(struct ctx *c, const char *json, struct list *out) {
    struct sql q;
    sql_begin(c, &q);
    sql_add(c, &q,
            "SELECT " COLUMNS OF " JOIN experiment e ON e.id = s.experiment_id WHERE v.version ="
            " (SELECT max(version) FROM scorer_version WHERE scorer = s.id)"
            " AND e.project_id = ? AND e.deleted = 0",
            "i", c->project);
    if (json)
        sql_add(c, &q, " AND e.id IN (SELECT value FROM json_each(?))", "s", json);
    int rc = access_object_filter(c, OBJECT_EXPERIMENT, "e.id", &q);
    if (rc != 0)
        return rc;
    sql_add(c, &q, " ORDER BY s.experiment_id, s.name", "");
    return read_rows(c, sql_query(c, &q), out);
}

int scorer_erase_version(struct ctx *c, int64_t row, struct opt_i64 version, int64_t *gone) {
    int rc = version.set ? db_exec(c, "DELETE FROM scorer_version WHERE scorer = ? AND version = ?",
                                   "ii", row, version.v)
                         : db_exec(c, "DELETE FROM scorer_version WHERE scorer = ?", "i", row);
    *gone = rc < 0 ? 0 : db_changes(c);
    return rc < 0 ? rc : 0;
}

int scorer_erase(struct ctx *c, int64_t row) {
    int rc = db_exec(c, "DELETE FROM scorer WHERE id = ?", "i", row);
    return rc < 0 ? rc : 0;
}
