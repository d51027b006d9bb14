/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_PATH_OPEN_H
#define QUERN_BASE_PATH_OPEN_H
/* Opening beneath a directory descriptor, shared by path.c and path_file.c. */
#include <sys/types.h>

/* Descriptor or -errno; -EINVAL when rel is not a plain relative name. O_CLOEXEC is added. */
int path_open_beneath(int fd, const char *rel, int flags, mode_t mode);
/* Descriptor of the directory that holds rel, *leaf its last component; or -errno. */
int path_open_parent(int fd, const char *rel, const char **leaf);

/* The way without openat2, component by component; rel has been checked. */
int path_walk(int fd, const char *rel, int flags, mode_t mode);

#endif
