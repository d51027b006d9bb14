/* SPDX-License-Identifier: Apache-2.0 */
/* Upload doors: MLflow's multipart upload, and the signed URLs that its parts go to. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "grant.h"
#include "quern/artifact/artifact.h"
#include "quern/artifact/grant.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "upload.h"

struct create_in {
    const char *dir, *path;
    struct opt_i64 num_parts;
};
SHAPE(in_upload_create, "CreateMultipartUpload", struct create_in,
      FIELD(struct create_in, dir, T_STR, F_PATH | F_REQUIRED, "Folder of the artifact"),
      FIELD(struct create_in, path, T_STR, F_REQUIRED, "The client's file; its base name counts"),
      FIELD(struct create_in, num_parts, T_I64, 0, "1 to 10000; 1 when absent"));

struct credential {
    const char *url;
    struct opt_i64 part_number;
    struct pairs headers;
};
SHAPE(out_credential, "MultipartUploadCredential", struct credential,
      FIELD(struct credential, url, T_STR, F_ALWAYS, "Where the part is PUT, without a credential"),
      FIELD(struct credential, part_number, T_I64, F_ALWAYS, "From 1 on"),
      FIELD(struct credential, headers, T_MAP, F_ALWAYS, "Headers to send; none"));
struct create_out {
    const char *upload_id;
    struct list credentials;
};
SHAPE(out_upload_create, "CreatedMultipartUpload", struct create_out,
      FIELD(struct create_out, upload_id, T_STR, F_ALWAYS, "Names the upload"),
      FIELD_SUB(struct create_out, credentials, T_LIST, 0, &out_credential, "One of each part"));

/* The artifact's name is the folder and the last part of the client's path, on any system. */
static const char *artifact_of(struct ctx *c, const char *dir, const char *file) {
    size_t n = strlen(file), at = n;
    while (at > 0 && file[at - 1] != '/' && file[at - 1] != '\\')
        at--;
    return arena_printf(c->arena, "%s/%s", dir, file + at);
}

static int multipart_create(struct ctx *c, const void *input, void *output) {
    const struct create_in *in = input;
    struct create_out *out = output;
    struct upload_row u;
    const char *base = grant_base(c);
    if (!base)
        return fail(c, ERR_NOT_IMPLEMENTED,
                    "Multipart upload is not supported for the current artifact repository");
    int rc = upload_create(c, artifact_of(c, in->dir, in->path),
                           in->num_parts.set ? in->num_parts.v : 1, &u);
    if (rc != 0)
        return rc;
    struct credential *all = ARENA_ARRAY(c->arena, struct credential, (size_t)u.parts);
    for (int64_t k = 1; k <= u.parts; k++) {
        struct grant g = {.verb = "part",
                          .project = u.project,
                          .path = u.path,
                          .what = arena_printf(c->arena, "%s/%" PRId64, u.id, k),
                          .expires = u.expires_ms / 1000};
        all[k - 1].url =
            arena_printf(c->arena, "%s" GRANT_PROXY "parts/%s?expires=%" PRId64 "&signature=%s",
                         base, g.what, g.expires, grant_sign(c, &g));
        all[k - 1].part_number = SET_I64(k);
    }
    out->upload_id = u.id;
    out->credentials = (struct list){all, (size_t)u.parts};
    return 0;
}

struct part {
    struct opt_i64 part_number;
    const char *etag, *url;
};
SHAPE(in_upload_part, "MultipartUploadPart", struct part,
      FIELD(struct part, part_number, T_I64, F_REQUIRED, "From 1 on"),
      FIELD(struct part, etag, T_STR, 0, "As the part's answer had it"),
      FIELD(struct part, url, T_STR, 0, "Where it was sent; not looked at"));
struct complete_in {
    const char *dir, *path, *upload_id;
    struct list parts;
};
SHAPE(in_upload_complete, "CompleteMultipartUpload", struct complete_in,
      FIELD(struct complete_in, dir, T_STR, F_PATH | F_REQUIRED, "Folder of the artifact"),
      FIELD(struct complete_in, path, T_STR, F_REQUIRED, "As when it was created"),
      FIELD(struct complete_in, upload_id, T_STR, F_REQUIRED, "The upload"),
      FIELD_SUB(struct complete_in, parts, T_LIST, F_REQUIRED, &in_upload_part,
                "Every part once, in any order"));

static int multipart_complete(struct ctx *c, const void *input, void *out) {
    const struct complete_in *in = input;
    const struct part *given = in->parts.items;
    struct upload_part *named = ARENA_ARRAY(c->arena, struct upload_part, in->parts.n + 1);
    (void)out;
    for (size_t i = 0; i < in->parts.n; i++)
        named[i] = (struct upload_part){.number = given[i].part_number.v,
                                        .sha256 = given[i].etag ? given[i].etag : ""};
    return upload_complete(c, in->upload_id, artifact_of(c, in->dir, in->path), named, in->parts.n);
}

