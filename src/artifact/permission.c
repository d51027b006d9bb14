/* SPDX-License-Identifier: Apache-2.0 */
/* Permission: what a caller may do with a logical name follows from the experiment that its first
 * segment names, as clients lay artifacts out, or else from the one whose location it lies in. */
#include <string.h>

#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

#define NO_EXPERIMENT (-1) /* nothing was granted on it: the role, or the default, decides */

static int numbered(struct ctx *c, const char *path, int64_t *id) {
    size_t n = strspn(path, "0123456789");
    bool found = false;
    if (n == 0 || (path[n] && path[n] != '/') || !str_to_i64(arena_strndup(c->arena, path, n), id))
        return 0;
    int rc = db_get_i64(c, "SELECT id FROM experiment WHERE id = ? AND project_id = ?", id, &found,
                        "ii", *id, c->project);
    return rc < 0 ? rc : found;
}

/* Locations of their own choice: of those that the name lies in, the outermost, of equal ones the
 * oldest, so that nobody takes over a folder by naming it, or one within it, once more. */
static int placed(struct ctx *c, const char *path, int64_t *id) {
    struct stmt *st = db_query(c,
                               "SELECT id, artifact_location FROM experiment WHERE project_id = ?"
                               " AND artifact_location <> 'mlflow-artifacts:/' || id ORDER BY id",
                               "i", c->project);
    size_t best = SIZE_MAX;
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        const char *folder = artifact_uri_path(c, stmt_text(c, st, 1));
        size_t n = folder ? strlen(folder) : 0;
        while (n > 0 && folder[n - 1] == '/')
            n--;
        if (n > 0 && n < best && strncmp(path, folder, n) == 0 && (!path[n] || path[n] == '/')) {
            best = n;
            *id = stmt_i64(st, 0);
        }
    }
    stmt_end(st);
    return rc;
}

static int experiment_of(struct ctx *c, const char *path, int64_t *id) {
    int rc = numbered(c, path, id);
    if (rc > 0)
        return 0;
    *id = NO_EXPERIMENT;
    return rc < 0 ? rc : placed(c, path, id);
}

static int allows(struct ctx *c, const char *path, bool *may) {
    int64_t id;
    int rc = experiment_of(c, path, &id);
    return rc < 0 ? rc : access_object_allows(c, OBJECT_EXPERIMENT, id, OBJECT_READ, may);
}

int artifact_permit(struct ctx *c, const char *path, enum object_need need) {
    int64_t id;
    int rc = experiment_of(c, path, &id);
    return rc < 0 ? rc : access_object(c, OBJECT_EXPERIMENT, id, need);
}

int artifact_permit_list(struct ctx *c, const char *dir, struct artifact_entries *found) {
    size_t kept = 0;
    if (*dir)
        return artifact_permit(c, dir, OBJECT_READ);
    access_object_nothing(c); /* what may not be read is left out */
    for (size_t i = 0; i < found->n; i++) {
        bool may = false;
        int rc = allows(c, found->items[i].path, &may);
        if (rc != 0)
            return rc;
        if (may)
            found->items[kept++] = found->items[i];
    }
    found->n = kept;
    return 0;
}

int artifact_permit_blob(struct ctx *c, const char *sha256, bool *found) {
    struct stmt *st = db_query(c, "SELECT path FROM artifact WHERE sha256 = ? AND project_id = ?",
                               "si", sha256, c->project);
    int rc = 0, failed = 0;
    *found = false;
    access_object_nothing(c); /* content of no name that may be read is as good as absent */
    while (!*found && !failed && (rc = stmt_next(st)) > 0)
        failed = allows(c, stmt_text(c, st, 0), found);
    stmt_end(st);
    return failed ? failed : *found ? 0 : rc;
}
