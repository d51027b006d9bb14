/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/registry/copy.h"
#include "quern/tracking/purge.h"
#include "trash.h"

static int drop(struct ctx *c, const struct trash_row *t) {
    int rc = blob_ref_drop(c, arena_printf(c->arena, "trash:%lld", (long long)t->row));
    return rc < 0 ? rc : db_exec(c, "DELETE FROM trash WHERE id = ?", "i", t->row);
}

static int permit(struct ctx *c, const struct trash_row *t) {
    if (c->who.run_id)
        return fail(c, ERR_FORBIDDEN, "A run's token restores nothing.");
    if (t->experiment >= 0)
        return access_object(c, OBJECT_EXPERIMENT, t->experiment, OBJECT_DELETE);
    if (t->kind == TRASH_ARTIFACT)
        return artifact_permit(c, t->name, OBJECT_DELETE);
    if (t->kind == TRASH_MODEL_VERSION) { /* its model is asked for once it is found */
        access_object_nothing(c);
        return 0;
    }
    bool own = true;
    int rc = access_object_make(c, OBJECT_MODEL);
    if (rc == 0 && c->who.level < PERM_WRITE)
        rc = trash_is_own(c, t, &own);
    if (rc == 0 && !own)
        return fail(c, ERR_FORBIDDEN, "'%s' was not deleted by you.", t->name);
    return rc;
}

static int experiment_ready(struct ctx *c, int64_t id, bool *deleted) {
    int64_t mark = 0;
    int rc = db_get_i64(c, "SELECT deleted + purging * 2 FROM experiment WHERE id = ?", &mark, NULL,
                        "i", id);
    *deleted = mark & 1;
    if (rc == 0 && mark & 2)
        return fail(c, ERR_CONFLICT, "Experiment %lld is being erased.", (long long)id);
    return rc;
}

static int restore_mark(struct ctx *c, const struct trash_row *t) {
    bool deleted = false;
    int rc = experiment_ready(c, t->experiment, &deleted);
    if (rc)
        return rc;
    if (t->kind == TRASH_EXPERIMENT)
        return experiment_undelete(c, t->object);
    if (deleted)
        return fail(c, ERR_CONFLICT, "Its experiment %lld is deleted; restore that first.",
                    (long long)t->experiment);
    return t->kind == TRASH_RUN ? run_undelete(c, t->object) : logged_model_undelete(c, t->object);
}

static int restore_model(struct ctx *c, const struct trash_row *t) {
    struct copy_registered m;
    int rc = snapshot_read(c, t->content, &m);
    if (rc)
        return rc;
    return t->kind == TRASH_REGISTERED_MODEL ? registered_restore(c, &m) : version_restore(c, &m);
}

/* All of it or nothing: a tree with some files of another time would be neither of the two. */
static int restore_files(struct ctx *c, const struct trash_row *t) {
    char *taken = NULL;
    int rc = db_get_text(c,
                         "SELECT f.path FROM trash_file f JOIN artifact a ON a.project_id = ?"
                         " AND a.path = f.path WHERE f.trash = ? LIMIT 1",
                         &taken, "ii", c->project, t->row);
    if (rc == 0 && taken)
        return fail(c, ERR_CONFLICT,
                    "'%s' was stored anew since; a restore never overwrites. Delete it first.",
                    taken);
    struct stmt *st = rc < 0 ? NULL
                             : db_query(c,
                                        "SELECT path, sha256, size FROM trash_file WHERE trash = ?"
                                        " ORDER BY path",
                                        "i", t->row);
    while (rc >= 0 && (rc = stmt_next(st)) > 0) {
        const char *path = stmt_text(c, st, 0);
        rc = artifact_link(c, path, stmt_text(c, st, 1), stmt_i64(st, 2));
        if (rc == -ERR_INVALID) { /* a file where a folder was, or the other way round */
            char *why = c->err.message;
            err_clear(c);
            rc = fail(c, ERR_CONFLICT, "'%s' cannot come back: %s", path, why);
        }
    }
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

int trash_restore(struct ctx *c, const struct trash_row *t) {
    int rc = permit(c, t);
    if (rc)
        return rc;
    if (t->kind <= TRASH_LOGGED_MODEL) /* a trigger takes the row out of the trash */
        rc = restore_mark(c, t);
    else if (t->kind == TRASH_ARTIFACT)
        rc = restore_files(c, t);
    else
        rc = restore_model(c, t);
    return rc < 0 || t->kind <= TRASH_LOGGED_MODEL ? (rc < 0 ? rc : 0) : drop(c, t);
}
