/* SPDX-License-Identifier: Apache-2.0 */
/* Permission: what a caller may do with a logical name follows from the experiment that its first
 * segment names, as clients lay artifacts out. */
#include <string.h>

#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

#define NO_EXPERIMENT (-1) /* nothing was granted on it: the role, or the default, decides */

static int64_t experiment_of(struct ctx *c, const char *path) {
    int64_t id = NO_EXPERIMENT;
    size_t n = strspn(path, "0123456789");
    if (n == 0 || (path[n] && path[n] != '/') || !str_to_i64(arena_strndup(c->arena, path, n), &id))
        return NO_EXPERIMENT;
    return id;
}

int artifact_permit(struct ctx *c, const char *path, enum object_need need) {
    return access_object(c, OBJECT_EXPERIMENT, experiment_of(c, path), need);
}

int artifact_permit_list(struct ctx *c, const char *dir, struct artifact_entries *found) {
    size_t kept = 0;
    if (*dir)
        return artifact_permit(c, dir, OBJECT_READ);
    access_object_nothing(c); /* what may not be read is left out */
    for (size_t i = 0; i < found->n; i++) {
        bool may = false;
        int rc = access_object_allows(c, OBJECT_EXPERIMENT, experiment_of(c, found->items[i].path),
                                      OBJECT_READ, &may);
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
        failed = access_object_allows(c, OBJECT_EXPERIMENT, experiment_of(c, stmt_text(c, st, 0)),
                                      OBJECT_READ, found);
    stmt_end(st);
    return failed ? failed : *found ? 0 : rc;
}
