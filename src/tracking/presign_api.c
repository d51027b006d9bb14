/* SPDX-License-Identifier: Apache-2.0 */
/* Presign doors: signed URLs for a run's or a logged model's artifacts, and the small upload of the
 * web page. */
#include <string.h>

#include "logged_model.h"
#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/artifact/grant.h"
#include "quern/artifact/place.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "run.h"
#include "run_artifact.h"
#include "tracking_api.h"

#define UPLOAD_SECONDS 900
#define DOWNLOAD_SECONDS 300

struct wish {
    const char *run_id, *model_id, *path;
    struct opt_i64 expiration;
};
SHAPE(in_presigned_upload, "CreatePresignedUploadUrl", struct wish,
      FIELD(struct wish, run_id, T_STR, 0, "Run, or"),
      FIELD(struct wish, model_id, T_STR, 0, "logged model: exactly one of them."),
      FIELD(struct wish, path, T_STR, F_REQUIRED, "File below its root."),
      FIELD(struct wish, expiration, T_I64, 0, "Seconds, 1 to 604800; 900 when absent."));
SHAPE(in_presigned_download, "CreatePresignedDownloadUrl", struct wish,
      FIELD(struct wish, run_id, T_STR, F_REQUIRED, "Run."),
      FIELD(struct wish, path, T_STR, F_REQUIRED, "File below its root."),
      FIELD(struct wish, expiration, T_I64, 0, "Seconds, 1 to 604800; 300 when absent."));
struct answer {
    const char *presigned_url;
    struct pairs headers;
    struct opt_i64 file_size;
};
SHAPE(out_presigned_url, "PresignedUrl", struct answer,
      FIELD(struct answer, presigned_url, T_STR, F_ALWAYS, "For PUT or GET, without a credential."),
      FIELD(struct answer, headers, T_MAP, 0, "Headers to send; none."),
      FIELD(struct answer, file_size, T_I64, 0, "Bytes, of a download."));

static int seconds_of(struct ctx *c, const struct wish *w, int64_t usual, int64_t *out) {
    *out = w->expiration.set ? w->expiration.v : usual;
    if (*out >= 1 && *out <= GRANT_SECONDS_MAX)
        return 0;
    return fail_field(c, ERR_INVALID, "expiration",
                      "expiration must be between 1 and %d seconds (got %lld).", GRANT_SECONDS_MAX,
                      (long long)*out);
}

/* Only what lies in this server's store has URLs of this server. */
static int store_path(struct ctx *c, const struct artifact_root *root, const char *path,
                      const char *kind, const char **out) {
    struct artifact_place top = {.path = artifact_uri_path(c, root->uri)}, file;
    if (!top.path)
        return fail(c, ERR_NOT_IMPLEMENTED,
                    "Presigned %s is not supported for the current artifact repository", kind);
    int rc = artifact_place_below(c, &top, path, &file);
    *out = file.path;
    return rc;
}

/* For a change: the caller's token and permission allow it. */
static int root_for_write(struct ctx *c, const char *run_id, const char *model_id,
                          struct artifact_root *out) {
    struct run_ref r;
    struct logged_model *m = NULL;
    int rc;
    if (run_id && *run_id) {
        rc = run_for_write(c, run_id, &r);
        return rc ? rc : run_artifact_uri(c, run_id, out);
    }
    rc = logged_model_read(c, model_id, false, &m);
    if (!rc)
        rc = logged_model_claim(c, model_id);
    if (!rc)
        *out =
            (struct artifact_root){.experiment = m->info->experiment, .uri = m->info->artifact_uri};
    return rc;
}

int api_presigned_upload(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    struct artifact_root root;
    struct presigned p;
    const char *path = NULL;
    int64_t seconds;
    bool run = w->run_id && *w->run_id, model = w->model_id && *w->model_id;
    if (run == model)
        return fail_field(c, ERR_INVALID, "run_id",
                          "Exactly one of run_id and model_id must be provided.");
    int rc = seconds_of(c, w, UPLOAD_SECONDS, &seconds);
    if (!rc)
        rc = root_for_write(c, w->run_id, w->model_id, &root);
    if (!rc)
        rc = store_path(c, &root, w->path, "upload", &path);
    if (!rc)
        rc = presign_upload(c, path, seconds, &p);
    if (!rc)
        ((struct answer *)out)->presigned_url = p.url;
    return rc;
}

int api_presigned_download(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    struct artifact_root root;
    struct presigned p;
    struct answer *a = out;
    const char *path = NULL;
    int64_t seconds;
    int rc = seconds_of(c, w, DOWNLOAD_SECONDS, &seconds);
    if (!rc)
        rc = run_artifact_uri(c, w->run_id, &root);
    if (!rc)
        rc = store_path(c, &root, w->path, "download", &path);
    if (!rc)
        rc = presign_download(c, path, seconds, &p);
    if (!rc) {
        a->presigned_url = p.url;
        a->file_size = SET_I64(p.file_size);
    }
    return rc;
}

struct upload_in {
    const char *run_uuid, *path;
};
SHAPE(in_upload_artifact, "UploadArtifact", struct upload_in,
      FIELD(struct upload_in, run_uuid, T_STR, F_QUERY | F_REQUIRED, "Run."),
      FIELD(struct upload_in, path, T_STR, F_QUERY | F_REQUIRED, "File below the run's root."));

static int name_upload(struct ctx *c, const void *arg, const char **path) {
    const struct upload_in *in = arg;
    struct artifact_root root;
    int rc = root_for_write(c, in->run_uuid, NULL, &root);
    if (!rc)
        rc = store_path(c, &root, in->path, "upload", path);
    if (!rc)
        rc = artifact_permit(c, *path, OBJECT_EDIT);
    if (rc == -ERR_NOT_IMPLEMENTED) {
        err_clear(c);
        rc = fail(c, ERR_INVALID,
                  "The run's artifacts are kept at %s; this server does not write there", root.uri);
    }
    return rc;
}

/* The whole body is small (the row's cap) and in memory. */
int api_upload_artifact(struct ctx *c, const void *in, void *out) {
    (void)out;
    if (c->body_len == 0)
        return fail(c, ERR_INVALID, "Request must specify data.");
    int rc = artifact_put(c, c->body, c->body_len, name_upload, in);
    if (!rc)
        reply_text(c, "text/plain", "");
    return rc;
}
