/* SPDX-License-Identifier: Apache-2.0 */
/* Keep: what the rooms to the left tell before, or as, they delete. */
#include <stdlib.h>
#include <string.h>

#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/registry/copy.h"
#include "quern/tracking/purge.h"
#include "quern/trash/trash.h"
#include "quota.h"
#include "trash.h"

#define SNAPSHOT_MAX (48u << 20) /* a row takes 64 MiB */

int64_t trash_keep_ms;
struct db *trash_db;

void trash_open(struct db *db, int64_t keep_ms) {
    trash_db = db;
    trash_keep_ms = keep_ms;
    tracking_on_delete(trash_keep_mark);
    registry_keeper(trash_keep_registered);
    artifact_keeper(trash_keep_artifact);
    artifact_bounds(quota_room);
}

int trash_keep_mark(struct ctx *c, const char *kind, int64_t row) {
    return db_exec(c, "UPDATE trash SET deleted_by = ? WHERE kind = ? AND object = ?", "ssi",
                   c->who.name, kind, row);
}

static int insert(struct ctx *c, const char *kind, const char *name, const char *content,
                  int64_t experiment, int64_t *row) {
    int rc =
        experiment < 0
            ? db_exec(c,
                      "INSERT INTO trash (project_id, kind, name, content, deleted_ms,"
                      " since_ms, deleted_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
                      "isssiis", c->project, kind, name, content, c->now_ms, c->now_ms, c->who.name)
            : db_exec(c,
                      "INSERT INTO trash (project_id, kind, name, content, deleted_ms,"
                      " since_ms, deleted_by, experiment_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                      "isssiisi", c->project, kind, name, content, c->now_ms, c->now_ms,
                      c->who.name, experiment);
    *row = rc < 0 ? 0 : db_last_id(c);
    return rc;
}

int trash_keep_registered(struct ctx *c, const char *name, int64_t version) {
    struct copy_registered m;
    int64_t row;
    int rc = version ? version_copy_get(c, name, version, &m) : registered_copy_get(c, name, &m);
    if (rc <= 0)
        return rc;
    const char *content = snapshot_text(c, &m);
    if (strlen(content) > SNAPSHOT_MAX) {
        log_warn("trash.large", "%s was too large to be kept in the trash", name);
        return 0;
    }
    if (version)
        name = arena_printf(c->arena, "%s/%lld", name, (long long)version);
    return insert(c, version ? "model_version" : "registered_model", name, content, -1, &row);
}

/* "12/abc/artifacts/f" belongs to experiment 12, if there is one. */
static int experiment_of(struct ctx *c, const char *path, int64_t *id) {
    int64_t n = -1, one = 0;
    bool found = false;
    const char *first = arena_strndup(c->arena, path, strcspn(path, "/"));
    *id = -1;
    if (!str_to_i64(first, &n) || n < 0)
        return 0;
    int rc = db_get_i64(c, "SELECT 1 FROM experiment WHERE id = ? AND project_id = ?", &one, &found,
                        "ii", n, c->project);
    if (rc == 0 && found)
        *id = n;
    return rc;
}

int trash_keep_artifact(struct ctx *c, const char *path) {
    static const char *const moves[] = {
        "INSERT INTO trash_file (trash, path, sha256, size) SELECT ?1, path, sha256, size"
        " FROM artifact WHERE project_id = ?2 AND path = ?3 AND ?4 <> ?5",
        "INSERT INTO trash_file (trash, path, sha256, size) SELECT ?1, path, sha256, size"
        " FROM artifact WHERE project_id = ?2 AND path >= ?4 AND path < ?5 AND ?3 <> ''",
    };
    const char *from = arena_printf(c->arena, "%s/", path);
    const char *to = arena_printf(c->arena, "%s0", path); /* '0' follows '/' */
    struct artifact_entry e;
    int64_t row = 0, experiment = -1;
    int rc = artifact_stat(c, path, &e);
    if (rc == -ERR_NOT_FOUND) { /* an absent file is fine to delete */
        err_clear(c);
        return 0;
    }
    if (rc == 0)
        rc = experiment_of(c, path, &experiment);
    if (rc == 0)
        rc = insert(c, "artifact", path, NULL, experiment, &row);
    for (size_t i = 0; rc >= 0 && i < ARRAY_LEN(moves); i++)
        rc = db_exec(c, moves[i], "iisss", row, c->project, path, from, to);
    /* Names refer to the blobs until this same write ends, so none of them can be on its way out.
     */
    if (rc >= 0)
        rc = db_exec(c,
                     "INSERT INTO blob_ref (owner, sha256)"
                     " SELECT DISTINCT 'trash:' || trash, sha256 FROM trash_file WHERE trash = ?",
                     "i", row);
    return rc < 0 ? rc : 0;
}
