/* SPDX-License-Identifier: Apache-2.0 */
/* Grant doors: MLflow's presigned download, and what signed URLs lead to. */
#include <stdlib.h>
#include <string.h>

#include "artifact_store.h"
#include "blob.h"
#include "grant.h"
#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/artifact/grant.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

#define DOWNLOAD_SECONDS 3600

struct presigned_in {
    const char *path;
};
SHAPE(in_presigned, "PresignedDownload", struct presigned_in,
      FIELD(struct presigned_in, path, T_STR, F_PATH | F_REQUIRED, "Logical path"));
struct presigned_out {
    const char *url;
    struct pairs headers;
    struct opt_i64 file_size;
};
SHAPE(out_presigned, "PresignedDownloadUrl", struct presigned_out,
      FIELD(struct presigned_out, url, T_STR, F_ALWAYS, "For GET with or without a Range"),
      FIELD(struct presigned_out, headers, T_MAP, F_ALWAYS, "Headers to send; none"),
      FIELD(struct presigned_out, file_size, T_I64, F_ALWAYS, "Bytes"));

static int presigned(struct ctx *c, const void *in, void *output) {
    struct presigned_out *out = output;
    struct presigned p = {0};
    int rc = artifact_check_path(c, ((const struct presigned_in *)in)->path);
    if (rc == 0)
        rc = presign_download(c, ((const struct presigned_in *)in)->path, DOWNLOAD_SECONDS, &p);
    if (rc == 0) {
        out->url = p.url;
        out->file_size = SET_I64(p.file_size);
    }
    return rc;
}

struct signed_in {
    const char *path, *sha256, *by, *signature;
    struct opt_i64 project, expires;
};
SHAPE(in_signed_get, "SignedDownload", struct signed_in,
      FIELD(struct signed_in, path, T_STR, F_PATH | F_REQUIRED, "Logical path"),
      FIELD(struct signed_in, project, T_I64, F_QUERY | F_REQUIRED, "The project's number"),
      FIELD(struct signed_in, sha256, T_STR, F_QUERY | F_REQUIRED, "Content that it is for"),
      FIELD(struct signed_in, expires, T_I64, F_QUERY | F_REQUIRED, "Seconds since 1970"),
      FIELD(struct signed_in, signature, T_STR, F_QUERY | F_REQUIRED, "Of all of it"));
SHAPE(in_signed_put, "SignedUpload", struct signed_in,
      FIELD(struct signed_in, path, T_STR, F_PATH | F_REQUIRED, "Logical path"),
      FIELD(struct signed_in, project, T_I64, F_QUERY | F_REQUIRED, "The project's number"),
      FIELD(struct signed_in, by, T_STR, F_QUERY | F_REQUIRED, "Who asked for the URL"),
      FIELD(struct signed_in, expires, T_I64, F_QUERY | F_REQUIRED, "Seconds since 1970"),
      FIELD(struct signed_in, signature, T_STR, F_QUERY | F_REQUIRED, "Of all of it"));

/* From here on the request is one of the project. */
static int admit(struct ctx *c, const char *verb, const struct signed_in *in, const char *what) {
    struct grant g = {.verb = verb,
                      .project = in->project.v,
                      .path = in->path,
                      .what = what,
                      .expires = in->expires.v};
    int rc = grant_check(c, &g, in->signature);
    if (rc == 0) {
        c->project = g.project;
        c->who = (struct principal){.name = "signed", .kind = "signed", .level = PERM_READ};
    }
    return rc;
}

/* The content that the name had when the URL was made, as long as the name is there. */
static int signed_get(struct ctx *c, const void *input, void *out) {
    const struct signed_in *in = input;
    struct artifact_entry e;
    int64_t size = 0;
    int fd = -1;
    (void)out;
    int rc = admit(c, "get", in, in->sha256);
    if (rc == 0)
        rc = artifact_stat(c, in->path, &e);
    if (rc != 0)
        return rc;
    if (!e.is_dir && str_eq(e.sha256, in->sha256))
        return artifact_send(c, in->path);
    if ((rc = blob_open(c, in->sha256, &fd, &size)) != 0)
        return rc;
    const char *slash = strrchr(in->path, '/');
    reply_file(c, artifact_content_type(in->path), fd, size);
    reply_etag(c, arena_printf(c->arena, "\"sha256:%s\"", in->sha256));
    reply_attachment(c, slash ? slash + 1 : in->path);
    c->reply.ranges = true;
    return 0;
}

static int put_begin(struct ctx *c, const void *input, void **state) {
    const struct signed_in *in = input;
    struct blob_writer *w;
    int rc = admit(c, "put", in, in->by);
    if (rc == 0)
        rc = artifact_check_path(c, in->path);
    if (rc == 0)
        rc = blob_begin(c, &w);
    if (rc != 0)
        return rc;
    c->who = (struct principal){.name = in->by, .kind = "signed", .level = PERM_WRITE};
    *state = w;
    return 0;
}

static int put_chunk(struct ctx *c, void *state, const char *data, size_t n) {
    return blob_add(c, state, data, n);
}

struct named {
    const char *path;
    char sha256[65];
    int64_t size;
};

static int put_op(struct ctx *c, void *arg) {
    const struct named *n = arg;
    int rc = artifact_link(c, n->path, n->sha256, n->size);
    return rc ? rc
              : audit_append(c, "artifact.put", n->path,
                             arena_printf(c->arena, "{\"sha256\":\"%s\",\"size\":%lld}", n->sha256,
                                          (long long)n->size));
}

static int put_finish(struct ctx *c, const void *in, void *state, void *out) {
    struct named n = {.path = ((const struct signed_in *)in)->path};
    (void)out;
    int rc = blob_end(c, state, n.sha256, &n.size);
    if (rc != 0)
        return rc;
    rc = db_write(blob_store.db, c, put_op, &n);
    if (rc != 0) {
        blob_unpin(n.sha256);
        return rc;
    }
    reply_etag(c, arena_printf(c->arena, "\"sha256:%s\"", n.sha256));
    reply_text(c, "text/plain", "");
    return 0;
}

static void put_abort(void *state) {
    blob_abort(state);
}

static const struct upload_ops put = {put_begin, put_chunk, put_finish, put_abort};

static const struct route rows[] = {
    {.id = "artifact.proxy.presigned",
     .method = "GET",
     .path = GRANT_PROXY "presigned/{path...}",
     .in = &in_presigned,
     .out = &out_presigned,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .dialect = DIALECT_MLFLOW,
     .flags = ROUTE_MLFLOW_AJAX | ROUTE_SECRET | ROUTE_OBJECT,
     .fn = presigned,
     .summary = "Answers a signed URL from which the file can be fetched in pieces."},
    {.id = "artifact.proxy.signed-get",
     .method = "GET",
     .path = GRANT_PROXY "signed/{path...}",
     .in = &in_signed_get,
     .perm = PERM_PUBLIC,
     .lane = LANE_READ,
     .dialect = DIALECT_MLFLOW,
     .fn = signed_get,
     .summary = "Sends a file; the signature in the URL is the permission."},
    {.id = "artifact.proxy.signed-put",
     .method = "PUT",
     .path = GRANT_PROXY "signed/{path...}",
     .in = &in_signed_put,
     .perm = PERM_PUBLIC,
     .lane = LANE_WORK,
     .dialect = DIALECT_MLFLOW,
     .flags = ROUTE_UPLOAD,
     .upload = &put,
     .summary = "Stores a file; the signature in the URL is the permission."},
};

const struct route_list grant_routes = {rows, ARRAY_LEN(rows)};
