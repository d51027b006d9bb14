/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

static int wait_ready(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    while (poll(&p, 1, -1) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int fd_write_all(int fd, const void *data, size_t n) {
    const char *p = data;
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN) {
                int r = wait_ready(fd, POLLOUT);
                if (r < 0)
                    return r;
                continue;
            }
            return -errno;
        }
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

ssize_t fd_read_all(int fd, void *data, size_t n) {
    char *p = data;
    size_t done = 0;
    while (done < n) {
        ssize_t r = read(fd, p + done, n - done);
        if (r < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN) {
                int w = wait_ready(fd, POLLIN);
                if (w < 0)
                    return w;
                continue;
            }
            return -errno;
        }
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return (ssize_t)done;
}

void fd_close(int fd) {
    if (fd >= 0)
        close(fd);
}

int fd_lock_exclusive(int fd) {
    while (flock(fd, LOCK_EX | LOCK_NB) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

void fd_reserve_std(void) {
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        /* The lowest free number is fd itself, since those before it are taken by now. These three
         * alone are inherited by children, on purpose. */
        int got = open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
        if (got < 0)
            _exit(71);
        if (got != fd) {
            if (dup2(got, fd) < 0)
                _exit(71);
            close(got);
        }
    }
}
