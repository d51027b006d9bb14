/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_FD_H
#define QUERN_BASE_FD_H
/* Fd: whole reads and writes. All return 0 or -errno unless said otherwise. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int fd_write_all(int fd, const void *data, size_t n);
ssize_t fd_read_all(int fd, void *data, size_t n); /* bytes read, short only at end; or -errno */
void fd_close(int fd);                             /* -1 allowed; EINTR not retried */
int fd_lock_exclusive(int fd);                     /* flock, does not wait: -EWOULDBLOCK if held */
void fd_reserve_std(void); /* opens /dev/null on any of 0..2 that is closed */

#endif
