/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ARTIFACT_PRIVATE_BLOB_H
#define QUERN_ARTIFACT_PRIVATE_BLOB_H
/* Blob: what the files of this room share about stored content. */
#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct db;
struct dir;

struct blob_store {
    struct db *db;
    struct dir *blobs, *tmp, *uploads;
    int64_t upload_keep_ms;
    uint64_t upload_cap;
    int64_t gc_grace_ms;
    bool named_tmp;                  /* no O_TMPFILE here: random names in tmp instead */
    unsigned char shard_synced[256]; /* the entry of blobs/ab is known to be on disk */
};
extern struct blob_store blob_store;

#define BLOB_VERIFY_SMALL (1u << 20) /* bytes that are cheap enough to hash on every use */
#define BLOB_NAME_SIZE 66            /* "ab/" and 62 digits and NUL */

bool blob_sha_ok(const char *sha256); /* 64 lower-case hex digits */
void blob_name(const char *sha256, char out[BLOB_NAME_SIZE]);
bool blob_exists(const char *sha256);
/* Tells a failed system call: disk full, or an internal error that is logged. */
int blob_fail(struct ctx *c, const char *what, int error);
/* Moves the file to tmp under a random name, so that the caller's lock is not held while the file
 * system frees it; the name goes to trash[64]. 0 or -errno. */
int blob_discard(const char *sha256, char trash[64]);
/* 1 the content matches its name, 0 it does not, or a negative code. */
int blob_match(struct ctx *c, int fd, const char *sha256);

/* Stores the first `size` bytes of an open, named file, which nobody writes any more: hashed,
 * synced and linked as it lies. Pinned as by blob_end; the descriptor stays the caller's. */
int blob_adopt(struct ctx *c, int fd, int64_t size, char sha256[65]);

#endif
