/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/onnx/onnx.h"
#include "quern/registry/registry.h"

static const char *leaf(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const char *below(const struct folder *f, const struct artifact_entry *e) {
    return str_starts(e->path, f->base) ? e->path + strlen(f->base) : e->path;
}

static int no_model(struct ctx *c, const struct folder *f, size_t onnx) {
    struct buf names = {0};
    for (size_t i = 0; i < f->files.n && names.len < 200; i++)
        if (onnx == 0 || str_ends(f->files.items[i].path, ".onnx"))
            buf_printf(&names, "%s%.60s", names.len ? ", " : "", below(f, &f->files.items[i]));
    int rc = onnx == 0 ? fail(c, ERR_UNPROCESSABLE,
                              "the model version holds no .onnx file (it holds %s); log it with "
                              "mlflow.onnx.log_model",
                              names.len ? names.data : "no files at all")
                       : fail(c, ERR_UNPROCESSABLE,
                              "the model version holds %zu .onnx files (%s); one must be called "
                              "model.onnx",
                              onnx, names.data);
    buf_free(&names);
    return rc;
}

int folder_list(struct ctx *c, const struct model_version_info *info, struct folder *out) {
    struct artifact_entry one;
    *out = (struct folder){.base = ""};
    if (!info->artifact_path)
        return fail(c, ERR_UNPROCESSABLE,
                    "the files of model '%s' version %" PRId64 " are not kept by this server",
                    info->name, info->version);
    int rc = artifact_list_tree(c, info->artifact_path, &out->files);
    if (rc == 0 && out->files.n > 0) {
        out->base = arena_printf(c->arena, "%s/", info->artifact_path);
    } else if (rc == 0 || c->err.code == ERR_NOT_FOUND) {
        err_clear(c);
        rc = artifact_stat(c, info->artifact_path, &one); /* a lone file */
        if (rc < 0 && c->err.code == ERR_NOT_FOUND) {
            err_clear(c);
            rc = 0;
        } else if (rc == 0 && !one.is_dir) {
            out->files.items = arena_dup(c->arena, &one, sizeof one);
            out->files.n = 1;
        }
    }
    for (size_t i = 0; rc == 0 && i < out->files.n; i++)
        if (strcmp(below(out, &out->files.items[i]), "MLmodel") == 0)
            out->mlmodel = &out->files.items[i];
    return rc;
}

int folder_find(struct ctx *c, const struct model_version_info *info, struct folder *out) {
    int rc = folder_list(c, info, out);
    if (rc < 0)
        return rc;
    size_t onnx = 0;
    bool exact = false;
    for (size_t i = 0; i < out->files.n; i++) {
        const struct artifact_entry *e = &out->files.items[i];
        if (!str_ends(e->path, ".onnx"))
            continue;
        onnx++;
        bool named = strcmp(leaf(e->path), "model.onnx") == 0;
        if (!out->onnx || (named && !exact))
            out->onnx = e;
        exact = exact || named;
    }
    return onnx == 1 || exact ? 0 : no_model(c, out, onnx);
}

static int copy_fd(struct ctx *c, int from, int to, const char *sha256) {
    char *block = arena_alloc(c->arena, 1 << 18);
    struct sha256 *sum = sha256_new();
    unsigned char digest[32];
    char hex[65];
    for (;;) {
        ssize_t n = fd_read_all(from, block, 1 << 18);
        if (n == 0)
            break;
        int rc = n < 0 ? (int)n : fd_write_all(to, block, (size_t)n);
        if (rc < 0) {
            sha256_drop(sum);
            return rc == -ENOSPC ? fail(c, ERR_DISK_FULL, "no room on disk to unpack the model")
                                 : fail(c, ERR_INTERNAL, "copying a model file: %s", strerror(-rc));
        }
        sha256_add(sum, block, (size_t)n);
    }
    sha256_end(sum, digest);
    hex_encode(digest, sizeof digest, hex);
    return strcmp(hex, sha256) == 0
               ? 0
               : fail(c, ERR_UNPROCESSABLE, "the stored model file does not match its digest");
}

static int copy_one(struct ctx *c, const struct artifact_entry *e, struct dir *dir, const char *to,
                    int64_t *room) {
    int from = -1;
    int64_t size = 0;
    int rc = blob_open(c, e->sha256, &from, &size);
    if (rc < 0)
        return rc;
    if (size > *room) {
        fd_close(from);
        return fail(c, ERR_UNPROCESSABLE, "the model is larger than serving.max-model allows");
    }
    *room -= size;
    int fd = dir_openat(dir, to, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        rc = fail(c, ERR_INTERNAL, "making a copy of a model file: %s", strerror(-fd));
    else
        rc = copy_fd(c, from, fd, e->sha256);
    fd_close(fd < 0 ? -1 : fd);
    fd_close(from);
    return rc;
}

static int copy_external(struct ctx *c, const struct folder *f, struct dir *dir, const char *name,
                         const char *external, int64_t *room) {
    if (strcmp(external, "model.onnx") == 0) /* what the copy of the graph is called */
        return fail(c, ERR_UNPROCESSABLE,
                    "the model keeps tensors in the file 'model.onnx', which is its own; save them "
                    "beside it under another name");
    const char *logical = below(f, f->onnx);
    const char *slash = strrchr(logical, '/');
    const char *want = arena_printf(c->arena, "%s%.*s%s", f->base,
                                    slash ? (int)(slash + 1 - logical) : 0, logical, external);
    for (size_t i = 0; i < f->files.n; i++) {
        if (strcmp(f->files.items[i].path, want) != 0)
            continue;
        slash = strrchr(external, '/');
        if (slash) {
            int made = dir_mkdirs(
                dir, arena_printf(c->arena, "%s/%.*s", name, (int)(slash - external), external));
            if (made < 0)
                return fail(c, ERR_INTERNAL, "unpacking a model: %s", strerror(-made));
        }
        return copy_one(c, &f->files.items[i], dir, arena_printf(c->arena, "%s/%s", name, external),
                        room);
    }
    return fail(c, ERR_UNPROCESSABLE,
                "the model keeps tensors in the file '%.100s', which the model version lacks",
                external);
}

static int scan_copy(struct ctx *c, struct dir *dir, const char *file, int64_t size,
                     struct onnx_scan *scan) {
    if (size == 0)
        return onnx_scan(c, "", 0, scan);
    int fd = dir_openat(dir, file, O_RDONLY, 0);
    if (fd < 0)
        return fail(c, ERR_INTERNAL, "reading a model file: %s", strerror(-fd));
    void *map = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    fd_close(fd);
    if (map == MAP_FAILED)
        return fail(c, ERR_INTERNAL, "reading a model file: %s", strerror(errno));
    int rc = onnx_scan(c, map, (size_t)size, scan);
    munmap(map, (size_t)size);
    return rc;
}

int folder_copy(struct ctx *c, const struct folder *f, struct dir *dir, const char *name,
                int64_t cap, const char **path, bool *alone) {
    struct onnx_scan scan;
    int64_t room = cap;
    const char *file = arena_printf(c->arena, "%s/model.onnx", name);
    int made = dir_mkdirs(dir, name);
    if (made < 0)
        return fail(c, ERR_INTERNAL, "unpacking a model: %s", strerror(-made));
    int rc = copy_one(c, f->onnx, dir, file, &room);
    if (rc == 0)
        rc = scan_copy(c, dir, file, f->onnx->size, &scan);
    for (size_t i = 0; rc == 0 && i < scan.nexternal; i++)
        rc = copy_external(c, f, dir, name, scan.external[i], &room);
    *path = arena_printf(c->arena, "%s/%s", dir_path(dir), file);
    *alone = rc == 0 && scan.nexternal == 0;
    return rc;
}

int folder_copy_all(struct ctx *c, const struct folder *f, struct dir *dir, const char *name,
                    int64_t cap, int64_t *bytes) {
    int64_t room = cap;
    int made = dir_mkdirs(dir, name);
    if (f->files.n == 0)
        return fail(c, ERR_UNPROCESSABLE, "the model version holds no files");
    for (size_t i = 0; i < f->files.n; i++) {
        const struct artifact_entry *e = &f->files.items[i];
        const char *rel = *f->base ? below(f, e) : leaf(e->path), *slash = strrchr(rel, '/');
        if (made == 0 && slash)
            made =
                dir_mkdirs(dir, arena_printf(c->arena, "%s/%.*s", name, (int)(slash - rel), rel));
        if (made < 0)
            return fail(c, ERR_INTERNAL, "unpacking a model: %s", strerror(-made));
        int rc = copy_one(c, e, dir, arena_printf(c->arena, "%s/%s", name, rel), &room);
        if (rc < 0)
            return rc;
    }
    *bytes = cap - room;
    return 0;
}

void folder_digest(const struct folder *f, char sha256[65]) {
    struct sha256 *sum = sha256_new();
    unsigned char digest[32];
    for (size_t i = 0; i < f->files.n; i++) {
        const char *name = below(f, &f->files.items[i]);
        sha256_add(sum, name, strlen(name) + 1);
        sha256_add(sum, f->files.items[i].sha256, 64);
    }
    sha256_end(sum, digest);
    hex_encode(digest, sizeof digest, sha256);
}
