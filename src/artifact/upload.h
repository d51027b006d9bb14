/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ARTIFACT_PRIVATE_UPLOAD_H
#define QUERN_ARTIFACT_PRIVATE_UPLOAD_H
/* Upload: a file that comes in parts.
 *
 * Parts are written by position into uploads/<id>/data, so that nothing is copied when the last one
 * is there: parts but the last are of one size, told by the first. A part that does not fit this,
 * or comes again, gets a file of its own beside it. A part is acknowledged once it is synced and
 * its row committed; its bytes in place are never written again. Completing hashes the file, which
 * then becomes the blob. While it does, nobody writes. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct part_writer;

#define UPLOAD_PARTS_MAX 10000
#define UPLOAD_ID_LEN 22

struct upload_row {
    const char *id, *path, *sha256; /* sha256 "" until it is complete */
    int64_t project, parts, part_size, expires_ms;
};
struct upload_part {
    int64_t number, size;
    const char *sha256, *file;
};
struct upload_parts {
    struct upload_part *items;
    size_t n;
};

/* Store: the statements. */
int upload_store_add(struct ctx *c, const struct upload_row *u);
int upload_store_get(struct ctx *c, const char *id, struct upload_row *out, bool *found);
int upload_store_open_count(struct ctx *c, int64_t *n);
/* Of the project's open uploads, but for this part. */
int upload_store_open_bytes(struct ctx *c, const char *id, int64_t number, int64_t *n);
int upload_store_parts(struct ctx *c, const char *id, struct upload_parts *out);
/* part_size > 0: that of the parts in place. *older is a file that the part had before, or NULL. */
int upload_store_put_part(struct ctx *c, const char *id, const struct upload_part *p,
                          int64_t part_size, const char **older);
int upload_store_complete(struct ctx *c, const char *id, const char *sha256, int64_t expires_ms);
int upload_store_delete(struct ctx *c, const char *id);
int upload_store_expired(struct ctx *c, int64_t most, const char ***ids, size_t *n);

/* Rules. On a worker; c->db is not set. */
int upload_create(struct ctx *c, const char *path, int64_t parts, struct upload_row *out);
/* `named`, by part: the ETag a client names, "" for any. */
int upload_complete(struct ctx *c, const char *id, const char *path,
                    const struct upload_part *named, size_t n);
int upload_abort(struct ctx *c, const char *id, const char *path);
/* Inside a read: ERR_QUOTA when the project has no room for so many bytes of this part. */
int upload_check_room(struct ctx *c, const struct upload_row *u, int64_t number, int64_t bytes);

/* One part: begin and add on a network thread, end on a worker. length -1: not known. */
int part_begin(struct ctx *c, const struct upload_row *u, int64_t number, int64_t length,
               struct part_writer **out);
int part_add(struct ctx *c, struct part_writer *w, const void *data, size_t n);
int part_end(struct ctx *c, struct part_writer *w, char sha256[65]);
void part_abort(struct part_writer *w);

/* Upload file: what is under way, and the files. */
struct upload_file;
/* Shared by everybody who works on this upload; NULL only with the error told. */
struct upload_file *upload_file_get(struct ctx *c, const char *id);
void upload_file_put(struct upload_file *f);
const char *upload_file_id(const struct upload_file *f);
/* Keeps writers out until upload_file_open: ERR_BUSY when somebody else does so already. */
int upload_file_close(struct ctx *c, struct upload_file *f);
void upload_file_open(struct upload_file *f);
/* The whole of the parts as a pinned blob. Closed. */
int upload_file_whole(struct ctx *c, struct upload_file *f, const struct upload_parts *parts,
                      char sha256[65], int64_t *size);
void upload_file_remove(const char *id);
/* Folders of uploads that no row names; `known` tells of one. */
int upload_file_sweep(struct ctx *c, bool (*known)(struct ctx *c, const char *id));

#endif
