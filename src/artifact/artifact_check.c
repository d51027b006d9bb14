/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "artifact_store.h"
#include "blob.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

struct check {
    struct artifact_report *report;
    struct buf *text;
};

static int check_blob(struct ctx *c, const char *sha256, struct check *k) {
    int fd;
    int64_t size;
    bool used = false;
    int rc = blob_open(c, sha256, &fd, &size);
    if (rc == -ERR_NOT_FOUND) { /* collected since its folder was listed */
        err_clear(c);
        return 0;
    }
    if (rc != 0)
        return rc;
    k->report->blobs++;
    k->report->bytes += size;
    rc = blob_match(c, fd, sha256);
    fd_close(fd);
    if (rc < 0)
        return rc;
    if (rc == 0) {
        k->report->damaged++;
        buf_printf(k->text, "blob %s: the content does not match its digest\n", sha256);
    }
    rc = blob_store_referenced(c, sha256, &used);
    if (!used)
        k->report->unreferenced++;
    return rc;
}

static int check_shard(struct ctx *c, const char *shard, struct check *k) {
    char **names = NULL;
    size_t n = 0;
    int rc = dir_list(blob_store.blobs, shard, c->arena, &names, &n);
    if (rc == -ENOENT)
        return 0;
    if (rc != 0)
        return blob_fail(c, "Listing the artifact store", rc);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const char *sha256 = arena_printf(c->arena, "%s%s", shard, names[i]);
        if (blob_sha_ok(sha256))
            rc = check_blob(c, sha256, k);
        else {
            k->report->foreign++;
            if (k->report->foreign == 1)
                buf_printf(k->text, "blobs/%s holds a foreign file\n", shard);
        }
    }
    return rc;
}

static int check_reference(struct ctx *c, const char *sha256, void *arg) {
    struct check *k = arg;
    (void)c;
    if (blob_sha_ok(sha256) && blob_exists(sha256))
        return 0;
    k->report->missing++;
    buf_printf(k->text, "blob %s: referenced but not stored\n", sha256);
    return 0;
}

int artifact_check_all(struct ctx *c, struct artifact_report *out, struct buf *text) {
    struct check k = {out, text};
    int rc = 0;
    *out = (struct artifact_report){0};
    for (unsigned i = 0; rc == 0 && i < 256; i++) {
        unsigned char byte = (unsigned char)i;
        char shard[3];
        hex_encode(&byte, 1, shard);
        rc = check_shard(c, shard, &k);
    }
    return rc == 0 ? blob_store_each_reference(c, check_reference, &k) : rc;
}
