/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "trash.h"

const char *const trash_kinds[TRASH_KINDS + 1] = {
    "experiment", "run", "logged_model", "registered_model", "model_version", "artifact", NULL};

#define COLUMNS                                                                                    \
    "SELECT t.id, t.kind, t.object, t.experiment_id, t.deleted_ms, t.since_ms, t.deleted_by,"      \
    " CASE t.kind WHEN 'experiment' THEN CAST(t.object AS TEXT)"                                   \
    "  WHEN 'run' THEN (SELECT uuid FROM run WHERE id = t.object)"                                 \
    "  WHEN 'logged_model' THEN (SELECT uuid FROM logged_model WHERE id = t.object)"               \
    "  ELSE CAST(t.id AS TEXT) END,"                                                               \
    " CASE t.kind WHEN 'experiment' THEN (SELECT name FROM experiment WHERE id = t.object)"        \
    "  WHEN 'run' THEN (SELECT name FROM run WHERE id = t.object)"                                 \
    "  WHEN 'logged_model' THEN (SELECT name FROM logged_model WHERE id = t.object)"               \
    "  ELSE t.name END,"                                                                           \
    " CASE t.kind WHEN 'artifact' THEN (SELECT count(*) FROM trash_file WHERE trash = t.id) END,"  \
    " CASE t.kind WHEN 'artifact' THEN (SELECT sum(size) FROM trash_file WHERE trash = t.id) END," \
    " t.content FROM trash t WHERE "

/* The model that a deleted version, "name/3", belongs to; NULL for other kinds and where it is gone
 * as well. */
#define MODEL_OF                                                                                   \
    "(SELECT m.id FROM registered_model m WHERE t.kind = 'model_version'"                          \
    " AND m.project_id = t.project_id AND m.name = substr(t.name, 1, instr(t.name, '/') - 1))"

/* Names of callers are given out again: what was deleted before is another's. */
#define SINCE "(SELECT created_ms FROM principal WHERE id = ?)"

int trash_is_own(struct ctx *c, const struct trash_row *t, bool *own) {
    int64_t since = 0;
    bool found = false;
    int rc = db_get_i64(c, "SELECT created_ms FROM principal WHERE id = ?", &since, &found, "i",
                        c->who.id);
    *own = rc == 0 && found && str_eq(t->by, c->who.name) && t->deleted_ms >= since;
    return rc;
}

/* Lists do without the content, which can be large. */
static void read_row(struct ctx *c, struct stmt *st, bool whole, struct trash_row *t) {
    const char *kind = stmt_text(c, st, 1);
    *t = (struct trash_row){.row = stmt_i64(st, 0),
                            .object = stmt_i64(st, 2),
                            .experiment = stmt_null(st, 3) ? -1 : stmt_i64(st, 3),
                            .deleted_ms = stmt_i64(st, 4),
                            .since_ms = stmt_i64(st, 5),
                            .by = stmt_text(c, st, 6),
                            .id = stmt_text(c, st, 7),
                            .name = stmt_text(c, st, 8),
                            .files = stmt_i64(st, 9),
                            .bytes = stmt_i64(st, 10),
                            .content = whole ? stmt_text(c, st, 11) : NULL};
    while (t->kind + 1 < TRASH_KINDS && !str_eq(trash_kinds[t->kind], kind))
        t->kind++;
}

