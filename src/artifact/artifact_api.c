/* SPDX-License-Identifier: Apache-2.0 */
/* Artifact doors: MLflow's artifact proxy and the blobs' own routes. */
#include <stdlib.h>
#include <string.h>

#include "artifact_store.h"
#include "blob.h"
#include "caller.h"
#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

struct path_in {
    const char *path;
};
SHAPE(shape_artifact_path, "ArtifactPath", struct path_in,
      FIELD(struct path_in, path, T_STR, F_PATH | F_REQUIRED, "Logical path of the artifact"));
SHAPE(shape_artifact_list_in, "ArtifactList", struct path_in,
      FIELD(struct path_in, path, T_STR, F_QUERY, "Folder to list; empty for the root"));

struct file_info {
    const char *path;
    struct opt_bool is_dir;
    struct opt_i64 file_size;
};
SHAPE(shape_artifact_file, "ArtifactFile", struct file_info,
      FIELD(struct file_info, path, T_STR, 0, "Base name"),
      FIELD(struct file_info, is_dir, T_BOOL, F_ALWAYS, "Whether it is a folder"),
      FIELD(struct file_info, file_size, T_I64, 0, "Bytes; absent for folders and empty files"));

struct list_out {
    struct list files;
};
SHAPE(shape_artifact_list_out, "ArtifactListing", struct list_out,
      FIELD_SUB(struct list_out, files, T_LIST, 0, &shape_artifact_file, "Entries by name"));

struct upload {
    struct blob_writer *writer;
};

static int upload_begin(struct ctx *c, const void *in, void **state) {
    const struct path_in *p = in;
    struct blob_writer *w;
    int rc = artifact_check_path(c, p->path);
    if (rc == 0)
        rc = caller_check(c, p->path);
    if (rc == 0)
        rc = blob_begin(c, &w);
    if (rc != 0)
        return rc;
    struct upload *u = mem_alloc(sizeof(*u));
    u->writer = w;
    *state = u;
    return 0;
}

static int upload_chunk(struct ctx *c, void *state, const char *data, size_t n) {
    struct upload *u = state;
    return blob_add(c, u->writer, data, n);
}

static void upload_abort(void *state) {
    struct upload *u = state;
    if (!u)
        return;
    blob_abort(u->writer);
    free(u);
}

struct named {
    const char *path;
    char sha256[65];
    int64_t size;
};

static int link_op(struct ctx *c, void *arg) {
    const struct named *n = arg;
    int rc = artifact_permit(c, n->path, OBJECT_EDIT);
    if (rc == 0)
        rc = caller_check_model(c, n->path);
    if (rc == 0)
        rc = artifact_link(c, n->path, n->sha256, n->size);
    if (rc == 0)
        rc = audit_append(c, "artifact.put", n->path,
                          arena_printf(c->arena, "{\"sha256\":\"%s\",\"size\":%lld}", n->sha256,
                                       (long long)n->size));
    return rc;
}

static int upload_finish(struct ctx *c, const void *in, void *state, void *out) {
    const struct path_in *p = in;
    struct upload *u = state;
    struct named n = {.path = p->path};
    (void)out;
    int rc = blob_end(c, u->writer, n.sha256, &n.size);
    free(u);
    if (rc != 0)
        return rc;
    rc = db_write(blob_store.db, c, link_op, &n);
    if (rc != 0)
        blob_unpin(n.sha256);
    return rc;
}

static const struct upload_ops upload_artifact = {upload_begin, upload_chunk, upload_finish,
                                                  upload_abort};

static int artifact_download(struct ctx *c, const void *in, void *out) {
    (void)out;
    return artifact_send(c, ((const struct path_in *)in)->path);
}

static int artifact_delete(struct ctx *c, const void *in, void *out) {
    const struct path_in *p = in;
    (void)out;
    int rc = artifact_check_path(c, p->path);
    if (rc == 0)
        rc = caller_check(c, p->path);
    if (rc == 0)
        rc = caller_check_model(c, p->path);
    if (rc == 0)
        rc = artifact_permit(c, p->path, OBJECT_DELETE);
    return rc == 0 ? artifact_discard(c, p->path) : rc;
}

static int artifact_listing(struct ctx *c, const void *in, void *out) {
    const struct path_in *p = in;
    struct list_out *o = out;
    struct artifact_entries found;
    const char *dir = p->path ? p->path : "";
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    int rc = artifact_list(c, arena_strndup(c->arena, dir, n), &found);
    if (rc != 0)
        return rc;
    struct file_info *files = ARENA_ARRAY(c->arena, struct file_info, found.n ? found.n : 1);
    for (size_t i = 0; i < found.n; i++) {
        const struct artifact_entry *e = &found.items[i];
        files[i].path = e->path;
        files[i].is_dir = SET_BOOL(e->is_dir);
        if (!e->is_dir && e->size > 0)
            files[i].file_size = SET_I64(e->size);
    }
    o->files = (struct list){files, found.n};
    return 0;
}

