/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_PATH_H
#define QUERN_BASE_PATH_H
/* Path: files beneath one directory and nowhere else.
 *
 * A `dir` is an open directory. Relative names given to these functions resolve beneath it with
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS) where the kernel has it
 * (5.6+), else component by component with O_NOFOLLOW; ".", "..", empty components and absolute
 * names are refused with -EINVAL. New files are 0600, new directories 0700. Results are 0 or a
 * descriptor, or -errno. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct dir;
struct arena;

int dir_open(const char *path, bool create, struct dir **out); /* any path; operator input only */
int dir_open_sub(struct dir *parent, const char *rel, bool create, struct dir **out);
void dir_close(struct dir *d);
int dir_fd(const struct dir *d);
const char *dir_path(const struct dir *d); /* absolute, for messages and libraries */

int dir_openat(struct dir *d, const char *rel, int flags, mode_t mode);
int dir_mkdirs(struct dir *d, const char *rel);
int dir_rename(struct dir *d, const char *from, const char *to); /* then fsyncs the directory */
int dir_unlink(struct dir *d, const char *rel);                  /* absent is 0 */
int dir_remove_tree(struct dir *d, const char *rel);             /* absent is 0 */
bool dir_exists(struct dir *d, const char *rel);
int dir_sync(struct dir *d, const char *rel_dir_or_null);
/* Whole file: rel.tmp, fsync, rename, fsync of the directory. */
int dir_write_file(struct dir *d, const char *rel, const void *data, size_t n);
/* Whole file into the arena, NUL-terminated; -EFBIG past cap. */
int dir_read_file(struct dir *d, const char *rel, struct arena *a, size_t cap, char **data,
                  size_t *n);
/* Names in a directory ("." and ".." left out), sorted by bytes. */
int dir_list(struct dir *d, const char *rel_or_null, struct arena *a, char ***names, size_t *n);

#endif
