/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_TAR_H
#define QUERN_SERVING_TAR_H
/* Tar: plain files as a compressed POSIX archive, without owners and times, so that the same files
 * give the same bytes; and such an archive read again, strictly. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct tar_writer;
struct tar_reader;

/* Compressed bytes go to `fd`. Functions fail with ERR_DISK_FULL, ERR_INTERNAL, and for a name that
 * does not fit ERR_UNPROCESSABLE. */
int tar_begin(struct ctx *c, int fd, struct tar_writer **out);
int tar_put(struct ctx *c, struct tar_writer *w, const char *name, const void *data, size_t n);
int tar_put_fd(struct ctx *c, struct tar_writer *w, const char *name, int fd, int64_t size);
int tar_end(struct ctx *c, struct tar_writer *w); /* frees it, as tar_drop does */
void tar_drop(struct tar_writer *w);

int tar_open(struct ctx *c, const char *path, struct tar_reader **out);
void tar_close(struct tar_reader *r);
/* 1 a plain file, 0 the end, ERR_INVALID for what this writer would not have written. What was not
 * read of the file before is skipped. */
int tar_next(struct ctx *c, struct tar_reader *r, const char **name, int64_t *size);
/* Bytes of the current file, 0 at its end. */
int64_t tar_read(struct ctx *c, struct tar_reader *r, void *out, size_t n);

#endif
