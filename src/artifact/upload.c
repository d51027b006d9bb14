/* SPDX-License-Identifier: Apache-2.0 */
#include "upload.h"

#include <stdlib.h>
#include <string.h>

#include "artifact_store.h"
#include "blob.h"
#include "caller.h"
#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

#define OPEN_MAX_PER_PROJECT 1000
#define EXPIRE_PER_SWEEP 100

void artifact_upload_keep(int64_t ms) {
    blob_store.upload_keep_ms = ms;
}

static artifact_room *room_left;

void artifact_bounds(artifact_room *fn) {
    room_left = fn;
}

int upload_check_room(struct ctx *c, const struct upload_row *u, int64_t number, int64_t bytes) {
    int64_t left = 0, open = 0;
    struct artifact_entry older = {0};
    bool found = false;
    int rc = room_left ? room_left(c, &left) : 0;
    if (rc <= 0)
        return rc;
    rc = upload_store_open_bytes(c, u->id, number, &open);
    if (rc == 0) /* what the upload replaces makes room for it */
        rc = artifact_store_get(c, u->path, &older, &found);
    if (rc == 0 && bytes > left - open + older.size)
        rc =
            fail(c, ERR_QUOTA,
                 "The project's artifacts, with the uploads under way, would exceed the bytes that "
                 "its quota allows; delete some, or have the quota raised.");
    return rc;
}

static int create_op(struct ctx *c, void *arg) {
    struct upload_row *u = arg;
    int64_t open = 0;
    int rc = upload_store_open_count(c, &open);
    if (rc == 0 && open >= OPEN_MAX_PER_PROJECT)
        return fail(c, ERR_RATE,
                    "The project has %d uploads under way; complete or abort some of them.",
                    OPEN_MAX_PER_PROJECT);
    if (rc == 0)
        rc = caller_check_model(c, u->path);
    if (rc == 0)
        rc = artifact_permit(c, u->path, OBJECT_EDIT);
    if (rc == 0)
        rc = upload_check_room(c, u, 0, 1);
    return rc ? rc : upload_store_add(c, u);
}

int upload_create(struct ctx *c, const char *path, int64_t parts, struct upload_row *out) {
    char *id = arena_alloc(c->arena, UPLOAD_ID_LEN + 1);
    int rc = artifact_check_path(c, path);
    if (rc == 0)
        rc = caller_check(c, path);
    if (rc == 0 && (parts < 1 || parts > UPLOAD_PARTS_MAX))
        rc = fail_field(c, ERR_INVALID, "num_parts",
                        "Invalid value %lld for parameter 'num_parts' supplied: an upload has 1 to "
                        "%d parts.",
                        (long long)parts, UPLOAD_PARTS_MAX);
    if (rc != 0)
        return rc;
    id_base62(id, UPLOAD_ID_LEN);
    *out = (struct upload_row){.id = id,
                               .path = path,
                               .sha256 = "",
                               .project = c->project,
                               .parts = parts,
                               .expires_ms = c->now_ms + blob_store.upload_keep_ms};
    return db_write(blob_store.db, c, create_op, out);
}

static int find(struct ctx *c, const char *id, const char *path, struct upload_row *row,
                struct upload_parts *parts, bool *found) {
    int rc = caller_check(c, path);
    if (rc == 0)
        rc = db_read_begin(blob_store.db, c);
    if (rc != 0)
        return rc;
    rc = artifact_permit(c, path, OBJECT_EDIT);
    if (rc == 0)
        rc = upload_store_get(c, id, row, found);
    *found = *found && row->project == c->project && str_eq(row->path, path);
    if (rc == 0 && *found && parts)
        rc = upload_store_parts(c, id, parts);
    db_read_end(c);
    return rc;
}

static int bad_part(struct ctx *c, int64_t number, const char *what) {
    return fail_field(c, ERR_INVALID, "parts", "Part %lld %s.", (long long)number, what);
}

/* All parts, each once, each acknowledged with that ETag. */
static int check_parts(struct ctx *c, const struct upload_row *row, const struct upload_parts *have,
                       const struct upload_part *named, size_t n) {
    const struct upload_part **by =
        ARENA_ARRAY(c->arena, const struct upload_part *, (size_t)row->parts + 1);
    for (size_t i = 0; i < n; i++) {
        int64_t number = named[i].number;
        if (number < 1 || number > row->parts)
            return bad_part(c, number, "is none of this upload");
        if (by[number])
            return bad_part(c, number, "is named twice");
        by[number] = &named[i];
    }
    for (int64_t k = 1, i = 0; k <= row->parts; k++, i++) {
        if (!by[k])
            return bad_part(c, k, "is not named");
        if (i >= (int64_t)have->n || have->items[i].number != k)
            return bad_part(c, k, "has not been received");
        const char *etag = by[k]->sha256;
        size_t len = strlen(etag);
        bool quoted = len > 2 && etag[0] == '"' && etag[len - 1] == '"';
        if (len > 0 && !(quoted ? len == 66 && memcmp(etag + 1, have->items[i].sha256, 64) == 0
                                : str_eq(etag, have->items[i].sha256)))
            return bad_part(c, k, "was received with another ETag");
    }
    return 0;
}

