/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include <stdlib.h>
#include <string.h>

#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

int place_open(struct ctx *c, const char *folder, struct place *out) {
    *out = (struct place){0};
    if (!folder)
        return 0;
    char *full = realpath(folder, NULL);
    if (!full || dir_open(full, false, &out->root) != 0) {
        free(full);
        return fail(c, ERR_NOT_FOUND, "The artifact folder %s cannot be opened.", folder);
    }
    out->path = full;
    return 0;
}

void place_close(struct place *p) {
    if (p->root)
        dir_close(p->root);
    free(p->path);
    *p = (struct place){0};
}

/* A relative name that cannot climb, with single slashes. */
static const char *clean(struct ctx *c, const char *rel) {
    char *out = arena_alloc(c->arena, strlen(rel) + 1);
    size_t len = 0;
    for (const char *p = rel; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return NULL;
        if (n > 0 && !(n == 1 && p[0] == '.')) {
            if (len)
                out[len++] = '/';
            memcpy(out + len, p, n);
            len += n;
        }
        p += n + (p[n] == '/');
    }
    return out;
}

const char *place_rel(struct ctx *c, const struct place *p, const char *uri) {
    const char *path = artifact_uri_path(c, uri);
    if (!p->root)
        return NULL;
    if (path)
        return clean(c, path);
    path = uri;
    if (str_starts(uri, "file://"))
        path = url_decode(c->arena, uri + 7, strlen(uri + 7), false);
    else if (str_starts(uri, "file:"))
        path = url_decode(c->arena, uri + 5, strlen(uri + 5), false);
    size_t n = strlen(p->path);
    if (!path || path[0] != '/' || strncmp(path, p->path, n) != 0 || (path[n] && path[n] != '/'))
        return NULL;
    return clean(c, path + n);
}

const char *place_map(struct ctx *c, struct place *p, const char *uri, const char *own,
                      const char **rel) {
    const char *path = artifact_uri_path(c, uri);
    *rel = place_rel(c, p, uri);
    if (path)
        return arena_printf(c->arena, "mlflow-artifacts:/%s", path);
    if (*rel)
        return arena_printf(c->arena, "mlflow-artifacts:/%s", own);
    p->outside++;
    return uri;
}