struct blob_in {
    const char *sha256;
};
SHAPE(shape_blob_in, "BlobDigest", struct blob_in,
      FIELD(struct blob_in, sha256, T_STR, F_PATH | F_REQUIRED,
            "SHA-256 of the content, 64 lower-case hexadecimal digits"));

static int blob_download(struct ctx *c, const void *in, void *out) {
    const char *sha256 = ((const struct blob_in *)in)->sha256;
    bool found = false;
    int64_t size;
    int fd, rc;
    (void)out;
    if (!blob_sha_ok(sha256))
        return fail_field(c, ERR_INVALID, "sha256",
                          "A digest is 64 lower-case hexadecimal digits.");
    if ((rc = artifact_permit_blob(c, sha256, &found)) != 0)
        return rc;
    if (!found)
        return fail(c, ERR_NOT_FOUND, "No artifact of this project has the digest %s.", sha256);
    if ((rc = blob_open(c, sha256, &fd, &size)) != 0)
        return rc;
    reply_file(c, "application/octet-stream", fd, size);
    reply_etag(c, arena_printf(c->arena, "\"sha256:%s\"", sha256));
    reply_attachment(c, sha256);
    c->reply.ranges = true;
    return 0;
}

struct gc_out {
    struct opt_i64 blobs, bytes;
};
SHAPE(shape_gc_out, "ArtifactCollection", struct gc_out,
      FIELD(struct gc_out, blobs, T_I64, F_ALWAYS, "Blobs removed"),
      FIELD(struct gc_out, bytes, T_I64, F_ALWAYS, "Bytes they had"));

static int gc_audit(struct ctx *c, void *arg) {
    const struct gc_out *o = arg;
    return audit_append(c, "artifact.gc", "artifact:*",
                        arena_printf(c->arena, "{\"blobs\":%lld,\"bytes\":%lld}",
                                     (long long)o->blobs.v, (long long)o->bytes.v));
}

static int collect(struct ctx *c, const void *in, void *out) {
    struct gc_out *o = out;
    int64_t blobs, bytes;
    (void)in;
    int rc = artifact_gc(c, &blobs, &bytes);
    if (rc != 0)
        return rc;
    o->blobs = SET_I64(blobs);
    o->bytes = SET_I64(bytes);
    return blobs > 0 ? db_write(blob_store.db, c, gc_audit, o) : 0;
}

#define PROXY "/api/2.0/mlflow-artifacts/"

static const struct route rows[] = {
    {.id = "artifact.proxy.list",
     .method = "GET",
     .path = PROXY "artifacts",
     .in = &shape_artifact_list_in,
     .out = &shape_artifact_list_out,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .dialect = DIALECT_MLFLOW,
     .flags = ROUTE_MLFLOW_AJAX | ROUTE_OBJECT,
     .fn = artifact_listing,
     .summary = "Lists one folder: base names, sizes; a missing folder gives no files."},
    {.id = "artifact.proxy.download",
     .method = "GET",
     .path = PROXY "artifacts/{path...}",
     .in = &shape_artifact_path,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .dialect = DIALECT_MLFLOW,
     .flags = ROUTE_MLFLOW_AJAX | ROUTE_OBJECT,
     .fn = artifact_download,
     .summary = "Sends one file as an attachment, with Range and ETag."},
    {.id = "artifact.proxy.upload",
     .method = "PUT",
     .path = PROXY "artifacts/{path...}",
     .in = &shape_artifact_path,
     .perm = PERM_WRITE,
     .lane = LANE_WORK,
     .dialect = DIALECT_MLFLOW,
     .flags = ROUTE_MLFLOW_AJAX | ROUTE_OBJECT | ROUTE_UPLOAD,
     .upload = &upload_artifact,
     .summary = "Stores the body under the path; an older file of that name is replaced."},
    {.id = "artifact.proxy.delete",
     .method = "DELETE",
     .path = PROXY "artifacts/{path...}",
     .in = &shape_artifact_path,
     .perm = PERM_WRITE,
     .lane = LANE_WRITE,
     .dialect = DIALECT_MLFLOW,
     .flags = ROUTE_MLFLOW_AJAX | ROUTE_OBJECT | ROUTE_AUDIT,
     .fn = artifact_delete,
     .summary = "Removes a file or a folder with all below it; an absent one is fine."},
    {.id = "artifact.blobs.get",
     .method = "GET",
     .path = "/api/v1/blobs/{sha256}",
     .in = &shape_blob_in,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .dialect = DIALECT_PROBLEM,
     .flags = ROUTE_OBJECT,
     .fn = blob_download,
     .summary = "Sends content by its digest, if an artifact of the project has it."},
    {.id = "artifact.gc",
     .method = "POST",
     .path = "/api/v1/artifacts/gc",
     .out = &shape_gc_out,
     .perm = PERM_SYSTEM,
     .lane = LANE_WORK,
     .dialect = DIALECT_PROBLEM,
     .fn = collect,
     .summary =
         "Removes content that nothing names or refers to and that is older than the grace."},
};

const struct route_list artifact_routes = {rows, ARRAY_LEN(rows)};