struct abort_in {
    const char *dir, *path, *upload_id;
};
SHAPE(in_upload_abort, "AbortMultipartUpload", struct abort_in,
      FIELD(struct abort_in, dir, T_STR, F_PATH | F_REQUIRED, "Folder of the artifact"),
      FIELD(struct abort_in, path, T_STR, F_REQUIRED, "As when it was created"),
      FIELD(struct abort_in, upload_id, T_STR, F_REQUIRED, "The upload"));

static int multipart_abort(struct ctx *c, const void *input, void *out) {
    const struct abort_in *in = input;
    (void)out;
    return upload_abort(c, in->upload_id, artifact_of(c, in->dir, in->path));
}

struct part_in {
    const char *upload_id, *signature;
    struct opt_i64 number, expires;
};
SHAPE(in_part, "UploadPart", struct part_in,
      FIELD(struct part_in, upload_id, T_STR, F_PATH | F_REQUIRED, "The upload"),
      FIELD(struct part_in, number, T_I64, F_PATH | F_REQUIRED, "The part, from 1 on"),
      FIELD(struct part_in, expires, T_I64, F_QUERY | F_REQUIRED, "Seconds since 1970"),
      FIELD(struct part_in, signature, T_STR, F_QUERY | F_REQUIRED, "Of all of it"));

static int64_t content_length(const struct ctx *c) {
    const char *text = ctx_header(c, "content-length");
    int64_t n = -1;
    return text && str_to_i64(text, &n) ? n : -1;
}

static int receive_begin(struct ctx *c, const void *input, void **state) {
    const struct part_in *in = input;
    struct upload_row u = {.path = ""};
    struct part_writer *w;
    bool found = false;
    int rc = db_read_begin(blob_store.db, c);
    if (rc != 0)
        return rc;
    rc = upload_store_get(c, in->upload_id, &u, &found);
    /* An upload that is not there looks like one whose signature does not fit. */
    struct grant g = {.verb = "part",
                      .project = u.project,
                      .path = u.path,
                      .what = arena_printf(c->arena, "%s/%" PRId64, in->upload_id, in->number.v),
                      .expires = in->expires.v};
    const int64_t length = content_length(c);
    if (rc == 0)
        rc = grant_check(c, &g, in->signature);
    if (rc == 0) {
        c->project = u.project;
        rc = upload_check_room(c, &u, in->number.v, length < 0 ? 1 : length);
    }
    db_read_end(c);
    if (rc == 0)
        rc = part_begin(c, &u, in->number.v, length, &w);
    if (rc == 0)
        *state = w;
    return rc;
}

static int receive_chunk(struct ctx *c, void *state, const char *data, size_t n) {
    return part_add(c, state, data, n);
}

static int receive_finish(struct ctx *c, const void *in, void *state, void *out) {
    char *etag = arena_alloc(c->arena, 65);
    (void)in;
    (void)out;
    int rc = part_end(c, state, etag);
    if (rc == 0) {
        reply_etag(c, arena_printf(c->arena, "\"%s\"", etag));
        reply_text(c, "text/plain", "");
    }
    return rc;
}

static void receive_abort(void *state) {
    part_abort(state);
}

static const struct upload_ops receive = {receive_begin, receive_chunk, receive_finish,
                                          receive_abort};

#define MULTIPART(verb, shape_in, shape_out, handler, text)                                        \
    {                                                                                              \
        .id = "artifact.proxy.mpu-" verb, .method = "POST",                                        \
        .path = GRANT_PROXY "mpu/" verb "/{dir...}", .in = (shape_in), .out = (shape_out),         \
        .perm = PERM_WRITE, .lane = LANE_WORK, .dialect = DIALECT_MLFLOW,                          \
        .flags = ROUTE_MLFLOW_AJAX | ROUTE_SECRET | ROUTE_OBJECT, .fn = (handler), .summary = text \
    }

static const struct route rows[] = {
    MULTIPART("create", &in_upload_create, &out_upload_create, multipart_create,
              "Begins an upload in parts; answers a signed URL for each of them."),
    MULTIPART("complete", &in_upload_complete, NULL, multipart_complete,
              "Makes the artifact of its parts; repeating it is harmless."),
    MULTIPART("abort", &in_upload_abort, NULL, multipart_abort,
              "Gives the upload up; one that is over is left as it is."),
    {.id = "artifact.proxy.part",
     .method = "PUT",
     .path = GRANT_PROXY "parts/{upload_id}/{number}",
     .in = &in_part,
     .perm = PERM_PUBLIC,
     .lane = LANE_WORK,
     .dialect = DIALECT_MLFLOW,
     .flags = ROUTE_UPLOAD,
     .upload = &receive,
     .summary = "Takes one part; the signature in the URL is the permission."},
};

const struct route_list upload_routes = {rows, ARRAY_LEN(rows)};
