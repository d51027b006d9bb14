/* SPDX-License-Identifier: Apache-2.0 */
#include "batch_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batch.h"
#include "folder.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "quern/lane/lane.h"
#include "quern/registry/registry.h"
#include "quern/serving/serving.h"

#define BLOCK ((size_t)1 << 18)

static const char *inside(struct ctx *c, const char *id, const char *name) {
    return arena_printf(c->arena, "%s/%s", id, name);
}

static int disk(struct ctx *c, int rc) {
    return rc == -ENOSPC || rc == -EDQUOT
               ? fail(c, ERR_DISK_FULL, "no room on disk for the job's files")
               : fail(c, ERR_INTERNAL, "the job's files: %s", strerror(-rc));
}

static int copy(struct ctx *c, int from, struct dir *root, const char *to) {
    char *block = arena_alloc(c->arena, BLOCK);
    int fd = dir_openat(root, to, O_WRONLY | O_CREAT | O_EXCL, 0600), rc = fd < 0 ? fd : 0;
    ssize_t n;
    while (rc == 0 && (n = fd_read_all(from, block, BLOCK)) != 0)
        rc = n < 0 ? (int)n : fd_write_all(fd, block, (size_t)n);
    fd_close(fd < 0 ? -1 : fd);
    return rc;
}

/* The input's content under another name of the same file, where the file system can. */
static int take_input(struct ctx *c, struct dir *root, const struct batch *b) {
    const char *to = inside(c, b->id, BATCH_INPUT);
    int fd = -1;
    int64_t size;
    int rc = blob_open(c, b->input_sha256, &fd, &size);
    if (rc < 0)
        return rc;
    const char *from = arena_printf(c->arena, "/proc/self/fd/%d", fd);
    rc = linkat(AT_FDCWD, from, dir_fd(root), to, AT_SYMLINK_FOLLOW) == 0 ? 0
                                                                          : copy(c, fd, root, to);
    fd_close(fd);
    return rc < 0 ? disk(c, rc) : 0;
}

static int take_model(struct ctx *c, const struct serving_options *o, struct dir *root,
                      const struct batch *b, int64_t *bytes) {
    struct model_version_info info;
    struct folder files;
    const char *path;
    char *mlmodel = NULL;
    size_t n = 0;
    bool alone;
    int rc = db_read_begin(lanes_db(o->lanes), c);
    if (rc < 0)
        return rc;
    rc = model_version_get(c, b->model, b->version, &info);
    if (rc == 0)
        rc = folder_find(c, &info, &files);
    db_read_end(c);
    if (rc == 0)
        rc = folder_copy(c, &files, root, inside(c, b->id, "model"), o->max_model, &path, &alone);
    if (rc < 0)
        return rc;
    *bytes = files.onnx->size;
    if (!files.mlmodel || files.mlmodel->size > 1 << 20)
        return 0;
    rc = blob_read(c, files.mlmodel->sha256, 1 << 20, &mlmodel, &n);
    if (rc == 0 && (rc = dir_write_file(root, inside(c, b->id, BATCH_MLMODEL), mlmodel, n)) < 0)
        rc = disk(c, rc);
    return rc;
}

static int write_job(struct ctx *c, const struct serving_options *o, struct dir *root,
                     const struct batch *b) {
    struct batch_spec s;
    struct buf text = {0};
    int rc = batch_spec_read(c, b->spec, &s);
    if (rc < 0)
        return rc;
    struct batch_job job = {.model = "model/model.onnx",
                            .format = s.format,
                            .output_format = s.output_format,
                            .columns = s.columns,
                            .keep = s.keep,
                            .chunk_rows = s.chunk_rows,
                            .concurrency = s.concurrency,
                            .max_errors = s.max_errors,
                            .max_output = SET_I64(o->batch_max_output)};
    json_encode(&text, &shape_batch_job, &job);
    rc = dir_write_file(root, inside(c, b->id, BATCH_JOB), text.data, text.len);
    buf_free(&text);
    return rc < 0 ? disk(c, rc) : 0;
}

int batch_folder_make(struct ctx *c, const struct serving_options *o, struct dir *root,
                      const struct batch *b, int64_t *model_bytes) {
    struct stat st;
    if (dir_exists(root, inside(c, b->id, BATCH_JOB))) { /* written last */
        *model_bytes = fstatat(dir_fd(root), inside(c, b->id, "model/model.onnx"), &st, 0) == 0
                           ? st.st_size
                           : 0;
        return 0;
    }
    dir_remove_tree(root, b->id);
    int rc = dir_mkdirs(root, b->id);
    if (rc < 0)
        return disk(c, rc);
    rc = take_model(c, o, root, b, model_bytes);
    if (rc == 0)
        rc = take_input(c, root, b);
    return rc == 0 ? write_job(c, o, root, b) : rc;
}

static int read_file(struct ctx *c, struct dir *root, const char *id, const char *name,
                     const struct shape *shape, void *out) {
    char *text;
    size_t n;
    struct json_t *tree;
    int rc = dir_read_file(root, inside(c, id, name), c->arena, (size_t)64 << 20, &text, &n);
    if (rc < 0)
        return rc == -ENOENT ? 1 : disk(c, rc);
    rc = json_parse(c, DIALECT_PROBLEM, text, n, &tree);
    return rc == 0 ? json_decode(c, DIALECT_PROBLEM, shape, tree, NULL, NULL, out) : rc;
}

int batch_folder_progress(struct ctx *c, struct dir *root, const char *id,
                          struct batch_progress *out) {
    *out = (struct batch_progress){0};
    int rc = read_file(c, root, id, BATCH_PROGRESS, &shape_batch_progress, out);
    return rc < 0 ? rc : 0;
}

const char *batch_folder_failure(struct ctx *c, struct dir *root, const char *id) {
    struct batch_failure f = {0};
    if (read_file(c, root, id, BATCH_FAILURE, &shape_batch_failure, &f) == 0)
        return f.reason;
    err_clear(c);
    return NULL;
}

int batch_folder_blob(struct ctx *c, struct dir *root, const char *id, const char *name,
                      char sha256[65], int64_t *size) {
    struct blob_writer *w = NULL;
    char *block = arena_alloc(c->arena, BLOCK);
    int fd = dir_openat(root, inside(c, id, name), O_RDONLY, 0);
    if (fd < 0)
        return disk(c, fd);
    int rc = blob_begin(c, &w);
    ssize_t n;
    while (rc == 0 && (n = fd_read_all(fd, block, BLOCK)) != 0) {
        rc = n < 0 ? disk(c, (int)n) : blob_add(c, w, block, (size_t)n);
        if (rc < 0)
            blob_abort(w);
    }
    fd_close(fd);
    return rc == 0 ? blob_end(c, w, sha256, size) : rc;
}
