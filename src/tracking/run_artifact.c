/* SPDX-License-Identifier: Apache-2.0 */
#include "run_artifact.h"

#include <string.h>

#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/tracking/tracking.h"
#include "run.h"

#define DECODE_ROUNDS 10

static int invalid(struct ctx *c) {
    return fail_field(c, ERR_INVALID, "path", "Invalid path");
}

/* However often it was percent-encoded, it must not climb. */
static bool safe(struct ctx *c, const char *path) {
    const char *p = path;
    for (int i = 0; i < DECODE_ROUNDS; i++) {
        if (strpbrk(p, "#\\") || p[0] == '/' || (p[0] && p[1] == ':'))
            return false;
        for (const char *s = p; s; s = strchr(s, '/') ? strchr(s, '/') + 1 : NULL) {
            size_t n = strcspn(s, "/");
            if (n == 2 && s[0] == '.' && s[1] == '.')
                return false;
        }
        const char *next = url_decode(c->arena, p, strlen(p), false);
        if (!next || !strcmp(next, p))
            return true;
        p = next;
    }
    return false;
}

int run_artifact_path(struct ctx *c, const char *root_uri, const char *path, const char **out) {
    const char *root = artifact_uri_path(c, root_uri);
    if (!root)
        return fail(c, ERR_INVALID,
                    "These artifacts are kept at %s, which this server does not read; use a client "
                    "that reaches that place",
                    root_uri);
    size_t n = path ? strlen(path) : 0;
    if (n && !safe(c, path))
        return invalid(c);
    while (n && path[n - 1] == '/')
        n--;
    *out = n ? arena_printf(c->arena, "%s/%.*s", root, (int)n, path) : root;
    return n && artifact_check_path(c, *out) ? -ERR_INVALID : 0;
}

int run_artifacts(struct ctx *c, const char *root_uri, const char *path,
                  struct artifact_page *out) {
    struct artifact_entries found = {0};
    const char *dir = NULL;
    out->root_uri = root_uri;
    int rc = run_artifact_path(c, root_uri, path, &dir);
    if (!rc)
        rc = artifact_list(c, dir, &found);
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

int run_artifact_send(struct ctx *c, const char *root_uri, const char *path) {
    const char *full = NULL;
    struct artifact_entry e;
    int rc = run_artifact_path(c, root_uri, path, &full);
    if (rc)
        return rc;
    rc = artifact_stat(c, full, &e);
    if (rc == -ERR_NOT_FOUND) {
        err_clear(c);
        return fail(c, ERR_NOT_FOUND, "No such artifact: '%s'", path);
    }
    return rc ? rc : artifact_send(c, full);
}

int run_artifact_uri(struct ctx *c, const char *run_id, const char **root_uri) {
    struct run_ref r;
    struct run_info *info = NULL;
    int rc = run_for_read(c, run_id, &r);
    if (!rc)
        rc = run_load_info(c, r.row, &info);
    if (!rc)
        *root_uri = info->artifact_uri;
    return rc;
}

int run_artifact_root(struct ctx *c, const char *run_id, char **logical_path) {
    const char *root = NULL, *path = NULL;
    int rc = run_artifact_uri(c, run_id, &root);
    if (!rc)
        rc = run_artifact_path(c, root, NULL, &path);
    if (!rc)
        *logical_path = arena_strdup(c->arena, path);
    return rc;
}
