/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/artifact/artifact.h"

#include <stdlib.h>
#include <string.h>

#include "artifact_store.h"
#include "blob.h"
#include "pin.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

static void unpin_after_commit(void *sha256) {
    pin_drop(sha256);
}

static int check_place(struct ctx *c, const char *path) {
    bool found = false;
    struct artifact_entry e;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        const char *above = arena_strndup(c->arena, path, (size_t)(slash - path));
        int rc = artifact_store_get(c, above, &e, &found);
        if (rc != 0)
            return rc;
        if (found)
            return fail_field(c, ERR_INVALID, "path",
                              "'%s' is a file, so nothing can be stored below it.", above);
    }
    int rc = artifact_store_has_below(c, path, &found);
    if (rc == 0 && found)
        return fail_field(c, ERR_INVALID, "path", "'%s' is a folder; a file needs another name.",
                          path);
    return rc;
}

int artifact_link(struct ctx *c, const char *path, const char *sha256, int64_t size) {
    int rc = artifact_check_path(c, path);
    if (rc == 0)
        rc = check_place(c, path);
    if (rc != 0)
        return rc;
    if (!blob_sha_ok(sha256) || size < 0)
        return fail(c, ERR_INVALID, "A digest is 64 lower-case hexadecimal digits.");
    if (!pin_spare(sha256))
        return fail(c, ERR_NOT_FOUND, "No content with digest %s is stored.", sha256);
    rc = artifact_store_put(c, path, sha256, size);
    if (rc == 0)
        db_after_commit(c, unpin_after_commit, arena_strdup(c->arena, sha256));
    return rc;
}

struct put {
    artifact_namer *name;
    const void *arg;
    char sha256[65];
    int64_t size;
};

static int put_op(struct ctx *c, void *arg) {
    const struct put *p = arg;
    const char *path = NULL;
    int rc = p->name(c, p->arg, &path);
    if (rc == 0)
        rc = artifact_link(c, path, p->sha256, p->size);
    return rc ? rc
              : audit_append(c, "artifact.put", path,
                             arena_printf(c->arena, "{\"sha256\":\"%s\",\"size\":%lld}", p->sha256,
                                          (long long)p->size));
}

int artifact_put(struct ctx *c, const void *data, size_t n, artifact_namer *name, const void *arg) {
    struct put p = {.name = name, .arg = arg, .size = (int64_t)n};
    int rc = blob_put(c, data, n, p.sha256);
    if (rc != 0)
        return rc;
    rc = db_write(blob_store.db, c, put_op, &p);
    if (rc != 0)
        blob_unpin(p.sha256);
    return rc;
}

int artifact_unlink_tree(struct ctx *c, const char *path) {
    int rc = artifact_check_path(c, path);
    return rc == 0 ? artifact_store_delete(c, path) : rc;
}

static artifact_keep *keeper;

void artifact_keeper(artifact_keep *fn) {
    keeper = fn;
}

int artifact_discard(struct ctx *c, const char *path) {
    int rc = artifact_check_path(c, path);
    if (rc == 0 && keeper)
        rc = keeper(c, path);
    return rc == 0 ? artifact_store_delete(c, path) : rc;
}

int artifact_erase_tree(struct ctx *c, const char *path, int64_t most) {
    int rc = artifact_check_path(c, path);
    return rc == 0 ? artifact_store_erase(c, path, most) : rc;
}

int artifact_stat(struct ctx *c, const char *path, struct artifact_entry *out) {
    bool found = false;
    int rc = artifact_check_path(c, path);
    if (rc == 0)
        rc = artifact_store_get(c, path, out, &found);
    if (rc != 0 || found)
        return rc;
    rc = artifact_store_has_below(c, path, &found);
    if (rc == 0 && !found)
        return fail(c, ERR_NOT_FOUND, "No such artifact: '%s'", path);
    *out = (struct artifact_entry){.path = arena_strdup(c->arena, path), .is_dir = true};
    return rc;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct artifact_entry *)a)->path,
                  ((const struct artifact_entry *)b)->path);
}

int artifact_list(struct ctx *c, const char *dir, struct artifact_entries *out) {
    int rc = *dir ? artifact_check_path(c, dir) : 0;
    if (rc == 0)
        rc = artifact_store_level(c, dir, out);
    if (rc == 0)
        rc = artifact_permit_list(c, dir, out);
    /* "a.txt" sorts before "a/" in the table but after "a" in a listing. */
    if (rc == 0 && out->n > 1)
        qsort(out->items, out->n, sizeof(*out->items), by_path);
    return rc;
}

int artifact_list_tree(struct ctx *c, const char *dir, struct artifact_entries *out) {
    int rc = *dir ? artifact_check_path(c, dir) : 0;
    if (rc == 0)
        rc = artifact_permit(c, dir, OBJECT_READ);
    return rc == 0 ? artifact_store_tree(c, dir, out) : rc;
}

int artifact_send(struct ctx *c, const char *path) {
    struct artifact_entry e;
    int fd, rc = artifact_stat(c, path, &e);
    int64_t size;
    if (rc == 0)
        rc = artifact_permit(c, path, OBJECT_READ);
    if (rc != 0)
        return rc;
    if (e.is_dir)
        return fail_field(c, ERR_INVALID, "path",
                          "'%s' is a folder; list it and fetch its files one by one.", path);
    if ((rc = blob_open(c, e.sha256, &fd, &size)) != 0)
        return rc;
    if (size <= BLOB_VERIFY_SMALL && (rc = blob_match(c, fd, e.sha256)) != 1) {
        fd_close(fd);
        log_error("blob.damaged", "the content of %s does not match its digest", e.sha256);
        return rc < 0 ? rc : fail(c, ERR_INTERNAL, "The stored content is damaged.");
    }
    const char *slash = strrchr(path, '/');
    reply_file(c, artifact_content_type(path), fd, size);
    reply_etag(c, arena_printf(c->arena, "\"sha256:%s\"", e.sha256));
    reply_attachment(c, slash ? slash + 1 : path);
    c->reply.ranges = true;
    return 0;
}

int blob_ref_add(struct ctx *c, const char *owner_ref, const char *sha256) {
    if (!blob_sha_ok(sha256))
        return fail(c, ERR_INVALID, "A digest is 64 lower-case hexadecimal digits.");
    if (!pin_spare(sha256))
        return fail(c, ERR_NOT_FOUND, "No content with digest %s is stored.", sha256);
    return blob_store_ref_add(c, owner_ref, sha256);
}

int blob_ref_drop(struct ctx *c, const char *owner_ref) {
    return blob_store_ref_drop(c, owner_ref);
}