struct completion {
    const struct upload_row *row;
    char sha256[65];
    int64_t size;
};

static int complete_op(struct ctx *c, void *arg) {
    const struct completion *d = arg;
    struct upload_row row;
    bool found = false;
    int rc = upload_store_get(c, d->row->id, &row, &found);
    if (rc == 0 && (!found || *row.sha256))
        rc = fail(c, ERR_CONFLICT, "The upload has ended meanwhile.");
    if (rc == 0)
        rc = caller_check_model(c, row.path);
    if (rc == 0)
        rc = artifact_permit(c, row.path, OBJECT_EDIT);
    if (rc == 0)
        rc = artifact_link(c, row.path, d->sha256, d->size);
    if (rc == 0)
        rc = upload_store_complete(c, row.id, d->sha256, c->now_ms + blob_store.upload_keep_ms);
    return rc ? rc
              : audit_append(c, "artifact.put", row.path,
                             arena_printf(c->arena, "{\"sha256\":\"%s\",\"size\":%lld}", d->sha256,
                                          (long long)d->size));
}

static int complete_closed(struct ctx *c, struct upload_file *f, const char *path,
                           const struct upload_part *named, size_t n) {
    struct upload_row row;
    struct upload_parts parts = {0};
    struct completion d = {.row = &row};
    bool found = false;
    int rc = find(c, upload_file_id(f), path, &row, &parts, &found);
    if (rc == 0 && !found)
        return fail(c, ERR_CONFLICT, "The upload has ended meanwhile.");
    if (rc == 0 && *row.sha256)
        return 0;
    if (rc == 0)
        rc = check_parts(c, &row, &parts, named, n);
    if (rc == 0)
        rc = upload_file_whole(c, f, &parts, d.sha256, &d.size);
    if (rc != 0)
        return rc;
    rc = db_write(blob_store.db, c, complete_op, &d);
    if (rc != 0)
        blob_unpin(d.sha256);
    else
        upload_file_remove(row.id);
    return rc;
}

static int unknown(struct ctx *c, const char *id) {
    return fail(c, ERR_NOT_FOUND, "There is no upload with id %.64s of this artifact.", id);
}

int upload_complete(struct ctx *c, const char *id, const char *path,
                    const struct upload_part *named, size_t n) {
    struct upload_row row;
    bool found = false;
    int rc = find(c, id, path, &row, NULL, &found);
    if (rc == 0 && !found)
        return unknown(c, id);
    if (rc != 0 || *row.sha256)
        return rc;
    struct upload_file *f = upload_file_get(c, id);
    if (!f)
        return -c->err.code;
    rc = upload_file_close(c, f);
    if (rc == 0) {
        rc = complete_closed(c, f, path, named, n);
        if (rc != 0)
            upload_file_open(f);
    }
    upload_file_put(f);
    return rc;
}

static int delete_op(struct ctx *c, void *arg) {
    struct upload_row row;
    bool found = false;
    int rc = upload_store_get(c, arg, &row, &found);
    return rc || !found ? rc : upload_store_delete(c, arg);
}

/* An open upload with its files, or a record of one that is complete. */
static int forget(struct ctx *c, const char *id, bool open) {
    if (!open)
        return db_write(blob_store.db, c, delete_op, (void *)id);
    struct upload_file *f = upload_file_get(c, id);
    if (!f)
        return -c->err.code;
    int rc = upload_file_close(c, f);
    if (rc == 0 && (rc = db_write(blob_store.db, c, delete_op, (void *)id)) != 0)
        upload_file_open(f);
    if (rc == 0)
        upload_file_remove(id);
    upload_file_put(f);
    return rc;
}

int upload_abort(struct ctx *c, const char *id, const char *path) {
    struct upload_row row;
    bool found = false;
    int rc = find(c, id, path, &row, NULL, &found);
    /* A client aborts because something else failed; what is over already is well. */
    if (rc != 0 || !found || *row.sha256)
        return rc;
    rc = forget(c, id, true);
    if (rc == -ERR_NOT_FOUND) {
        err_clear(c);
        rc = 0;
    }
    return rc;
}

static bool known(struct ctx *c, const char *id) {
    struct upload_row row;
    bool found = true;
    if (db_read_begin(blob_store.db, c) != 0)
        return true;
    if (upload_store_get(c, id, &row, &found) != 0)
        found = true;
    db_read_end(c);
    return found && !*row.sha256;
}

int artifact_uploads_sweep(struct ctx *c, int64_t *gone) {
    const char **ids = NULL;
    size_t n = 0;
    *gone = 0;
    int rc = db_read_begin(blob_store.db, c);
    if (rc != 0)
        return rc;
    rc = upload_store_expired(c, EXPIRE_PER_SWEEP, &ids, &n);
    db_read_end(c);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = forget(c, ids[i], true);
        if (rc == -ERR_NOT_FOUND) {
            err_clear(c);
            rc = forget(c, ids[i], false);
        }
        if (rc == -ERR_BUSY) { /* it is being completed after all */
            err_clear(c);
            rc = 0;
        } else if (rc == 0) {
            ++*gone;
        }
    }
    return rc == 0 ? upload_file_sweep(c, known) : rc;
}