int trash_list(struct ctx *c, const char *kind, int64_t before, int64_t most,
               struct trash_rows *out) {
    struct sql q;
    sql_begin(c, &q);
    sql_add(c, &q, COLUMNS "t.project_id = ?", "i", c->project);
    if (before)
        sql_add(c, &q, " AND t.id < ?", "i", before);
    if (kind)
        sql_add(c, &q, " AND t.kind = ?", "s", kind);
    else
        sql_add(c, &q,
                " AND NOT (t.kind IN ('run', 'logged_model') AND EXISTS"
                " (SELECT 1 FROM experiment e WHERE e.id = t.experiment_id AND e.deleted = 1))",
                "");
    sql_add(c, &q, " AND (CASE WHEN t.experiment_id IS NOT NULL THEN 1", "");
    int rc = access_object_filter(c, OBJECT_EXPERIMENT, "t.experiment_id", &q);
    sql_add(c, &q, " WHEN " MODEL_OF " IS NOT NULL THEN 1", "");
    if (rc == 0)
        rc = access_object_filter(c, OBJECT_MODEL, MODEL_OF, &q);
    if (rc != 0)
        return rc;
    /* Of what hangs on nothing any more, a role shows all, and everybody sees his own. */
    sql_add(c, &q, " ELSE ? OR (t.deleted_by = ? AND t.deleted_ms >= " SINCE ") END)", "isi",
            (int64_t)(c->who.level >= PERM_READ), c->who.name, c->who.id);
    sql_add(c, &q, " ORDER BY t.id DESC LIMIT ?", "i", most + 1);
    *out = (struct trash_rows){.items = ARENA_ARRAY(c->arena, struct trash_row, (size_t)most)};
    struct stmt *st = sql_query(c, &q);
    while ((rc = stmt_next(st)) > 0) {
        if (out->n == (size_t)most) {
            out->next = out->items[out->n - 1].row;
            stmt_end(st);
            return 0;
        }
        read_row(c, st, false, &out->items[out->n++]);
    }
    return rc;
}

static int one(struct ctx *c, struct stmt *st, struct trash_row *out) {
    int rc = stmt_next(st);
    if (rc > 0)
        read_row(c, st, true, out);
    stmt_end(st);
    return rc;
}

static int by_row(struct ctx *c, const char *kind, int64_t row, struct trash_row *out) {
    return one(c,
               db_query(c, COLUMNS "t.project_id = ? AND t.kind = ? AND t.id = ?", "isi",
                        c->project, kind, row),
               out);
}

static int by_object(struct ctx *c, const char *kind, int64_t object, struct trash_row *out) {
    return one(c,
               db_query(c, COLUMNS "t.project_id = ? AND t.kind = ? AND t.object = ?", "isi",
                        c->project, kind, object),
               out);
}

static int find(struct ctx *c, const char *kind, const char *id, struct trash_row *out) {
    int64_t n = 0;
    bool found = false, number = str_to_i64(id, &n);
    int rc = 0;
    if (str_eq(kind, "experiment"))
        return number ? by_object(c, kind, n, out) : 0;
    if (str_eq(kind, "run") || str_eq(kind, "logged_model")) {
        rc = db_get_i64(c,
                        str_eq(kind, "run") ? "SELECT id FROM run WHERE uuid = ?"
                                            : "SELECT id FROM logged_model WHERE uuid = ?",
                        &n, &found, "s", id);
        return rc || !found ? rc : by_object(c, kind, n, out);
    }
    rc = number ? by_row(c, kind, n, out) : 0;
    if (rc)
        return rc;
    rc = db_get_i64(c,
                    "SELECT id FROM trash WHERE project_id = ? AND kind = ? AND name = ?"
                    " ORDER BY id DESC LIMIT 1",
                    &n, &found, "iss", c->project, kind, id);
    return rc || !found ? rc : by_row(c, kind, n, out);
}

int trash_find(struct ctx *c, const char *kind, const char *id, struct trash_row *out) {
    int rc = find(c, kind, id, out);
    return rc ? (rc < 0 ? rc : 0)
              : fail_field(c, ERR_NOT_FOUND, "id", "There is no %s '%s' in the trash.", kind, id);
}

int trash_next_due(struct ctx *c, int64_t before_ms, struct trash_row *out) {
    return one(
        c, db_query(c, COLUMNS "t.since_ms <= ? ORDER BY t.since_ms LIMIT 1", "i", before_ms), out);
}

int trash_put_off(struct ctx *c, const struct trash_row *t, int64_t since_ms) {
    return db_exec(c, "UPDATE trash SET since_ms = ? WHERE id = ?", "ii", since_ms, t->row);
}
