/* SPDX-License-Identifier: Apache-2.0 */
#include "run_artifact.h"

#include <string.h>

#include "quern/artifact/artifact.h"
#include "quern/artifact/place.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/tracking/tracking.h"
#include "run.h"

static int find_place(struct ctx *c, const struct artifact_root *root, const char *path,
                      struct artifact_place *out) {
    struct artifact_place top;
    int rc = artifact_place(c, root->experiment, root->uri, &top);
    return rc ? rc : artifact_place_below(c, &top, path, out);
}

int run_artifacts(struct ctx *c, const struct artifact_root *root, const char *path,
                  struct artifact_page *out) {
    struct artifact_entries found = {0};
    struct artifact_place dir;
    out->root_uri = root->uri;
    int rc = find_place(c, root, path, &dir);
    if (!rc)
        rc = artifact_place_list(c, &dir, &found);
    if (rc)
        return rc;
    size_t n = path ? strlen(path) : 0;
    while (n && path[n - 1] == '/')
        n--;
    struct file_info *f = ARENA_ARRAY(c->arena, struct file_info, found.n + 1);
    for (size_t i = 0; i < found.n; i++) {
        const struct artifact_entry *e = &found.items[i];
        f[i].path = n ? arena_printf(c->arena, "%.*s/%s", (int)n, path, e->path) : e->path;
        f[i].is_dir = SET_BOOL(e->is_dir);
        if (!e->is_dir && e->size > 0)
            f[i].file_size = SET_I64(e->size);
    }
    out->files = (struct list){.items = f, .n = found.n};
    return 0;
}

int run_artifact_send(struct ctx *c, const struct artifact_root *root, const char *path) {
    struct artifact_place file;
    int rc = find_place(c, root, path, &file);
    return rc ? rc : artifact_place_send(c, &file, path);
}

int run_artifact_uri(struct ctx *c, const char *run_id, struct artifact_root *out) {
    struct run_ref r;
    struct run_info *info = NULL;
    int rc = run_for_read(c, run_id, &r);
    if (!rc)
        rc = run_load_info(c, r.row, &info);
    if (!rc)
        *out = (struct artifact_root){.experiment = r.experiment, .uri = info->artifact_uri};
    return rc;
}

int run_artifact_place(struct ctx *c, const char *run_id, struct artifact_place *out,
                       const char **uri) {
    struct artifact_root root;
    int rc = run_artifact_uri(c, run_id, &root);
    if (!rc && uri)
        *uri = root.uri;
    return rc ? rc : artifact_place(c, root.experiment, root.uri, out);
}

int run_artifact_root(struct ctx *c, const char *run_id, char **logical_path) {
    struct artifact_root root;
    int rc = run_artifact_uri(c, run_id, &root);
    char *path = rc ? NULL : artifact_uri_path(c, root.uri);
    if (!rc && !path)
        return fail(c, ERR_INVALID,
                    "The artifacts of run %s are kept at %s and not in this server's store", run_id,
                    root.uri);
    if (!rc)
        *logical_path = path;
    return rc;
}
